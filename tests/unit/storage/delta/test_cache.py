"""Copies of objects, which processes share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qanat.storage.delta.cache import Cache


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def file(tmp_path: Path, name: str, content: bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def test_what_one_process_keeps_another_is_given(tmp_path: Path, folder: Path) -> None:
    Cache(folder).keep("s3://lake/a 3", file(tmp_path, "a", b"abc"))
    (tmp_path / "a").unlink()
    target = tmp_path / "b"
    assert Cache(folder).give("s3://lake/a 3", target)
    assert target.read_bytes() == b"abc"
    assert not Cache(folder).give("s3://lake/a 4", tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_who_makes_room_takes_nothing_away(tmp_path: Path, folder: Path) -> None:
    cache, target = Cache(folder), tmp_path / "mine"
    for name in ("old", "used", "new"):
        cache.keep(name, file(tmp_path, name, b"x" * 10))
        (tmp_path / name).unlink()
    for at, name in ((1, "old"), (2, "used"), (3, "new")):
        kept = cache.path(name)
        os.utime(kept, (at, at))
    assert cache.give("used", target)
    # The next process has room for two and keeps one more.
    later = Cache(folder, limit=20)
    later.keep("another", file(tmp_path, "another", b"y"))
    assert [later.give(n, tmp_path / f"found {n}") for n in ("old", "used", "new")] == [
        False,
        True,
        True,
    ]
    assert target.read_bytes() == b"x" * 10


def test_a_file_system_without_hard_links_gets_copies(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    Cache(folder).keep("a", file(tmp_path, "a", b"abc"))
    assert Cache(folder).give("a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"abc"


def test_no_room_is_no_error(tmp_path: Path, folder: Path) -> None:
    folder.write_text("not a folder")
    Cache(folder).keep("a", file(tmp_path, "a", b"abc"))
    assert not Cache(folder).give("a", tmp_path / "b")
