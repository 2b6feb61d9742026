"""In which order things are made durable: nothing that a power loss could find undone."""

from __future__ import annotations

import json
import os
from pathlib import Path

import deltalake
import duckdb
import pytest

from qanat.model.schema import Field, Primitive, Schema
from qanat.model.work import DataFile
from qanat.ports.store import Commit
from qanat.storage.delta import DeltaStore
from qanat.storage.delta.table import checkpoint

ID = Schema((Field("id", Primitive("long")),))


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


def first_commit(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    duckdb.execute(f"COPY (SELECT range AS id FROM range(2)) TO '{folder / 'a.parquet'}'")
    size = (folder / "a.parquet").stat().st_size
    file = DataFile("a.parquet", size, 2, {}, json.dumps({"numRecords": 2}))
    DeltaStore().publish(Commit(folder, ID, (file,), False, "qanat:t", 1))


def test_a_first_commit_makes_sure_of_every_folder(tmp_path: Path, synced: list[Path]) -> None:
    """Also where another process, killed in between, had made them."""
    folder = tmp_path / "storage" / "tables" / "t"
    (folder / "_delta_log").mkdir(parents=True)
    first_commit(folder)
    entry = synced.index(folder / "_delta_log" / f"{0:020}.json")
    above = [folder, folder.parent, folder.parent.parent, tmp_path]
    assert set(above) <= set(synced[:entry])
    assert synced[entry + 1] == folder / "_delta_log"


def test_what_another_process_published_is_made_sure_of(
    tmp_path: Path, synced: list[Path]
) -> None:
    """It may have been killed before it could: recovery calls the epoch committed after this."""
    folder = tmp_path / "storage" / "tables" / "t"
    first_commit(folder)
    synced.clear()
    assert DeltaStore().repair(folder) is False
    log = folder / "_delta_log"
    assert synced[:3] == [log / f"{0:020}.json", log, folder]
    assert {folder.parent, folder.parent.parent, tmp_path} <= set(synced)


def test_a_checkpoint_is_whole_before_readers_see_it(tmp_path: Path, synced: list[Path]) -> None:
    folder = tmp_path / "t"
    first_commit(folder)
    synced.clear()
    checkpoint(folder)
    log = folder / "_delta_log"
    made, last = log / f"{0:020}.checkpoint.parquet", log / "_last_checkpoint"
    names = [p.name for p in synced]
    assert names.index(made.name) < synced.index(made)
    assert log in synced[synced.index(made) : synced.index(last)]
    assert synced[-1] == log
    assert not list(folder.glob("_checkpoint_*"))
    # It is used: the entry that it stands for is not missed.
    (log / f"{0:020}.json").unlink()
    assert len(deltalake.DeltaTable(folder).file_uris()) == 1


def test_what_is_left_of_a_checkpoint_is_swept(tmp_path: Path) -> None:
    folder = tmp_path / "t"
    first_commit(folder)
    (folder / "_checkpoint_x" / "_delta_log").mkdir(parents=True)
    assert deltalake.DeltaTable(folder).version() == 0
    assert DeltaStore().orphans(folder) == DeltaStore().sweep(folder) == 1
    assert not (folder / "_checkpoint_x").exists()
