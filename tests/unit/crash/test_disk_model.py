"""The model of a disk: what it may hold after a power loss, no more and no less."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from qanat.crash.disk_model import Disk, Loss
from qanat.crash.trace import Call


def create(path: str) -> Call:
    return Call("o", 0, 0, 0, "c-", path, "")


def write(path: str, data: bytes, at: int = 0) -> Call:
    return Call("w", len(data), at, len(data), "-", path, "", data)


def sync(path: str) -> Call:
    return Call("s", 0, 0, 0, "-", path, "")


def call(op: str, path: str, other: str = "", size: int = 0) -> Call:
    return Call(op, 0, size, 0, "-", path, other)


class Power:
    """A disk to which calls are applied, and its content after a power loss."""

    def __init__(self, folder: Path) -> None:
        self.image = folder / "image"
        self.image.mkdir()
        (self.image / "old").write_bytes(b"old")
        self.folder = folder
        self.disk = Disk(self.image)

    def do(self, *calls: Call) -> None:
        for each in calls:
            self.disk.apply(each)

    def lose(self, loss: Loss, seed: int = 0) -> dict[str, bytes]:
        """Files by path, empty folders left out."""
        target = self.folder / f"{loss}-{seed}-{len(list(self.folder.iterdir()))}"
        target.mkdir()
        for path in self.image.rglob("*"):
            copy = target / path.relative_to(self.image)
            copy.mkdir() if path.is_dir() else copy.write_bytes(path.read_bytes())
        self.disk.materialize(target, loss, Random(seed))  # noqa: S311
        files = (p for p in target.rglob("*") if p.is_file())
        return {str(p.relative_to(target)): p.read_bytes() for p in files}


@pytest.fixture
def power(tmp_path: Path) -> Power:
    return Power(tmp_path)


def test_unsynced_changes_are_lost_as_each_loss_says(power: Power) -> None:
    power.do(create("a"), write("a", b"new"))
    assert power.lose(Loss.ALL) == {"old": b"old"}
    assert power.lose(Loss.NAMES) == {"old": b"old"}
    assert power.lose(Loss.CONTENT) == {"old": b"old", "a": b""}
    assert power.lose(Loss.ZEROS) == {"old": b"old", "a": b"\0\0\0"}
    some = [power.lose(Loss.PART, seed).get("a") for seed in range(40)]
    assert set(some) == {None, b"", b"new"}


def test_a_synced_file_keeps_its_content_and_a_synced_folder_its_names(
    power: Power,
) -> None:
    power.do(create("a"), write("a", b"new"), sync("a"))
    assert power.lose(Loss.ALL) == {"old": b"old"}
    assert power.lose(Loss.CONTENT)["a"] == b"new"
    power.do(sync(""))
    for loss in Loss:
        assert power.lose(loss) == {"old": b"old", "a": b"new"}
    power.do(write("a", b"NEWER"))
    assert power.lose(Loss.ALL)["a"] == b"new"
    assert power.lose(Loss.NAMES)["a"] == b"NEWER"
    assert power.lose(Loss.ZEROS)["a"] == b"new\0\0"


def test_a_synced_file_in_an_unsynced_folder_is_lost(power: Power) -> None:
    power.do(call("m", "d"), create("d/a"), write("d/a", b"new"), sync("d/a"), sync("d"))
    assert power.lose(Loss.ALL) == {"old": b"old"}
    power.do(sync(""))
    assert power.lose(Loss.ALL) == {"old": b"old", "d/a": b"new"}


def test_a_rename_is_one_change_of_two_folders(power: Power) -> None:
    power.do(call("m", "d"), sync(""), call("r", "old", "d/moved"))
    assert power.lose(Loss.ALL) == {"old": b"old"}
    assert power.lose(Loss.CONTENT) == {"d/moved": b"old"}
    found = {tuple(power.lose(Loss.PART, seed)) for seed in range(20)}
    assert found == {("old",), ("d/moved",)}
    power.do(sync("d"))
    assert power.lose(Loss.ALL) == {"d/moved": b"old"}


def test_a_rename_through_a_link_is_one_of_the_folder_that_it_leads_to(power: Power) -> None:
    power.do(call("m", "d"), call("m", "gate"), sync(""))
    power.do(call("y", "d", "gate/way"), create("gate/way/new"), sync("gate/way/new"))
    power.do(call("r", "gate/way/new", "gate/way/moved"), call("u", "gate/way"))
    assert power.lose(Loss.ALL) == {"old": b"old"}
    power.do(sync("d"))
    assert power.lose(Loss.ALL) == {"old": b"old", "d/moved": b""}


def test_links_share_one_file(power: Power) -> None:
    power.do(create("tmp"), write("tmp", b"x" * 9), sync("tmp"), call("l", "tmp", "final"))
    power.do(call("u", "tmp"))
    assert power.lose(Loss.ALL) == {"old": b"old"}
    assert power.lose(Loss.CONTENT) == {"old": b"old", "final": b"x" * 9}
    assert {len(power.lose(Loss.PART, seed)) for seed in range(40)} == {1, 2, 3}


def test_removed_and_made_again(power: Power) -> None:
    power.do(call("u", "old"), create("old"), write("old", b"again"), sync("old"))
    assert power.lose(Loss.ALL) == {"old": b"old"}
    assert power.lose(Loss.CONTENT) == {"old": b"again"}
    power.do(sync(""))
    assert power.lose(Loss.ALL) == {"old": b"again"}


def test_a_later_change_is_not_undone_by_an_earlier_one(power: Power) -> None:
    """The later change is synced first, through another folder."""
    power.do(call("m", "d"), sync(""), create("a"), call("r", "a", "d/a"), sync("d"))
    for loss in Loss:
        assert power.lose(loss) == {"old": b"old", "d/a": b""}
    power.do(sync(""))
    assert power.lose(Loss.ALL) == {"old": b"old", "d/a": b""}


def test_writes_and_truncations_change_the_size(power: Power) -> None:
    power.do(call("t", "old", size=1), call("a", "old"))
    assert power.lose(Loss.ALL) == {"old": b"old"}
    assert power.lose(Loss.NAMES) == {"old": b"o"}
    power.do(Call("a", 0, 4, 0, "grows", "old", ""))
    assert power.lose(Loss.NAMES) == {"old": b"o\0\0\0"}
    power.do(Call("o", 0, 0, 0, "-t", "old", ""), sync("old"))
    assert power.lose(Loss.ALL) == {"old": b""}


def test_a_large_write_may_be_torn_between_sectors(power: Power) -> None:
    power.do(create("a"), sync(""), write("a", b"x" * 2000))
    sizes = {len(power.lose(Loss.PART, seed)["a"]) for seed in range(200)}
    assert sizes == {0, 512, 1024, 1536, 2000}


def test_calls_that_failed_did_nothing(power: Power) -> None:
    power.do(Call("u", -2, 0, 0, "-", "old", ""), Call("#", 0, 0, 0, "said", "unlink", ""))
    assert power.lose(Loss.PART) == {"old": b"old"}


def test_an_untouched_file_keeps_its_time(power: Power, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "old").hardlink_to(power.image / "old")
    power.do(create("a"))
    power.disk.materialize(target, Loss.CONTENT, Random(1))  # noqa: S311
    assert (target / "old").stat().st_ino == (power.image / "old").stat().st_ino
