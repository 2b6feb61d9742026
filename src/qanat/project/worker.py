"""A process that carries out due runs, one after the other.

It keeps the project open in between, so that a run which finds nothing new costs some
milliseconds.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from qanat.declare.files import library_files
from qanat.errors import QanatError
from qanat.model.schedule import DueRun, RunState
from qanat.observe.logs import to_stream
from qanat.project.opened import Project
from qanat.project.stamps import Stamps, stamps_of
from qanat.run.due import carry_out
from qanat.run.session import Session

MOST_RUNS = 100
"""Runs of one process; the next one begins with a fresh memory."""


class _Working(Project):
    """An opened project that carries out due runs."""

    _seen: Stamps | None = None

    def _unchanged(self) -> Session:
        """The session, opened anew if the project's files have changed since the last run."""
        seen = stamps_of(self.session)
        # What a Python file declares may change without the file.
        stays = not any(f.suffix == ".py" for f in library_files(self.session.project))
        if seen is None or seen != self._seen or not stays:
            self._seen = seen
            return self._current()
        return self.session.look_again()

    def carry_out(self, run: DueRun) -> bool:
        """Carry out a run; True if this process is fit for another one.

        Raises:
            QanatError: the project cannot be opened, or its ledger does not answer.
        """
        ended = carry_out(self._unchanged(), run, (to_stream(sys.stderr, "json", "info"),))
        # One that was stopped may leave threads behind.
        return ended is None or ended.state is RunState.SUCCEEDED


def work(tasks: Connection, root: str, environment: str) -> None:
    """Carry out what comes: runs with the paths of their logs.

    Whenever it is ready for one, it sends why it could not carry out the last one; nothing is
    wrong if that is empty.

    Args:
        root: where the search for the spec begins.
    """
    # The process that it is forked from does not hear it (see `crew`).
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    # Of Ctrl-C on a terminal it learns from the scheduler, which closes its end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    project: _Working | None = None
    said = ""
    # The scheduler ends, or needs this process no more: it closes its end.
    with suppress(EOFError, OSError):
        for _ in range(MOST_RUNS):
            tasks.send(said)
            run, log = tasks.recv()
            _redirect(log)
            said = ""
            try:
                project = project or _Working(Path(root), environment)
                if not project.carry_out(run):
                    break
            except QanatError as error:
                sys.stderr.write(f"{error}\n")
                said = error.message
                if project is not None:
                    project.close()
    if project is not None:
        project.close()


def _redirect(log: str) -> None:
    try:
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    except OSError:
        # Somebody has removed the folder; a run does its work without a log, too.
        file = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.close(file)
