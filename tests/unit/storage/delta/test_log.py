"""A damaged log, what a power loss leaves, and tables that only delta-rs can read."""

from __future__ import annotations

import errno
import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import deltalake
import duckdb
import pytest

from qanat.disk import disk_error
from qanat.errors import (
    AdapterError,
    FileVanishedError,
    StorageFullError,
    TableCorruptError,
    TableTooNewError,
)
from qanat.model.schema import Field, Primitive, Schema
from qanat.model.staged import DataFile
from qanat.model.table import Change, Commit, TableRef
from qanat.model.work import ArrowBatch, TableBatch
from qanat.storage.delta.durable import put_if_absent
from qanat.storage.delta.state import TableState
from qanat.storage.delta.store import DeltaStore
from qanat.storage.delta.table import load

ID = Schema((Field("id", Primitive("long")),))


def ref(folder: Path) -> TableRef:
    return TableRef(str(folder), folder.name)


TORN = [b"", b"\n", b"\0" * 200, b'{"commitInfo":{}}\n{"add":{"path":"q']
Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"


@pytest.fixture
def store() -> DeltaStore:
    return DeltaStore()


@pytest.fixture
def table(store: DeltaStore, tmp_path: Path) -> Path:
    """Three versions of two rows each."""
    folder = tmp_path / "t"
    folder.mkdir()
    for number in (1, 2, 3):
        name = f"q{number}.parquet"
        duckdb.execute(f"COPY (SELECT range AS id FROM range(2)) TO '{folder / name}'")
        file = DataFile(name, (folder / name).stat().st_size, 2)
        store.publish(Commit(ref(folder), ID, (file,), Change.APPEND, "qanat:t", number))
    return folder


def test_another_table_in_the_same_place_is_another_table(
    store: DeltaStore, table: Path, tmp_path: Path
) -> None:
    before = store.snapshot(ref(table))
    assert store.snapshot(ref(table), 0).rows == 2
    assert store.snapshot(ref(table)) == before
    table.rename(tmp_path / "away")
    table.mkdir()
    other = Schema((Field("name", Primitive("string")),))
    for number in (1, 2, 3):
        store.publish(Commit(ref(table), other, (), Change.APPEND, "qanat:t", number))
    assert store.snapshot(ref(table)).schema == other
    assert store.snapshot(ref(table), 0).rows == 0


def entry(table: Path, version: int) -> Path:
    return table / "_delta_log" / f"{version:020}.json"


def write_entry(table: Path, version: int, *actions: dict[str, Any]) -> None:
    entry(table, version).parent.mkdir(parents=True, exist_ok=True)
    entry(table, version).write_text("\n".join(json.dumps(a) for a in actions) + "\n")


def table_by_delta(table: Path) -> TableState:
    """The state that delta-rs loads, also where Qanat reads the entries alone."""
    return load(str(table))


# -- power loss ---------------------------------------------------------------------------------


@pytest.mark.parametrize("content", TORN)
def test_a_torn_newest_entry_is_removed(store: DeltaStore, table: Path, content: bytes) -> None:
    entry(table, 3).write_bytes(content)
    assert store.repair(ref(table))
    assert store.version(ref(table)) == 2
    assert store.snapshot(ref(table)).rows == 6
    assert not store.repair(ref(table))


@pytest.mark.parametrize("content", TORN)
def test_a_torn_first_entry_is_no_table(store: DeltaStore, tmp_path: Path, content: bytes) -> None:
    entry(tmp_path, 0).parent.mkdir()
    entry(tmp_path, 0).write_bytes(content)
    assert store.repair(ref(tmp_path))
    assert store.version(ref(tmp_path)) is None


def test_a_torn_checkpoint_is_removed(store: DeltaStore, table: Path) -> None:
    deltalake.DeltaTable(str(table)).create_checkpoint()
    (checkpoint,) = (table / "_delta_log").glob("*.checkpoint.parquet")
    checkpoint.write_bytes(checkpoint.read_bytes()[:-50])
    with pytest.raises(TableCorruptError, match=checkpoint.name):
        store.snapshot(ref(table))
    assert store.repair(ref(table))
    assert store.snapshot(ref(table)).rows == 6


def test_a_torn_checkpoint_whose_entries_are_gone_stays(store: DeltaStore, table: Path) -> None:
    deltalake.DeltaTable(str(table)).create_checkpoint()
    (checkpoint,) = (table / "_delta_log").glob("*.checkpoint.parquet")
    checkpoint.write_bytes(b"")
    entry(table, 0).unlink()
    with pytest.raises(TableCorruptError, match=checkpoint.name):
        store.repair(ref(table))
    assert checkpoint.exists()


def test_all_parts_of_a_torn_checkpoint_are_removed(store: DeltaStore, table: Path) -> None:
    parts = [f"{2:020}.checkpoint.{n:010}.{2:010}.parquet" for n in (1, 2)]
    (table / "_delta_log" / parts[0]).write_bytes(b"PAR1....PAR1")
    (table / "_delta_log" / parts[1]).write_bytes(b"")
    assert store.repair(ref(table))
    assert not list((table / "_delta_log").glob("*.checkpoint*"))
    assert store.snapshot(ref(table)).rows == 6


def test_a_torn_checkpoint_above_a_whole_one_is_removed(store: DeltaStore, table: Path) -> None:
    """The first entries are gone, but an older, whole checkpoint repeats them."""
    log = table / "_delta_log"
    deltalake.DeltaTable(str(table), version=1).create_checkpoint()
    deltalake.DeltaTable(str(table)).create_checkpoint()
    entry(table, 0).unlink()
    (log / f"{2:020}.checkpoint.parquet").write_bytes(b"\0" * 99)
    assert store.repair(ref(table))
    assert store.snapshot(ref(table)).rows == 6
    assert [p.name for p in log.glob("*.checkpoint*")] == [f"{1:020}.checkpoint.parquet"]


def test_last_checkpoint_without_its_checkpoint_is_removed(store: DeltaStore, table: Path) -> None:
    """A power loss may take the checkpoint alone; readers then cannot open the table."""
    hint = table / "_delta_log" / "_last_checkpoint"
    deltalake.DeltaTable(str(table)).create_checkpoint()
    assert not store.repair(ref(table))
    assert hint.exists()
    (table / "_delta_log" / f"{2:020}.checkpoint.parquet").unlink()
    with pytest.raises(TableCorruptError):
        table_by_delta(table)
    assert store.repair(ref(table))
    assert not hint.exists()
    assert table_by_delta(table).version == 2
    assert not store.repair(ref(table))


@pytest.mark.parametrize("content", [b"", b"\0" * 50, b'{"version":2,"si', b"[2]", b'{"a":1}'])
def test_an_unreadable_last_checkpoint_is_ignored(
    store: DeltaStore, table: Path, content: bytes
) -> None:
    deltalake.DeltaTable(str(table)).create_checkpoint()
    (table / "_delta_log" / "_last_checkpoint").write_bytes(content)
    assert not store.repair(ref(table))
    assert table_by_delta(table).version == 2


def test_last_checkpoint_is_removed_before_its_checkpoint(
    store: DeltaStore, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if a power loss during the repair undoes a part of it."""
    deltalake.DeltaTable(str(table)).create_checkpoint()
    log = table / "_delta_log"
    checkpoint, hint = log / f"{2:020}.checkpoint.parquet", log / "_last_checkpoint"
    checkpoint.write_bytes(b"")
    done: list[str] = []
    unlink, fsync = Path.unlink, os.fsync

    def unlinking(path: Path, missing_ok: bool = False) -> None:
        done.append(path.name)
        unlink(path, missing_ok)

    def syncing(handle: int) -> None:
        done.append("sync")
        fsync(handle)

    monkeypatch.setattr(Path, "unlink", unlinking)
    monkeypatch.setattr(os, "fsync", syncing)
    assert store.repair(ref(table))
    assert done[:4] == [hint.name, "sync", checkpoint.name, "sync"]


def test_without_a_table_nothing_is_repaired(store: DeltaStore, tmp_path: Path) -> None:
    assert not store.repair(ref(tmp_path))
    assert not store.repair(ref(tmp_path / "nowhere"))


# -- damage -------------------------------------------------------------------------------------


def test_a_truncated_entry_is_named(store: DeltaStore, table: Path) -> None:
    entry(table, 1).write_bytes(entry(table, 1).read_bytes()[:-20])
    with pytest.raises(TableCorruptError, match=entry(table, 1).name):
        store.snapshot(ref(table))
    with pytest.raises(TableCorruptError, match=entry(table, 1).name):
        store.added(ref(table), 0, 2)
    assert not store.repair(ref(table))


def test_a_gap_in_the_log_is_named(store: DeltaStore, table: Path) -> None:
    entry(table, 1).unlink()
    with pytest.raises(TableCorruptError, match=entry(table, 1).name):
        store.snapshot(ref(table))
    with pytest.raises(TableCorruptError, match="qanat run --full-refresh"):
        store.added(ref(table), 0, 2)


def test_a_vacuumed_file_that_was_not_read_yet_is_named(store: DeltaStore, table: Path) -> None:
    (table / "q2.parquet").unlink()
    with pytest.raises(FileVanishedError, match=r"q2\.parquet"):
        store.added(ref(table), 0, 2)


def test_sweeping_reads_checkpoints_if_entries_are_gone(store: DeltaStore, table: Path) -> None:
    deltalake.DeltaTable(str(table)).create_checkpoint()
    entry(table, 0).unlink()
    (table / "epoch-9.parquet").touch()
    assert store.sweep(ref(table)) == 1
    assert store.snapshot(ref(table)).rows == 6
    assert (table / "q1.parquet").exists()


@pytest.mark.parametrize("by_link", [False, True])
def test_sweeping_spares_what_the_log_names_by_its_whole_path(
    store: DeltaStore, table: Path, tmp_path: Path, by_link: bool
) -> None:
    there = table
    if by_link:
        there = tmp_path / "li nk"
        there.symlink_to(table)
    first = entry(table, 1)
    lines = [json.loads(line) for line in first.read_text().splitlines()]
    for action in lines:
        if "add" in action:
            action["add"]["path"] = (there / action["add"]["path"]).as_uri()
    first.write_text("".join(json.dumps(a) + "\n" for a in lines))
    (table / "epoch-9.parquet").touch()
    assert store.sweep(ref(table)) == 1
    assert not (table / "epoch-9.parquet").exists()


# -- tables of others ---------------------------------------------------------------------------


def foreign(folder: Path, protocol: dict[str, Any], **add: Any) -> Path:
    """A table with `id` 0 to 9 whose protocol and file action are given."""
    folder.mkdir(exist_ok=True)
    path = folder / "x.parquet"
    mapped = {"delta.columnMapping.id": 1, "delta.columnMapping.physicalName": "col-1"}
    maps = protocol["minReaderVersion"] == 2
    column = "col-1" if maps else "id"
    duckdb.execute(
        f"COPY (SELECT range AS \"{column}\" FROM range(10)) TO '{path}'"
        f" (FORMAT parquet, FIELD_IDS {{'{column}': 1}})"
    )
    schema = ID.to_json()
    schema["fields"][0]["metadata"] = mapped if maps else {}
    metadata = {
        "id": "1",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps(schema),
        "partitionColumns": [],
        "configuration": {"delta.columnMapping.mode": "name"} if maps else {},
        "createdTime": 1,
    }
    file = {
        "path": path.name,
        "partitionValues": {},
        "size": path.stat().st_size,
        "modificationTime": 1,
        "dataChange": True,
        "stats": json.dumps({"numRecords": 10}),
        **add,
    }
    write_entry(folder, 0, {"protocol": protocol}, {"metaData": metadata}, {"add": file})
    return folder


def features(*names: str) -> dict[str, Any]:
    return {
        "minReaderVersion": 3,
        "minWriterVersion": 7,
        "readerFeatures": list(names),
        "writerFeatures": list(names),
    }


def deletion_vector(*rows: int) -> dict[str, Any]:
    """Rows as an inline deletion vector: a portable 64-bit Roaring bitmap in Z85."""
    bitmap = struct.pack("<IIHHI", 12346, 1, 0, len(rows) - 1, 16)
    bitmap += b"".join(struct.pack("<H", row) for row in rows)
    data = struct.pack("<IQI", 1681511377, 1, 0) + bitmap
    data += b"\0" * (-len(data) % 4)
    text = ""
    for (word,) in struct.iter_unpack(">I", data):
        text += "".join(Z85[word // 85**n % 85] for n in range(4, -1, -1))
    size = len(data)
    vector = {"storageType": "i", "pathOrInlineDv": text, "sizeInBytes": size}
    return {**vector, "cardinality": len(rows)}


def total(batch: object) -> list[tuple[Any, ...]]:
    assert isinstance(batch, ArrowBatch)
    stream = duckdb.from_arrow(batch.open())
    return stream.aggregate("count(*), sum(id)").fetchall()


def test_deletion_vectors_are_honoured(store: DeltaStore, tmp_path: Path) -> None:
    vector = deletion_vector(1, 3)
    table = foreign(tmp_path, features("deletionVectors"), deletionVector=vector)
    snapshot = store.snapshot(ref(table))
    assert snapshot.rows == 8
    batch = snapshot.batch
    assert isinstance(batch, TableBatch)
    assert batch.deleted is not None
    assert {Path(p).name: list(rows) for p, rows in batch.deleted().items()} == {
        "x.parquet": [1, 3]
    }


def test_mapped_columns_have_the_tables_names(store: DeltaStore, tmp_path: Path) -> None:
    table = foreign(tmp_path, {"minReaderVersion": 2, "minWriterVersion": 5})
    assert total(store.snapshot(ref(table)).batch) == [(10, 45)]
    write_entry(table, 1, {"commitInfo": {}})
    with pytest.raises(TableTooNewError, match="columnMapping"):
        store.added(ref(table), 0, 1)


@pytest.mark.parametrize(
    "names", [("v2Checkpoint", "vacuumProtocolCheck", "timestampNtz"), ("deletionVectors",)]
)
def test_features_that_change_no_file_are_plain(
    store: DeltaStore, tmp_path: Path, names: tuple[str, ...]
) -> None:
    table = foreign(tmp_path, features(*names))
    assert isinstance(store.snapshot(ref(table)).batch, TableBatch)


@pytest.mark.parametrize(
    ("protocol", "named"),
    [
        (features("levitation"), "levitation"),
        (features("catalogManaged"), "catalog-managed"),
        ({"minReaderVersion": 4, "minWriterVersion": 8}, "reader version 4"),
    ],
)
def test_missing_features_are_named(
    store: DeltaStore, tmp_path: Path, protocol: dict[str, Any], named: str
) -> None:
    table = foreign(tmp_path, protocol)
    with pytest.raises(TableTooNewError, match=named):
        store.snapshot(ref(table))


def test_files_at_absolute_paths(store: DeltaStore, tmp_path: Path) -> None:
    table = foreign(tmp_path / "t", {"minReaderVersion": 1, "minWriterVersion": 2})
    elsewhere = (tmp_path / "a b.parquet").as_uri()
    (table / "x.parquet").rename(tmp_path / "a b.parquet")
    text = entry(table, 0).read_text().replace('"path": "x.parquet"', f'"path": "{elsewhere}"')
    entry(table, 0).write_text(text)
    batch = store.snapshot(ref(table)).batch
    assert isinstance(batch, TableBatch)
    assert batch.files == (str(tmp_path / "a b.parquet"),)


# -- the disk -----------------------------------------------------------------------------------


def test_a_file_is_created_once(tmp_path: Path) -> None:
    target = tmp_path / "entry"
    assert put_if_absent(target, b"first")
    assert not put_if_absent(target, b"second")
    assert target.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_distinguished_from_a_broken_one(tmp_path: Path) -> None:
    full = disk_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "commit to", tmp_path)
    broken = disk_error(OSError(errno.EIO, os.strerror(errno.EIO)), "commit to", tmp_path)
    assert isinstance(full, StorageFullError)
    assert not isinstance(broken, StorageFullError)
    assert isinstance(broken, AdapterError)
    assert str(tmp_path) in str(full)


def test_an_unchanged_run_imports_no_library(table: Path) -> None:
    program = (
        "import sys; from qanat.model.table import TableRef\n"
        "from qanat.storage.delta.store import DeltaStore\n"
        "s, t = DeltaStore(), TableRef(sys.argv[1], 't')\n"
        "print(s.version(t), s.transaction(t, 'qanat:t'), s.sweep(t), s.repair(t))\n"
        "print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    )
    command = [sys.executable, "-c", program, str(table)]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    answers, loaded = out.splitlines()
    assert answers == "2 3 0 False"
    assert not {"deltalake", "pyarrow", "duckdb", "arro3"} & set(loaded.split())


# -- what others say of columns ------------------------------------------------------------------


@pytest.mark.parametrize("change", [Change.APPEND, Change.REPLACE])
def test_the_metadata_of_columns_stays_when_a_column_comes(
    store: DeltaStore, table: Path, change: Change
) -> None:
    deltalake.DeltaTable(table).alter.set_column_metadata("id", {"pii": "true"})
    more = Schema(
        (Field("id", Primitive("long"), comment="of whom"), Field("n", Primitive("long")))
    )
    store.publish(Commit(ref(table), more, (), change, "qanat:t", 4))
    first, second = deltalake.DeltaTable(table).schema().fields
    assert first.metadata == {"pii": "true", "comment": "of whom"}
    assert second.metadata == {}
    store.publish(Commit(ref(table), Schema(more.fields[1:]), (), Change.REPLACE, "qanat:t", 5))
    assert deltalake.DeltaTable(table).schema().fields[0].metadata == {}
