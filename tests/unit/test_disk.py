"""What it takes for files to survive a power loss."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from qanat.disk import explained, sync, sync_path
from qanat.errors import AdapterError, StorageFullError


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    found: list[Path] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        found.append(Path(f"/proc/self/fd/{handle}").readlink())
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    return found


def test_a_folder_is_synced_with_all_above_it(tmp_path: Path, synced: list[Path]) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    sync_path(folder)
    assert synced[:3] == [folder, folder.parent, tmp_path]
    device = tmp_path.stat().st_dev
    assert all(p.stat().st_dev == device for p in synced)


def test_a_file_is_synced_alone(tmp_path: Path, synced: list[Path]) -> None:
    (tmp_path / "a").touch()
    sync(tmp_path / "a")
    assert synced == [tmp_path / "a"]


def test_what_cannot_be_synced_is_told(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="cannot keep") as caught, explained("keep", "x"):
        sync(tmp_path / "nothing")
    assert caught.value.got == os.strerror(errno.ENOENT)
    with pytest.raises(StorageFullError, match="no space left to use y"), explained("use"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "y")
