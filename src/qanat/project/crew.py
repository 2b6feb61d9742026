"""The processes that carry out due runs.

A scheduler gives each run a process: it has a memory, a log and signals of its own, and goes on if
the scheduler dies. A process that is done with one run may be given another. They are forked from
one that has imported what an update needs (Python's `forkserver`), so that each starts within
milliseconds.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from multiprocessing import connection, forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from qanat import plugins
from qanat.frozen import Frozen
from qanat.model.pipeline import ProjectSpec
from qanat.model.schedule import DueRun, moment_text
from qanat.project.worker import work

KEPT_LOGS = 50
"""Logs that each schedule keeps."""
_LAST = 35.0
"""Seconds in which a process ends that was told to; a run takes at most thirty (`run.due`)."""
_PROMPT = 5.0
"""Seconds in which a process without a run ends."""
_IDLE = 60.0
"""Seconds for which a process without a run is kept."""


class Worker(Frozen):
    """A process, and the run that it works on or was the last to work on.

    Args:
        tasks: what it is sent runs by, and answers by.
        since: when it was given the run, or was done with it; by the monotonic clock.
    """

    run: DueRun
    log: Path
    process: ForkServerProcess
    tasks: Connection
    since: float


class Crew:
    """The processes that this one has started."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._busy: list[Worker] = []
        self._idle: list[Worker] = []

    def __len__(self) -> int:
        return len(self._busy)

    def prepare(self, project: ProjectSpec) -> None:
        """Start the process that others are forked from, if it is not there."""
        adapters = (
            plugins.engine(project.engine).engine,
            plugins.table_format(project.table_format).store,
            plugins.ledger_kind(project.ledger).ledger,
        )
        modules = [name.partition(":")[0] for name in adapters]
        self._context.set_forkserver_preload(["qanat.project.forked", *modules])
        forkserver.ensure_running()

    def start(self, project: ProjectSpec, run: DueRun) -> Worker:
        """Give a process a run that was claimed."""
        log = _log(project, run)
        while self._idle:
            idle = self._idle.pop()
            # It may have died since.
            with suppress(OSError):
                idle.tasks.send((run, str(log)))
                return self._at_work(replace(idle, run=run, log=log))
            _dismiss(idle)
        ours, theirs = self._context.Pipe()
        arguments = (theirs, str(project.root), project.environment)
        process = self._context.Process(target=work, args=arguments, name="qanat worker")
        process.start()
        theirs.close()
        ours.send((run, str(log)))
        return self._at_work(Worker(run, log, process, ours, 0.0))

    def _at_work(self, worker: Worker) -> Worker:
        self._busy.append(replace(worker, since=time.monotonic()))
        return self._busy[-1]

    def wait(self, seconds: float) -> None:
        """Wait until one of them is done, at most for so many seconds."""
        if self._busy:
            ends = [end for w in self._busy for end in (w.tasks, w.process.sentinel)]
            connection.wait(ends, seconds)
        else:
            time.sleep(seconds)

    def done(self) -> Iterator[Worker]:
        """Those that are done with their runs, or have ended; each once."""
        now = time.monotonic()
        for worker in self._busy[:]:
            if _answered(worker):
                self._idle.append(replace(worker, since=now))
            elif worker.process.exitcode is not None:
                _dismiss(worker)
            else:
                continue
            self._busy.remove(worker)
            yield worker
        for worker in [w for w in self._idle if now - w.since > _IDLE]:
            self._idle.remove(worker)
            _dismiss(worker)

    def end(self, patience: float) -> None:
        """Wait for all of them; those that go on after so many seconds are told to stop."""
        self.dismiss()
        self._wait_all(patience)
        for worker in self._busy:
            if not worker.tasks.poll():
                worker.process.terminate()
        self._wait_all(_LAST)
        for worker in self._busy:
            if not worker.tasks.poll():
                worker.process.kill()
                worker.process.join()

    def dismiss(self) -> None:
        """Let those go that are done with their runs."""
        for worker in self._idle:
            _dismiss(worker)
        self._idle.clear()

    def _wait_all(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for worker in self._busy:
            left = max(0.0, deadline - time.monotonic())
            connection.wait([worker.tasks, worker.process.sentinel], left)


def _answered(worker: Worker) -> bool:
    try:
        if not worker.tasks.poll():
            return False
        worker.tasks.recv()
    except (EOFError, OSError):
        # It ends, and its exit code follows.
        worker.process.join(1.0)
        return False
    return True


def _dismiss(worker: Worker) -> None:
    worker.tasks.close()
    worker.process.join(_PROMPT)
    if worker.process.exitcode is None:
        worker.process.kill()
        worker.process.join()


def _log(project: ProjectSpec, run: DueRun) -> Path:
    """The file for what a run has to say; the oldest of its schedule go."""
    folder = project.private / "logs" / run.schedule
    folder.mkdir(parents=True, exist_ok=True)
    for old in sorted(folder.glob("*.log"))[: -(KEPT_LOGS - 1)]:
        # Another scheduler may have been quicker.
        with suppress(FileNotFoundError):
            old.unlink()
    name = moment_text(run.due).replace(":", "")
    return folder / f"{name}-{run.token:03}.log"
