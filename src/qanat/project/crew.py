"""The processes that carry out due runs.

A scheduler gives each run a process: it has a memory, a log and signals of its own, and goes on if
the scheduler dies. A process that is done with one run may be given another. They are forked from
one that has imported what an update needs (Python's `forkserver`), so that each starts within
milliseconds.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing import connection, forkserver, resource_tracker
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
    """A process that carries out runs.

    Args:
        tasks: what it is sent runs by; it answers whenever it is ready for one.
        since: when it was started, or became ready; by the monotonic clock.
    """

    process: ForkServerProcess
    tasks: Connection
    since: float


class Job(Frozen):
    """A run in the hands of a process.

    Args:
        log: the file with what the run tells.
        unlogged: why there is no such file; empty: there is.
        said: why the process could not begin the run, once it is done; empty: it did begin it.
    """

    run: DueRun
    log: Path
    worker: Worker
    unlogged: str = ""
    said: str = ""


@contextmanager
def _deaf() -> Iterator[None]:
    """Have the process that others are forked from, if the block starts it, not hear SIGTERM.

    It ends with the scheduler. A SIGTERM to all processes of a service is for those that work:
    without it, the scheduler would not learn how they end.
    """
    # Python starts this one, too, if it is not there, and lets SIGTERM be heard again after that.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Crew:
    """The processes that this one has started: they come, are ready, or work."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._coming: list[Worker] = []
        self._ready: list[Worker] = []
        self._jobs: list[Job] = []

    @property
    def busy(self) -> int:
        """How many work on a run."""
        return len(self._jobs)

    @property
    def ready(self) -> int:
        """How many can begin a run at once."""
        return len(self._ready)

    def prepare(self, project: ProjectSpec) -> None:
        """Start the process that others are forked from, if it is not there."""
        adapters = (
            plugins.engine(project.engine).engine,
            plugins.table_format(project.table_format).store,
            plugins.ledger_kind(project.ledger).ledger,
        )
        modules = [name.partition(":")[0] for name in adapters]
        self._context.set_forkserver_preload(["qanat.project.forked", *modules])
        with _deaf():
            forkserver.ensure_running()

    def grow(self, project: ProjectSpec, number: int) -> None:
        """Let so many processes come, unless they do already.

        A run is claimed only for a process that is ready: on a machine that is busy, its claim
        could end before a process has started.
        """
        for _ in range(number - len(self._coming)):
            ours, theirs = self._context.Pipe()
            arguments = (theirs, str(project.root), project.environment)
            process = self._context.Process(target=work, args=arguments, name="qanat worker")
            with _deaf():
                process.start()
            theirs.close()
            self._coming.append(Worker(process, ours, time.monotonic()))

    def start(self, project: ProjectSpec, run: DueRun) -> Job:
        """Give a process that is ready a run that was claimed."""
        log, unlogged = Path(os.devnull), ""
        try:
            log = _log(project, run)
        except OSError as error:
            # A run does its work without a log, too.
            unlogged = error.strerror or str(error)
        job = Job(run, log, self._ready.pop(), unlogged)
        # If it has died since, `done` finds out.
        with suppress(OSError):
            job.worker.tasks.send((run, str(job.log)))
        self._jobs.append(job)
        return job

    def wait(self, seconds: float) -> None:
        """Wait until one of them is ready, or has ended; at most for so many seconds."""
        workers = [*self._coming, *(job.worker for job in self._jobs)]
        ends = [end for w in workers for end in (w.tasks, w.process.sentinel)]
        if ends:
            connection.wait(ends, seconds)
        else:
            time.sleep(seconds)

    def done(self) -> Iterator[Job]:
        """The jobs that are done, or whose processes have ended; each once."""
        for worker in self._coming[:]:
            if self._heard(worker) is not None:
                self._coming.remove(worker)
        for job in self._jobs[:]:
            if (said := self._heard(job.worker)) is not None:
                self._jobs.remove(job)
                yield replace(job, said=said)
        now = time.monotonic()
        for worker in [w for w in self._ready if now - w.since > _IDLE]:
            self._ready.remove(worker)
            _dismiss(worker)

    def _heard(self, worker: Worker) -> str | None:
        """What a process says that is ready, which it is then counted among, or has ended."""
        if (said := _answered(worker)) is not None:
            self._ready.append(replace(worker, since=time.monotonic()))
            return said
        if worker.process.exitcode is not None:
            _dismiss(worker)
            return "its process has ended"
        return None

    def end(self, patience: float) -> None:
        """Wait for all jobs; those that go on after so many seconds are told to stop."""
        self.dismiss()
        self._wait_all(patience)
        for job in self._jobs:
            if not job.worker.tasks.poll():
                job.worker.process.terminate()
        self._wait_all(_LAST)
        for job in self._jobs:
            _dismiss(job.worker)

    def dismiss(self) -> None:
        """Let those go that work on no run."""
        for worker in (*self._ready, *self._coming):
            _dismiss(worker)
        self._ready.clear()
        self._coming.clear()

    def _wait_all(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for job in self._jobs:
            left = max(0.0, deadline - time.monotonic())
            connection.wait([job.worker.tasks, job.worker.process.sentinel], left)


def _answered(worker: Worker) -> str | None:
    """What a process has sent since; None if it has sent nothing."""
    try:
        return str(worker.tasks.recv()) if worker.tasks.poll() else None
    except (EOFError, OSError):
        # It ends, and its exit code follows.
        worker.process.join(1.0)
        return None


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
    name = moment_text(run.due).replace(":", "")
    file = folder / f"{name}-{run.token:03}.log"
    file.touch()
    for old in sorted(folder.glob("*.log"))[:-KEPT_LOGS]:
        # Another scheduler may have been quicker.
        with suppress(FileNotFoundError):
            old.unlink()
    return file
