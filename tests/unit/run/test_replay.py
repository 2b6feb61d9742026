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
from qanat.ledgers.sql.ledger import SqlLedger
from qanat.ports.store import Commit
from qanat.run import lease
from qanat.run.quarantine import replay
from qanat.run.results import Selection
from qanat.run.update import update
from qanat.run.session import Session
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


class _Dead(BaseException):
    """The process, so to speak: nobody clears up."""


def fail(paths: Paths, monkeypatch: pytest.MonkeyPatch, at: str, error: BaseException) -> None:
    """A replay to which something happens before it commits to a table."""
    publish = DeltaStore.publish

    def failing(self: DeltaStore, commit: Commit) -> int:
        if commit.folder.name == at:
            raise error
        return publish(self, commit)

    with monkeypatch.context() as patched, Session.open(paths.root) as session:
        patched.setattr(DeltaStore, "publish", failing)
        with pytest.raises(type(error)):
            replay(session)


def interrupt(paths: Paths, monkeypatch: pytest.MonkeyPatch, at: str) -> Path:
    """A replay that dies before it commits to a table; the folder of the rows it moves."""
    fail(paths, monkeypatch, at, _Dead())
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
    with Session.open(relaxed.root) as session:
        assert session.store.orphans(session.folder(at)) == 0
    # It had no say any more in how it ended.
    operate(relaxed.root, "run")
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
    assert "are gone" in refused(relaxed)
    with Session.open(relaxed.root) as session:
        result = update(session, Selection(full_refresh=("silver", "export")))
    assert result.status == "succeeded", result.failed
    places = [
        name for name, rows in picture(relaxed.root).items() if any("150" in r for r in rows)
    ]
    assert places == ["bronze", "silver", "out/export"]
    check(relaxed.root)


def refused(paths: Paths) -> str:
    """What an update says of silver, and only of silver and what reads it; with the way out."""
    with Session.open(paths.root) as session:
        with pytest.raises(HistoryMismatchError):
            replay(session)
        result = update(session)
    errors = {d.dataset: d.error for d in result.failed}
    assert errors.keys() == {"silver"}
    assert isinstance(errors["silver"], HistoryMismatchError)
    assert "qanat run --full-refresh silver" in str(errors["silver"])
    assert {d.dataset for d in result.datasets if d.status == "unchanged"} == {"bronze"}
    return str(errors["silver"])


@pytest.mark.parametrize("at", ["silver", "silver__quarantine"])
@pytest.mark.parametrize("name", ["silver", "silver__quarantine"])
def test_an_interrupted_replay_of_which_a_table_is_lost(
    relaxed: Paths, monkeypatch: pytest.MonkeyPatch, at: str, name: str
) -> None:
    interrupt(relaxed, monkeypatch, at)
    shutil.rmtree(relaxed.root / "storage/tables" / name)
    assert "was lost, or restored from a copy" in refused(relaxed)
    with Session.open(relaxed.root) as session:
        assert update(session, Selection(full_refresh=("silver", "export"))).status == "succeeded"
        assert update(session).status == "succeeded"
    check(relaxed.root)


def test_a_replay_that_died_half_way_before_its_dataset_was_gone_for_a_while(
    relaxed: Paths, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its rows are in the table already, and must leave the quarantine all the same."""
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(relaxed.root, undisturbed)
    operate(undisturbed, "replay")
    operate(undisturbed, "run")
    interrupt(relaxed, monkeypatch, "silver__quarantine")
    declared = (relaxed.root / "transformations/tables.sql").read_text(encoding="utf-8")
    exported = (relaxed.root / "transformations/flows.py").read_text(encoding="utf-8")
    relaxed.write("transformations/tables.sql", declared.partition("CREATE TEMPORARY VIEW")[0])
    (relaxed.root / "transformations/flows.py").unlink()
    operate(relaxed.root, "run")
    relaxed.write("transformations/tables.sql", declared)
    relaxed.write("transformations/flows.py", exported)
    operate(relaxed.root, "run")
    operate(relaxed.root, "replay")
    operate(relaxed.root, "run")
    assert picture(relaxed.root) == picture(undisturbed)
    check(relaxed.root)


def test_a_replay_that_the_ledger_refuses_leaves_no_file(
    relaxed: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it is published: no update looks for what nobody has begun."""

    def refused(*_: object) -> None:
        raise StorageFullError("no space left for the ledger")

    with monkeypatch.context() as patched, Session.open(relaxed.root) as session:
        patched.setattr(SqlLedger, "prepare", refused)
        with pytest.raises(StorageFullError):
            replay(session)
    check(relaxed.root)


def test_a_replay_that_fails_is_given_up(relaxed: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nothing has been moved; else the next update goes on with it."""
    fail(relaxed, monkeypatch, "silver", StorageFullError("no space left"))
    check(relaxed.root)
    fail(relaxed, monkeypatch, "silver__quarantine", StorageFullError("no space left"))
    with Session.open(relaxed.root) as session:
        assert [e.flow for e in session.ledger.open_epochs()] == ["silver::replay"]
    operate(relaxed.root, "run")
    check(relaxed.root)
