"""Sinks to files: each epoch whole, once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qanat.connectors.files.sink import FilesSink
from qanat.errors import (
    FileVanishedError,
    HistoryMismatchError,
    LeaseLostError,
    OptionError,
    UnsupportedError,
)
from qanat.model.pipeline import SinkTarget
from qanat.model.schema import NO_COLUMNS
from qanat.model.staged import DataFile, StagedTable
from qanat.model.work import Output
from qanat.ports.sink import Delivery
from qanat.testing.reading import surroundings

CSV = SinkTarget("csv", (("path", "out"), ("header", "true")))


def delivery(flow: str, epoch: int) -> Delivery:
    return Delivery(CSV, flow, epoch, Path("unused"))


def stage(output: Output, *names: str) -> StagedTable:
    for name in names:
        path = output.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return StagedTable(NO_COLUMNS, tuple(DataFile(n, len(n), 1) for n in names))


def publish(
    sink: FilesSink, flow: str, *names: str, epoch: int = 1, may_be_published: bool = False
) -> None:
    output = sink.output(delivery(flow, epoch))
    table = stage(output, *names)
    sink.publish(delivery(flow, epoch), output.folder, table, may_be_published)


def published(root: Path) -> list[str]:
    files = (p for p in (root / "out").rglob("*") if p.is_file() and ".qanat" not in p.parts)
    return sorted(p.relative_to(root / "out").as_posix() for p in files)


@pytest.mark.parametrize(
    ("staged", "visible"),
    [
        (["part-0.csv"], ["to_csv-0000000007-0.csv"]),
        (["part-0.csv.gz"], ["to_csv-0000000007-0.csv.gz"]),
        (
            ["part-0.csv", "part-1.csv"],
            ["to_csv-0000000007/part-0.csv", "to_csv-0000000007/part-1.csv"],
        ),
        (["k=1/part-0.csv"], ["to_csv-0000000007/k=1/part-0.csv"]),
    ],
)
def test_an_epoch_becomes_visible_once(
    tmp_path: Path, staged: list[str], visible: list[str]
) -> None:
    sink = FilesSink(surroundings(tmp_path))
    output = sink.output(delivery("to_csv", 7))
    assert (output.format, output.options) == ("csv", (("header", "true"),))
    table = stage(output, *staged)
    (output.folder / "left-over.tmp").touch()
    assert not sink.carries(CSV, "to_csv", 7)
    sink.publish(delivery("to_csv", 7), output.folder, table, may_be_published=False)
    assert sink.carries(CSV, "to_csv", 7)
    assert published(tmp_path) == visible
    sink.publish(delivery("to_csv", 7), output.folder, table, may_be_published=False)
    assert published(tmp_path) == visible
    for flow, epoch in (("to_csv", 8), ("to_csv", 70), ("to", 7), ("to_csv-0000000007", 0)):
        assert not sink.carries(CSV, flow, epoch)


def test_an_epoch_that_is_redone_starts_afresh(tmp_path: Path) -> None:
    sink = FilesSink(surroundings(tmp_path))
    stage(sink.output(delivery("f", 1)), "part-0.csv", "part-1.csv")
    publish(sink, "f", "part-0.csv")
    assert published(tmp_path) == ["f-0000000001-0.csv"]


def test_a_crash_between_publishing_and_settling(tmp_path: Path) -> None:
    sink = FilesSink(surroundings(tmp_path))
    publish(sink, "f", "part-0.csv")
    first = (tmp_path / "out/f-0000000001-0.csv").stat().st_ino
    publish(sink, "f", "part-0.csv", may_be_published=True)
    assert (tmp_path / "out/f-0000000001-0.csv").stat().st_ino == first
    assert published(tmp_path) == ["f-0000000001-0.csv"]


@pytest.mark.parametrize("there", [["part-0.csv"], ["part-0.csv", "part-1.csv"]])
@pytest.mark.parametrize("new", [["part-0.csv"], ["part-0.csv", "part-1.csv"]])
def test_an_epoch_is_never_taken_for_another_of_its_number(
    tmp_path: Path, there: list[str], new: list[str]
) -> None:
    sink = FilesSink(surroundings(tmp_path))
    publish(sink, "f", *there)
    before = published(tmp_path)
    with pytest.raises(HistoryMismatchError, match="epoch 1 of flow f"):
        publish(sink, "f", *new)
    assert published(tmp_path) == before


def test_the_last_epoch_that_is_there(tmp_path: Path) -> None:
    sink = FilesSink(surroundings(tmp_path))
    assert sink.last(CSV, "f") == 0
    assert sink.last(SinkTarget("csv", (("path", "nowhere"),)), "f") == 0
    publish(sink, "f", "part-0.csv", epoch=3)
    assert sink.last(CSV, "f") == 3
    publish(sink, "f", "part-0.csv", "part-1.csv", epoch=70)
    assert sink.last(CSV, "f") == 70
    publish(sink, "f", epoch=99)  # without rows
    stage(sink.output(delivery("f", 100)), "part-0.csv")  # not published
    assert sink.last(CSV, "f") == 70
    publish(sink, "f", "part-0.csv.gz", epoch=12345678901)
    assert sink.last(CSV, "f") == 12345678901
    assert sink.carries(CSV, "f", 12345678901)


def test_what_else_is_in_the_folder_is_no_epoch(tmp_path: Path) -> None:
    sink = FilesSink(surroundings(tmp_path))
    publish(sink, "f", "part-0.csv", epoch=2)
    for flow in ("f-", "f-0000000007", "f-0000000007-0.x", "ff", "g-f"):
        publish(sink, flow, "part-0.csv", epoch=8)
        publish(sink, flow, "part-0.csv", "part-1.csv", epoch=9)
    for name in (
        "f-9.csv",
        "f-00000000010-0.csv",
        "f-0000000011.csv",
        "f-0000000012-1.csv",
        "f-0000000013-0",
        "f-٠٠٠٠٠٠٠٠١٤-0.csv",
        "f-1234567890123456789-0.csv",
        ".f-0000000015-0.csv",
        "_SUCCESS",
    ):
        (tmp_path / "out" / name).touch()
    assert sink.last(CSV, "f") == 2
    assert not any(sink.carries(CSV, "f", n) for n in range(3, 20))
    assert sink.last(CSV, "f-0000000007") == 9


def test_a_file_that_its_reader_has_marked_was_sent(tmp_path: Path) -> None:
    sink = FilesSink(surroundings(tmp_path))
    publish(sink, "f", "part-0.csv")
    sent = tmp_path / "out/f-0000000001-0.csv"
    sent.rename(sent.with_name(f"{sent.name}.done"))
    assert sink.last(CSV, "f") == 1


def test_an_epoch_without_rows(tmp_path: Path) -> None:
    sink = FilesSink(surroundings(tmp_path))
    publish(sink, "f")
    assert published(tmp_path) == []


def test_staged_files_that_somebody_removed(tmp_path: Path) -> None:
    sink = FilesSink(surroundings(tmp_path))
    output = sink.output(delivery("f", 1))
    table = stage(output, "part-0.csv", "part-1.csv")
    (output.folder / "part-1.csv").unlink()
    with pytest.raises(FileVanishedError, match="part-1"):
        sink.publish(delivery("f", 1), output.folder, table, may_be_published=False)
    assert not sink.carries(CSV, "f", 1)


@pytest.mark.parametrize("names", [["part-0.csv"], ["part-0.csv", "part-1.csv"]])
def test_who_slept_while_another_redid_the_epoch_publishes_nothing(
    tmp_path: Path, names: list[str]
) -> None:
    sink = FilesSink(surroundings(tmp_path))
    output = sink.output(delivery("f", 1))
    slept = stage(output, *names)
    redone = sink.output(delivery("f", 1))
    table = stage(redone, "part-0.csv", "part-2.csv")
    with pytest.raises(FileVanishedError):
        sink.publish(delivery("f", 1), output.folder, slept, may_be_published=False)
    assert published(tmp_path) == []
    sink.publish(delivery("f", 1), redone.folder, table, may_be_published=False)
    assert published(tmp_path) == ["f-0000000001/part-0.csv", "f-0000000001/part-2.csv"]
    sink.publish(delivery("f", 1), output.folder, slept, may_be_published=False)
    assert len(published(tmp_path)) == 2


def test_what_was_there_is_swept_and_what_comes_later_stays(tmp_path: Path) -> None:
    """Whatever clocks say, and also where the later one is the same epoch."""
    sink = FilesSink(surroundings(tmp_path))
    stage(sink.output(delivery("f", 1)), "part-0.csv")
    (tmp_path / "out/.qanat/.gone-by-somebody-killed").mkdir()
    later: list[tuple[Output, StagedTable]] = []

    def overtaken() -> None:
        output = sink.output(delivery("f", 1))
        later.append((output, stage(output, "part-0.csv")))

    sink.sweep(CSV, overtaken)
    ((new, table),) = later
    assert [*(tmp_path / "out/.qanat").glob("*/*")] == [new.folder]
    sink.publish(delivery("f", 1), new.folder, table, may_be_published=False)
    sink.sweep(CSV, lambda: None)
    assert published(tmp_path) == ["f-0000000001-0.csv"]
    assert not (tmp_path / "out/.qanat").exists()
    # Where nothing was ever sent, and where nothing can be.
    sink.sweep(SinkTarget("csv", (("path", "nowhere"),)), pytest.fail)
    sink.sweep(SinkTarget("csv", (("path", "s3://bucket/out"),)), pytest.fail)


def test_who_has_lost_the_lease_sweeps_nothing(tmp_path: Path) -> None:
    sink = FilesSink(surroundings(tmp_path))
    output = sink.output(delivery("f", 1))

    def lost() -> None:
        raise LeaseLostError("somebody else has taken it")

    with pytest.raises(LeaseLostError):
        sink.sweep(CSV, lost)
    assert output.folder.is_dir()


def test_an_epoch_is_durable_before_anybody_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name, and those of the folders above it, which this may have made."""
    synced: list[Path] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        synced.append(Path(f"/proc/self/fd/{handle}").readlink())
        real(handle)

    sink = FilesSink(surroundings(tmp_path))
    output = sink.output(delivery("f", 1))
    table = stage(output, "part-0.csv")
    monkeypatch.setattr(os, "fsync", fsync)
    for _ in range(2):  # the second time another process has published it
        synced.clear()
        sink.publish(delivery("f", 1), output.folder, table, may_be_published=False)
        assert {tmp_path / "out", tmp_path} <= set(synced)
    synced.clear()
    sink.secure(CSV)
    assert {tmp_path / "out", tmp_path} <= set(synced)


def test_what_is_not_to_be_published_is_gone_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the folder is published in which it was, or a power loss would publish it."""
    sink = FilesSink(surroundings(tmp_path))
    output = sink.output(delivery("f", 1))
    table = stage(output, "k=1/part-0.csv", "k=2/part-0.csv")
    (output.folder / "k=2" / "left-over.tmp").touch()
    done: list[tuple[str, str]] = []
    rename, unlink, fsync = Path.rename, Path.unlink, os.fsync

    def renaming(path: Path, target: Path) -> Path:
        done.append(("rename", path.name))
        return rename(path, target)

    def unlinking(path: Path, missing_ok: bool = False) -> None:
        done.append(("unlink", path.name))
        unlink(path, missing_ok)

    def syncing(handle: int) -> None:
        done.append(("sync", Path(f"/proc/self/fd/{handle}").readlink().name))
        fsync(handle)

    monkeypatch.setattr(Path, "rename", renaming)
    monkeypatch.setattr(Path, "unlink", unlinking)
    monkeypatch.setattr(os, "fsync", syncing)
    sink.publish(delivery("f", 1), output.folder, table, may_be_published=False)
    assert done[:4] == [
        ("unlink", "left-over.tmp"),
        ("sync", "k=2"),
        ("rename", output.folder.name),
        ("sync", "out"),
    ]


@pytest.mark.parametrize("flow", ["../up", "a/b", "_hidden", ".hidden", "ü flow", "x" * 300, "*"])
def test_flows_of_any_name(tmp_path: Path, flow: str) -> None:
    sink = FilesSink(surroundings(tmp_path))
    publish(sink, flow, "part-0.csv")
    assert sink.carries(CSV, flow, 1)
    assert sink.last(CSV, flow) == 1
    (name,) = published(tmp_path)
    assert name[0] not in "._"
    assert "/" not in name


def test_long_names_stay_apart(tmp_path: Path) -> None:
    sink = FilesSink(surroundings(tmp_path))
    long = "x" * 300
    publish(sink, long, "p.csv")
    assert not sink.carries(CSV, long + "y", 1)
    assert sink.last(CSV, long + "y") == 0


@pytest.mark.parametrize(
    ("target", "error", "nearest"),
    [
        (SinkTarget("kafka", (("topic", "t"),)), OptionError, None),
        (SinkTarget("parkuet", (("path", "out"),)), OptionError, "parquet"),
        (SinkTarget("csv", ()), OptionError, None),
        (SinkTarget("csv", (("path", "~no such user/out"),)), OptionError, None),
        (SinkTarget("csv", (("path", "out"), ("headr", "1"))), OptionError, "header"),
        (SinkTarget("parquet", (("path", "out"), ("header", "1"))), OptionError, None),
        (
            SinkTarget("csv", (("path", "o"), ("sep", ";"), ("delim", ","))),
            OptionError,
            None,
        ),
        (SinkTarget("csv", (("path", "s3://bucket/out"),)), UnsupportedError, None),
    ],
)
def test_targets_that_are_refused(
    tmp_path: Path, target: SinkTarget, error: type[OptionError], nearest: str | None
) -> None:
    with pytest.raises(error) as caught:
        FilesSink(surroundings(tmp_path)).output(Delivery(target, "f", 1, tmp_path))
    assert caught.value.nearest == nearest
    assert list(tmp_path.iterdir()) == []
