"""A process that carries out due runs, one after the other.

It keeps the project open in between, so that a run which finds nothing new costs some
milliseconds.
"""

from __future__ import annotations

import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path

from qanat.errors import QanatError
from qanat.model.schedule import DueRun, RunState
from qanat.observe.logs import to_stream
from qanat.project.opened import Project
from qanat.run.due import carry_out

MOST_RUNS = 100
"""Runs of one process; the next one begins with a fresh memory."""


class _Working(Project):
    """An opened project that carries out due runs."""

    def carry_out(self, run: DueRun) -> bool:
        """Carry out a run; True if this process is fit for another one."""
        try:
            ended = carry_out(self._current(), run, (to_stream(sys.stderr, "json", "info"),))
        except QanatError as error:
            sys.stderr.write(f"{error}\n")
            self.close()
            return True
        return ended is not None and ended.state is RunState.SUCCEEDED


def work(tasks: Connection, root: str, environment: str) -> None:
    """Carry out what comes: runs with the paths of their logs. Each is answered when it is done.

    Args:
        root: where the search for the spec begins.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # `forked` ignores it
    project: _Working | None = None
    for _ in range(MOST_RUNS):
        try:
            run, log = tasks.recv()
        except EOFError:
            break  # the scheduler has ended, or needs this process no more
        _redirect(log)
        try:
            project = project or _Working(Path(root), environment)
        except QanatError as error:
            sys.stderr.write(f"{error}\n")
            break
        fit = project.carry_out(run)
        sys.stderr.flush()
        if not fit:
            break
        try:
            tasks.send(None)
        except OSError:
            break
    if project is not None:
        project.close()


def _redirect(log: str) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.close(file)
