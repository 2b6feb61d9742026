"""What is Iceberg's own: other readers and writers, fences, expiry, copies. All by pyiceberg."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal as Number
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import polars
import pyarrow
import pytest
from pyiceberg.catalog import load_catalog
from pyiceberg.expressions import EqualTo
from pyiceberg.table import Table

from qanat.errors import (
    AdapterError,
    CommitConflictError,
    NotAppendOnlyError,
    OptionError,
    SchemaMismatchError,
    TableCorruptError,
    TableTooNewError,
    UnsupportedError,
)
from qanat.model.schema import Array, Decimal, Field, MapType, Primitive, Schema, Struct
from qanat.model.staged import ColumnStatistics, DataFile
from qanat.model.table import Change, Commit, TableRef
from qanat.model.work import ArrowBatch, TableBatch
from qanat.storage.iceberg import ICEBERG
from qanat.storage.iceberg.catalog import FileCatalog
from qanat.storage.iceberg.store import IcebergStore
from tests.gates import FolderGate

# Polars advises to install another package.
pytestmark = pytest.mark.filterwarnings("ignore:Iceberg scan planning")

LONG, STRING = Primitive("long"), Primitive("string")
ID = Schema((Field("id", LONG),))


@pytest.fixture
def private(tmp_path: Path) -> Path:
    return tmp_path / "storage ü 50%" / "_qanat"


@pytest.fixture
def table(private: Path) -> TableRef:
    return TableRef(str(private.parent / "tables" / "t"), "t")


@pytest.fixture(params=["file", "sql"])
def store(request: pytest.FixtureRequest, private: Path, tmp_path: Path) -> IcebergStore:
    if request.param == "file":
        return IcebergStore(private, {})
    options = {"type": "sql", "uri": f"sqlite:///{tmp_path}/others.db", "namespace": "lake"}
    return IcebergStore(private, ICEBERG.options.check_all(options.items()))


@contextmanager
def opened(private: Path, name: str = "t") -> Iterator[Table]:
    """A table as another tool opens it."""
    others = private.parent.parent / "others.db"
    if others.exists():
        catalog = load_catalog("qanat", type="sql", uri=f"sqlite:///{others}")
        found = catalog.load_table(("lake", name))
    else:
        catalog = load_catalog("qanat", type="sql", uri=f"sqlite:///{private}/iceberg.db")
        found = catalog.load_table(("default", name))
    try:
        yield found
    finally:
        catalog.close()  # type: ignore[attr-defined]


def stage(
    table: TableRef, query: str, *partition_by: str, statistics: Any = None
) -> tuple[DataFile, ...]:
    """Write a query's rows as an engine does."""
    folder = table.folder / "data"
    folder.mkdir(parents=True, exist_ok=True)
    name = f"epoch-1-{uuid4().hex}"
    target, options = folder / f"{name}.parquet", "FORMAT parquet, RETURN_STATS"
    if partition_by:
        target = folder
        options += f", PARTITION_BY ({', '.join(partition_by)}), OVERWRITE_OR_IGNORE"
        options += f", FILENAME_PATTERN '{name}'"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        rows = connection.execute(f"COPY ({query}) TO '{target}' ({options})").fetchall()
    return tuple(
        DataFile(
            os.path.relpath(path, folder),
            size,
            count,
            {k: None if v in (None, "NULL") else v for k, v in (keys or {}).items()},
            statistics or {},
        )
        for path, count, size, _, _, keys, *_ in rows
    )


def append(table: TableRef, number: int, ids: range = range(1), **changes: Any) -> Commit:
    """A commit of rows with these identifiers."""
    if "files" not in changes:
        query = f"SELECT range::BIGINT AS id FROM range({ids.start}, {ids.stop})"
        changes["files"] = stage(table, query)
    return replace(Commit(table, ID, (), Change.APPEND, "qanat:t", number), **changes)


def ids(store: IcebergStore, table: TableRef, version: int | None = None) -> list[int]:
    return read(store.snapshot(table, version).batch)


def read(batch: object) -> list[Any]:
    """The first column of a batch, in order, as an engine reads it."""
    if isinstance(batch, TableBatch):
        if not batch.files:
            return []
        column = batch.schema.names[0]
        query = f"SELECT {column} FROM read_parquet($files, union_by_name = true) ORDER BY 1"
        with duckdb.connect() as connection:
            rows = connection.execute(query, {"files": list(batch.files)}).fetchall()
        return [row[0] for row in rows]
    assert isinstance(batch, ArrowBatch)
    return sorted(pyarrow.table(batch.open()).column(0).to_pylist())


# -- other readers ------------------------------------------------------------------------------


def test_others_read_it_by_name(store: IcebergStore, table: TableRef, private: Path) -> None:
    schema = Schema(
        (
            Field("id", LONG, nullable=False, comment="who"),
            Field("small", Primitive("short")),
            Field("amount", Decimal(10, 2)),
            Field("day", Primitive("date")),
            Field("at", Primitive("timestamp")),
            Field("local", Primitive("timestamp_ntz")),
            Field("points", Array(Struct((Field("x", Primitive("byte")), Field("y", STRING))))),
            Field("map", MapType(STRING, LONG)),
            Field("p", STRING),
        )
    )
    query = """
        SELECT 1::BIGINT AS id, 2::SMALLINT AS small, 3.50::DECIMAL(10, 2) AS amount,
          DATE '2020-02-29' AS day, TIMESTAMPTZ '2020-01-01 01:02:03.000004+00' AS at,
          TIMESTAMP '2021-01-01 00:00:00' AS local,
          [{'x': 1::TINYINT, 'y': 'one'}] AS points, MAP {'k': 7::BIGINT} AS map, 'a b/ü' AS p
    """
    files = stage(table, query, "p")
    store.publish(append(table, 1, schema=schema, files=files, partition_by=("p",)))
    expected = {
        "id": 1,
        "small": 2,
        "amount": Number("3.50"),
        "day": date(2020, 2, 29),
        "at": datetime(2020, 1, 1, 1, 2, 3, 4, UTC),
        "local": datetime(2021, 1, 1),  # noqa: DTZ001
        "points": [{"x": 1, "y": "one"}],
        "map": [("k", 7)],
        "p": "a b/ü",
    }
    snapshot = store.snapshot(table)
    assert (snapshot.schema, snapshot.partition_by) == (schema, ("p",))
    with opened(private) as found:
        (row,) = found.scan().to_arrow().to_pylist()
        assert row == expected
        assert found.schema().find_field("id").doc == "who"
        frame = polars.scan_iceberg(found).drop("map").collect()
        assert frame.row(0, named=True) == {k: v for k, v in expected.items() if k != "map"}


def test_columns_come_and_change_their_type(
    store: IcebergStore, table: TableRef, private: Path
) -> None:
    store.publish(append(table, 1, range(2)))
    wider = Schema((*ID.fields, Field("note", STRING)))
    files = stage(table, "SELECT 2::BIGINT AS id, 'x' AS note")
    store.publish(append(table, 2, schema=wider, files=files))
    with opened(private) as found:
        assert sorted(found.scan().to_arrow().column("note").to_pylist(), key=str) == [
            None,
            None,
            "x",
        ]
        assert polars.scan_iceberg(found).select("id").sum().collect().item() == 3
    text = Schema((Field("id", STRING),))
    files = stage(table, "SELECT 'seven' AS id")
    store.publish(append(table, 3, schema=text, files=files, change=Change.REPLACE))
    assert ids(store, table) == ["seven"]
    assert ids(store, table, 1) == [0, 1, 2]
    assert store.snapshot(table, 1).schema == wider
    with opened(private) as found:
        assert found.scan().to_arrow().column("id").to_pylist() == ["seven"]
        second = found.snapshots()[1].snapshot_id
        assert found.scan(snapshot_id=second).to_arrow().num_rows == 3


def test_readers_skip_files_by_bounds_that_hold(
    store: IcebergStore, table: TableRef, private: Path
) -> None:
    bounds = {
        "id": ColumnStatistics(0, 0, 9),
        "amount": ColumnStatistics(1, Number("-1.234"), Number("1.001")),
        "at": ColumnStatistics(
            0, datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 2, tzinfo=UTC)
        ),
        "zero": ColumnStatistics(0, 0.0, 0.0),
        "unknown": ColumnStatistics(),
    }
    schema = Schema(
        (
            *ID.fields,
            Field("amount", Decimal(3, 2)),
            Field("at", Primitive("timestamp_ntz")),
            Field("zero", Primitive("double")),
        )
    )
    query = """
        SELECT range::BIGINT AS id, 1::DECIMAL(3, 2) AS amount, TIMESTAMP '2020-01-01' AS at,
          -0.0::DOUBLE AS zero FROM range(10)
    """
    files = stage(table, query, statistics=bounds)
    store.publish(append(table, 1, schema=schema, files=files))
    files = stage(table, query.replace("range(10)", "range(10, 20)"))
    files = tuple(replace(f, statistics={"id": ColumnStatistics(0, 10, 19)}) for f in files)
    store.publish(append(table, 2, schema=schema, files=files))
    with opened(private) as found:
        assert len(list(found.scan(row_filter=EqualTo("id", 12)).plan_files())) == 1
        assert len(list(found.scan(row_filter=EqualTo("zero", 0.0)).plan_files())) == 2
        assert found.scan(row_filter=EqualTo("id", 12)).to_arrow().num_rows == 1
        known = found.inspect.files().to_pylist()[-1]["readable_metrics"]
    assert known["amount"]["lower_bound"] == Number("-1.24")
    assert known["amount"]["upper_bound"] == Number("1.01")


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("long", "7::BIGINT"),
        ("date", "DATE '2020-02-29'"),
        ("timestamp", "TIMESTAMPTZ '2020-01-01 01:02:03+00'"),
        ("timestamp_ntz", "TIMESTAMP '2020-01-01 01:02:03'"),
        ("boolean", "true"),
        ("decimal", "1.50::DECIMAL(5, 2)"),
    ],
)
def test_partitions_of_every_type(
    store: IcebergStore, table: TableRef, private: Path, type_: str, value: str
) -> None:
    found_type = Decimal(5, 2) if type_ == "decimal" else Primitive(type_)
    schema = Schema((*ID.fields, Field("p", found_type)))
    query = f"SELECT 1::BIGINT AS id, {value} AS p UNION ALL SELECT 2, NULL"
    files = stage(table, query, "p")
    store.publish(append(table, 1, schema=schema, files=files, partition_by=("p",)))
    batch = store.snapshot(table).batch
    assert isinstance(batch, TableBatch)
    assert read(batch) == [1, 2]
    with duckdb.connect() as connection:
        wanted = connection.execute(f"SELECT {value}").fetchone()
    with opened(private) as found:
        rows = {r["id"]: r["p"] for r in found.scan().to_arrow().to_pylist()}
    assert wanted is not None
    assert rows == {1: wanted[0], 2: None}


def test_partitions_that_readers_would_round_are_refused(
    store: IcebergStore, table: TableRef
) -> None:
    schema = Schema((*ID.fields, Field("p", Primitive("double"))))
    files = stage(table, "SELECT 1::BIGINT AS id, 0.1::DOUBLE AS p", "p")
    with pytest.raises(UnsupportedError, match="'p'"):
        store.publish(append(table, 1, schema=schema, files=files, partition_by=("p",)))
    assert store.version(table) is None


# -- other writers ------------------------------------------------------------------------------


def test_others_may_append(store: IcebergStore, table: TableRef, private: Path) -> None:
    store.publish(append(table, 1, range(3)))
    with opened(private) as found:
        found.append(pyarrow.table({"id": [10, 11]}))
    assert store.version(table) == 1
    assert store.transaction(table, "qanat:t") == 1
    assert store.publish(append(table, 2, range(3, 4))) == 2
    assert ids(store, table) == [0, 1, 2, 3, 10, 11]
    added = store.added(table, 0, 2)
    assert (read(added.batch), added.amount.rows) == ([3, 10, 11], 3)
    assert store.sweep(table) == 0


def test_what_others_delete_stops_a_stream(
    store: IcebergStore, table: TableRef, private: Path
) -> None:
    store.publish(append(table, 1, range(3)))
    with opened(private) as found:
        found.delete("id = 1")
    assert ids(store, table) == [0, 2]
    with pytest.raises(NotAppendOnlyError, match="version 1"):
        store.added(table, 0, 1)


def test_a_renamed_column_is_read_by_its_identifier(
    store: IcebergStore, table: TableRef, private: Path
) -> None:
    store.publish(append(table, 1, range(3)))
    with opened(private) as found, found.update_schema() as update:
        update.rename_column("id", "number")
    store.publish(append(table, 2, schema=Schema((Field("number", LONG),)), files=()))
    batch = store.snapshot(table).batch
    assert isinstance(batch, ArrowBatch)
    assert read(batch) == [0, 1, 2]
    third = append(
        table,
        3,
        schema=Schema((Field("number", LONG),)),
        files=stage(table, "SELECT 7::BIGINT AS number"),
    )
    version = store.publish(third)
    assert read(store.added(table, version - 2, version).batch) == [7]


def test_a_rollback_takes_the_numbers_back(
    store: IcebergStore, table: TableRef, private: Path
) -> None:
    for number in (1, 2, 3):
        store.publish(append(table, number, range(number, number + 1)))
    with opened(private) as found:
        first = found.snapshots()[0].snapshot_id
        found.manage_snapshots().rollback_to_snapshot(first).commit()
    assert (store.version(table), store.transaction(table, "qanat:t")) == (0, 1)
    assert store.publish(append(table, 2, range(7, 8))) == 3
    assert ids(store, table) == [1, 7]
    with pytest.raises(NotAppendOnlyError, match="rolled"):
        store.added(table, 2, 3)


def expire(private: Path) -> None:
    with opened(private) as found:
        found.maintenance.expire_snapshots().older_than(datetime(2100, 1, 1, tzinfo=UTC)).commit()


def test_numbers_and_owners_outlive_snapshots(
    store: IcebergStore, table: TableRef, private: Path
) -> None:
    store.publish(append(table, 1, range(2)))
    store.publish(append(table, 1, range(10, 12), application="qanat:other"))
    with opened(private) as found:
        found.append(pyarrow.table({"id": [20]}))
    expire(private)
    assert store.transaction(table, "qanat:t") == 1
    assert store.transaction(table, "qanat:other") == 1
    assert ids(store, table) == [0, 1, 10, 11, 20]
    assert isinstance(store.snapshot(table).batch, TableBatch)
    with pytest.raises(TableCorruptError, match="expired"):
        store.added(table, 0, 2)
    with pytest.raises(TableCorruptError, match="no longer has the snapshot"):
        store.retract(table, "qanat:t", 1)
    with pytest.raises(CommitConflictError):
        store.publish(append(table, 3))
    own = append(table, 2, range(5, 6), change=Change.REPLACE_OWN)
    assert store.publish(own) == 3
    assert ids(store, table) == [5, 10, 11, 20]


@pytest.mark.parametrize(("version", "does"), [(1, "write"), (9, "read")])
def test_a_table_of_another_version_is_not_written(
    table: TableRef, private: Path, version: int, does: str
) -> None:
    IcebergStore(private, {}).publish(append(table, 1))
    (newest,) = table.folder.glob("metadata/00001-*.json")
    text = newest.read_text()
    newest.write_text(text.replace('"format-version":2', f'"format-version":{version}'))
    with pytest.raises(TableTooNewError, match=f"cannot {does}.*format version {version}"):
        IcebergStore(private, {}).publish(append(table, 2))


def test_many_manifests_become_few_and_remember_whose_they_are(
    store: IcebergStore, table: TableRef, private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qanat.storage.iceberg.draft._MANY", 4)
    for number in range(1, 6):
        for application in ("qanat:t", "qanat:other"):
            first = 10 * number + (application == "qanat:t")
            rows = range(first, first + 1)
            store.publish(append(table, number, rows, application=application))
    with opened(private) as found:
        assert len(found.inspect.manifests()) <= 5
        assert found.scan().to_arrow().num_rows == 10
    assert read(store.added(table, 2, 8).batch) == [20, 30, 31, 40, 41, 51]
    assert store.sweep(table) == 0
    expire(private)
    store.publish(append(table, 6, range(1), change=Change.REPLACE_OWN))
    assert ids(store, table) == [0, 10, 20, 30, 40, 50]
    assert store.snapshot(table).rows == 6


# -- sleepers -----------------------------------------------------------------------------------


def asleep(
    monkeypatch: pytest.MonkeyPatch, store: IcebergStore, method: str, meanwhile: Callable[[], Any]
) -> None:
    """Let a store fall asleep in the first call of a method of its catalog; then it goes on."""
    catalog = store._catalog
    real = getattr(catalog, method)

    def sleeping(*args: Any) -> Any:
        monkeypatch.setattr(catalog, method, real)
        meanwhile()
        return real(*args)

    monkeypatch.setattr(catalog, method, sleeping)


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    found = tmp_path / "gate"
    found.mkdir()
    return found


@pytest.fixture
def take_over(
    store: IcebergStore, table: TableRef, private: Path, gate: Path
) -> Callable[[], tuple[int | None, int]]:
    """What another update does first, and what it sees then."""

    def act() -> tuple[int | None, int]:
        other = IcebergStore(private, store._options)
        gate.rmdir()
        assert other.repair(table) is False
        return other.version(table), other.transaction(table, "qanat:t")

    return act


@pytest.mark.parametrize(("method", "number"), [("create", 1), ("commit", 1), ("commit", 2)])
def test_who_sleeps_while_another_takes_over_commits_nothing(
    store: IcebergStore,
    table: TableRef,
    gate: Path,
    take_over: Callable[[], tuple[int | None, int]],
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    number: int,
) -> None:
    if number == 2:
        store.publish(append(table, 1, range(3), gate=FolderGate(gate)))
    seen: list[Any] = []
    asleep(monkeypatch, store, method, lambda: seen.append(take_over()))
    with pytest.raises(CommitConflictError, match="took over"):
        store.publish(append(table, number, range(9), gate=FolderGate(gate)))
    before = (None, 0) if number == 1 else (0, 1)
    assert seen == [before]
    assert (store.version(table), store.transaction(table, "qanat:t")) == before
    # The update that has taken over goes on.
    version = store.publish(append(table, number, range(3, 4)))
    assert version == store.version(table)
    assert ids(store, table) == ([3] if number == 1 else [0, 1, 2, 3])


def test_who_sleeps_after_its_commit_is_seen(
    store: IcebergStore,
    table: TableRef,
    gate: Path,
    take_over: Callable[[], tuple[int | None, int]],
) -> None:
    commit = append(table, 1, range(3), gate=FolderGate(gate))
    store.publish(commit)
    assert take_over() == (0, 1)
    assert store.publish(commit) == 0


def test_who_sleeps_takes_nothing_back(
    store: IcebergStore,
    table: TableRef,
    gate: Path,
    take_over: Callable[[], tuple[int | None, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store.publish(append(table, 1, range(3), gate=FolderGate(gate)))
    asleep(monkeypatch, store, "commit", take_over)
    with pytest.raises(CommitConflictError, match="took over"):
        store.retract(table, "qanat:t", 1, FolderGate(gate))
    assert ids(store, table) == [0, 1, 2]


def test_a_fence_is_no_version(store: IcebergStore, table: TableRef, private: Path) -> None:
    store.publish(append(table, 1, range(3), schema=ID))
    for _ in range(3):
        store.repair(table)
    assert store.version(table) == 0
    version = store.publish(append(table, 2, range(3, 5)))
    assert version == store.version(table)
    added = store.added(table, 0, version)
    assert (read(added.batch), added.amount.files) == ([3, 4], 1)
    assert ids(store, table, 0) == [0, 1, 2]
    assert store.sweep(table) == 0
    with opened(private) as found:
        assert found.scan().to_arrow().num_rows == 5
        assert found.current_snapshot().summary["total-records"] == "5"  # type: ignore[index,union-attr]


# -- crashes ------------------------------------------------------------------------------------


def test_everything_is_on_the_disk_before_the_catalog_names_it(
    table: TableRef, private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[int] = set()
    fsync, swap, create = os.fsync, FileCatalog.swap, FileCatalog.create

    def noting(handle: int) -> None:
        synced.add(os.fstat(handle).st_ino)
        fsync(handle)

    def checked(real: Callable[..., Any]) -> Callable[..., Any]:
        def check(*args: Any) -> Any:
            here = [p for p in table.folder.rglob("*") if "/data" not in str(p)]
            assert {p.stat().st_ino for p in here} <= synced
            return real(*args)

        return check

    monkeypatch.setattr(os, "fsync", noting)
    monkeypatch.setattr(FileCatalog, "swap", checked(swap))
    monkeypatch.setattr(FileCatalog, "create", checked(create))
    store = IcebergStore(private, {})
    store.publish(append(table, 1, range(3)))
    store.publish(append(table, 2, range(3), change=Change.REPLACE))
    assert store.retract(table, "qanat:t", 2)
    assert table.folder.stat().st_ino in synced


def test_a_disk_that_refuses_leaves_nothing(
    private: Path, table: TableRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, store = os.fsync, IcebergStore(private, {})
    for number in range(1, 40):
        commit = append(table, number)
        left = number

        def refusing(handle: int) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise OSError(errno.EIO, "Input/output error")
            fsync(handle)

        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", refusing)
            failed = None
            try:
                store.publish(commit)
            except AdapterError as error:
                failed = str(error)
        if failed is not None:
            assert "Input/output error" in failed
            # Nothing but the staged file, unless it is published all the same.
            published = store.transaction(table, "qanat:t") == number
            assert store.orphans(table) == 1 - published
        store.publish(commit)
        assert store.orphans(table) == 0
        if left > 0:
            break
    assert 5 < number < 39
    assert store.snapshot(table).rows == number


def test_what_a_crash_leaves_is_swept_and_nothing_of_others(
    store: IcebergStore,
    table: TableRef,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store.publish(append(table, 1, range(3)))
    whole = {p for p in table.folder.rglob("*") if p.is_file()}

    def killed() -> None:
        raise KeyboardInterrupt

    if isinstance(store._catalog, FileCatalog):
        monkeypatch.setattr(FileCatalog, "swap", lambda *a: killed())
    else:
        asleep(monkeypatch, store, "commit", killed)
    with pytest.raises(KeyboardInterrupt):
        store.publish(append(table, 2, range(3)))
    monkeypatch.undo()
    data, metadata = table.folder / "data", table.folder / "metadata"
    (data / "p=x").mkdir()
    (data / "p=x" / "epoch-1-abc.parquet").touch()
    (metadata / "abc.qanat-tmp").touch()
    foreign = [
        data / f"00000-0-{uuid4()}.parquet",
        metadata / f"{uuid4()}-m0.avro",
        metadata / f"snap-1-0-{uuid4()}.avro",
    ]
    for path in foreign:
        path.touch()
    assert store.orphans(table) == store.sweep(table) > 3
    left = {p for p in table.folder.rglob("*") if p.is_file()}
    # Sweeping makes a fence, which has files of its own.
    assert {p for p in left if p.parent.name != "metadata"} == {
        p for p in whole | set(foreign) if p.parent.name != "metadata"
    }
    assert left > whole | set(foreign)
    assert store.orphans(table) == 0
    assert not (data / "p=x").exists()
    for path in foreign:
        os.utime(path, (1, 1))
    assert store.sweep(table) == 3
    assert ids(store, table) == [0, 1, 2]


def test_what_others_are_about_to_commit_is_not_swept(
    store: IcebergStore, table: TableRef, private: Path
) -> None:
    store.publish(append(table, 1, range(3)))
    swept: list[int] = []
    with opened(private) as found:
        write = found.catalog._write_metadata  # type: ignore[attr-defined]

        def sweeping(*args: Any, **named: Any) -> None:
            write(*args, **named)
            swept.append(store.sweep(table))

        found.catalog._write_metadata = sweeping  # type: ignore[attr-defined]
        found.append(pyarrow.table({"id": [7]}))
        with found.transaction() as transaction:
            transaction.set_properties({"owner": "me"})
    assert swept == [0, 0]
    assert ids(store, table) == [0, 1, 2, 7]


def test_a_table_whose_folder_was_taken_away_begins_anew(private: Path, table: TableRef) -> None:
    store = IcebergStore(private, {})
    store.publish(append(table, 1, range(3)))
    table.folder.rename(table.folder.with_name("away"))
    assert (store.version(table), store.transaction(table, "qanat:t")) == (None, 0)
    assert store.publish(append(table, 1, range(2))) == 0
    assert ids(store, table) == [0, 1]


def test_damaged_metadata_is_named(private: Path, table: TableRef) -> None:
    IcebergStore(private, {}).publish(append(table, 1))
    (newest,) = table.folder.glob("metadata/00001-*.json")
    newest.write_text("{")
    with pytest.raises(TableCorruptError, match="damaged"):
        IcebergStore(private, {}).version(table)


# -- copies -------------------------------------------------------------------------------------


@pytest.mark.parametrize("original", ["stays", "goes"])
def test_a_copied_storage_is_a_table_of_its_own(
    private: Path, table: TableRef, tmp_path: Path, original: str
) -> None:
    store = IcebergStore(private, {})
    schema = Schema((*ID.fields, Field("p", STRING)))
    for number in (1, 2):
        files = stage(table, f"SELECT {number}::BIGINT AS id, 'x y' AS p", "p")
        store.publish(append(table, number, schema=schema, files=files, partition_by=("p",)))
    store.publish(
        append(table, 1, application="qanat:other", schema=schema, files=(), partition_by=("p",))
    )
    before = {p: p.read_bytes() for p in private.parent.rglob("*") if p.is_file()}
    copy = tmp_path / "elsewhere"
    duplicate(private.parent, copy)
    if original == "goes":
        private.parent.rename(tmp_path / "gone")
    there = TableRef(str(copy / "tables" / "t"), "t")
    second = IcebergStore(copy / "_qanat", {})
    assert second.tables(str(copy / "tables")) == [there]
    assert (second.version(there), second.transaction(there, "qanat:t")) == (2, 2)
    assert read(second.snapshot(there).batch) == [1, 2]
    assert all(str(copy) in f for f in second.snapshot(there).batch.files)  # type: ignore[union-attr]
    assert second.orphans(there) == 0
    files = stage(there, "SELECT 3::BIGINT AS id, NULL::VARCHAR AS p", "p")
    commit = append(there, 3, schema=schema, files=files, partition_by=("p",))
    assert second.publish(commit) == 3
    assert read(second.added(there, 0, 3).batch) == [2, 3]
    assert read(second.snapshot(there, 1).batch) == [1, 2]
    with opened(copy / "_qanat") as found:
        assert str(copy) in found.location()
        assert found.scan().to_arrow().num_rows == 3
    second.sweep(there)
    texts = [p.read_bytes() for p in there.folder.glob("metadata/snap-*.avro")]
    assert texts
    assert read(second.snapshot(there, 1).batch) == [1, 2]
    if original == "stays":
        assert {p: p.read_bytes() for p in private.parent.rglob("*") if p.is_file()} == before
        assert ids(store, table) == [1, 2]


def duplicate(source: Path, target: Path) -> None:
    for path in source.rglob("*"):
        if path.is_file():
            there = target / path.relative_to(source)
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes(path.read_bytes())


# -- declarations -------------------------------------------------------------------------------


def test_a_name_that_is_taken_elsewhere_is_refused(
    store: IcebergStore, table: TableRef, tmp_path: Path
) -> None:
    store.publish(append(table, 1))
    other = TableRef(str(tmp_path / "other" / "t"), "t")
    commit = append(other, 1)
    with pytest.raises(AdapterError, match="in another place"):
        store.publish(commit)


@pytest.mark.parametrize("name", ["format-version", "write.data.path", "qanat.transactions"])
def test_properties_that_would_not_hold_are_refused(
    store: IcebergStore, table: TableRef, name: str
) -> None:
    with pytest.raises(OptionError, match=name):
        store.publish(append(table, 1, properties={name: "3"}))
    assert store.version(table) is None


def test_an_append_that_does_not_fit_leaves_nothing(store: IcebergStore, table: TableRef) -> None:
    store.publish(append(table, 1))
    before = sorted(table.folder.glob("metadata/*"))
    with pytest.raises(SchemaMismatchError, match="full-refresh"):
        store.publish(append(table, 2, schema=Schema((Field("id", STRING),)), files=()))
    assert sorted(table.folder.glob("metadata/*")) == before


def test_what_is_wrong_with_a_catalog_is_told(private: Path, table: TableRef) -> None:
    with pytest.raises(OptionError, match="catalogue"):
        ICEBERG.options.check_all([("catalogue", "x")])
    with pytest.raises(OptionError, match="properties"):
        IcebergStore(private, {"uri": "sqlite://", "properties": "a"}).version(table)
    with pytest.raises(AdapterError, match="cannot use the catalog"):
        IcebergStore(private, {"uri": "nowhere://x"}).version(table)


def test_asking_for_versions_imports_no_driver(private: Path, table: TableRef) -> None:
    IcebergStore(private, {}).publish(append(table, 1))
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from qanat.model.table import TableRef\n"
        "from qanat.storage.iceberg.store import IcebergStore\n"
        f"store = IcebergStore(Path({str(private)!r}), {{}})\n"
        f"table = TableRef({table.location!r}, 't')\n"
        "assert store.version(table) == 0\n"
        "assert store.transaction(table, 'qanat:t') == 1\n"
        "loaded = {'pyiceberg', 'pyarrow', 'sqlalchemy'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
        "sys.modules['pyiceberg'] = None\n"
        "from qanat.errors import MissingExtraError\n"
        "try:\n    store.snapshot(table)\n"
        "except MissingExtraError as error:\n    assert 'qanat[iceberg]' in error.hint\n"
        "else:\n    raise AssertionError\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_table_whose_catalog_was_lost_is_not_taken_for_rubbish(
    private: Path, table: TableRef
) -> None:
    store = IcebergStore(private, {})
    assert not store.forgotten(table)
    store.publish(append(table, 1))
    assert not store.forgotten(table)
    shutil.rmtree(private)
    store = IcebergStore(private, {})
    assert store.version(table) is None
    assert store.forgotten(table)
    assert (store.orphans(table), store.sweep(table)) == (0, 0)
    store.publish(append(table, 1, range(5, 6)))
    assert not store.forgotten(table)
    assert ids(store, table) == [5]


def test_a_table_that_was_never_committed_is_not_forgotten(private: Path, table: TableRef) -> None:
    """A crash may leave metadata without a snapshot, or torn, before the catalog names it."""
    store = IcebergStore(private, {})
    store.publish(append(table, 1))
    [first, _] = sorted((table.folder / "metadata").glob("*.metadata.json"))
    shutil.rmtree(private)
    for path in (table.folder / "metadata").glob("*.metadata.json"):
        if path != first:
            path.write_text(path.read_text()[:100])
    store = IcebergStore(private, {})
    assert not store.forgotten(table)
    assert store.sweep(table) > 0
