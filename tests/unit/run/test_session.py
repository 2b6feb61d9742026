"""Scratch space is gone when its process is, and never before."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from qanat.errors import AdapterError
from qanat.run.scratch import Scratch, sweep_scratch
from tests.forked import FORKED


def test_a_folder_until_it_is_closed(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "scratch")
    (scratch.folder / "a" / "b").mkdir(parents=True)
    assert sweep_scratch(tmp_path / "scratch") == 0
    assert scratch.folder.is_dir()
    scratch.close()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_what_the_disk_refuses_to_remove_is_left_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = Scratch(tmp_path)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", refuse)
        scratch.close()
    assert len(list(tmp_path.iterdir())) == 1
    assert sweep_scratch(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []


def test_there_is_nothing_to_sweep_before_the_first(tmp_path: Path) -> None:
    assert sweep_scratch(tmp_path / "nowhere") == 0


def _die(parent: Path) -> None:
    scratch = Scratch(parent)
    (scratch.folder / "spill").write_bytes(b"x" * 1000)
    os._exit(9)


def test_what_the_dead_left_is_swept_and_what_the_living_have_stays(tmp_path: Path) -> None:
    mine = Scratch(tmp_path)
    for _ in range(2):
        child = FORKED.Process(target=_die, args=(tmp_path,))
        child.start()
        child.join(60)
        assert child.exitcode == 9
    assert len(list(tmp_path.glob("*.lock"))) == 3
    assert sweep_scratch(tmp_path) == 2
    assert sorted(tmp_path.iterdir()) == [mine.folder, mine.folder.with_suffix(".lock")]
    mine.close()


def test_a_place_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AdapterError, match="cannot make"):
        Scratch(tmp_path / "file")


def test_a_folder_without_its_lock_is_swept(tmp_path: Path) -> None:
    """After a power loss: the lock's name was not on the disk yet, the folder's was."""
    mine, other = Scratch(tmp_path), Scratch(tmp_path)
    other.folder.with_suffix(".lock").unlink()
    assert sweep_scratch(tmp_path) == 1
    assert sorted(tmp_path.iterdir()) == [mine.folder, mine.folder.with_suffix(".lock")]
    mine.close()
