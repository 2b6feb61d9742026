"""Replays that something happened to: rows are in one place, never in two."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from qanat.engines.duckdb.engine import DuckDBEngine
from qanat.errors import HistoryMismatchError, LeaseLostError, StorageFullError
from qanat.ledgers.sql.ledger import SqlLedger
from qanat.model.table import Commit
from qanat.run import lease
from qanat.run.quarantine import replay
from qanat.run.results import Selection
from qanat.run.session import Session
from qanat.run.update import update
from qanat.storage.delta.store import DeltaStore
from tests.acceptance.conftest import Paths
from tests.acceptance.crashing import copy, operate
from tests.acceptance.ledgered import Picture, check, picture

TABLES = ("silver", "silver__quarantine")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    paths = Paths.make(tmp_path_factory.mktemp("relaxed") / "project")
    paths.first()
    operate(paths.root, "run")
    paths.declare(165)
    return paths.root


@pytest.fixture(scope="module")
def undisturbed(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Picture:
    """What a replay without a disturbance makes of it."""
    root = copy(template, tmp_path_factory.mktemp("undisturbed") / "project")
    operate(root, "replay")
    return picture(root)


@pytest.fixture
def relaxed(template: Path, tmp_path: Path) -> Paths:
    """A project whose rule has been relaxed, so that a row of its quarantine passes."""
    return Paths(copy(template, tmp_path / "project"))


class _Dead(BaseException):
    """Ends like a killed process: nothing is cleaned up."""


def fail(paths: Paths, monkeypatch: pytest.MonkeyPatch, at: str, error: BaseException) -> None:
    """A replay to which something happens before it commits to a table."""
    publish = DeltaStore.publish

    def failing(self: DeltaStore, commit: Commit) -> int:
        if commit.table.name == at:
            raise error
        return publish(self, commit)

    with monkeypatch.context() as patched, Session.open(paths.root) as session:
        patched.setattr(DeltaStore, "publish", failing)
        with pytest.raises(type(error)):
            replay(session)


def interrupt(paths: Paths, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    """A replay that dies before it commits to a table."""
    fail(paths, monkeypatch, at, _Dead())


def test_who_slept_before_it_staged_leaves_nothing(
    relaxed: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who took over has swept before the sleeper writes its files."""
    before = picture(relaxed.root)
    stage = DuckDBEngine.stage

    def sleeping(self: DuckDBEngine, *args: Any) -> Any:
        monkeypatch.setattr(DuckDBEngine, "stage", stage)
        time.sleep(0.1)
        operate(relaxed.root, "run")
        return stage(self, *args)

    monkeypatch.setattr(lease, "SECONDS", 0.05)
    monkeypatch.setattr(lease.HeldLease, "_keep", lambda self: None)
    monkeypatch.setattr(DuckDBEngine, "stage", sleeping)
    with pytest.raises(LeaseLostError):
        operate(relaxed.root, "replay")
    assert picture(relaxed.root) == before, "nothing was moved"
    with Session.open(relaxed.root) as session:
        for name in ("silver", "silver__quarantine"):
            assert session.store.orphans(session.table(name)) == 0
    # It had no say any more in how it ended.
    operate(relaxed.root, "run")
    check(relaxed.root)


@pytest.mark.parametrize("at", ["silver", "silver__quarantine"])
def test_rows_of_an_interrupted_replay_are_found_again(
    relaxed: Paths, monkeypatch: pytest.MonkeyPatch, undisturbed: Picture, at: str
) -> None:
    before = picture(relaxed.root)
    interrupt(relaxed, monkeypatch, at)
    operate(relaxed.root, "run")
    assert picture(relaxed.root) == before, "the next update has put everything back"
    operate(relaxed.root, "replay")
    assert picture(relaxed.root) == undisturbed
    check(relaxed.root)


def test_a_replay_whose_last_commit_happened_is_settled(
    relaxed: Paths, monkeypatch: pytest.MonkeyPatch, undisturbed: Picture
) -> None:
    def dead(*_: object) -> None:
        raise _Dead

    with monkeypatch.context() as patched, Session.open(relaxed.root) as session:
        patched.setattr(SqlLedger, "settle", dead)
        with pytest.raises(_Dead):
            replay(session)
    operate(relaxed.root, "replay")
    assert picture(relaxed.root) == undisturbed
    check(relaxed.root)


def test_a_replay_of_which_no_row_passes_changes_nothing(relaxed: Paths) -> None:
    relaxed.declare(100)
    before = picture(relaxed.root)
    with Session.open(relaxed.root) as session:
        versions = [session.store.version(session.table(n)) for n in TABLES]
        (result,) = replay(session, "silver")
        assert (result.replayed, result.version) == (0, None)
        assert result.remaining == result.examined > 0
        assert [session.store.version(session.table(n)) for n in TABLES] == versions
        assert not [e for e in session.ledger.epochs() if e.flow == "silver::replay"]
    assert picture(relaxed.root) == before
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
    """They have left the quarantine already, and must come back before they are read."""
    undisturbed = copy(relaxed.root, tmp_path / "undisturbed")
    operate(undisturbed, "replay")
    operate(undisturbed, "run")
    interrupt(relaxed, monkeypatch, "silver")
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
    """Before it is published: no update looks for files of an epoch that no ledger has."""

    def refused(*_: object) -> None:
        raise StorageFullError("no space left for the ledger")

    with monkeypatch.context() as patched, Session.open(relaxed.root) as session:
        patched.setattr(SqlLedger, "prepare", refused)
        with pytest.raises(StorageFullError):
            replay(session)
    check(relaxed.root)


@pytest.mark.parametrize("at", ["silver", "silver__quarantine"])
def test_a_replay_that_fails_is_given_up(
    relaxed: Paths, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    before = picture(relaxed.root)
    fail(relaxed, monkeypatch, at, StorageFullError("no space left"))
    assert picture(relaxed.root) == before
    with Session.open(relaxed.root) as session:
        assert session.ledger.open_epochs() == []
    check(relaxed.root)
