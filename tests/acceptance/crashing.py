"""Run an operation on a project in a process of its own that dies at its N-th step on disk.

A step changes a file or the ledger: an `open` for writing, a rename, link, unlink or mkdir of
Python code, an fsync, a transaction of the ledger, an engine's staging. The process dies by
`os._exit`: no handler runs and no buffer is flushed, as with SIGKILL. DuckDB's own writes are no
steps: readers do not see them before the steps that follow.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qanat.engines.duckdb.engine import DuckDBEngine
from qanat.errors import DatasetNotFoundError
from qanat.ledgers.sql.sqlite import SqliteDatabase
from qanat.run.drop import drop
from qanat.run.promote import Promotion, promote
from qanat.run.quarantine import replay
from qanat.run.rename import rename
from qanat.run.results import Selection
from qanat.run.session import Session
from qanat.run.update import update
from qanat.storage.delta.store import DeltaStore
from tests.forked import FORKED

DIED = 9
LEASE = 0.1
"""How long the lease of an update that oversleeps lasts, in seconds."""

_CHANGING = frozenset({"os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir"})
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

Operation = str
"""`run`, `replay`, `refresh` (a full refresh of everything), `rename OLD NEW`, `drop NAME` or
`promote ENVIRONMENT NAME…`."""

More = Callable[[Callable[[Callable[..., Any]], Callable[..., Any]]], None]
"""Makes other functions steps, too: it is given what makes one of a function."""


def operate(project: Path, operation: Operation) -> None:
    """Do an operation in this process; fails if a dataset fails."""
    with Session.open(project) as session:
        if operation == "replay":
            replay(session)
            return
        command, *names = operation.split()
        if command == "promote":
            promote(session, Promotion(tuple(names[1:]), names[0]))
            return
        if command in ("rename", "drop"):
            with suppress(DatasetNotFoundError):  # an earlier attempt has done it
                {"rename": rename, "drop": drop}[command](session, *names)
            return
        all_ = operation == "refresh"
        selection = Selection(full_refresh=("export",) if all_ else (), full_refresh_all=all_)
        result = update(session, selection)
    for failed in result.failed:
        raise AssertionError(f"{failed.dataset}: {failed.error}") from failed.error


def die_at(project: Path, operation: Operation, step: int, more: More | None = None) -> bool:
    """Do an operation in a process that dies at a step; returns False if it ended before."""
    args = (str(project), operation, step, None, None, None, more)
    child = FORKED.Process(target=_child, args=args)
    child.start()
    child.join(60)
    assert child.exitcode in (0, DIED), f"exit code {child.exitcode}"
    return child.exitcode == DIED


def count_steps(project: Path, operation: Operation, more: More | None = None) -> int:
    """Do an operation; returns the number of its steps."""
    receiver, sender = FORKED.Pipe(duplex=False)
    args = (str(project), operation, 0, sender, None, None, more)
    child = FORKED.Process(target=_child, args=args)
    child.start()
    sender.close()
    steps: int = receiver.recv()
    child.join(60)
    assert child.exitcode == 0
    return steps


def start(
    project: Path,
    operation: Operation,
    lease_seconds: float | None = None,
    halt: Halt | None = None,
) -> Any:
    """Start an operation in a process of its own; the caller may stop, continue or kill it.

    Args:
        lease_seconds: how long its lease lasts; None for the usual time.
        halt: where it falls asleep, or dies; None for nowhere.
    """
    args = (str(project), operation, 0, None, lease_seconds, halt)
    child = FORKED.Process(target=_child, args=args)
    child.start()
    return child


def wait_for(true: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until a function returns True; fails after some seconds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


@dataclass(frozen=True, slots=True)
class Halt:
    """Where a process halts: just before a step for one table. It creates the file `asleep` there.

    Args:
        moment: `stage`, `publish` or `commit`; at `commit` the log entry is written, and only
            lacks its name.
        dies: True if the process dies there; else it sleeps until the file is removed.
        table: the table.
    """

    moment: str
    dies: bool = False
    table: str = "silver"

    def install(self, project: Path) -> None:
        owner, name = {
            "stage": (DuckDBEngine, "stage"),
            "publish": (DeltaStore, "publish"),
            "commit": (os, "link"),
        }[self.moment]
        act: Any = getattr(owner, name)
        asleep = project / "asleep"

        def halting(*args: Any) -> Any:
            if self._table(args) == self.table:
                asleep.touch()
                if self.dies:
                    os._exit(DIED)
                wait_for(lambda: not asleep.exists(), 120)
            return act(*args)

        setattr(owner, name, halting)

    def _table(self, args: Any) -> str:
        if self.moment == "commit":
            return Path(args[1]).parent.parent.name
        return str(args[1].dataset if self.moment == "stage" else args[1].table.name)


def take_steps(project: Path, step: int, more: More, act: Callable[[], object]) -> None:
    """Run the project in this process, which does something at a step."""
    _child(str(project), "run", step, None, more=more, act=act)


def _child(
    project: str,
    operation: Operation,
    fatal: int,
    report: Any,
    lease_seconds: float | None = None,
    halt: Halt | None = None,
    more: More | None = None,
    act: Callable[[], object] | None = None,
) -> None:
    os.environ["QANAT__THREADS"] = "1"
    if lease_seconds is not None:
        from qanat.run import lease

        lease.SECONDS = lease_seconds
        # Do not renew the lease: the process might be stopped during the renewal and keep the
        # database locked while it sleeps.
        lease.HeldLease._keep = lambda self: None  # type: ignore[method-assign]
    if halt is not None:
        halt.install(Path(project))
    steps = _Steps(fatal, act or _die)
    root = f"{Path(project)}/"

    def audit(event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(args[0], str | bytes | os.PathLike):
            mode, flags = args[1], args[2]
            writes = flags & _WRITING if mode is None else set(mode) & set("wax+")
            if writes and os.fsdecode(args[0]).startswith(root):
                steps.take()
        elif event in _CHANGING and os.fsdecode(args[0]).startswith(root):
            steps.take()

    sys.addaudithook(audit)
    os.fsync = steps.around(os.fsync)
    DuckDBEngine.stage = steps.around(DuckDBEngine.stage)  # type: ignore[method-assign]
    writing = SqliteDatabase.writing

    @contextmanager
    def stepping(self: SqliteDatabase) -> Iterator[Any]:
        steps.take()
        with writing(self) as transaction:
            yield transaction
            steps.take()  # before the COMMIT
        steps.take()

    SqliteDatabase.writing = stepping  # type: ignore[method-assign]
    if more is not None:
        more(steps.around)
    operate(Path(project), operation)
    if report is not None:
        report.send(steps.taken)


def _die() -> None:
    os._exit(DIED)


class _Steps:
    def __init__(self, fatal: int, act: Callable[[], object]) -> None:
        self.fatal = fatal
        self.taken = 0
        self._act = act
        self._lock = threading.Lock()

    def take(self) -> None:
        with self._lock:
            self.taken += 1
            met = self.taken == self.fatal
        if met:
            self._act()

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def stepping(*args: Any) -> Any:
            self.take()
            result = function(*args)
            self.take()
            return result

        return stepping


@contextmanager
def overslept(project: Path, halt: Halt) -> Iterator[Any]:
    """Let an update sleep at a moment, for longer than its lease lasts, while the block runs.

    Yields:
        Its process, which wakes when the block ends, and ends too.
    """
    sleeper = start(project, "run", LEASE, halt)
    wait_for((project / "asleep").exists)
    os.kill(sleeper.pid, signal.SIGSTOP)
    time.sleep(1.5 * LEASE)
    try:
        yield sleeper
    finally:
        (project / "asleep").unlink()
        os.kill(sleeper.pid, signal.SIGCONT)
        sleeper.join(60)


def beside(folder: Path, name: str) -> Path:
    """A folder next to another one, of which no other test has one."""
    return folder.with_name(f"{folder.name}-{name}")


def copy(source: Path, target: Path) -> Path:
    """Copy a project to another folder; returns that folder."""
    shutil.copytree(source, target)
    return target
