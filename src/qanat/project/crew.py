"""The processes that carry out due runs.

A scheduler starts a process for each run: it has a memory, a log and signals of its own, and goes
on if the scheduler dies. They are forked from one that has imported what an update needs (Python's
`forkserver`), so that each starts within milliseconds.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing import connection, forkserver
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


class Worker(Frozen):
    """A process at work on a due run."""

    run: DueRun
    log: Path
    process: ForkServerProcess


class Crew:
    """The processes that this one has started."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._workers: list[Worker] = []

    def __len__(self) -> int:
        return len(self._workers)

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
        """Start the process of a run that was claimed."""
        log = _log(project, run)
        arguments = (str(project.root), project.environment, run, str(log))
        process = self._context.Process(target=work, args=arguments, name=run.origin)
        process.start()
        worker = Worker(run, log, process)
        self._workers.append(worker)
        return worker

    def wait(self, seconds: float) -> None:
        """Wait until one of them ends, at most for so many seconds."""
        if self._workers:
            connection.wait([w.process.sentinel for w in self._workers], seconds)
        else:
            time.sleep(seconds)

    def ended(self) -> Iterator[Worker]:
        """Those that have ended, each once."""
        for worker in [w for w in self._workers if w.process.exitcode is not None]:
            worker.process.join()
            self._workers.remove(worker)
            yield worker

    def end(self, patience: float) -> None:
        """Wait for all of them; those that go on after so many seconds are told to stop."""
        self._wait_all(patience)
        for worker in self._workers:
            worker.process.terminate()
        self._wait_all(_LAST)
        for worker in self._workers:
            worker.process.kill()
            worker.process.join()

    def _wait_all(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        for worker in self._workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))


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
