"""What it takes for files to survive a power loss."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from qanat.disk import explained, sync, sync_path, whole_file
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


def _full_after_a_while(path: Path) -> None:
    with whole_file(path) as part:
        part.write_text("aft")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_of_the_users_is_whole_or_as_it_was(tmp_path: Path) -> None:
    """Also behind a link; with its permissions, and without anything beside it."""
    target, link = tmp_path / "a" / "checks.yml", tmp_path / "checks.yml"
    target.parent.mkdir()
    target.write_text("before")
    target.chmod(0o640)
    link.symlink_to(target)
    with pytest.raises(StorageFullError):
        _full_after_a_while(link)
    assert target.read_text() == "before"
    with whole_file(link) as part:
        part.write_text("after")
    assert (target.read_text(), target.stat().st_mode & 0o777) == ("after", 0o640)
    assert link.is_symlink()
    assert [p.name for p in target.parent.iterdir()] == ["checks.yml"]


def test_what_is_no_file_is_written_to_and_never_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with whole_file(pipe) as part:
        part.write_text("page")
    assert os.read(reader, 100) == b"page"
    os.close(reader)
    assert pipe.is_fifo()
    with pytest.raises(AdapterError), whole_file(tmp_path) as part:
        part.write_text("page")
