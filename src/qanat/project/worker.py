"""The process of one due run."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from qanat.errors import QanatError
from qanat.model.schedule import DueRun
from qanat.observe.logs import to_stream
from qanat.run.due import carry_out
from qanat.run.session import Session


def work(root: str, environment: str, run: DueRun, log: str) -> None:
    """Carry out a due run; what it has to say goes into its log.

    Args:
        root: where the search for the spec begins.
    """
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # `forked` ignores it
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.close(file)
    try:
        with Session.open(Path(root), environment) as session:
            carry_out(session, run, (to_stream(sys.stderr, "json", "info"),))
    except QanatError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
