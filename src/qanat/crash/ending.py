"""Ends all processes of a crash test with it: a stopped one would otherwise sleep for ever."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_PR_SET_PDEATHSIG = 1
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def die_with(parent: int | None = None) -> None:
    """Have Linux kill this process when the thread that started it ends.

    Args:
        parent: the id of that thread's process. If it has already ended, exit at once: Linux
            sends no signal for an earlier end.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
    if parent is not None and os.getppid() != parent:
        os._exit(1)


@contextmanager
def ends_cleanly() -> Iterator[None]:
    """Turn signals that would end this process into SystemExit, so that cleaning up still runs.

    Raises:
        SystemExit: a signal came; the exit code is 128 plus its number, as in a shell.
    """

    def end(number: int, frame: FrameType | None) -> None:
        # Ignore further signals: a second Ctrl-C must not interrupt the cleaning up.
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    # A signal that is already ignored, as under nohup, stays ignored.
    wanted = [s for s in _ENDING if signal.getsignal(s) is not signal.SIG_IGN]
    before = {each: signal.signal(each, end) for each in wanted}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
