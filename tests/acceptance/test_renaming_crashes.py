"""`rename` and `drop` are killed at any step; what comes next finishes them, and nothing is lost.

Steps are drawn by a seed, as in `test_exactly_once`; `QANAT_CRASH_STEPS=all` tries every step of
every command, with both table formats.
"""

from __future__ import annotations

import errno
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from qanat.errors import AdapterError, HistoryMismatchError, RereadError
from qanat.run.look import show
from qanat.run.results import Selection
from qanat.run.session import Session
from qanat.run.update import update
from tests.acceptance.conftest import PYTHON, SPEC, SQL, Paths
from tests.acceptance.crashing import Halt, copy, count_steps, die_at, operate, overslept
from tests.acceptance.ledgered import check
from tests.acceptance.test_exactly_once import SEED, STEPS

Picture = dict[str, Counter[str]]
LIMIT = 100
NOTHING = "CREATE STREAMING TABLE bronze;"


def _declare(paths: Paths, sql: str, python: str = PYTHON) -> None:
    paths.write("transformations/tables.sql", sql.format(limit=LIMIT))
    paths.write("transformations/flows.py", python)


def _table(paths: Paths) -> None:
    _declare(paths, SQL.replace("silver", "clean"), PYTHON.replace("silver", "clean"))


def _view(paths: Paths) -> None:
    _declare(paths, SQL.replace("sized", "known"))


def _flow(paths: Paths) -> None:
    _declare(paths, SQL.replace("FLOW more", "FLOW others"))


def _sink(paths: Paths) -> None:
    python = PYTHON.replace('sink("export"', 'sink("sent"')
    _declare(paths, SQL, python.replace('target="export"', 'target="sent"'))


def _source(paths: Paths) -> None:
    (paths.root / "more").rename(paths.root / "rest")
    _declare(paths, SQL.replace("more/", "rest/"))


def _gone(paths: Paths) -> None:
    _declare(paths, SQL.partition("CREATE OR REFRESH STREAMING TABLE silver")[0], "")


MOVES: dict[str, Callable[[Paths], None]] = {
    "rename silver clean": _table,
    "rename sized known": _view,
    "rename more others": _flow,
    "rename export sent": _sink,
    "rename more/*.csv rest/*.csv": _source,
    "drop silver": _gone,
}
"""By command, what the author changes first."""


MOVED = {command.split()[1] for command in MOVES}
"""The names that are no more; what else is not declared for a while stays."""


class Move:
    """A command on a project whose files the author has changed, and what it leaves."""

    def __init__(self, folder: Path, command: str, table_format: str) -> None:
        self.folder, self.command = folder, command
        self.before = folder / "before"
        paths = Paths.make(self.before)
        paths.write("qanat.yml", f"{SPEC}table_format: {table_format}\n")
        paths.first()
        operate(self.before, "run")
        MOVES[command](paths)
        project = copy(self.before, folder / "undisturbed")
        self.steps = count_steps(project, command)
        self.wanted = self._rest(project)
        self._made = 0

    def drawn(self) -> Iterator[int]:
        """The steps to die at."""
        every = range(1, self.steps + 1)
        if STEPS == "all":
            return iter(every)
        draw = random.Random(f"{SEED} {self.command}")  # noqa: S311
        return iter(sorted(draw.sample(every, min(max(1, int(STEPS) // 2), self.steps))))

    def die(self, *steps: int) -> None:
        """Die at these steps, one after the other; then go on, and compare."""
        self._made += 1
        project = copy(self.before, self.folder / f"case-{self._made}")
        try:
            for step in steps:
                die_at(project, self.command, step)
            # Files in another folder are others, as long as nobody says that it was renamed.
            may_run = "*" not in self.command
            self._go_on(project, by_update=may_run and sum(steps) % 2 == 1)
            assert self._rest(project) == self.wanted
        except BaseException as error:
            error.add_note(f"seed {SEED}: `{self.command}` died at {steps} of {self.steps}")
            raise

    def _go_on(self, project: Path, by_update: bool) -> None:
        if by_update:
            # Whatever comes next finishes what was begun; what was not begun is not done yet.
            try:
                operate(project, "run")
            except AssertionError as error:
                refused = error.__cause__
                assert isinstance(refused, RereadError | HistoryMismatchError)
                assert self.command in str(refused.hint)
        operate(project, self.command)

    def _rest(self, project: Path) -> Picture:
        """What the tables hold after the next update, and after the next rows."""
        operate(project, "run")
        check(project)
        left = _picture(project)
        paths = Paths(project)
        if (project / "rest").exists():
            (project / "more").mkdir(exist_ok=True)
        paths.second()
        for file in (project / "more").glob("*") if (project / "rest").exists() else ():
            file.rename(project / "rest" / file.name)
        if self.command.startswith("drop"):
            _declare(paths, SQL)
            # The sink has sent rows of the table that was dropped, and asks.
            with Session.open(project) as session:
                result = update(session, Selection(read_again=("export",)))
            assert not result.failed
        operate(project, "run")
        check(project)
        return {**{f"{k} before": v for k, v in left.items()}, **_picture(project)}


def _picture(project: Path) -> Picture:
    """All rows of all tables and quarantines, and how many were sent."""
    found: Picture = {}
    with Session.open(project) as session:
        assert not session.ledger.open_moves()
        names = [n for d in session.pipeline.datasets for n in (d.name, d.quarantine)]
        for name in names:
            if session.store.version(session.table(name)) is not None:
                rows = show(session, name, limit=10_000).rows
                found[name] = Counter(repr(list(row[:3])) for row in rows)
        tables = session.store.tables(str(session.project.tables))
        undeclared = {t.name for t in tables} - set(names)
        assert not undeclared & {n + q for n in MOVED for q in ("", "__quarantine")}
        folders = {p.name for p in Path(session.project.tables).iterdir()}
        assert not any(f.startswith(".") for f in folders)
    sent = (project / "out").rglob("*.csv")
    found["out"] = Counter(line for p in sent for line in p.read_text().splitlines()[1:])
    return found


CASES = [
    ("rename silver clean", "delta"),
    ("rename silver clean", "iceberg"),
    ("drop silver", "delta"),
    ("rename more others", "delta"),
]
EVERY = [*((command, "delta") for command in MOVES), *((c, "iceberg") for c in MOVES)]


@pytest.fixture(scope="module", params=CASES if STEPS == "2" else EVERY, ids=" ".join)
def move(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Move:
    return Move(tmp_path_factory.mktemp("move"), *request.param)


def test_dying_at_any_step(move: Move) -> None:
    for step in move.drawn():
        move.die(step)


def test_dying_again_and_again(move: Move) -> None:
    draw = random.Random(f"{SEED} again {move.command}")  # noqa: S311
    for _ in range(move.steps if STEPS == "all" else int(STEPS) // 3):
        move.die(*(draw.randint(1, move.steps) for _ in range(draw.randint(2, 4))))


@pytest.mark.parametrize("command", ["rename silver clean", "drop silver"])
def test_an_update_that_sleeps_meanwhile_gives_way(
    paths: Paths, tmp_path: Path, command: str
) -> None:
    """It wakes in the middle of a commit to a table that has gone, or is called otherwise."""
    operate(paths.root, "run")
    paths.second()
    undisturbed = copy(paths.root, tmp_path / "undisturbed")
    for root, around in ((undisturbed, nullcontext()), (paths.root, _asleep(paths.root))):
        with around:
            MOVES[command](Paths(root))
            operate(root, command)
        operate(root, "run")
        check(root)
    assert _picture(paths.root) == _picture(undisturbed)


def _asleep(root: Path) -> AbstractContextManager[object]:
    return overslept(root, Halt("commit"))


def test_what_the_disk_refused_to_remove_is_swept_once_the_renaming_is_finished(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No metadata names that of before any more; and no update has crashed, as this one ended."""
    paths.write("qanat.yml", f"{SPEC}table_format: iceberg\n")
    operate(paths.root, "run")
    _table(paths)
    with monkeypatch.context() as patched:
        unlink = Path.unlink

        def refuse(path: Path, missing_ok: bool = False) -> None:
            if path.name.endswith(".metadata.json"):
                raise OSError(errno.EIO, "Input/output error", str(path))
            unlink(path, missing_ok)

        patched.setattr(Path, "unlink", refuse)
        with pytest.raises(AdapterError, match="Input/output error"):
            operate(paths.root, "rename silver clean")
    with Session.open(paths.root) as session:
        assert session.store.orphans(session.table("clean")) > 0
    operate(paths.root, "run")
    with Session.open(paths.root) as session:
        assert not session.store.orphans(session.table("clean"))
    check(paths.root)
