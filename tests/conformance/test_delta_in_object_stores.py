"""What a Delta store does about an object store: sleepers, lost answers, copies, one look."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import deltalake
import duckdb
import polars
import pyarrow
import pytest
from obstore.fsspec import FsspecStore

from qanat.errors import (
    AdapterError,
    CommitConflictError,
    FileVanishedError,
    LeaseLostError,
    SourceUnavailableError,
    TableTooNewError,
    UnsupportedError,
)
from qanat.frozen import Frozen
from qanat.model.location import ObjectUrl
from qanat.model.schema import Field, Primitive, Schema
from qanat.model.staged import DataFile
from qanat.model.table import Change, Commit, TableRef
from qanat.model.work import TableBatch
from qanat.objects import Objects
from qanat.ports.store import LocalFolders
from qanat.storage.delta.store import DeltaStore
from qanat.testing.azurite import azurite
from qanat.testing.gcs import gcs
from qanat.testing.ministack import ministack
from qanat.testing.object_store import object_store
from qanat.testing.seaweedfs import seaweedfs
from qanat.testing.server import ObjectServer

pytestmark = pytest.mark.services

ID = Schema((Field("id", Primitive("long")),))


SERVERS: list[Callable[[], AbstractContextManager[ObjectServer]]] = [
    object_store,
    ministack,
    seaweedfs,
    azurite,
    gcs,
]


@pytest.fixture(scope="module", params=SERVERS, ids=lambda one: one.__name__)
def server(request: pytest.FixtureRequest) -> Iterator[ObjectServer]:
    with request.param() as found:
        found.create_bucket("lake")
        yield found


@pytest.fixture(autouse=True)
def environment(server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)


class Process:
    """What a process has: a store and folders of its own, and the machine's cache."""

    def __init__(self, machine: Path) -> None:
        self.scratch = machine / uuid4().hex
        folders = LocalFolders(lambda: self.scratch, machine / "cache")
        self.store = DeltaStore(machine, {}, "", folders)

    def stage(self, table: TableRef, *ids: int) -> tuple[DataFile, ...]:
        """Write rows as an engine does."""
        folder, name = self.store.staging(table), f"{uuid4().hex}.parquet"
        folder.mkdir(parents=True, exist_ok=True)
        rows = " UNION ALL ".join(f"SELECT {n}::BIGINT AS id" for n in ids)
        duckdb.sql(f"COPY ({rows}) TO '{folder / name}' (FORMAT parquet)")
        return (DataFile(name, (folder / name).stat().st_size, len(ids)),)

    def commit(self, table: TableRef, number: int, *ids: int, **changes: Any) -> Commit:
        plain = Commit(table, ID, (), Change.APPEND, "qanat:t", number)
        return replace(plain, files=self.stage(table, *ids), **changes)

    def rows(self, table: TableRef) -> list[int]:
        batch = self.store.snapshot(table).batch
        assert isinstance(batch, TableBatch)
        batch.ready()
        query = f"SELECT id FROM read_parquet({list(batch.files)}) ORDER BY id"
        with duckdb.connect() as connection:
            return [n for (n,) in connection.execute(query).fetchall()]


class Gate(Frozen):
    """A gate whose question to the ledger calls a function."""

    ask: Callable[[], object]
    folder: Path = Path("/nowhere")

    def confirm(self) -> None:
        self.ask()


@pytest.fixture
def process(tmp_path: Path) -> Callable[[], Process]:
    return partial(Process, tmp_path)


@pytest.fixture
def table(server: ObjectServer) -> TableRef:
    return TableRef(f"{server.url}lake/{uuid4().hex}/tables/t", "t")


def lost() -> None:
    raise LeaseLostError("another update has taken over")


def log(table: TableRef) -> list[str]:
    url = ObjectUrl.parse(table.location)
    return [m["path"].rpartition("/")[2] for m in Objects().below(url.below("_delta_log"))]


def data(table: TableRef) -> list[str]:
    url = ObjectUrl.parse(table.location)
    names = (m["path"].rpartition("/")[2] for m in Objects().below(url))
    return [n for n in names if n.endswith(".parquet")]


def test_a_folder_whose_content_is_gone_is_no_table(
    process: Callable[[], Process], table: TableRef
) -> None:
    one = process()
    one.store.publish(one.commit(table, 1, 7))
    place = table.location.rpartition("/")[0]
    assert one.store.tables(place) == [table]
    one.store.drop(table, None)
    assert one.store.tables(place) == []


# -- sleepers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("there", [False, True])
def test_who_sleeps_before_its_commit_gives_way(
    process: Callable[[], Process], table: TableRef, there: bool
) -> None:
    """It has asked the ledger already when another update takes over, and only then goes on."""
    sleeper, other = process(), process()
    number = 1
    if there:
        sleeper.store.publish(sleeper.commit(table, 1, 1))
        number = 2
    asked = []

    def sleep() -> None:
        asked.append(1)
        if len(asked) > 1:
            lost()
        other.store.repair(table)
        assert other.store.transaction(table, "qanat:t") == number - 1

    commit = sleeper.commit(table, number, 10, gate=Gate(sleep))
    with pytest.raises(CommitConflictError, match="took over"):
        sleeper.store.publish(commit)
    assert len(asked) == 2
    other.store.publish(other.commit(table, number, 20))
    assert process().rows(table) == ([1, 20] if there else [20])
    assert len(data(table)) == number, "what the sleeper had uploaded is gone"
    found = deltalake.DeltaTable(table.location, storage_options=dict(os.environ))
    assert polars.read_delta(table.location).height == number
    assert found.version() == other.store.version(table)


def test_a_table_of_which_there_are_only_fences_is_not_there(
    process: Callable[[], Process], table: TableRef
) -> None:
    for _ in range(3):
        process().store.repair(table)
    one = process()
    assert len(log(table)) == 3
    assert one.store.version(table) is None
    assert one.store.transaction(table, "qanat:t") == 0
    assert not one.store.retract(table, "qanat:t", 1)
    assert one.store.publish(one.commit(table, 1, 7)) == 3
    assert process().rows(table) == [7]
    assert one.store.added(table, -1, 3).amount.rows == 1
    # Nor is a fence behind the last commit a reason to read the table again.
    for _ in range(2):
        process().store.repair(table)
    one.store.look_again()
    assert (one.store.version(table), one.store.last_change(table)) == (5, 3)
    assert not one.store.added(table, 3, 5).amount.files


# -- answers that do not come ---------------------------------------------------------------------


def test_an_answer_that_is_lost_is_found_out(
    process: Callable[[], Process], table: TableRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = process()
    create = Objects.create
    deaf = True

    def hears_nothing(self: Objects, url: ObjectUrl, content: bytes) -> str | None:
        nonlocal deaf
        made = create(self, url, content)
        if deaf and "_delta_log" in url.key:
            deaf = False
            raise SourceUnavailableError("no answer")
        return made

    commit = one.commit(table, 1, 7)
    monkeypatch.setattr(Objects, "create", hears_nothing)
    with pytest.raises(SourceUnavailableError):
        one.store.publish(commit)
    assert one.store.transaction(table, "qanat:t") == 1
    assert one.store.publish(commit) == 0
    assert one.rows(table) == [7]


def test_a_request_that_comes_late_finds_a_fence(
    process: Callable[[], Process], table: TableRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = process()
    one.store.publish(one.commit(table, 1, 1))
    late: list[tuple[ObjectUrl, bytes]] = []
    create = Objects.create

    def lose(self: Objects, url: ObjectUrl, content: bytes) -> str | None:
        if late:
            return create(self, url, content)
        late.append((url, content))
        raise SourceUnavailableError("no answer")

    monkeypatch.setattr(Objects, "create", lose)
    with pytest.raises(SourceUnavailableError):
        one.store.publish(one.commit(table, 2, 2))
    assert one.store.transaction(table, "qanat:t") == 1, "it is not there, and will never be"
    assert create(Objects(), *late[0]) is None
    one.store.publish(one.commit(table, 2, 3))
    assert process().rows(table) == [1, 3]
    assert len(data(table)) == 2


def test_a_store_that_replaces_what_is_there_is_refused(
    process: Callable[[], Process], table: TableRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Objects, "create", lambda *_: "always new")
    one = process()
    with pytest.raises(UnsupportedError, match="conditional puts"):
        one.store.publish(one.commit(table, 1, 7))
    assert data(table) == []


def test_what_a_probe_leaves_the_next_one_takes_away(
    table: TableRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(self: Objects, url: ObjectUrl, content: bytes) -> None:
        create(self, url, content)
        raise SourceUnavailableError("no answer")

    def probes() -> list[str]:
        return [
            m["path"] for m in Objects().below(ObjectUrl.parse(f"{table.location}/_qanat_probes"))
        ]

    one, create = Process(tmp_path), Objects.create
    with monkeypatch.context() as patched:
        patched.setattr(Objects, "create", lose)
        patched.setattr(Objects, "delete", lambda *_: None)  # as if it were killed
        with pytest.raises(SourceUnavailableError):
            one.store.publish(one.commit(table, 1, 7))
    assert len(probes()) == 1
    one.store.publish(one.commit(table, 1, 7))
    assert probes() == []


def test_what_this_machine_refuses_is_not_blamed_on_the_store(
    table: TableRef, tmp_path: Path
) -> None:
    url = ObjectUrl.parse(table.location)
    with pytest.raises(AdapterError, match="cannot use a file of this machine to write") as caught:
        Objects().upload(url, tmp_path)
    assert caught.value.got == "Is a directory"


def test_a_table_that_needs_what_we_lack_gets_no_fence(
    process: Callable[[], Process], table: TableRef
) -> None:
    one = process()
    one.store.publish(one.commit(table, 1, 7))
    needs = {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["rowTracking"]}
    entry = ObjectUrl.parse(table.location).below(f"_delta_log/{1:020}.json")
    Objects().create(entry, json.dumps({"protocol": needs}).encode())
    with pytest.raises(TableTooNewError, match="rowTracking"):
        process().store.repair(table)
    assert len(log(table)) == 2


def test_a_doubt_ends_with_its_update(
    process: Callable[[], Process], table: TableRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever goes on with the open epoch puts a fence; to look needs no lease."""
    one, asked = process(), []

    def ask() -> None:
        asked.append(1)
        if len(asked) > 1:
            lost()

    create = Objects.create

    def silent(self: Objects, url: ObjectUrl, content: bytes) -> str | None:
        if "_delta_log" in url.key:
            raise SourceUnavailableError("no answer")
        return create(self, url, content)

    with monkeypatch.context() as patched:
        patched.setattr(Objects, "create", silent)
        with pytest.raises(SourceUnavailableError):
            one.store.publish(one.commit(table, 1, 7, gate=Gate(ask)))
    assert one.store.version(table) is None
    one.store.repair(table)
    one.store.publish(one.commit(table, 1, 8))
    assert process().rows(table) == [8]


# -- looks and copies -----------------------------------------------------------------------------


def test_what_others_commit_is_seen_once_somebody_asks(
    process: Callable[[], Process], table: TableRef
) -> None:
    one, other = process(), process()
    one.store.publish(one.commit(table, 1, 1))
    assert other.rows(table) == [1]
    one.store.publish(one.commit(table, 2, 2))
    assert other.store.version(table) == 0
    other.store.look_again()
    assert other.rows(table) == [1, 2]
    # A commit looks by itself where what is known does not fit.
    one.store.publish(one.commit(table, 3, 3))
    other.store.publish(other.commit(table, 4, 4))
    assert process().rows(table) == [1, 2, 3, 4]


def test_another_table_in_the_same_place_is_noticed(
    process: Callable[[], Process], table: TableRef
) -> None:
    one, other = process(), process()
    one.store.publish(one.commit(table, 1, 1))
    assert other.rows(table) == [1]
    one.store.drop(table)
    assert one.store.version(table) is None
    assert data(table) == []
    one.store.publish(one.commit(table, 1, 2))
    other.store.look_again()
    assert other.rows(table) == [2]


def test_what_was_fetched_once_is_not_fetched_again(
    process: Callable[[], Process], table: TableRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = process()
    for number in range(1, 4):
        one.store.publish(one.commit(table, number, number))
    fetched: list[str] = []
    read, download = Objects.read, Objects.download

    def reading(self: Objects, url: ObjectUrl) -> bytes:
        fetched.append(url.key)
        return read(self, url)

    def downloading(self: Objects, url: ObjectUrl, *rest: Any) -> None:
        fetched.append(url.key)
        download(self, url, *rest)

    monkeypatch.setattr(Objects, "read", reading)
    monkeypatch.setattr(Objects, "download", downloading)
    assert process().rows(table) == [1, 2, 3]
    assert fetched == [], "this machine has written it"
    elsewhere = Process(one.scratch / "another machine")
    assert elsewhere.rows(table) == [1, 2, 3]
    assert len(fetched) == 6
    assert Process(one.scratch / "another machine").rows(table) == [1, 2, 3]
    assert len(fetched) == 6


def test_a_data_file_that_is_gone_is_named(
    process: Callable[[], Process], table: TableRef, tmp_path: Path
) -> None:
    one = process()
    one.store.publish(one.commit(table, 1, 7))
    (name,) = data(table)
    Objects().delete([ObjectUrl.parse(table.location).below(name)])
    assert one.store.missing(table) == (f"{table.location}/{name}",)
    with pytest.raises(FileVanishedError, match="vacuumed"):
        Process(tmp_path / "another machine").rows(table)


def test_a_checkpoint_is_read_by_others(process: Callable[[], Process], table: TableRef) -> None:
    one = process()
    for number in range(1, 8):
        every = {"delta.checkpointInterval": "3"}
        one.store.publish(one.commit(table, number, number, properties=every))
    assert [n for n in log(table) if "checkpoint" in n] == [
        f"{3:020}.checkpoint.parquet",
        f"{6:020}.checkpoint.parquet",
        "_last_checkpoint",
    ]
    assert polars.read_delta(table.location).height == 7
    elsewhere = Process(one.scratch / "another machine")
    assert elsewhere.rows(table) == list(range(1, 8))
    assert elsewhere.store.snapshot(table, 4).rows == 5
    assert elsewhere.store.transaction(table, "qanat:t") == 7
    assert elsewhere.store.retract(table, "qanat:t", 7)
    assert process().rows(table) == list(range(1, 7))


def test_leftovers_are_found_and_swept(process: Callable[[], Process], table: TableRef) -> None:
    one = process()
    commit = one.commit(table, 1, 7)
    one.store.publish(commit)
    url = ObjectUrl.parse(table.location)
    left = {"epoch-2-left.parquet", "p=x/epoch-2-left.parquet", "_qanat_probes/1"}
    spared = {"part-00001-young.parquet", "0b3e.parquet", "notes.txt", "_other/x.parquet"}
    for name in left | spared:
        Objects().create(url.below(name), b"x")
    assert one.store.orphans(table) == 3
    with pytest.raises(LeaseLostError):
        one.store.sweep(table, lost)
    assert one.store.sweep(table) == 3
    assert one.store.sweep(table) == 0
    # Another tool may write whole paths, and spell the scheme in its own way.
    Objects().create(url.below("whole.parquet"), b"x")
    path = str(url.below("whole.parquet")).replace("s3://", "s3a://")
    added = {"path": path, "partitionValues": {}, "size": 1, "modificationTime": 1}
    entry = json.dumps({"add": added | {"dataChange": False}}).encode()
    Objects().create(url.below(f"_delta_log/{1:020}.json"), entry)
    assert one.store.sweep(table) == 0
    # What a checkpoint in parts names, only they tell.
    Objects().create(url.below("_delta_log/_sidecars/1.parquet"), b"x")
    with pytest.raises(TableTooNewError, match="v2Checkpoint"):
        one.store.sweep(table)
    found = {m["path"].removeprefix(f"{url.key}/") for m in Objects().below(url)}
    assert {n for n in found if "_delta_log" not in n} == {
        commit.files[0].path,
        "whole.parquet",
        *spared,
    }


def test_a_large_file_goes_up_in_parts(process: Callable[[], Process], table: TableRef) -> None:
    one = process()
    folder = one.store.staging(table)
    folder.mkdir(parents=True)
    rows = "SELECT (hash(range) >> 1)::BIGINT AS id FROM range(4000000)"
    duckdb.sql(f"COPY ({rows}) TO '{folder / 'big.parquet'}' (FORMAT parquet)")
    size = (folder / "big.parquet").stat().st_size
    assert size > 2 * 8 * 2**20
    files = (DataFile("big.parquet", size, 4_000_000),)
    one.store.publish(replace(one.commit(table, 1, 7), files=files))
    elsewhere = Process(one.scratch / "another machine")
    batch = elsewhere.store.snapshot(table).batch
    assert isinstance(batch, TableBatch)
    batch.ready()
    assert Path(batch.files[0]).read_bytes() == (folder / "big.parquet").read_bytes()


@pytest.mark.parametrize("server", [object_store], indirect=True, ids=["object_store"])
def test_others_read_the_files(process: Callable[[], Process], table: TableRef) -> None:
    """DuckDB's own reader of S3 is an extension to download; obstore gives it a file system."""
    one = process()
    one.store.publish(one.commit(table, 1, 1, 2))
    one.store.publish(one.commit(table, 2, 3))
    found = deltalake.DeltaTable(table.location, storage_options=dict(os.environ))
    assert pyarrow.table(found.scan()).num_rows == 3
    assert polars.scan_delta(table.location).select("id").collect().height == 3
    with duckdb.connect() as connection:
        connection.register_filesystem(FsspecStore("s3"))
        query = "SELECT sum(id) FROM read_parquet($files)"
        assert connection.execute(query, {"files": found.file_uris()}).fetchall() == [(6,)]
