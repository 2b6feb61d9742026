"""Exactly once: whenever an update is killed, the next one ends with the same rows, each once.

Processes die at steps that are drawn by a seed, which a failing test prints.
`QANAT_CRASH_STEPS=all` tries every step instead, and `QANAT_CRASH_SEED` repeats a draw.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from functools import cache, cached_property
from pathlib import Path

import pytest
from deltalake import DeltaTable

from qanat.errors import (
    ExpectationFailedError,
    HistoryMismatchError,
    NotAppendOnlyError,
    StorageFullError,
)
from qanat.model.table import Commit
from qanat.run.doctor import examine
from qanat.run.results import Selection
from qanat.run.session import Session
from qanat.run.update import update
from qanat.storage.delta.store import DeltaStore
from tests.acceptance.conftest import Paths
from tests.acceptance.crashing import (
    DIED,
    Halt,
    Operation,
    copy,
    count_steps,
    die_at,
    operate,
    overslept,
    start,
)
from tests.acceptance.ledgered import Picture, check, picture

SEED = int(os.environ.get("QANAT_CRASH_SEED", random.SystemRandom().randrange(10**6)))
STEPS = os.environ.get("QANAT_CRASH_STEPS", "2")


class Case:
    """An operation on a project in a certain state, and its result without a crash."""

    def __init__(self, folder: Path, operation: Operation) -> None:
        self.folder = folder
        self.operation = operation
        self.before = folder / "before"
        paths = Paths.make(self.before)
        paths.first()
        if operation != "run-first":
            operate(self.before, "run")
            paths.second()
        if operation in ("replay", "refresh"):
            operate(self.before, "run")
            paths.declare(165)
        self.does = operation.partition("-")[0]
        self.steps, self.wanted = self._undisturbed()
        self._made = 0

    def _undisturbed(self) -> tuple[int, Picture]:
        project = copy(self.before, self.folder / "undisturbed")
        steps = count_steps(project, self.does)
        operate(project, self.does)
        check(project)
        return steps, self._picture(project)

    def drawn(self) -> Iterator[int]:
        """The steps to die at, in order."""
        every = range(1, self.steps + 1)
        if STEPS == "all":
            return iter(every)
        draw = random.Random(f"{SEED} {self.operation}")  # noqa: S311
        return iter(sorted(draw.sample(every, min(int(STEPS), self.steps))))

    def project(self) -> Path:
        """A new copy of the project."""
        self._made += 1
        return copy(self.before, self.folder / f"case-{self._made}")

    def again(self, project: Path) -> None:
        """Repeat the operation, and compare everything with its result without a crash."""
        operate(project, self.does)
        assert self._picture(project) == self.wanted
        check(project)

    def _picture(self, project: Path) -> Picture:
        found = picture(project)
        if self.does == "refresh":
            # Each full refresh sends a sink's rows again, so two of them send them twice.
            del found["out/export"]
        return found


@pytest.fixture(scope="module", params=["run-first", "run", "replay", "refresh"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(tmp_path_factory.mktemp(request.param), request.param)


def test_dying_at_any_step(case: Case) -> None:
    for step in case.drawn():
        project = case.project()
        try:
            die_at(project, case.does, step)
            case.again(project)
        except BaseException as error:
            error.add_note(f"seed {SEED}: {case.operation} died at step {step} of {case.steps}")
            raise


def test_dying_again_while_recovering(case: Case) -> None:
    """Up to five deaths in a row, each at another step."""
    draw = random.Random(f"{SEED} again {case.operation}")  # noqa: S311
    for _ in range(case.steps if STEPS == "all" else -(-int(STEPS) // 3)):
        project = case.project()
        steps = [draw.randint(1, case.steps) for _ in range(draw.randint(2, 5))]
        try:
            for step in steps:
                die_at(project, case.does, step)
            case.again(project)
        except BaseException as error:
            error.add_note(f"seed {SEED}: {case.operation} died at steps {steps}")
            raise


# -- other crashes, sleeping updates, lost tables and ledgers -------------------------------------


def test_killed_at_any_moment(case: Case) -> None:
    draw = random.Random(f"{SEED} killed {case.operation}")  # noqa: S311
    project = case.project()
    child = start(project, case.does)
    time.sleep(draw.random() * 0.6)
    child.kill()
    child.join(60)
    case.again(project)


@pytest.mark.parametrize("moment", ["stage", "publish"])
def test_asleep_for_longer_than_its_lease(paths: Paths, tmp_path: Path, moment: str) -> None:
    """Another update takes over and finishes; then the sleeper wakes and doubles no row."""
    undisturbed = copy(paths.root, tmp_path / "undisturbed")
    operate(undisturbed, "run")
    with overslept(paths.root, Halt(moment)) as sleeper:
        operate(paths.root, "run")
    assert sleeper.exitcode == 1  # it fails, because it lost its lease
    operate(paths.root, "run")
    assert picture(paths.root) == picture(undisturbed)
    check(paths.root)


class States:
    """The project in states that many tests begin with; each is made once, and copied."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def unread(self) -> Path:
        """Its first files, before the first run."""
        paths = Paths.make(self.folder / "unread")
        paths.first()
        return paths.root

    @cached_property
    def read(self) -> Path:
        """After the first run."""
        root = copy(self.unread, self.folder / "read")
        operate(root, "run")
        return root

    @cached_property
    def two_files(self) -> Path:
        """After the first run, with more files."""
        root = copy(self.read, self.folder / "two_files")
        Paths(root).second()
        return root

    @cached_property
    def read_twice(self) -> Path:
        """After the second run."""
        root = copy(self.two_files, self.folder / "read_twice")
        operate(root, "run")
        return root

    @cache  # noqa: B019 - it lives as long as the module's tests
    def undisturbed(self, begun: bool, operation: Operation, limit: int | None) -> Picture:
        """What becomes of the tables without a crash.

        Args:
            begun: whether there was a run before the last files came.
            limit: the amount from which on rows are not `small`; None for that of the start.
        """
        name = f"undisturbed-{begun}-{operation}-{limit}"
        root = copy(self.two_files if begun else self.unread, self.folder / name)
        if limit is not None:
            Paths(root).declare(limit)
        operate(root, operation)
        return _without_sinks(picture(root))


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> States:
    return States(tmp_path_factory.mktemp("states"))


def _redo(paths: Paths) -> None:
    operate(paths.root, "run")


def _redo_by_another_rule(paths: Paths) -> None:
    paths.declare(1000)
    operate(paths.root, "run")


def _redo_that_fails(paths: Paths) -> None:
    sql = (paths.root / "transformations/tables.sql").read_text(encoding="utf-8")
    rule = "(amount > 0) ON VIOLATION DROP ROW"
    assert rule in sql
    failing = sql.replace(rule, "(amount > 15) ON VIOLATION FAIL UPDATE")
    paths.write("transformations/tables.sql", failing)
    with Session.open(paths.root) as session:
        assert "silver" in [d.dataset for d in update(session).failed]
    paths.write("transformations/tables.sql", sql)


def _flow_is_gone(paths: Paths) -> None:
    sql = (paths.root / "transformations/tables.sql").read_text(encoding="utf-8")
    python = (paths.root / "transformations/flows.py").read_text(encoding="utf-8")
    paths.write("transformations/tables.sql", sql.partition("CREATE TEMPORARY VIEW")[0])
    (paths.root / "transformations/flows.py").unlink()
    operate(paths.root, "run")
    paths.write("transformations/tables.sql", sql)
    paths.write("transformations/flows.py", python)


def _full_refresh(paths: Paths) -> None:
    operate(paths.root, "refresh")


MEANWHILE = [_redo, _redo_by_another_rule, _redo_that_fails, _flow_is_gone, _full_refresh]


TABLES = ("sized__quarantine", "silver__quarantine", "silver")
# Every pair of what happens meanwhile, of the table, and of whether there are tables already.
SLEEPS = [
    pytest.param(happens, table, bool((m + n) % 2), id=f"{happens.__name__.strip('_')}-{table}")
    for m, happens in enumerate(MEANWHILE)
    for n, table in enumerate(TABLES)
]


@pytest.mark.parametrize(("meanwhile", "table", "begun"), SLEEPS)
def test_asleep_at_the_very_commit(
    states: States, tmp_path: Path, meanwhile: Callable[[Paths], None], table: str, begun: bool
) -> None:
    """Another update deals with the epoch in some way; the sleeper's commit then fails."""
    paths = Paths(copy(states.two_files if begun else states.unread, tmp_path / "project"))
    with overslept(paths.root, Halt("commit", table=table)) as sleeper:
        meanwhile(paths)
        held = picture(paths.root)
    assert sleeper.exitcode == 1
    assert picture(paths.root) == held
    operate(paths.root, "run")
    # A full refresh reads all files in one epoch, so another row of a key may be the first.
    wanted = states.undisturbed(
        begun,
        "refresh" if meanwhile is _full_refresh else "run",
        1000 if meanwhile is _redo_by_another_rule else None,
    )
    assert _without_sinks(picture(paths.root)) == wanted
    check(paths.root)


def test_two_updates_started_at_once(paths: Paths, tmp_path: Path) -> None:
    undisturbed = copy(paths.root, tmp_path / "undisturbed")
    operate(undisturbed, "run")
    both = [start(paths.root, "run") for _ in range(3)]
    for each in both:
        each.join(60)
    assert 0 in {each.exitcode for each in both}
    operate(paths.root, "run")
    assert picture(paths.root) == picture(undisturbed)
    check(paths.root)


def _tables(root: Path) -> Path:
    return root / "storage" / "tables"


def _lose_ledger(now: Path, before: Path) -> None:
    shutil.rmtree(now / "storage" / "_qanat")


def _lose_table(now: Path, before: Path) -> None:
    shutil.rmtree(_tables(now) / "silver")


def _lose_table_and_ledger(now: Path, before: Path) -> None:
    """Remove the table and leave only its quarantine."""
    _lose_ledger(now, before)
    shutil.rmtree(_tables(now) / "silver")


def _old_ledger(now: Path, before: Path) -> None:
    shutil.rmtree(now / "storage" / "_qanat")
    shutil.copytree(before / "storage" / "_qanat", now / "storage" / "_qanat")


def _old_table(now: Path, before: Path) -> None:
    shutil.rmtree(_tables(now) / "silver")
    shutil.copytree(_tables(before) / "silver", _tables(now) / "silver")


def _lose_quarantine(now: Path, before: Path) -> None:
    shutil.rmtree(_tables(now) / "silver__quarantine")


def _lose_quarantine_of_a_view(now: Path, before: Path) -> None:
    shutil.rmtree(_tables(now) / "sized__quarantine")


def _old_quarantine(now: Path, before: Path) -> None:
    _lose_quarantine(now, before)
    name = "silver__quarantine"
    shutil.copytree(_tables(before) / name, _tables(now) / name)


LOSSES = [
    _lose_ledger,
    _lose_table,
    _lose_table_and_ledger,
    _lose_quarantine,
    _lose_quarantine_of_a_view,
    _old_ledger,
    _old_table,
    _old_quarantine,
]


@pytest.mark.parametrize("lose", LOSSES, ids=lambda f: f.__name__.strip("_"))
def test_what_was_lost_or_restored_is_never_doubled(
    states: States, tmp_path: Path, lose: Callable[[Path, Path], None]
) -> None:
    paths = Paths(copy(states.read_twice, tmp_path / "project"))
    wanted = states.undisturbed(True, "refresh", None)
    lose(paths.root, states.read)
    held = picture(paths.root)
    with Session.open(paths.root) as session:
        result = update(session)
    first = result.failed[0]
    of_both = (_lose_ledger, _lose_table_and_ledger, _old_ledger)
    assert first.dataset == ("bronze" if lose in of_both else "silver")
    # `doctor` reports the same before the run.
    with Session.open(paths.root) as session:
        wrong = [f for f in examine(session, paths.root) if f.level == "error"]
    assert first.error.message in wrong[0].detail
    assert isinstance(first.error, HistoryMismatchError)
    assert f"qanat run --full-refresh {first.dataset}" in str(first.error)
    assert picture(paths.root).get("silver") == held.get("silver")
    # The documented way out.
    operate(paths.root, "refresh")
    assert _without_sinks(picture(paths.root)) == wanted
    check(paths.root)
    operate(paths.root, "run")
    assert _without_sinks(picture(paths.root)) == wanted


@pytest.mark.parametrize("name", ["silver", "silver__quarantine"])
def test_what_was_restored_from_before_a_replay(paths: Paths, tmp_path: Path, name: str) -> None:
    """The replayed rows would be in both table and quarantine, or in neither."""
    operate(paths.root, "run")
    paths.declare(165)
    before = copy(paths.root, tmp_path / "before")
    operate(paths.root, "replay")
    shutil.rmtree(_tables(paths.root) / name)
    shutil.copytree(_tables(before) / name, _tables(paths.root) / name)
    with Session.open(paths.root) as session:
        (failed,) = update(session).failed
    assert failed.dataset == "silver"
    assert isinstance(failed.error, HistoryMismatchError)
    assert name in failed.error.message
    operate(paths.root, "refresh")
    check(paths.root)
    operate(paths.root, "run")


def test_a_sink_that_knows_more_than_the_ledger(paths: Paths) -> None:
    operate(paths.root, "run")
    shutil.rmtree(paths.root / "storage" / "_qanat")
    with Session.open(paths.root) as session:
        failed = update(session, Selection(full_refresh_all=True)).failed
    assert [d.dataset for d in failed] == ["export"]
    assert isinstance(failed[0].error, HistoryMismatchError)
    sent = picture(paths.root)["out/export"]
    operate(paths.root, "refresh")
    assert picture(paths.root)["out/export"] == sent + sent
    check(paths.root)


def _without_sinks(found: Picture) -> Picture:
    return {k: v for k, v in found.items() if not k.startswith("out/")}


def test_a_reader_notices_that_its_table_was_rebuilt(paths: Paths) -> None:
    """The versions of a rebuilt table start again, so they do not tell which rows were read."""
    operate(paths.root, "run")
    shutil.rmtree(_tables(paths.root) / "bronze")
    paths.second()
    with Session.open(paths.root) as session:
        result = update(session, Selection(full_refresh=("bronze",), only=True))
    assert result.status == "succeeded"
    for _ in range(2):
        with Session.open(paths.root) as session:
            failed = {d.dataset: d.error for d in update(session).failed}
        assert isinstance(failed["silver"], NotAppendOnlyError)
        assert "--full-refresh silver" in str(failed["silver"])
    operate(paths.root, "refresh")
    check(paths.root)
    assert sum(picture(paths.root)["bronze"].values()) == 12


def test_a_reader_notices_it_however_many_epochs_later(paths: Paths) -> None:
    operate(paths.root, "run")
    held = picture(paths.root)["silver"]
    shutil.rmtree(_tables(paths.root) / "bronze")
    sql = (paths.root / "transformations/tables.sql").read_text(encoding="utf-8")
    limited = sql.replace("header => true,", "header => true, maxFilesPerTrigger => 1,", 1)
    assert limited != sql
    paths.write("transformations/tables.sql", limited)
    for n in range(105):
        paths.write(f"in/more-{n:03}.csv", f"id,kind,amount\n{100 + n},a,1\n")
    with Session.open(paths.root) as session:
        selection = Selection(full_refresh=("bronze",), only=True)
        assert update(session, selection).status == "succeeded"
        failed = {d.dataset: d.error for d in update(session).failed}
    assert isinstance(failed["silver"], NotAppendOnlyError)
    assert picture(paths.root)["silver"] == held


def test_a_project_that_moved_reads_nothing_again(paths: Paths, tmp_path: Path) -> None:
    operate(paths.root, "run")
    held = picture(paths.root)
    moved = tmp_path / "elsewhere" / "project"
    moved.parent.mkdir()
    paths.root.rename(moved)
    with Session.open(moved) as session:
        result = update(session)
    assert {d.status for d in result.datasets} == {"unchanged"}
    assert picture(moved) == held
    check(moved)


# -- the author changes something between crash and recovery ------------------------------------


def _published_quarantine_only(paths: Paths) -> None:
    """Die after silver's quarantine was published, before its table was."""
    operate(paths.root, "run")
    paths.second()
    child = start(paths.root, "run", halt=Halt("publish", dies=True))
    child.join(60)
    assert child.exitcode == DIED
    with Session.open(paths.root) as session:
        assert [e.flow for e in session.ledger.open_epochs()] == ["silver"]


@pytest.fixture(scope="module")
def half_published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    paths = Paths.make(tmp_path_factory.mktemp("half") / "project")
    paths.first()
    _published_quarantine_only(paths)
    return paths.root


def _where(root: Path, text: str) -> list[str]:
    return [name for name, rows in picture(root).items() for row in rows if text in row]


def test_a_changed_rule_leaves_no_row_in_both_places(half_published: Path, tmp_path: Path) -> None:
    paths = Paths(copy(half_published, tmp_path / "project"))
    assert _where(paths.root, "('amount', 180)") == ["bronze", "silver__quarantine"]
    paths.declare(1000)
    operate(paths.root, "run")
    # The epoch is computed again as a whole, with the rule as it is now.
    assert _where(paths.root, "('amount', 180)") == ["bronze", "silver"]
    assert _where(paths.root, "('amount', 150)") == ["bronze", "silver__quarantine"]
    check(paths.root)


def test_a_redo_that_fails_gives_the_rows_back(half_published: Path, tmp_path: Path) -> None:
    paths = Paths(copy(half_published, tmp_path / "project"))
    sql = (paths.root / "transformations/tables.sql").read_text(encoding="utf-8")
    rule = "(amount > 0) ON VIOLATION DROP ROW"
    failing = sql.replace(rule, "(amount > 5) ON VIOLATION FAIL UPDATE")
    paths.write("transformations/tables.sql", failing)
    with Session.open(paths.root) as session:
        result = update(session)
    errors = {d.dataset: d.error for d in result.failed}
    assert isinstance(errors["silver"], ExpectationFailedError)
    assert _where(paths.root, "('amount', 180)") == ["bronze"]
    # The range is unread again, and the number can be used again.
    paths.write("transformations/tables.sql", sql)
    operate(paths.root, "run")
    assert _where(paths.root, "('amount', 180)") == ["bronze", "silver__quarantine"]
    check(paths.root)


def test_a_flow_that_is_gone_takes_its_rows_with_it(half_published: Path, tmp_path: Path) -> None:
    paths = Paths(copy(half_published, tmp_path / "project"))
    sql = (paths.root / "transformations/tables.sql").read_text(encoding="utf-8")
    without, _, _ = sql.partition("CREATE TEMPORARY VIEW")
    paths.write("transformations/tables.sql", without)
    (paths.root / "transformations/flows.py").unlink()
    with Session.open(paths.root) as session:
        assert update(session).status == "succeeded"
        assert not session.ledger.open_epochs()
    assert _where(paths.root, "('amount', 180)") == ["bronze"]


def test_an_error_between_the_two_commits(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process does not crash, but the epoch fails; the next update repairs it."""
    publish = DeltaStore.publish

    def failing(self: DeltaStore, commit: Commit) -> int:
        if commit.table.name == "silver":
            raise StorageFullError("no space left")
        return publish(self, commit)

    with monkeypatch.context() as patched:
        patched.setattr(DeltaStore, "publish", failing)
        with Session.open(paths.root) as session:
            assert [d.dataset for d in update(session).failed] == ["silver"]
        check(paths.root)
        # A reader that opened the quarantine in between can still read it.
        moment = DeltaTable(_tables(paths.root) / "silver__quarantine", version=0)
        assert moment.to_pyarrow_table().num_rows == 2
        with Session.open(paths.root) as session:
            assert [d.dataset for d in update(session).failed] == ["silver"]
    undisturbed = Paths.make(paths.root.parent / "undisturbed")
    undisturbed.first()
    operate(undisturbed.root, "run")
    operate(paths.root, "run")
    assert picture(paths.root) == picture(undisturbed.root)
    check(paths.root)
