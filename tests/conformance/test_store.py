"""What every table store promises; DuckDB and delta-rs read what it wrote."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import deltalake
import duckdb
import pyarrow
import pytest
from pyarrow import parquet
from pyiceberg import catalog as pyiceberg_catalog

from qanat import plugins
from qanat.errors import (
    AdapterError,
    CommitConflictError,
    ForeignTableError,
    LeaseLostError,
    NotAppendOnlyError,
    OptionError,
    SchemaMismatchError,
    TableNotFoundError,
    TableTooNewError,
    UnsupportedError,
)
from qanat.model.owner import staged_prefix
from qanat.model.schema import Array, Decimal, Field, MapType, Primitive, Schema, Struct
from qanat.model.staged import DataFile
from qanat.model.table import Change, Commit, TableRef
from qanat.model.work import TableBatch
from qanat.ports.store import LocalFolders, TableStore
from qanat.storage.delta.remote import RemoteFiles
from qanat.storage.delta.store import DeltaStore
from qanat.testing.object_store import ObjectStore, object_store
from tests.forked import FORKED
from tests.gates import FolderGate

LONG, STRING = Primitive("long"), Primitive("string")
ID = Schema((Field("id", LONG),))
AWKWARD = ("a b", "ü", "50%", "x=y", "a/b", None, ":", "+", "#", "?", "~", "%41", "a'b", '"')


def delta_reader(folder: Path) -> pyarrow.Table:
    options = {k: v for k, v in os.environ.items() if k.startswith("AWS_")}
    location = ref(folder).location
    return pyarrow.table(deltalake.DeltaTable(location, storage_options=options).scan())


def iceberg_reader(folder: Path) -> pyarrow.Table:
    uri = f"sqlite:///{folder.parent.parent}/_qanat/iceberg.db"
    catalog = pyiceberg_catalog.load_catalog("qanat", type="sql", uri=uri)
    try:
        return catalog.load_table(("default", "t")).scan().to_arrow()
    finally:
        catalog.close()


READERS = {"delta": delta_reader, "iceberg": iceberg_reader}
"""By table format, how others read its tables."""

BUCKET = ContextVar[str]("bucket", default="")
"""The URL of the bucket that tables are kept in; empty: in folders."""

OPTIONS: dict[str, dict[str, str]] = {}
"""By table format, the storage options that it cannot do without."""

only_delta = pytest.mark.parametrize("store", ["delta"], indirect=True)
"""About files or features that only Delta tables have."""


in_s3 = pytest.mark.parametrize(
    "store", [pytest.param("delta s3", marks=pytest.mark.services)], indirect=True
)
"""About what only object stores do."""

on_disk = pytest.mark.parametrize("store", READERS, indirect=True)
"""About files and folders."""


@pytest.fixture(params=[*READERS, pytest.param("delta s3", marks=pytest.mark.services)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TableStore]:
    format, _, elsewhere = request.param.partition(" ")
    bucket = request.getfixturevalue("bucket") if elsewhere else ""
    token = BUCKET.set(bucket)
    yield opened(format, tmp_path / "_qanat")
    BUCKET.reset(token)


@pytest.fixture(scope="session")
def server() -> Iterator[ObjectStore]:
    with object_store() as found:
        found.create_bucket("lake")
        yield found


@pytest.fixture
def bucket(server: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return "s3://lake"


def opened(format: str, private: Path) -> TableStore:
    """The store of a table format."""
    given = OPTIONS.get(format, {})
    options = plugins.table_format(format).options.check_all(given.items())
    scratch = private / "scratch" / uuid4().hex
    return class_of(format)(private, options, "", LocalFolders(lambda: scratch, private / "cache"))


def class_of(format: str) -> Any:
    return plugins.imported(plugins.table_format(format).store)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A table's folder, with everything in its name that a URL would want escaped."""
    path = tmp_path / "tables of ü 50%" / "t"
    path.mkdir(parents=True)
    return path


def ref(location: Path | str) -> TableRef:
    """The table of that location."""
    return TableRef(f"{BUCKET.get()}{location}", "t")


def staged(
    store: TableStore, folder: Path, name: str, query: str, *partition_by: str, below: str = ""
) -> tuple[DataFile, ...]:
    """Write a query's rows as an engine does, maybe in a folder below that of the table."""
    folder = store.staging(ref(folder))
    (folder / below).mkdir(parents=True, exist_ok=True)
    options = "FORMAT parquet, RETURN_STATS"
    target = folder / below / f"{name}.parquet"
    if partition_by:
        target = folder / below
        columns = ", ".join(partition_by)
        options += f", PARTITION_BY ({columns}), OVERWRITE_OR_IGNORE, FILENAME_PATTERN '{name}'"
    with duckdb.connect() as connection:
        rows = connection.execute(f"COPY ({query}) TO '{target}' ({options})").fetchall()
    files = []
    for path, count, size, _, _, keys, *_ in rows:
        values = {k: None if v in (None, "NULL") else v for k, v in (keys or {}).items()}
        relative = os.path.relpath(path, folder)
        files.append(DataFile(relative, size, count, values))
    return tuple(files)


def append(
    store: TableStore, folder: Path, number: int, rows: range | None = None, **changes: Any
) -> Commit:
    """A commit of rows with these identifiers (default: as many as its number)."""
    if "files" not in changes:
        ids = range(number) if rows is None else rows
        query = f"SELECT range::BIGINT AS id FROM range({ids.start}, {ids.stop})"
        changes["files"] = staged(store, folder, f"epoch-{number}-{uuid4().hex}", query)
    plain = Commit(ref(folder), ID, (), change=Change.APPEND, application="qanat:t", number=number)
    return replace(plain, **changes)


def rows(batch: object) -> list[tuple[Any, ...]]:
    """A batch's rows in order, as an engine reads it."""
    assert isinstance(batch, TableBatch)
    batch.ready()
    if not batch.files:
        return []
    columns = ", ".join(f'"{name}"' for name in batch.schema.names)
    options = "union_by_name = true, hive_partitioning = false"
    if batch.partition_by:
        types = dict.fromkeys(batch.partition_by, "VARCHAR")
        options = f"union_by_name = true, hive_partitioning = true, hive_types = {types}"
    query = f"SELECT {columns} FROM read_parquet($files, {options}) ORDER BY ALL"
    with duckdb.connect() as connection:
        return connection.execute(query, {"files": list(batch.files)}).fetchall()


def files_of(batch: object) -> tuple[str, ...]:
    """A batch's files in the order in which they are read."""
    assert isinstance(batch, TableBatch)
    return batch.files


def by_others(store: TableStore, folder: Path) -> pyarrow.Table:
    """The rows of a table as a reader that is not ours finds them."""
    return READERS[format_of(store)](folder)


def format_of(store: TableStore) -> str:
    return next(f for f in READERS if isinstance(store, class_of(f)))


# -- commits ------------------------------------------------------------------------------------


def test_there_is_no_table_before_the_first_commit(store: TableStore, folder: Path) -> None:
    assert store.version(ref(folder)) is None
    assert store.version(ref(folder / "nowhere")) is None
    assert store.transaction(ref(folder), "qanat:t") == 0
    assert store.sweep(ref(folder / "nowhere")) == 0
    with pytest.raises(TableNotFoundError, match=r"no \w+ table"):
        store.snapshot(ref(folder))


def test_the_first_commit_is_version_0_and_carries_everything(
    store: TableStore, folder: Path
) -> None:
    commit = append(
        store,
        folder,
        1,
        range(5),
        comment="One row per “id”",
        properties={
            "qanat.schema_drift": "evolve",
            "delta.logRetentionDuration": "interval 1 day",
        },
        info={"qanat.update": "u1"},
    )
    assert store.publish(commit) == 0
    assert store.version(ref(folder)) == 0
    assert store.transaction(ref(folder), "qanat:t") == 1
    assert store.transaction(ref(folder), "qanat:other") == 0
    snapshot = store.snapshot(ref(folder))
    assert (snapshot.version, snapshot.schema, snapshot.partition_by) == (0, ID, ())
    assert (snapshot.rows, snapshot.files) == (5, 1)
    assert snapshot.bytes == commit.files[0].size
    assert snapshot.comment == "One row per “id”"
    assert snapshot.properties == commit.properties
    assert rows(snapshot.batch) == [(n,) for n in range(5)]


@only_delta
def test_facts_about_a_commit_are_in_its_entry(store: TableStore, folder: Path) -> None:
    store.publish(append(store, folder, 1, info={"qanat.update": "u1"}))
    (entry,) = deltalake.DeltaTable(str(folder)).history()
    assert entry["qanat.update"] == "u1"


def test_a_commit_without_files_makes_an_empty_table(store: TableStore, folder: Path) -> None:
    store.publish(append(store, folder, 1, files=()))
    assert store.snapshot(ref(folder)).rows == 0
    assert rows(store.snapshot(ref(folder)).batch) == []


def test_the_same_commit_twice_is_once(store: TableStore, folder: Path) -> None:
    commit = append(store, folder, 1, range(3))
    assert [store.publish(commit) for _ in range(3)] == [0, 0, 0]
    second = append(store, folder, 2, range(3, 5))
    assert [store.publish(second) for _ in range(2)] == [1, 1]
    assert store.snapshot(ref(folder)).rows == 5


@pytest.mark.parametrize("number", [0, 1, 4, 9])
def test_a_number_out_of_turn_is_refused(store: TableStore, folder: Path, number: int) -> None:
    for n in (1, 2):
        store.publish(append(store, folder, n))
    with pytest.raises(CommitConflictError, match="qanat:t"):
        store.publish(append(store, folder, number))
    assert store.version(ref(folder)) == 1


def test_gaps_are_let_through_on_request_but_never_going_back(
    store: TableStore, folder: Path
) -> None:
    store.publish(append(store, folder, 3, gaps=True))
    store.publish(append(store, folder, 7, gaps=True))
    assert store.publish(append(store, folder, 7, gaps=True)) == 1
    assert store.transaction(ref(folder), "qanat:t") == 7
    with pytest.raises(CommitConflictError, match="number 7"):
        store.publish(append(store, folder, 6, gaps=True))


def test_applications_count_for_themselves(store: TableStore, folder: Path) -> None:
    store.publish(append(store, folder, 1))
    store.publish(append(store, folder, 1, application="qanat:backfill"))
    store.publish(append(store, folder, 2))
    assert store.transaction(ref(folder), "qanat:t") == 2
    assert store.transaction(ref(folder), "qanat:backfill") == 1


def test_commits_that_may_be_taken_back_are_told(store: TableStore, folder: Path) -> None:
    assert store.settled(ref(folder), -1, {}.get) is None
    one = store.publish(append(store, folder, 1))
    two = store.publish(append(store, folder, 2))
    other = store.publish(append(store, folder, 1, application="qanat:u"))

    def settled(after: int = -1, **carried: int) -> int | None:
        return store.settled(ref(folder), after, lambda a: carried.get(a.removeprefix("qanat:")))

    assert settled() == settled(t=2, u=1) == settled(t=3, u=1) == other
    assert settled(t=1, u=1) == settled(t=1, u=0) == one
    assert settled(t=2, u=0) == two
    assert settled(two, t=1, u=1) == other
    store.retract(ref(folder), "qanat:u", 1)
    assert settled(t=2, u=0) == store.version(ref(folder))
    store.rename_application(ref(folder), "qanat:t", "qanat:s")
    assert settled(t=0, s=2, u=0) == store.version(ref(folder))


def test_a_table_whose_first_commit_may_be_taken_back_has_no_version_that_stays(
    store: TableStore, folder: Path
) -> None:
    store.repair(ref(folder))
    store.publish(append(store, folder, 1))
    assert store.settled(ref(folder), -1, {"qanat:t": 0}.get) is None


@only_delta
def test_numbers_outlive_checkpoints(store: TableStore, folder: Path) -> None:
    interval = {"delta.checkpointInterval": "3"}
    store.publish(append(store, folder, 1, application="qanat:once", properties=interval))
    for number in range(1, 8):
        store.publish(append(store, folder, number, range(1), properties=interval))
    assert list((folder / "_delta_log").glob("*.checkpoint.parquet"))
    assert store.transaction(ref(folder), "qanat:once") == 1
    assert store.transaction(ref(folder), "qanat:t") == 7
    assert store.transaction(ref(folder), "qanat:nobody") == 0
    assert store.snapshot(ref(folder)).rows == 8
    assert store.added(ref(folder), 2, 6).amount.rows == 4
    assert store.sweep(ref(folder)) == 0


def test_replacing_leaves_only_the_new_rows_and_old_versions_stay_readable(
    store: TableStore, folder: Path
) -> None:
    store.publish(append(store, folder, 1, range(5)))
    store.publish(append(store, folder, 2, range(7, 9), change=Change.REPLACE))
    assert rows(store.snapshot(ref(folder)).batch) == [(7,), (8,)]
    assert rows(store.snapshot(ref(folder), 0).batch) == [(n,) for n in range(5)]
    assert len(by_others(store, folder)) == 2
    with pytest.raises(TableNotFoundError, match="version 2"):
        store.snapshot(ref(folder), 2)


def test_a_commit_can_be_taken_back_once(store: TableStore, folder: Path) -> None:
    store.publish(append(store, folder, 1, range(3)))
    store.publish(append(store, folder, 1, range(10, 12), application="qanat:other"))
    store.publish(append(store, folder, 2, range(3, 5)))
    assert store.retract(ref(folder), "qanat:t", 1) is False  # no longer the newest
    assert store.retract(ref(folder), "qanat:t", 2) is True
    assert store.retract(ref(folder), "qanat:t", 2) is False
    assert rows(store.snapshot(ref(folder)).batch) == [(0,), (1,), (2,), (10,), (11,)]
    assert store.transaction(ref(folder), "qanat:t") == 1
    assert len(by_others(store, folder)) == 5
    store.publish(append(store, folder, 2, range(5, 6)))
    assert rows(store.snapshot(ref(folder)).batch)[3] == (5,)


def test_taking_back_a_replacement_brings_back_what_was_there(
    store: TableStore, folder: Path
) -> None:
    store.publish(append(store, folder, 1, range(3)))
    store.publish(append(store, folder, 2, range(5, 6), change=Change.REPLACE))
    assert store.retract(ref(folder), "qanat:t", 2) is True
    snapshot = store.snapshot(ref(folder))
    assert (rows(snapshot.batch), snapshot.rows) == ([(0,), (1,), (2,)], 3)
    assert store.sweep(ref(folder)) == 0
    assert len(by_others(store, folder)) == 3


def test_who_has_skipped_numbers_is_taken_back_to_where_it_was(
    store: TableStore, folder: Path
) -> None:
    store.publish(append(store, folder, 1))
    store.publish(append(store, folder, 5, gaps=True))
    assert store.retract(ref(folder), "qanat:t", 5)
    assert store.transaction(ref(folder), "qanat:t") == 1
    store.publish(append(store, folder, 2))
    assert store.snapshot(ref(folder)).rows == 3
    store.publish(append(store, folder, 7, gaps=True, application="qanat:other"))
    assert store.retract(ref(folder), "qanat:other", 7)
    assert store.transaction(ref(folder), "qanat:other") == 0


def test_taking_back_a_replacement_brings_back_its_columns(
    store: TableStore, folder: Path
) -> None:
    store.publish(append(store, folder, 1))
    text = Schema((Field("id", Primitive("string")),))
    files = staged(store, folder, f"t{uuid4().hex}", "SELECT 'x' AS id")
    store.publish(append(store, folder, 2, files=files, schema=text, change=Change.REPLACE))
    assert store.retract(ref(folder), "qanat:t", 2)
    assert store.snapshot(ref(folder)).schema == ID
    assert rows(store.snapshot(ref(folder)).batch) == [(0,)]
    assert len(by_others(store, folder)) == 1


def test_nothing_is_taken_back_from_what_is_not_there(store: TableStore, folder: Path) -> None:
    assert store.retract(ref(folder / "nowhere"), "qanat:t", 1) is False
    store.publish(append(store, folder, 1))
    assert store.retract(ref(folder), "qanat:other", 1) is False
    assert store.retract(ref(folder), "qanat:t", 1) is True
    assert (store.snapshot(ref(folder)).rows, store.transaction(ref(folder), "qanat:t")) == (0, 0)


def test_an_application_may_replace_only_its_own_rows(store: TableStore, folder: Path) -> None:
    store.publish(append(store, folder, 1, range(3)))
    store.publish(append(store, folder, 1, range(10, 12), application="qanat:other"))
    store.publish(append(store, folder, 2, range(3, 5)))
    store.publish(append(store, folder, 3, range(7, 8), change=Change.REPLACE_OWN))
    assert rows(store.snapshot(ref(folder)).batch) == [(7,), (10,), (11,)]
    store.publish(append(store, folder, 4, files=(), change=Change.REPLACE_OWN))
    assert rows(store.snapshot(ref(folder)).batch) == [(10,), (11,)]


def test_a_staged_file_that_is_gone_or_changed_is_not_published(
    store: TableStore, folder: Path
) -> None:
    commit = append(store, folder, 1)
    path = store.staging(commit.table) / commit.files[0].path
    path.write_bytes(path.read_bytes() + b"!")
    with pytest.raises(AdapterError, match="changed"):
        store.publish(commit)
    path.unlink()
    with pytest.raises(AdapterError, match=path.name):
        store.publish(commit)
    assert store.version(ref(folder)) is None


# -- columns, partitions, properties ------------------------------------------------------------


def test_columns_of_every_type(store: TableStore, folder: Path) -> None:
    point = Struct((Field("x", Decimal(10, 2)), Field("at", Primitive("timestamp_ntz"))))
    plain = ("string", "long", "integer", "short", "byte", "float", "double", "boolean")
    names = (*plain, "binary", "date", "timestamp", "timestamp_ntz")
    schema = Schema(
        (
            *(Field(f"c_{name}", Primitive(name), comment=f"a “{name}”") for name in names),
            Field("points", Array(point)),
            Field("map", MapType(STRING, LONG)),
        )
    )
    store.publish(append(store, folder, 1, schema=schema, files=()))
    assert store.snapshot(ref(folder)).schema == schema
    store.publish(append(store, folder, 2, schema=schema, files=()))
    assert store.snapshot(ref(folder)).version == 1


def test_local_timestamps_read_back_everywhere(store: TableStore, folder: Path) -> None:
    query = "SELECT TIMESTAMP '2013-01-01 05:17:00' AS at"
    schema = Schema((Field("at", Primitive("timestamp_ntz")),))
    store.publish(append(store, folder, 1, schema=schema, files=staged(store, folder, "q", query)))
    assert str(rows(store.snapshot(ref(folder)).batch)[0][0]) == "2013-01-01 05:17:00"
    stream = by_others(store, folder)
    assert str(duckdb.from_arrow(stream).fetchall()[0][0]) == "2013-01-01 05:17:00"


def test_an_append_may_bring_columns_in_its_one_commit(store: TableStore, folder: Path) -> None:
    store.publish(append(store, folder, 1, range(2)))
    wider = Schema((*ID.fields, Field("at", Primitive("timestamp_ntz"))))
    query = "SELECT 9::BIGINT AS id, TIMESTAMP '2020-01-01' AS at"
    assert (
        store.publish(
            append(store, folder, 2, schema=wider, files=staged(store, folder, "w", query))
        )
        == 1
    )
    assert store.snapshot(ref(folder)).schema == wider
    assert [r[0] for r in rows(store.snapshot(ref(folder)).batch)] == [0, 1, 9]
    assert store.snapshot(ref(folder), 0).schema == ID
    assert len(by_others(store, folder)) == 3


@pytest.mark.parametrize(
    "field",
    [Field("id", STRING), Field("other", LONG), Field("id", LONG, nullable=False)],
    ids=["retyped", "gone", "tightened"],
)
def test_an_append_may_not_change_what_is_there(
    store: TableStore, folder: Path, field: Field
) -> None:
    store.publish(append(store, folder, 1))
    with pytest.raises(SchemaMismatchError, match="full-refresh"):
        store.publish(append(store, folder, 2, schema=Schema((field,))))
    assert store.version(ref(folder)) == 0


def test_partition_values_of_every_kind(store: TableStore, folder: Path) -> None:
    schema = Schema((Field("id", LONG), Field("p", STRING)))
    texts = ", ".join("NULL" if v is None else "'" + v.replace("'", "''") + "'" for v in AWKWARD)
    query = f"SELECT range::BIGINT AS id, [{texts}][range + 1] AS p FROM range({len(AWKWARD)})"
    files = staged(store, folder, "q", query, "p")
    store.publish(append(store, folder, 1, schema=schema, files=files, partition_by=("p",)))
    expected = sorted(enumerate(AWKWARD))
    snapshot = store.snapshot(ref(folder))
    assert snapshot.partition_by == ("p",)
    assert rows(snapshot.batch) == expected
    stream = by_others(store, folder)
    assert sorted(duckdb.from_arrow(stream).select("id, p").fetchall()) == expected
    store.publish(
        append(
            store, folder, 2, schema=schema, files=(), partition_by=("p",), change=Change.REPLACE
        )
    )
    assert store.snapshot(ref(folder)).files == 0
    assert len(by_others(store, folder)) == 0
    assert store.sweep(ref(folder)) == 0


def test_partitioning_changes_only_with_all_rows(store: TableStore, folder: Path) -> None:
    store.publish(append(store, folder, 1))
    schema = Schema((Field("id", LONG), Field("p", STRING)))
    files = staged(store, folder, "p", "SELECT 1::BIGINT AS id, 'x' AS p", "p")
    commit = append(store, folder, 2, schema=schema, files=files, partition_by=("p",))
    with pytest.raises(SchemaMismatchError, match="partitioning"):
        store.publish(commit)
    store.publish(replace(commit, change=Change.REPLACE))
    assert rows(store.snapshot(ref(folder)).batch) == [(1, "x")]
    with pytest.raises(SchemaMismatchError, match="'q'"):
        store.publish(append(store, folder, 3, change=Change.REPLACE, partition_by=("q",)))


def test_comment_and_properties_change_only_when_they_differ(
    store: TableStore, folder: Path
) -> None:
    store.publish(append(store, folder, 1, comment="one", properties={"a": "1", "b": "1"}))
    store.publish(append(store, folder, 2, properties={"b": "2"}))
    store.publish(
        append(store, folder, 3, comment="two", properties={"b": "2"}, change=Change.REPLACE)
    )
    snapshot = store.snapshot(ref(folder))
    assert (snapshot.comment, snapshot.properties) == ("two", {"a": "1", "b": "2"})


@only_delta
def test_a_table_stays_the_same_table(store: TableStore, folder: Path) -> None:
    store.publish(append(store, folder, 1, comment="one", properties={"a": "1", "b": "1"}))
    identity = deltalake.DeltaTable(str(folder)).metadata().id
    store.publish(append(store, folder, 2, properties={"b": "2"}))
    change = Change.REPLACE
    store.publish(append(store, folder, 3, comment="two", properties={"b": "2"}, change=change))
    assert deltalake.DeltaTable(str(folder)).metadata().id == identity
    store.publish(append(store, folder, 4, comment="two", properties={"b": "2"}))
    log = (folder / "_delta_log" / f"{3:020}.json").read_text()
    assert "metaData" not in log


@only_delta
def test_a_property_that_promises_too_much_is_refused(store: TableStore, folder: Path) -> None:
    with pytest.raises(OptionError, match=r"delta\.enableRowTracking"):
        store.publish(append(store, folder, 1, properties={"delta.enableRowTracking": "true"}))
    assert store.version(ref(folder)) is None


@only_delta
def test_a_table_that_may_only_grow_is_not_replaced(store: TableStore, folder: Path) -> None:
    store.publish(append(store, folder, 1, properties={"delta.appendOnly": "true"}))
    store.publish(append(store, folder, 2))
    with pytest.raises(AdapterError, match="appended"):
        store.publish(append(store, folder, 3, change=Change.REPLACE))


# -- reading as a stream ------------------------------------------------------------------------


def test_what_was_added_between_versions(store: TableStore, folder: Path) -> None:
    for number in (1, 2, 3):
        store.publish(append(store, folder, number, range(number * 10, number * 10 + number)))
    added = store.added(ref(folder), 0, 2)
    assert (added.amount.rows, added.amount.files) == (5, 2)
    assert rows(added.batch) == [(20,), (21,), (30,), (31,), (32,)]
    assert store.added(ref(folder), -1, 1).amount.rows == 3
    assert store.added(ref(folder), 2, 2).amount.files == 0


def test_a_stream_and_a_snapshot_give_rows_in_one_order(store: TableStore, folder: Path) -> None:
    """Or a rule that keeps the first row of a key keeps another one after a full refresh."""
    for number in (1, 2, 3):
        one = append(store, folder, number, range(number * 10, number * 10 + 3))
        two = append(store, folder, number, range(number * 10 + 3, number * 10 + 5))
        # What was staged first is named last, as values of partitions may be.
        files = sorted((*one.files, *two.files), key=lambda f: f.path, reverse=True)
        for age, file in enumerate(files):
            os.utime(store.staging(one.table) / file.path, ns=(0, (number * 10 - age) * 10**9))
        store.publish(replace(one, files=tuple(files)))
    streamed = [
        f for v in range(-1, 2) for f in files_of(store.added(ref(folder), v, v + 1).batch)
    ]
    assert len(streamed) == 6
    assert list(files_of(store.added(ref(folder), -1, 2).batch)) == streamed
    assert list(files_of(store.snapshot(ref(folder)).batch)) == streamed


def test_removed_rows_stop_a_stream(store: TableStore, folder: Path) -> None:
    store.publish(append(store, folder, 1, range(4)))
    store.publish(append(store, folder, 2, range(4, 6), change=Change.REPLACE))
    store.publish(append(store, folder, 3, range(6, 8)))
    with pytest.raises(NotAppendOnlyError, match="version 1"):
        store.added(ref(folder), 0, 2)
    assert store.added(ref(folder), 1, 2).amount.rows == 2


def test_what_was_taken_back_in_between_is_no_change(store: TableStore, folder: Path) -> None:
    for number in (1, 2):
        store.publish(append(store, folder, number, range(number * 10, number * 10 + 2)))
    store.publish(append(store, folder, 3, range(30, 31), change=Change.REPLACE))
    assert store.retract(ref(folder), "qanat:t", 3)
    assert store.added(ref(folder), 1, 3).amount.files == 0
    store.publish(append(store, folder, 3, range(30, 32)))
    assert rows(store.added(ref(folder), 1, 4).batch) == [(30,), (31,)]
    assert rows(store.added(ref(folder), 0, 4).batch) == [(20,), (21,), (30,), (31,)]
    # The row that version 2 brought is gone.
    with pytest.raises(NotAppendOnlyError, match="version 3"):
        store.added(ref(folder), 2, 4)
    store.publish(append(store, folder, 4, range(40, 41)))
    assert store.retract(ref(folder), "qanat:t", 4)
    assert store.added(ref(folder), 4, 6).amount.files == 0


def test_a_stream_may_skip_what_rewrites_rows(store: TableStore, folder: Path) -> None:
    store.publish(append(store, folder, 1, range(4)))
    store.publish(append(store, folder, 2, range(20, 22)))
    store.publish(append(store, folder, 3, range(30, 33), change=Change.REPLACE))
    store.publish(append(store, folder, 4, range(40, 42)))
    found = store.added(ref(folder), 0, 3, skip=True)
    # Version 1 added rows. That version 2 has removed them is nothing to it.
    assert rows(found.batch) == [(20,), (21,), (40,), (41,)]
    assert found.amount.rows == 4
    assert store.added(ref(folder), 1, 2, skip=True).amount.files == 0
    assert rows(store.added(ref(folder), -1, 3, skip=True).batch) == [
        *((30,), (31,), (32,)),
        *((40,), (41,)),
    ]


def test_a_stream_that_skips_takes_no_row_that_was_taken_back(
    store: TableStore, folder: Path
) -> None:
    store.publish(append(store, folder, 1, range(4)))
    store.publish(append(store, folder, 2, range(20, 22)))
    assert store.retract(ref(folder), "qanat:t", 2)
    store.publish(append(store, folder, 2, range(30, 32), change=Change.REPLACE))
    # What comes back has been read before.
    assert store.retract(ref(folder), "qanat:t", 2)
    store.publish(append(store, folder, 2, range(50, 51)))
    assert rows(store.added(ref(folder), 0, 5, skip=True).batch) == [(50,)]


@only_delta
def test_changes_are_those_of_each_version(store: TableStore, folder: Path) -> None:
    store.publish(append(store, folder, 1, range(2)))
    store.publish(append(store, folder, 2, range(20, 21), change=Change.REPLACE))
    store.publish(append(store, folder, 3, range(30, 31)))
    assert store.retract(ref(folder), "qanat:t", 3)
    found = store.changed(ref(folder), -1, 3)
    assert found.amount.files == 5
    assert isinstance(found.batch, TableBatch)
    assert sorted(told(found.batch), key=repr) == [
        ("delete", "1", 2),
        ("delete", "3", 1),
        ("insert", "0", 2),
        ("insert", "1", 1),
        ("insert", "2", 1),
    ]
    assert store.changed(ref(folder), 3, 3).amount.files == 0
    with pytest.raises(UnsupportedError, match="no feed of changes at version 0"):
        store.changed(ref(folder), -1, 3, fed=True)


def told(batch: TableBatch) -> list[tuple[str | None, str | None, int]]:
    """Of each file of changes what became of its rows, in which version, and how many it has."""
    if batch.narrower:
        return [each for part in batch.narrower for each in told(part)]
    batch.ready()
    kinds, versions = batch.told["_change_type"], batch.told["_commit_version"]
    counts = [parquet.read_metadata(f).num_rows for f in batch.files]
    return list(zip(kinds, versions, counts, strict=True))


@only_delta
def test_deleted_rows_stop_a_stream(store: TableStore, folder: Path) -> None:
    for number in (1, 2, 3):
        store.publish(append(store, folder, number, range(4 + number, 6 + number)))
    deltalake.DeltaTable(str(folder)).delete("id = 6")
    with pytest.raises(NotAppendOnlyError, match="DELETE"):
        store.added(ref(folder), 2, 3)


@only_delta
def test_compaction_is_no_change_and_writing_goes_on(store: TableStore, folder: Path) -> None:
    for number in (1, 2):
        store.publish(append(store, folder, number, range(number * 10, number * 10 + 2)))
    deltalake.DeltaTable(str(folder)).optimize.compact()
    store.publish(append(store, folder, 3, range(30, 32)))
    assert rows(store.added(ref(folder), 0, 3).batch) == [(20,), (21,), (30,), (31,)]
    assert store.sweep(ref(folder)) == 0
    assert store.snapshot(ref(folder)).rows == 6
    assert rows(store.added(ref(folder), 0, 1).batch) == [(20,), (21,)]


# -- leftovers ----------------------------------------------------------------------------------


@only_delta
def test_sweeping_takes_what_no_version_mentions(store: TableStore, folder: Path) -> None:
    store.publish(append(store, folder, 1))
    store.publish(append(store, folder, 2, change=Change.REPLACE))
    store.publish(append(store, folder, 3))
    log = folder / "_delta_log"
    crashed = [folder / "epoch-9.parquet", folder / "p=x" / "epoch-9.parquet"]
    foreign = [
        folder / "part-00001-abc.parquet",
        folder / f"{uuid4()}.parquet",
        folder / "q.parquet#1",
        log / f"{9:020}.json#1",
        log / "_commit_a.json.tmp",
    ]
    for path in (*crashed, *foreign, folder / "notes.txt"):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert store.sweep(ref(folder)) == 2
    assert not any(p.exists() for p in crashed)
    assert not (folder / "p=x").exists()
    assert all(p.exists() for p in foreign), "their commit may be under way"
    for path in foreign:
        os.utime(path, (1, 1))
    assert store.sweep(ref(folder)) == 5
    assert store.sweep(ref(folder)) == 0
    assert (folder / "notes.txt").exists()
    assert rows(store.snapshot(ref(folder), 0).batch) == [(0,)]


@on_disk
def test_what_the_first_commit_never_published_is_swept(store: TableStore, folder: Path) -> None:
    append(store, folder, 1)
    assert store.sweep(ref(folder)) == 1


# -- others at the same time --------------------------------------------------------------------


def _publish(
    kind: tuple[str, Path], environ: dict[str, str], commits: list[Commit], gate: Any, results: Any
) -> None:
    os.environ.update(environ)
    store = opened(*kind)
    for commit in commits:
        # Where what is staged is a process's own, so is what it uploads.
        for file in commit.files:
            target = store.staging(commit.table) / file.path
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(commit.info["staged"] + "/" + file.path, target)
    gate.wait()
    for commit in commits:
        try:
            results.put(store.publish(commit))
        except CommitConflictError:
            results.put("conflict")


def _together(store: TableStore, folder: Path, *work: list[Commit]) -> list[Any]:
    kind = (format_of(store), folder.parent.parent / "_qanat")
    environ = {k: v for k, v in os.environ.items() if k.startswith("AWS_")}
    here = {"staged": str(store.staging(ref(folder)))}
    work = tuple([replace(c, info=here) for c in commits] for commits in work)
    gate, results = FORKED.Barrier(len(work)), FORKED.Queue()
    processes = [
        FORKED.Process(target=_publish, args=(kind, environ, w, gate, results)) for w in work
    ]
    for process in processes:
        process.start()
    found = [results.get(timeout=60) for commits in work for _ in commits]
    for process in processes:
        process.join()
    return found


def test_of_writers_of_one_epoch_one_wins(store: TableStore, folder: Path) -> None:
    files = [staged(store, folder, f"epoch-w{n}", "SELECT 1::BIGINT AS id") for n in range(3)]
    commit = append(store, folder, 1)
    assert _together(store, folder, *[[replace(commit, files=f)] for f in files]) == [0, 0, 0]
    assert store.snapshot(ref(folder)).rows == 1


def test_writers_of_several_flows_all_get_in(store: TableStore, folder: Path) -> None:
    work = []
    for writer in range(3):
        name = f"qanat:flow{writer}"
        files = [
            staged(store, folder, f"epoch-w{writer}-{n}", "SELECT 1::BIGINT AS id")
            for n in range(5)
        ]
        plain = append(store, folder, 1, application=name)
        work.append([replace(plain, files=f, number=n) for n, f in enumerate(files, 1)])
    assert sorted(_together(store, folder, *work)) == list(range(15))
    assert store.snapshot(ref(folder)).rows == 15
    assert len(by_others(store, folder)) == 15


# -- tables of others ---------------------------------------------------------------------------


def _set_protocol(folder: Path, *features: str) -> None:
    deltalake.DeltaTable.create(str(folder), deltalake.Schema.from_json(json.dumps(ID.to_json())))
    log = folder / "_delta_log" / f"{0:020}.json"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line in lines:
        if "protocol" in line:
            line["protocol"] = {
                "minReaderVersion": 3,
                "minWriterVersion": 7,
                "readerFeatures": list(features),
                "writerFeatures": list(features),
            }
    log.write_text("\n".join(json.dumps(line) for line in lines))


@only_delta
def test_an_unknown_reader_feature_is_named(store: TableStore, folder: Path) -> None:
    _set_protocol(folder, "levitation")
    with pytest.raises(TableTooNewError, match="levitation"):
        store.snapshot(ref(folder))


@in_s3
def test_a_long_session_remembers_no_file_that_it_has_committed(
    store: TableStore, folder: Path
) -> None:
    for number in range(1, 4):
        store.publish(append(store, folder, number))
    with pytest.raises(CommitConflictError):
        store.publish(append(store, folder, 9))
    assert isinstance(store, DeltaStore)
    files = store._here(ref(folder))
    assert isinstance(files, RemoteFiles)
    assert files._uploaded == {}


@in_s3
def test_a_table_of_others_in_an_object_store(store: TableStore, bucket: str) -> None:
    table = TableRef(f"{bucket}/a table", "t")
    assert store.version(table) is None
    with pytest.raises(TableNotFoundError, match="lake"):
        store.snapshot(table)
    deltalake.write_deltalake(table.location, duckdb.sql("SELECT 7 AS id").to_arrow_table())
    assert store.version(table) is None, "nobody has asked to look again"
    store.look_again()
    assert store.version(table) == 0
    snapshot = store.snapshot(table)
    assert snapshot.rows == 1
    assert rows(snapshot.batch) == [(7,)]
    deltalake.write_deltalake(
        table.location, duckdb.sql("SELECT 8 AS id").to_arrow_table(), mode="append"
    )
    store.look_again()
    assert rows(store.added(table, 0, 1).batch) == [(8,)]


@only_delta
def test_an_unknown_writer_feature_is_named(store: TableStore, folder: Path) -> None:
    _set_protocol(folder, "v2Checkpoint")
    assert store.snapshot(ref(folder)).files == 0
    with pytest.raises(TableTooNewError, match="v2Checkpoint"):
        store.publish(append(store, folder, 1))


# -- gates --------------------------------------------------------------------------------------


def test_nothing_is_committed_through_a_gate_that_is_gone(
    store: TableStore, folder: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    first = replace(append(store, folder, 1), gate=FolderGate(gate))
    with pytest.raises(CommitConflictError, match="took over"):
        store.publish(first)
    assert store.version(ref(folder)) is None
    gate.mkdir()
    assert store.publish(first) == 0
    second = replace(append(store, folder, 2), gate=FolderGate(gate))
    assert store.publish(second) == 1
    assert list(gate.iterdir()) == []
    gate.rmdir()
    with pytest.raises(CommitConflictError):
        store.publish(replace(append(store, folder, 3), gate=FolderGate(gate)))
    with pytest.raises(CommitConflictError):
        store.retract(ref(folder), "qanat:t", 2, FolderGate(gate))
    assert store.version(ref(folder)) == 1
    assert store.transaction(ref(folder), "qanat:t") == 2
    # What is there already needs no gate.
    assert store.publish(second) == 1


@on_disk
def test_only_what_was_there_before_a_sweep_was_confirmed_is_swept(
    store: TableStore, folder: Path
) -> None:
    """By no clock: it may have been set back since a file was written."""
    store.publish(append(store, folder, 1))
    data = store.staging(ref(folder))
    old, new = (data / f"epoch-2-{name}.parquet" for name in ("old", "new"))
    old.write_bytes(b"x")
    later = time.time() + 3600
    os.utime(old, (later, later))

    def refuse() -> None:
        raise LeaseLostError("another update took over")

    with pytest.raises(LeaseLostError):
        store.sweep(ref(folder), refuse)
    assert store.orphans(ref(folder)) == 1
    # Who slept after that takes nothing away from who took over.
    assert store.sweep(ref(folder), new.touch) == 1
    assert [old.exists(), new.exists()] == [False, True]
    assert store.sweep(ref(folder)) == 1
    assert store.sweep(ref(folder), refuse) == 0


def owned(store: TableStore, private: Path, owner: str) -> TableStore:
    """Another session's store of the same format, with an owner."""
    made: TableStore = type(store)(private, {}, owner)  # type: ignore[call-arg]
    return made


def test_a_table_is_changed_by_its_owner_alone(
    store: TableStore, folder: Path, tmp_path: Path
) -> None:
    mine, other = (owned(store, tmp_path / "_qanat", f"p/{e}") for e in ("dev", "prod"))
    table = ref(folder)
    assert mine.owner(table) is None
    mine.publish(append(mine, folder, 1, properties={"team": "water"}))
    assert {s.owner(table) for s in (mine, other, store)} == {"p/dev"}
    assert dict(mine.snapshot(table).properties) == {"team": "water"}
    for number, change in ((2, Change.APPEND), (2, Change.REPLACE), (1, Change.APPEND)):
        with pytest.raises(ForeignTableError, match="environment dev of this project"):
            other.publish(append(other, folder, number, change=change))
    with pytest.raises(ForeignTableError):
        other.retract(table, "qanat:t", 1)
    with pytest.raises(ForeignTableError):
        other.repair(table)
    assert mine.version(table) == 0
    # Without an owner a store asks nothing, and leaves the mark.
    store.publish(append(store, folder, 2))
    mine.publish(append(mine, folder, 3))
    assert mine.retract(table, "qanat:t", 3)
    assert other.owner(table) == "p/dev"


def test_a_table_without_a_mark_gets_that_of_the_next_commit(
    store: TableStore, folder: Path, tmp_path: Path
) -> None:
    store.publish(append(store, folder, 1))
    mine = owned(store, tmp_path / "_qanat", "p/dev")
    assert mine.owner(ref(folder)) is None
    mine.publish(append(mine, folder, 2))
    assert mine.owner(ref(folder)) == "p/dev"
    assert mine.snapshot(ref(folder)).rows == 3


@on_disk
@pytest.mark.parametrize("there", [False, True])
def test_sweeping_spares_what_other_owners_have_staged(
    store: TableStore, folder: Path, tmp_path: Path, there: bool
) -> None:
    mine, other = (owned(store, tmp_path / "_qanat", f"p/{e}") for e in ("dev", "prod"))
    if there:
        mine.publish(append(mine, folder, 1))
    files = []
    for owner in ("p/dev", "p/prod"):
        prefix = staged_prefix(owner, 2, uuid4().hex)
        staged(store, folder, prefix, "SELECT 1::BIGINT AS id")
        files += mine.staging(ref(folder)).glob(f"{prefix}*")
    own, others = files
    plain = mine.staging(ref(folder)) / "epoch-2-old.parquet"
    plain.touch()
    # A file without a name belongs to who has the table, or to any while there is none.
    assert other.orphans(ref(folder)) == (1 if there else 2)
    assert other.sweep(ref(folder)) == (1 if there else 2)
    assert [p.exists() for p in (own, others, plain)] == [True, False, there]
    assert mine.sweep(ref(folder)) == (2 if there else 1)
    assert not own.exists()


@only_delta
def test_a_torn_entry_does_not_hide_the_owner(
    store: TableStore, folder: Path, tmp_path: Path
) -> None:
    mine, other = (owned(store, tmp_path / "_qanat", f"p/{e}") for e in ("dev", "prod"))
    mine.publish(append(mine, folder, 1))
    torn = folder / "_delta_log" / f"{1:020}.json"
    torn.touch()
    with pytest.raises(ForeignTableError):
        other.repair(ref(folder))
    assert torn.exists()
    assert mine.repair(ref(folder))
    assert mine.version(ref(folder)) == 0


# -- other names --------------------------------------------------------------------------------


def test_a_table_moves_with_its_whole_history(
    store: TableStore, folder: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    to = replace(ref(folder.with_name("ü/2".replace("/", "%2F"))), name="ü/2")
    for number in (1, 2):
        store.publish(append(store, folder, number))
    with pytest.raises(CommitConflictError, match="took over"):
        store.move(ref(folder), to, FolderGate(gate))
    gate.mkdir()
    for _ in range(2):
        store.check_move(ref(folder))
        store.move(ref(folder), to, FolderGate(gate))
        assert store.version(ref(folder)) is None
        assert [store.version(to), store.transaction(to, "qanat:t")] == [1, 2]
        assert rows(store.snapshot(to).batch) == [(0,), (0,), (1,)]
        assert rows(store.added(to, 0, 1).batch) == [(0,), (1,)]
    assert list(gate.iterdir()) == []
    assert [t.name for t in store.tables(ref(folder.parent).location)] == ["ü/2"]
    assert not store.forgotten(to)
    # Another one may be made in the old place; what wakes late does not take that away.
    folder.mkdir(exist_ok=True)
    store.publish(append(store, folder, 1))
    with pytest.raises(AdapterError):
        store.move(ref(folder), to, FolderGate(gate))
    gate.rmdir()
    with pytest.raises(CommitConflictError):
        store.drop(ref(folder), FolderGate(gate))
    assert [store.version(ref(folder)), store.version(to)] == [0, 1]
    # The table goes on where it is, and back.
    third = replace(append(store, Path(to.location.removeprefix(BUCKET.get())), 3), table=to)
    assert store.publish(third) == 2
    store.drop(ref(folder))
    store.move(to, ref(folder))
    assert by_others(store, folder).num_rows == 6


def test_a_table_that_was_dropped_is_gone_and_may_come_again(
    store: TableStore, folder: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    gate.mkdir()
    store.publish(append(store, folder, 1))
    left = folder.with_name(".dropped-1")  # by a process that was killed
    left.mkdir()
    (left / "x.parquet").touch()
    assert [t.name for t in store.tables(ref(folder.parent).location)] == ["t"]
    for _ in range(2):
        store.drop(ref(folder), FolderGate(gate))
        assert store.tables(ref(folder.parent).location) == list(gate.iterdir()) == []
        assert BUCKET.get() or not list(folder.parent.iterdir())
        assert store.version(ref(folder)) is None
        assert not store.forgotten(ref(folder))
    folder.mkdir(exist_ok=True)
    assert store.publish(append(store, folder, 1)) == 0
    assert by_others(store, folder).num_rows == 1


def test_an_application_goes_on_under_another_name(
    store: TableStore, folder: Path, tmp_path: Path
) -> None:
    gate, table = tmp_path / "gate", ref(folder)
    own, other, new = "qanat:t", "qanat:other", "qanat:ü"
    assert not store.rename_application(table, own, new)
    store.publish(append(store, folder, 1))
    store.publish(append(store, folder, 1, range(10, 12), application=other))
    with pytest.raises(CommitConflictError, match="took over"):
        store.rename_application(table, own, new, FolderGate(gate))
    gate.mkdir()
    assert store.rename_application(table, own, new, FolderGate(gate))
    assert not store.rename_application(table, own, new, FolderGate(gate))
    assert [store.transaction(table, a) for a in (own, other, new)] == [0, 1, 1]
    assert opened(format_of(store), tmp_path / "_qanat").transaction(table, new) == 1
    newest = store.version(table)
    assert newest is not None
    assert store.added(table, 1, newest).amount.files == 0
    # Its rows are its own, those of whoever is called so later are not.
    store.publish(append(store, folder, 1, range(20, 21), application=own))
    store.publish(
        append(store, folder, 2, range(30, 31), application=new, change=Change.REPLACE_OWN)
    )
    assert rows(store.snapshot(table).batch) == [(10,), (11,), (20,), (30,)]
    assert store.retract(table, new, 2)
    assert rows(store.snapshot(table).batch) == [(0,), (10,), (11,), (20,)]
    # An application that is forgotten begins anew, and its rows stay.
    assert store.rename_application(table, new, None)
    assert not store.rename_application(table, new, None)
    store.publish(
        append(store, folder, 1, range(40, 41), application=new, change=Change.REPLACE_OWN)
    )
    assert rows(store.snapshot(table).batch) == [(0,), (10,), (11,), (20,), (40,)]
