"""Replays that something happened to: rows are in one place, never in two."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from qanat.engines.duckdb.engine import DuckDBEngine
from qanat.errors import HistoryMismatchError, LeaseLostError, StorageFullError
from qanat.ports.store import Commit
from qanat.run import lease
from qanat.run.quarantine import replay
from qanat.run.results import Selection
from qanat.run.update import update
from qanat.run.workspace import Workspace
from qanat.storage.delta import DeltaStore
from tests.acceptance.conftest import Paths
from tests.acceptance.crashing import operate
from tests.acceptance.ledgered import check, picture


@pytest.fixture
def relaxed(tmp_path: Path) -> Paths:
    """A project whose rule has been relaxed, so that a row of its quarantine passes."""
    paths = Paths.make(tmp_path / "project")
    paths.first()
    operate(paths.root, "run")
    paths.declare(165)
    return paths


def interrupt(paths: Paths, monkeypatch: pytest.MonkeyPatch, at: str) -> Path:
    """A replay that fails before it commits to a table; the folder of the rows it moves."""
    publish = DeltaStore.publish

    def failing(self: DeltaStore, commit: Commit) -> int:
        if commit.folder.name == at:
            raise StorageFullError("no space left")
        return publish(self, commit)

    with monkeypatch.context() as patched, Workspace.open(paths.root) as ws:
        patched.setattr(DeltaStore, "publish", failing)
        with pytest.raises(StorageFullError):
            replay(ws)
    (folder,) = (paths.root / "storage/_qanat/replay").iterdir()
    return folder


def test_rows_are_written_down_for_good_before_they_are_moved(
    relaxed: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power loss the rows to take out of the quarantine must still be known."""
    synced: list[Path] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        synced.append(Path(f"/proc/self/fd/{handle}").readlink())
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    operate(relaxed.root, "replay")
    names = [os.path.relpath(p, relaxed.root / "storage") for p in synced]
    commit = next(n for n, name in enumerate(names) if name.startswith("tables/silver"))
    before = names[:commit]
    (rows,) = (n for n in before if "passed" in n)
    for folder in (str(Path(rows).parent), "_qanat/replay", "_qanat", "."):
        assert folder in before[before.index(rows) :], folder


@pytest.mark.parametrize("at", ["silver", "silver__quarantine"])
def test_who_slept_before_it_staged_leaves_nothing(
    relaxed: Paths, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, at: str
) -> None:
    """Who took over has swept before the sleeper writes its files."""
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(relaxed.root, undisturbed)
    operate(undisturbed, "replay")
    operate(undisturbed, "run")
    replays, opened = relaxed.root / "storage/_qanat/replay", tmp_path / "opened"
    stage = DuckDBEngine.stage

    def sleeping(self: DuckDBEngine, *args: Any) -> Any:
        if args[0].output.folder.name != at:
            return stage(self, *args)
        # It sleeps when it has opened what it reads: that stays with it, whoever removes it.
        shutil.copytree(replays, opened)
        monkeypatch.setattr(DuckDBEngine, "stage", stage)
        time.sleep(0.1)
        operate(relaxed.root, "run")
        shutil.copytree(opened, replays, dirs_exist_ok=True)
        staged = stage(self, *args)
        shutil.rmtree(replays)
        return staged

    monkeypatch.setattr(lease, "SECONDS", 0.05)
    monkeypatch.setattr(lease.HeldLease, "_keep", lambda self: None)
    monkeypatch.setattr(DuckDBEngine, "stage", sleeping)
    with pytest.raises(LeaseLostError):
        operate(relaxed.root, "replay")
    assert opened.exists()
    assert picture(relaxed.root) == picture(undisturbed)
    check(relaxed.root)


@pytest.mark.parametrize("at", ["silver", "silver__quarantine"])
def test_an_interrupted_replay_is_brought_to_its_end(
    relaxed: Paths, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, at: str
) -> None:
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(relaxed.root, undisturbed)
    operate(undisturbed, "replay")
    interrupt(relaxed, monkeypatch, at)
    operate(relaxed.root, "replay")
    assert picture(relaxed.root) == picture(undisturbed)
    check(relaxed.root)


def test_rows_that_were_not_moved_yet_are_found_again(
    relaxed: Paths, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(relaxed.root, undisturbed)
    operate(undisturbed, "replay")
    shutil.rmtree(interrupt(relaxed, monkeypatch, "silver"))
    operate(relaxed.root, "replay")
    assert picture(relaxed.root) == picture(undisturbed)
    check(relaxed.root)


def test_half_a_replay_whose_rows_are_gone(
    relaxed: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which rows the quarantine would have to lose nobody knows any more."""
    shutil.rmtree(interrupt(relaxed, monkeypatch, "silver__quarantine"))
    with Workspace.open(relaxed.root) as ws:
        with pytest.raises(HistoryMismatchError, match="are gone") as caught:
            update(ws)
        # The way out that it names.
        for name in ("silver", "silver__quarantine"):
            folder = ws.folder(name)
            assert str(folder) in str(caught.value)
            shutil.rmtree(folder)
        assert "--full-refresh silver" in str(caught.value)
        result = update(ws, Selection(full_refresh=("silver", "export")))
    assert result.status == "succeeded", result.failed
    places = [
        name for name, rows in picture(relaxed.root).items() if any("150" in r for r in rows)
    ]
    assert places == ["bronze", "silver", "out/export"]
    check(relaxed.root)
