"""Commits that change rows, events beside the rows, and feeds of changes as delta-rs has them."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import deltalake
import duckdb
import pyarrow
import pytest

from qanat.errors import (
    AdapterError,
    CommitConflictError,
    NotAppendOnlyError,
    TableTooNewError,
    UnsupportedError,
)
from qanat.model.schema import Decimal, Field, Primitive, Schema
from qanat.model.staged import DataFile
from qanat.model.table import Change, Commit
from qanat.model.work import TableBatch
from qanat.ports.store import TableStore
from qanat.storage.delta.store import DeltaStore
from qanat.storage.delta.witness import DeltaWitness
from tests.conformance import test_store as suite
from tests.conformance.test_store import (
    append,
    by_others,
    delta_reader,
    files_of,
    opened,
    ref,
    rows,
    staged,
)

bucket, folder, server = suite.bucket, suite.folder, suite.server
store = suite.store

KEYED = Schema((Field("id", Primitive("long")), Field("v", Primitive("string"))))
DELETED = Schema((Field("id", Primitive("long")), Field("at", Primitive("timestamp"))))
FED = {"delta.enableChangeDataFeed": "true"}

merging = pytest.mark.parametrize(
    "store", ["delta", pytest.param("delta s3", marks=pytest.mark.services)], indirect=True
)
"""About the formats whose rows can be changed."""


def values(*pairs: tuple[Any, ...]) -> str:
    """A query that gives rows of a table with columns `id` and `v`, and maybe `_change_type`."""
    names = "id, v, _change_type" if len(pairs[0]) > 2 else "id, v"
    texts = ", ".join(f"({', '.join(map(repr, p))})" for p in pairs)
    return f"SELECT id::BIGINT AS id, * EXCLUDE (id) FROM (VALUES {texts}) AS t({names})"


def new(
    store: TableStore, folder: Path, *pairs: tuple[Any, ...], below: str = "", by: str = ""
) -> tuple[DataFile, ...]:
    """Staged files with these rows; none if there are none."""
    name = f"epoch-1-{uuid4().hex}"
    by_columns = (by,) if by else ()
    return staged(store, folder, name, values(*pairs), *by_columns, below=below) if pairs else ()


def feed(
    store: TableStore, folder: Path, *pairs: tuple[int, str, str], by: str = ""
) -> tuple[DataFile, ...]:
    """Staged files of a feed: key, value, and what became of that row."""
    return new(store, folder, *pairs, below="_change_data", by=by)


def events(store: TableStore, folder: Path, *ids: int) -> tuple[DataFile, ...]:
    """Staged files with the keys of deleted rows."""
    query = f"SELECT unnest({[*ids]})::BIGINT AS id, TIMESTAMPTZ '2026-01-01 00:00:00Z' AS at"
    return staged(store, folder, f"epoch-1-{uuid4().hex}", query, below="_events")


def first(store: TableStore, folder: Path, *pairs: tuple[Any, ...], **changes: Any) -> Commit:
    """The commit that makes a table with these rows."""
    changes = {"files": new(store, folder, *pairs), "schema": KEYED} | changes
    return append(store, folder, changes.pop("number", 1), **changes)


def merge(store: TableStore, folder: Path, number: int, **changes: Any) -> Commit:
    """A commit that changes rows of the table as it is: by default of all its files."""
    there = store.snapshot(ref(folder))
    changes = {"removed": files_of(there.batch), "rewrites": there.version} | changes
    schema = {"schema": KEYED, "change": Change.MERGE, "files": (), "event_columns": DELETED}
    return append(store, folder, number, **(schema | changes))


def read_feed(folder: Path, start: int = 0, end: int | None = None) -> list[tuple[Any, ...]]:
    """The changes of versions as delta-rs tells them: version, change, and the columns."""
    options = {k: v for k, v in os.environ.items() if k.startswith("AWS_")}
    table = deltalake.DeltaTable(ref(folder).location, storage_options=options)
    found = pyarrow.table(table.load_cdf(starting_version=start, ending_version=end))
    return sorted(
        (row.pop("_commit_version"), row.pop("_change_type"), *row.values())
        for row in found.drop_columns(["_commit_timestamp"]).to_pylist()
    )


def deleted(store: TableStore, folder: Path, version: int | None = None) -> list[int]:
    """The keys in the events of a version."""
    found = store.snapshot(ref(folder), version).events
    if found is None:
        return []
    assert isinstance(found, TableBatch)
    assert found.schema == DELETED
    return [row[0] for row in rows(found)]


def entry_of(store: TableStore, folder: Path, version: int) -> list[dict[str, Any]]:
    """The actions of a version's entry, as this machine has it."""
    path = store.staging(ref(folder)) / "_delta_log" / f"{version:020}.json"
    return [json.loads(line) for line in path.read_text().splitlines()]


# -- rows ---------------------------------------------------------------------------------------


@merging
def test_a_merge_takes_files_away_and_brings_others(store: TableStore, folder: Path) -> None:
    assert store.merges
    table = ref(folder)
    store.publish(first(store, folder, (1, "a"), (2, "b")))
    store.publish(append(store, folder, 2, files=new(store, folder, (3, "c")), schema=KEYED))
    touched = files_of(store.snapshot(table, 0).batch)
    counts = {"numTargetRowsUpdated": "1", "numTargetRowsDeleted": "0", "flow": "f"}
    files = new(store, folder, (1, "A"), (2, "b"))
    commit = merge(store, folder, 3, removed=touched, files=files, info=counts)
    assert store.publish(commit) == 2
    assert store.publish(commit) == 2
    assert rows(store.snapshot(table).batch) == [(1, "A"), (2, "b"), (3, "c")]
    assert rows(store.snapshot(table, 1).batch) == [(1, "a"), (2, "b"), (3, "c")]
    assert by_others(store, folder).num_rows == 3
    info = entry_of(store, folder, 2)[0]["commitInfo"]
    assert info["operation"] == "MERGE"
    assert info["operationMetrics"] == {
        "numTargetRowsUpdated": "1",
        "numTargetRowsDeleted": "0",
        "numOutputRows": "2",
        "numTargetFilesAdded": "1",
        "numTargetFilesRemoved": "1",
        "numTargetBytesAdded": str(files[0].size),
        "numTargetChangeFilesAdded": "0",
    }
    assert info["flow"] == "f"
    assert store.sweep(table) == 0
    with pytest.raises(NotAppendOnlyError, match="version 2") as caught:
        store.added(table, 1, 2)
    assert caught.value.got == "MERGE"


@merging
def test_a_merge_that_only_adds_can_be_read_as_a_stream(store: TableStore, folder: Path) -> None:
    store.publish(merge_of_nothing(store, folder, (1, "a")))
    store.publish(merge(store, folder, 2, removed=(), files=new(store, folder, (2, "b"))))
    assert rows(store.added(ref(folder), 0, 1).batch) == [(2, "b")]
    # So can one that only changes what is kept beside the rows.
    store.publish(merge(store, folder, 3, removed=(), events=events(store, folder, 7)))
    assert rows(store.added(ref(folder), 0, 2).batch) == [(2, "b")]


def merge_of_nothing(store: TableStore, folder: Path, *pairs: tuple[Any, ...]) -> Commit:
    """The merge that makes a table."""
    files = new(store, folder, *pairs)
    return append(store, folder, 1, schema=KEYED, change=Change.MERGE, files=files)


@merging
def test_rows_of_a_merge_are_those_that_it_has_read(store: TableStore, folder: Path) -> None:
    table = ref(folder)
    begun = merge_of_nothing(store, folder, (1, "a"))
    store.publish(first(store, folder, (1, "x"), application="others"))
    with pytest.raises(CommitConflictError, match="its rows were changed"):
        store.publish(begun)
    begun = merge(store, folder, 1, files=new(store, folder, (1, "y")))
    other = append(store, folder, 2, files=new(store, folder, (2, "z")), schema=KEYED)
    store.publish(replace(other, application="others"))
    with pytest.raises(CommitConflictError, match="its rows were changed"):
        store.publish(begun)
    gone = store.staging(table) / "none.parquet"
    with pytest.raises(CommitConflictError, match="lost files"):
        store.publish(merge(store, folder, 1, removed=(str(gone),)))
    assert rows(store.snapshot(table).batch) == [(1, "x"), (2, "z")]
    # Another writer's commit without rows or events does no harm.
    begun = merge(store, folder, 1, files=new(store, folder, (1, "y")))
    store.publish(append(store, folder, 3, files=(), application="others", schema=KEYED))
    store.publish(begun)
    assert rows(store.snapshot(table).batch) == [(1, "y")]


@merging
def test_a_table_that_may_only_grow_is_not_merged_into(store: TableStore, folder: Path) -> None:
    store.publish(first(store, folder, (1, "a"), properties={"delta.appendOnly": "true"}))
    with pytest.raises(AdapterError, match="may only be appended to"):
        store.publish(merge(store, folder, 2))
    store.publish(merge(store, folder, 2, removed=(), files=new(store, folder, (2, "b"))))


@pytest.mark.parametrize("store", ["delta"], indirect=True)
def test_rows_that_are_not_whole_files_are_not_changed(store: TableStore, folder: Path) -> None:
    """Of features, the protocol tells; of files elsewhere, their paths."""
    deltalake.write_deltalake(str(folder), pyarrow.table({"id": [1], "v": ["a"]}))
    log = folder / "_delta_log" / f"{0:020}.json"
    (file,) = folder.glob("*.parquet")
    odd = file.rename(file.with_name("v=1.parquet"))
    (odd.parent / "v=x").mkdir()
    odd.rename(odd.parent / "v=x" / odd.name)
    log.write_text(log.read_text().replace(file.name, "v=x/v=1.parquet"))
    commit = merge_of_nothing(store, folder, (1, "b"))
    with pytest.raises(UnsupportedError, match="cannot be changed"):
        store.publish(replace(commit, rewrites=0))
    text = log.read_text()
    protocol = text[text.index('{"protocol"') :].partition("\n")[0]
    features = '"readerFeatures":[],"writerFeatures":["rowTracking"]'
    masked = f'{{"protocol":{{"minReaderVersion":3,"minWriterVersion":7,{features}}}}}'
    log.write_text(text.replace(protocol, masked))
    with pytest.raises(TableTooNewError, match="rowTracking"):
        store.publish(replace(commit, rewrites=0))


@pytest.mark.parametrize("store", ["iceberg"], indirect=True)
def test_a_format_that_cannot_says_so(store: TableStore, folder: Path) -> None:
    assert not store.merges
    with pytest.raises(UnsupportedError) as caught:
        store.publish(append(store, folder, 1, change=Change.MERGE))
    assert "table_format: delta" in str(caught.value.hint)
    assert store.version(ref(folder)) is None


# -- the feed of changes ------------------------------------------------------------------------


@merging
def test_readers_of_changes_see_what_every_commit_has_done(
    store: TableStore, folder: Path
) -> None:
    table = ref(folder)
    store.publish(first(store, folder, (1, "a"), (2, "b"), (3, "c"), properties=FED))
    seen = [(0, "insert", 1, "a"), (0, "insert", 2, "b"), (0, "insert", 3, "c")]
    changed = feed(
        store,
        folder,
        (1, "a", "update_preimage"),
        (1, "A", "update_postimage"),
        (2, "b", "delete"),
        (4, "d", "insert"),
    )
    files = new(store, folder, (1, "A"), (3, "c"), (4, "d"))
    store.publish(merge(store, folder, 2, files=files, feed=changed))
    seen += [(1, "delete", 2, "b"), (1, "insert", 4, "d")]
    seen += [(1, "update_postimage", 1, "A"), (1, "update_preimage", 1, "a")]
    assert read_feed(folder) == seen
    # A merge without an effect, one that only adds, and one that only takes away need no files.
    store.publish(merge(store, folder, 3, removed=()))
    store.publish(merge(store, folder, 4, removed=(), files=new(store, folder, (5, "e"))))
    seen += [(3, "insert", 5, "e")]
    store.publish(merge(store, folder, 5, removed=files_of(store.added(table, 2, 3).batch)))
    seen += [(4, "delete", 5, "e")]
    assert read_feed(folder) == seen
    # Rows of one flow, and of all.
    other = new(store, folder, (6, "f"))
    store.publish(append(store, folder, 1, schema=KEYED, files=other, application="other"))
    seen += [(5, "insert", 6, "f")]
    again = new(store, folder, (6, "F"))
    own = Change.REPLACE_OWN
    store.publish(
        append(store, folder, 2, schema=KEYED, files=again, application="other", change=own)
    )
    seen += [(6, "delete", 6, "f"), (6, "insert", 6, "F")]
    store.publish(first(store, folder, (9, "z"), number=6, change=Change.REPLACE))
    seen += [(7, "delete", i, v) for i, v in [(1, "A"), (3, "c"), (4, "d"), (6, "F")]]
    seen += [(7, "insert", 9, "z")]
    assert store.rename_application(table, "other", "another")
    store.repair(table)
    assert read_feed(folder) == sorted(seen)
    assert read_feed(folder, 1, 3) == sorted(s for s in seen if s[0] in (1, 2, 3))
    assert rows(store.snapshot(table).batch) == [(9, "z")]
    assert store.sweep(table) == 0


@merging
def test_a_merge_that_was_taken_back_is_taken_back_in_the_feed(
    store: TableStore, folder: Path
) -> None:
    table = ref(folder)
    store.publish(first(store, folder, (1, "a"), (2, "b"), properties=FED))
    changed = feed(store, folder, (1, "a", "update_preimage"), (1, "A", "update_postimage"))
    files = new(store, folder, (1, "A"), (2, "b"))
    gone = events(store, folder, 7)
    store.publish(merge(store, folder, 2, files=files, feed=changed, events=gone))
    assert deleted(store, folder) == [7]
    assert store.retract(table, "qanat:t", 2)
    assert not store.retract(table, "qanat:t", 2)
    assert store.transaction(table, "qanat:t") == 1
    assert rows(store.snapshot(table).batch) == [(1, "a"), (2, "b")]
    assert deleted(store, folder) == []
    assert deleted(store, folder, 1) == [7]
    # Delta-rs and Spark tell a RESTORE of their own in the same way.
    back = [(2, "delete", 1, "A"), (2, "delete", 2, "b")]
    back += [(2, "insert", 1, "a"), (2, "insert", 2, "b")]
    assert read_feed(folder, 2) == back
    assert rows(store.added(table, 0, 2).batch) == []
    store.publish(merge(store, folder, 2, files=new(store, folder, (1, "x"), (2, "b"))))
    assert rows(store.snapshot(table).batch) == [(1, "x"), (2, "b")]
    assert store.sweep(table) == 0


@merging
def test_what_others_have_built_upon_is_not_taken_back(store: TableStore, folder: Path) -> None:
    table = ref(folder)
    store.publish(first(store, folder, (1, "a")))
    store.publish(merge(store, folder, 2, files=new(store, folder, (1, "A"))))
    later = merge(store, folder, 1, files=new(store, folder, (1, "B")))
    store.publish(replace(later, application="other"))
    with pytest.raises(UnsupportedError, match="cannot be taken back"):
        store.retract(table, "qanat:t", 2)
    assert rows(store.snapshot(table).batch) == [(1, "B")]
    # Nor is what was only added, if others have changed it.
    store.publish(append(store, folder, 3, files=new(store, folder, (2, "b")), schema=KEYED))
    later = merge(store, folder, 2, files=new(store, folder, (1, "B"), (2, "B")))
    store.publish(replace(later, application="other"))
    with pytest.raises(UnsupportedError, match="cannot be taken back"):
        store.retract(table, "qanat:t", 3)
    # Nor is what only changes the events.
    store.publish(merge(store, folder, 4, removed=(), events=events(store, folder, 7)))
    later = merge(store, folder, 3, removed=(), events=events(store, folder, 7, 8))
    store.publish(replace(later, application="other"))
    with pytest.raises(UnsupportedError, match="cannot be taken back"):
        store.retract(table, "qanat:t", 4)
    assert deleted(store, folder) == [7, 8]
    assert store.retract(table, "other", 3)
    assert store.retract(table, "qanat:t", 4)
    assert deleted(store, folder) == []


@merging
def test_events_come_back_although_others_have_added_rows(store: TableStore, folder: Path) -> None:
    table = ref(folder)
    store.publish(first(store, folder, (1, "a")))
    store.publish(merge(store, folder, 2, removed=(), events=events(store, folder, 7)))
    store.publish(merge(store, folder, 3, removed=(), events=(), comment="new"))
    other = append(store, folder, 1, files=new(store, folder, (2, "b")), schema=KEYED)
    store.publish(replace(other, application="other", comment="new"))
    assert deleted(store, folder) == []
    assert store.retract(table, "qanat:t", 3)
    assert deleted(store, folder) == [7]
    assert rows(store.snapshot(table).batch) == [(1, "a"), (2, "b")]


@merging
def test_partitions_of_a_feed(store: TableStore, folder: Path) -> None:
    table, by = ref(folder), {"partition_by": ("v",)}
    old = new(store, folder, (1, "a"), (2, "b"), by="v")
    store.publish(first(store, folder, files=old, properties=FED, **by))
    pairs = [(1, "a", "update_preimage"), (1, "c", "update_postimage")]
    changed = feed(store, folder, *pairs, by="v")
    assert all(f.path.startswith("_change_data/v=") for f in changed)
    moved = [f for f in files_of(store.snapshot(table).batch) if "v=b/" not in f]
    files = new(store, folder, (1, "c"), by="v")
    store.publish(merge(store, folder, 2, removed=tuple(moved), files=files, feed=changed, **by))
    assert store.retract(table, "qanat:t", 2)
    seen = [(0, "insert", 1, "a"), (0, "insert", 2, "b")]
    seen += [(1, "update_postimage", 1, "c"), (1, "update_preimage", 1, "a")]
    # Of files that were removed, the partition is known from the log alone.
    seen += [(2, "delete", 1, "c"), (2, "insert", 1, "a")]
    assert read_feed(folder) == seen
    assert store.sweep(table) == 0


@pytest.mark.parametrize("store", ["delta"], indirect=True)
def test_partitions_of_a_table_whose_first_entries_are_gone(
    store: TableStore, folder: Path
) -> None:
    """delta-rs loads such a table; what it says of partitions goes into the entry."""
    columns = (
        ("id", "long", "1"),
        ("day", "date", "DATE '2026-01-02'"),
        ("moment", "timestamp", "TIMESTAMPTZ '2026-01-02 03:04:05.5Z'"),
        ("local", "timestamp_ntz", "TIMESTAMP '2026-01-02 03:04:05'"),
        ("flag", "boolean", "true"),
        ("price", "double", "1.5"),
        ("text", "string", "'a b'"),
        ("nothing", "string", "NULL::VARCHAR"),
    )
    by = tuple(name for name, _, _ in columns[1:])
    schema = Schema(tuple(Field(name, Primitive(type_)) for name, type_, _ in columns))
    query = f"SELECT {', '.join(f'{sql} AS {name}' for name, _, sql in columns)}"
    once = staged(store, folder, "epoch-1-a", query, *by)
    more = {"properties": FED, "partition_by": by, "schema": schema}
    store.publish(append(store, folder, 1, files=once, **more))
    added = entry_of(store, folder, 0)[-2]["add"]["partitionValues"]
    deltalake.DeltaTable(str(folder)).create_checkpoint()
    store = opened("delta", folder)
    log = folder / "_delta_log"
    (log / f"{0:020}.json").unlink()
    store.publish(append(store, folder, 2, files=(), change=Change.REPLACE, **more))
    removed = next(a["remove"] for a in entry_of(store, folder, 1) if "remove" in a)
    assert removed["extendedFileMetadata"]
    # The same, but that a time may be written with microseconds and without.
    assert removed["partitionValues"] == added | {"local": "2026-01-02 03:04:05.000000"}
    assert added["nothing"] is None
    assert added["moment"] == "2026-01-02T03:04:05.500000Z"
    deltalake.DeltaTable(str(folder)).create_checkpoint()
    assert delta_reader(folder).num_rows == 0
    # What was taken back needs no entry of before either, if there were no events.
    store.publish(append(store, folder, 3, files=(), comment="new", **more))
    deltalake.DeltaTable(str(folder)).create_checkpoint()
    for path in (*log.glob(f"{0:020}*"), *log.glob(f"{1:020}*")):
        path.unlink()
    assert store.retract(ref(folder), "qanat:t", 3)


@merging
def test_wider_types_are_no_change(store: TableStore, folder: Path) -> None:
    wide = Schema((Field("id", Decimal(38, 6)), Field("v", Primitive("string"))))
    query = "SELECT {}::DECIMAL(38, 6) AS id, 'a' AS v"
    store.publish(first(store, folder, (1, "a"), properties=FED))
    rewritten = staged(store, folder, "epoch-2-again", query.format("1"))
    files = staged(store, folder, "epoch-2-new", query.format("0.5"))
    more = {"schema": wide, "rewritten": rewritten, "rewrites": 0}
    store.publish(append(store, folder, 2, files=files, **more))
    assert [(v, c) for v, c, *_ in read_feed(folder, 1)] == [(1, "insert")]
    assert rows(store.snapshot(ref(folder)).batch) == [(0.5, "a"), (1, "a")]


@merging
def test_a_feed_can_be_had_from_any_version_on(store: TableStore, folder: Path) -> None:
    table = ref(folder)
    store.publish(first(store, folder, (1, "a")))
    begun = merge(store, folder, 2, files=new(store, folder, (1, "b")))
    no_rows = first(store, folder, files=(), application="others", properties=FED)
    store.publish(no_rows)
    assert store.snapshot(table).properties == FED
    with pytest.raises(CommitConflictError, match="its rows were changed"):
        store.publish(begun)
    assert entry_of(store, folder, 1)[1]["protocol"] == {
        "minReaderVersion": 1,
        "minWriterVersion": 7,
        "writerFeatures": ["appendOnly", "changeDataFeed", "invariants"],
    }
    changed = feed(store, folder, (1, "a", "update_preimage"), (1, "b", "update_postimage"))
    store.publish(merge(store, folder, 2, files=begun.files, feed=changed))
    assert read_feed(folder, 1) == [
        (2, "update_postimage", 1, "b"),
        (2, "update_preimage", 1, "a"),
    ]
    if not suite.BUCKET.get():
        deltalake.write_deltalake(
            str(folder), pyarrow.table({"id": [5], "v": ["e"]}), mode="append"
        )
        deltalake.DeltaTable(str(folder)).delete("id = 5")
        assert [c for _, c, *_ in read_feed(folder, 3)] == ["insert", "delete"]
        store.publish(append(store, folder, 3, files=(), schema=KEYED))
        assert rows(store.snapshot(table).batch) == [(1, "b")]


@pytest.mark.parametrize("store", ["delta"], indirect=True)
def test_tables_of_others_with_a_feed_are_written(store: TableStore, folder: Path) -> None:
    """delta-rs requires writer version 4 for a feed, which stands for features nobody uses."""
    made = pyarrow.table({"id": pyarrow.array([1, 2], pyarrow.int64()), "v": ["a", "b"]})
    deltalake.write_deltalake(str(folder), made, configuration=FED)
    handle = deltalake.DeltaTable(str(folder))
    assert handle.protocol().min_writer_version == 4
    handle.update(updates={"v": "'B'"}, predicate="id = 2")
    assert rows(store.snapshot(ref(folder)).batch) == [(1, "a"), (2, "B")]
    changed = feed(store, folder, (1, "a", "delete"))
    store.publish(merge(store, folder, 1, files=new(store, folder, (2, "B")), feed=changed))
    assert deltalake.DeltaTable(str(folder)).protocol().min_writer_version == 4
    found = read_feed(folder)
    assert found[2:] == [
        (1, "update_postimage", 2, "B"),
        (1, "update_preimage", 2, "b"),
        (2, "delete", 1, "a"),
    ]
    assert store.sweep(ref(folder)) == 0
    assert len([*(folder / "_change_data").glob("*.parquet")]) == 2
    deltalake.DeltaTable(str(folder)).alter.add_constraint({"positive": "id > 0"})
    with pytest.raises(TableTooNewError, match="checkConstraints"):
        store.publish(append(store, folder, 2, files=(), schema=KEYED))


# -- events -------------------------------------------------------------------------------------


@merging
def test_events_belong_to_versions(store: TableStore, folder: Path) -> None:
    table = ref(folder)
    store.publish(first(store, folder, (1, "a")))
    assert store.snapshot(table).events is None
    store.publish(merge(store, folder, 2, removed=(), events=events(store, folder, 7)))
    store.publish(append(store, folder, 3, files=new(store, folder, (2, "b")), schema=KEYED))
    store.publish(merge(store, folder, 4, removed=(), properties={"a": "b"}))
    assert store.snapshot(table).properties == {"a": "b"}
    assert store.snapshot(table).files == 2
    store.publish(merge(store, folder, 5, removed=(), events=events(store, folder, 7, 8)))
    store.publish(merge(store, folder, 6, removed=(), events=()))
    wanted = [[], [7], [7], [7], [7, 8], []]
    assert [deleted(store, folder, version) for version in range(6)] == wanted
    assert deleted(store, folder) == []
    assert delta_reader(folder).num_rows == 2
    store.publish(merge(store, folder, 7, removed=(), events=events(store, folder, 9)))
    store.publish(first(store, folder, (1, "a"), number=8, change=Change.REPLACE))
    assert deleted(store, folder) == []
    assert deleted(store, folder, 6) == [9]
    assert store.retract(table, "qanat:t", 8)
    assert deleted(store, folder) == [9]
    assert store.sweep(table) == 0


@merging
def test_events_of_another_merge_are_not_lost(store: TableStore, folder: Path) -> None:
    store.publish(first(store, folder, (1, "a")))
    begun = merge(store, folder, 2, removed=(), events=events(store, folder, 7))
    other = merge(store, folder, 1, removed=(), events=events(store, folder, 8))
    store.publish(replace(other, application="other"))
    with pytest.raises(CommitConflictError, match="its rows were changed"):
        store.publish(begun)
    assert deleted(store, folder) == [8]


@merging
def test_another_process_finds_events(store: TableStore, folder: Path, tmp_path: Path) -> None:
    """And a table takes them along to its new name, and through checkpoints."""
    table, to = ref(folder), ref(folder.parent / "new name")
    store.publish(first(store, folder, (1, "a"), properties=FED))
    changed = feed(store, folder, (1, "a", "delete"))
    properties = FED | {"delta.checkpointInterval": "1"}
    gone = events(store, folder, 1)
    store.publish(merge(store, folder, 2, feed=changed, events=gone, properties=properties))
    store.move(table, to)
    assert store.version(table) is None
    other = opened("delta", tmp_path / "elsewhere")
    assert isinstance(other, DeltaStore)
    assert deleted(other, folder.parent / "new name") == [1]
    assert read_feed(folder.parent / "new name") == [(0, "insert", 1, "a"), (1, "delete", 1, "a")]
    assert other.missing(to) == ()
    assert other.snapshot(to).properties == properties
    assert other.sweep(to) == 0


# -- leftovers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("store", ["delta"], indirect=True)
def test_files_beside_the_rows_are_swept_unless_a_version_has_them(
    store: TableStore, folder: Path
) -> None:
    table = ref(folder)
    store.publish(first(store, folder, (1, "a"), properties=FED))
    changed = feed(store, folder, (1, "a", "delete"), by="v")
    store.publish(merge(store, folder, 2, feed=changed, events=events(store, folder, 1)))
    store.publish(merge(store, folder, 3, removed=(), events=events(store, folder, 1, 2)))
    staged_by_crashed = [*feed(store, folder, (1, "a", "insert"), by="v")]
    staged_by_crashed += feed(store, folder, (1, "a", "insert"))
    staged_by_crashed += events(store, folder, 9)
    young = folder / "_change_data" / "cdc-00000-young.parquet"
    others = folder / "_other" / "epoch-1.parquet"
    for path in (young, others):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert store.orphans(table) == 3
    assert store.sweep(table) == 3
    assert not any((folder / f.path).exists() for f in staged_by_crashed)
    assert young.exists()
    assert others.exists()
    assert [deleted(store, folder, v) for v in range(3)] == [[], [1], [1, 2]]
    assert [c for _, c, *_ in read_feed(folder)] == ["insert", "delete"]
    newest = store.snapshot(table).events
    assert isinstance(newest, TableBatch)
    witness = DeltaWitness()
    assert witness.live(folder) == [Path(f) for f in newest.files]
    ((_, needed),) = witness.needed(folder.parent)
    assert {*(folder / f.path for f in changed), *witness.live(folder)} <= {*needed}
    # Where the first entries are gone, a checkpoint says which events there are.
    deltalake.DeltaTable(str(folder)).create_checkpoint()
    for version in range(3):
        (folder / "_delta_log" / f"{version:020}.json").unlink()
    assert store.sweep(table) == 2, "no reader can find the feed and the events of before"
    assert deleted(store, folder) == [1, 2]
    assert store.missing(table) == ()
    Path(newest.files[0]).unlink()
    assert store.missing(table) == newest.files


@suite.in_s3
def test_objects_beside_the_rows_are_swept_unless_a_version_has_them(
    store: TableStore, folder: Path
) -> None:
    table = ref(folder)
    store.publish(first(store, folder, (1, "a"), properties=FED))
    changed = feed(store, folder, (1, "a", "delete"), by="v")
    kept = merge(store, folder, 2, feed=changed, events=events(store, folder, 1))
    store.publish(kept)
    # What a commit has uploaded that then fails goes at once.
    late = merge(
        store,
        folder,
        4,
        feed=feed(store, folder, (1, "a", "insert")),
        events=events(store, folder, 2),
    )
    with pytest.raises(CommitConflictError):
        store.publish(late)
    assert store.orphans(table) == 0
    assert isinstance(store, DeltaStore)
    store._here(table).upload(late.all_files)  # as one does that is killed before it commits
    assert store.orphans(table) == 2
    assert store.sweep(table) == 2
    assert deleted(store, folder) == [1]
    assert len(read_feed(folder, 1)) == 1
    assert store.missing(table) == ()


@pytest.mark.parametrize("store", ["delta"], indirect=True)
def test_columns_of_events_are_as_they_were_written(store: TableStore, folder: Path) -> None:
    fields = {
        "key": ("string", "'a'"),
        "number": ("decimal(12,3)", "1.5::DECIMAL(12, 3)"),
        "at": ("timestamp", "TIMESTAMPTZ '2026-01-01 00:00:00Z'"),
        "local": ("timestamp_ntz", "TIMESTAMP '2026-01-01'"),
        "parts": (
            {
                "type": "struct",
                "fields": [{"name": "x", "type": "long", "nullable": True, "metadata": {}}],
            },
            "{'x': 1::BIGINT}",
        ),
    }
    query = f"SELECT {', '.join(f'{sql} AS {name}' for name, (_, sql) in fields.items())}"
    files = staged(store, folder, "epoch-1-a", query, below="_events")
    rest = {"nullable": True, "metadata": {}}
    columns = [{"name": name, "type": type_, **rest} for name, (type_, _) in fields.items()]
    schema = Schema.from_json({"type": "struct", "fields": columns})
    store.publish(replace(merge_of_nothing(store, folder), events=files, event_columns=schema))
    found = store.snapshot(ref(folder)).events
    assert isinstance(found, TableBatch)
    assert [(f["name"], f["type"]) for f in found.schema.to_json()["fields"]] == [
        (name, type_) for name, (type_, _) in fields.items()
    ]
    with duckdb.connect() as con:
        assert con.execute("FROM read_parquet(?)", [list(found.files)]).fetchall()
