"""The order in which commits, checkpoints and sweeps are synced, against power losses."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import deltalake
import duckdb
import pytest

from qanat.errors import AdapterError, StorageFullError
from qanat.model.schema import Field, Primitive, Schema
from qanat.model.staged import DataFile
from qanat.model.table import Change, Commit, TableRef
from qanat.storage.delta import durable
from qanat.storage.delta.durable import put_if_absent
from qanat.storage.delta.log import Log
from qanat.storage.delta.store import DeltaStore
from qanat.storage.delta.table import checkpoint

ID = Schema((Field("id", Primitive("long")),))


def ref(folder: Path) -> TableRef:
    return TableRef(str(folder), folder.name)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every path that is synced, in order; links and renames appear as what they make."""
    found: list[Path] = []
    fsync, link, replace = os.fsync, os.link, Path.replace

    def recording(handle: int) -> None:
        found.append(Path(f"/proc/self/fd/{handle}").readlink())
        fsync(handle)

    def linking(source: Path, target: Path) -> None:
        found.append(Path(target))
        link(source, target)

    def replacing(source: Path, target: Path) -> Path:
        found.append(Path(target))
        return replace(source, target)

    monkeypatch.setattr(os, "fsync", recording)
    monkeypatch.setattr(os, "link", linking)
    monkeypatch.setattr(Path, "replace", replacing)
    return found


def commit(folder: Path, number: int = 1) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{number}.parquet"
    if not (folder / name).exists():
        duckdb.execute(f"COPY (SELECT range AS id FROM range(2)) TO '{folder / name}'")
    size = (folder / name).stat().st_size
    file = DataFile(name, size, 2)
    DeltaStore().publish(Commit(ref(folder), ID, (file,), Change.APPEND, "qanat:t", number))


def entry(folder: Path, version: int) -> Path:
    return folder / "_delta_log" / f"{version:020}.json"


def optimized_elsewhere(folder: Path) -> None:
    """A commit of another tool, which syncs nothing."""
    deltalake.DeltaTable(folder).alter.set_table_properties({"delta.logRetentionDuration": "1 d"})


class Refusing:
    """A disk on which calls of one function fail: the first call for each path, or all."""

    def __init__(self, name: str, error: int, path: Path | None = None) -> None:
        self.name, self.error, self.path = name, error, path
        self.refused = 0

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = getattr(os, self.name)

        def refusing(*args: Any, **named: Any) -> Any:
            if self.path is None or (self._path(args) == self.path and not self.refused):
                self.refused += 1
                raise OSError(self.error, os.strerror(self.error))
            return real(*args, **named)

        monkeypatch.setattr(os, self.name, refusing)

    def _path(self, args: Any) -> Path:
        if self.name == "fsync":
            return Path(f"/proc/self/fd/{args[0]}").readlink()
        return Path(args[-1])


def test_a_first_commit_syncs_every_folder(tmp_path: Path, synced: list[Path]) -> None:
    """Also if another process created the folders and was killed before it synced them."""
    folder = tmp_path / "storage" / "tables" / "t"
    (folder / "_delta_log").mkdir(parents=True)
    commit(folder)
    named = synced.index(entry(folder, 0))
    above = [folder, folder.parent, folder.parent.parent, tmp_path]
    assert set(above) <= set(synced[:named])
    assert synced[named + 1] == folder / "_delta_log"


def test_a_first_commit_in_a_table_of_another_tool_syncs_every_folder(
    tmp_path: Path, synced: list[Path]
) -> None:
    folder = tmp_path / "storage" / "tables" / "t"
    deltalake.DeltaTable.create(folder, deltalake.Schema.from_json(json.dumps(ID.to_json())))
    optimized_elsewhere(folder)
    commit(folder)
    named = synced.index(entry(folder, 2))
    below = {entry(folder, 0), entry(folder, 1)}
    assert below | {folder, folder.parent, folder.parent.parent, tmp_path} <= set(synced[:named])


def test_entries_of_other_tools_are_synced_down_to_ours(
    tmp_path: Path, synced: list[Path]
) -> None:
    """If a power loss tears one of them, all entries above it are lost, too."""
    folder = tmp_path / "t"
    commit(folder)
    optimized_elsewhere(folder)
    deltalake.DeltaTable(folder).alter.set_table_description("x")
    synced.clear()
    commit(folder, 2)
    others = {entry(folder, 1), entry(folder, 2)}
    assert others <= set(synced[: synced.index(entry(folder, 3))])
    assert entry(folder, 0) not in synced
    synced.clear()
    commit(folder, 3)
    assert not others & set(synced), "ours is on top of them"
    optimized_elsewhere(folder)
    synced.clear()
    DeltaStore().repair(ref(folder))
    assert synced[:2] == [entry(folder, 5), folder / "_delta_log"]


def test_an_epoch_that_is_published_twice_is_synced(tmp_path: Path, synced: list[Path]) -> None:
    folder = tmp_path / "storage" / "t"
    commit(folder)
    synced.clear()
    commit(folder)
    assert synced[:3] == [entry(folder, 0), folder / "_delta_log", folder]
    assert {folder.parent, tmp_path} <= set(synced)


def test_a_commit_whose_sync_failed_is_synced_before_it_counts(
    tmp_path: Path, synced: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit fails; its entry is synced before the epoch counts as committed."""
    folder = tmp_path / "t"
    commit(folder)
    log, store = folder / "_delta_log", DeltaStore()
    refusing = Refusing("fsync", errno.EIO, log)
    with monkeypatch.context() as patched:
        refusing.install(patched)
        with pytest.raises(AdapterError, match="cannot commit"):
            commit(folder, 2)
    assert refusing.refused == 1
    assert store.transaction(ref(folder), "qanat:t") == 2
    synced.clear()
    assert store.repair(ref(folder)) is False
    assert synced[:2] == [entry(folder, 1), log]
    commit(folder, 2)
    assert store.snapshot(ref(folder)).rows == 4


def test_a_commit_of_another_process_is_synced(tmp_path: Path, synced: list[Path]) -> None:
    """That process may have been killed before its sync; recovery then settles the epoch."""
    folder = tmp_path / "storage" / "tables" / "t"
    commit(folder)
    synced.clear()
    assert DeltaStore().repair(ref(folder)) is False
    assert synced[:3] == [entry(folder, 0), folder / "_delta_log", folder]
    assert {folder.parent, folder.parent.parent, tmp_path} <= set(synced)


def test_a_checkpoint_is_synced_before_readers_see_it(tmp_path: Path, synced: list[Path]) -> None:
    folder = tmp_path / "t"
    commit(folder)
    synced.clear()
    checkpoint(Log(folder))
    log = folder / "_delta_log"
    made, last = log / f"{0:020}.checkpoint.parquet", log / "_last_checkpoint"
    names = [p.name for p in synced]
    assert names.index(made.name) < synced.index(made)
    assert log in synced[synced.index(made) : synced.index(last)]
    assert synced[-1] == log
    assert not list(folder.glob("_checkpoint_*"))
    # The checkpoint is used: the table opens without the entry that it repeats.
    entry(folder, 0).unlink()
    assert len(deltalake.DeltaTable(folder).file_uris()) == 1


def test_making_a_checkpoint_changes_no_existing_file(tmp_path: Path) -> None:
    """The shadow has hard links to the entries, so writing through them would change them."""
    folder = tmp_path / "t"
    commit(folder)
    checkpoint(Log(folder))
    commit(folder, 2)
    before = {p: (p.stat().st_ino, p.read_bytes()) for p in (folder / "_delta_log").iterdir()}
    readers = [path.open("rb") for path in before]
    checkpoint(Log(folder))
    for path, reader in zip(before, readers, strict=True):
        with reader:
            assert reader.read() == before[path][1]
        changed = (path.stat().st_ino, path.read_bytes()) != before[path]
        assert changed is (path.name == "_last_checkpoint")
    assert (folder / "_delta_log" / f"{1:020}.checkpoint.parquet").exists()


def test_a_checkpoint_is_made_behind_the_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If removing the shadow fails, it is left in the gate and not in the table."""
    folder, gate = tmp_path / "t", tmp_path / "gate"
    commit(folder)
    gate.mkdir()
    with monkeypatch.context() as patched:
        Refusing("rmdir", errno.EIO).install(patched)
        checkpoint(Log(folder), gate)
    assert (folder / "_delta_log" / f"{0:020}.checkpoint.parquet").exists()
    assert DeltaStore().orphans(ref(folder)) == 0
    assert len(list(gate.iterdir())) == 1


def test_a_checkpoint_does_not_create_a_removed_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An update that sleeps after its commit and wakes later must not recreate its gate."""
    folder, gate = tmp_path / "t", tmp_path / "gate"
    commit(folder)
    with pytest.raises(FileNotFoundError):
        checkpoint(Log(folder), gate)
    shadow = Log.shadow

    def closing(log: Log, within: Path | None = None) -> Log:
        gate.rmdir()
        return shadow(log, within)

    gate.mkdir()
    monkeypatch.setattr(Log, "shadow", closing)
    with pytest.raises(FileNotFoundError):
        checkpoint(Log(folder), gate)
    assert not gate.exists()


@pytest.mark.parametrize("name", ["link", "mkdir", "fsync"])
def test_a_checkpoint_that_fails_fails_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It leaves no file behind, and other tools can open the table."""
    folder = tmp_path / "t"
    for number in range(1, 101):
        commit(folder, number)
    log = folder / "_delta_log"
    refusing = Refusing(name, errno.ENOSPC)
    publishing = durable.sync

    def published(path: Path) -> None:
        publishing(path)
        refusing.install(monkeypatch)

    with monkeypatch.context() as patched:
        patched.setattr(durable, "sync", published)
        commit(folder, 101)
    monkeypatch.undo()
    assert refusing.refused
    assert DeltaStore().version(ref(folder)) == deltalake.DeltaTable(folder).version() == 100
    # Without hard links the shadow has copies.
    assert any(log.glob("*.checkpoint.parquet")) is (name == "link")
    assert not list(folder.glob("_checkpoint_*"))


def test_an_abandoned_shadow_is_swept(tmp_path: Path) -> None:
    folder = tmp_path / "t"
    commit(folder)
    shadow = folder / f"_checkpoint_{uuid4().hex}"
    # Folders with similar names stay: partitions of such a column, and a user's own.
    others = [folder / "_checkpoint_at=1", folder / "_checkpoint_of_mine"]
    for path in (shadow / "_delta_log", *others):
        path.mkdir(parents=True)
        (path / "x").touch()
    assert deltalake.DeltaTable(folder).version() == 0
    assert DeltaStore().orphans(ref(folder)) == DeltaStore().sweep(ref(folder)) == 1
    assert not shadow.exists()
    assert all((path / "x").exists() for path in others)


# -- file systems without hard links --------------------------------------------------------------


def test_a_sweep_is_synced(tmp_path: Path, synced: list[Path]) -> None:
    """Only a crash starts a sweep, so no later update would sweep files that come back."""
    commit(tmp_path / "t")
    partition = tmp_path / "t" / "kind=a"
    partition.mkdir()
    (partition / "epoch-2-a-0.parquet").touch()
    synced.clear()
    assert DeltaStore().sweep(ref(tmp_path / "t")) == 1
    assert not partition.exists()
    assert tmp_path / "t" in synced
    assert tmp_path / "t" / "_delta_log" in synced


def test_a_sweep_syncs_what_a_killed_sweep_removed(tmp_path: Path, synced: list[Path]) -> None:
    commit(tmp_path / "t")
    kept = tmp_path / "t" / "_kind=a" / "year=2026"
    kept.mkdir(parents=True)
    synced.clear()
    assert DeltaStore().sweep(ref(tmp_path / "t")) == 0
    assert {tmp_path / "t", kept.parent, kept} <= set(synced)


@pytest.fixture(params=["renames", "copies"])
def linkless(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file system that has no hard links, and one that cannot rename without replacing."""
    Refusing("link", errno.EPERM).install(monkeypatch)
    if request.param == "copies":
        monkeypatch.setattr(durable, "_renamed", lambda *_: False)
    return str(request.param)


def test_without_links_a_file_is_created_once(tmp_path: Path, linkless: str) -> None:
    target, gate = tmp_path / "log" / "entry", tmp_path / "gate"
    target.parent.mkdir()
    gate.mkdir()
    assert put_if_absent(target, b"first", gate)
    assert not put_if_absent(target, b"second", gate)
    assert not put_if_absent(target, b"third")
    assert target.read_bytes() == b"first"
    assert list(gate.iterdir()) == []
    assert list(target.parent.iterdir()) == [target]
    gate.rmdir()
    with pytest.raises(FileNotFoundError):
        put_if_absent(target.with_name("next"), b"", gate)


def test_a_gate_on_another_file_system_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No link can be made out of it."""
    target, gate = tmp_path / "log" / "entry", tmp_path / "gate"
    target.parent.mkdir()
    gate.mkdir()
    with monkeypatch.context() as elsewhere:
        Refusing("link", errno.EXDEV, target).install(elsewhere)
        assert put_if_absent(target, b"first", gate)
    assert (target.read_bytes(), list(gate.iterdir())) == (b"first", [])
    assert list(target.parent.iterdir()) == [target]
    later, link = target.with_name("next"), os.link

    def taken_over(*_: Any) -> None:
        """Another update takes over after the first try."""
        gate.rename(tmp_path / "closed")
        monkeypatch.setattr(os, "link", link)
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", taken_over)
    with pytest.raises(FileNotFoundError):
        put_if_absent(later, b"late", gate)
    assert list(target.parent.iterdir()) == [target]


def test_without_links_a_full_disk_leaves_no_name(
    tmp_path: Path, linkless: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "t"
    commit(folder)
    Refusing("fsync", errno.ENOSPC, entry(folder, 1)).install(monkeypatch)
    if linkless == "copies":
        with pytest.raises(StorageFullError):
            commit(folder, 2)
        assert DeltaStore().version(ref(folder)) == 0
    commit(folder, 2)
    assert DeltaStore().snapshot(ref(folder)).rows == 4
    assert [p.name for p in (folder / "_delta_log").iterdir() if p.suffix == ".tmp"] == []
