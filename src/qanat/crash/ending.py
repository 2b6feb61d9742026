"""However a crash test ends, no process of it stays: stopped ones would sleep for ever."""

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
    """Have the system kill this process when the thread that started it ends.

    Args:
        parent: the process of that thread, if it may have ended before.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
    if parent is not None and os.getppid() != parent:
        os._exit(1)


@contextmanager
def ends_cleanly() -> Iterator[None]:
    """Turn the signals that would end this process into an exit that cleans up on the way.

    Raises:
        SystemExit: with 128 and the number of the signal that came, as a shell would say it.
    """

    def end(number: int, frame: FrameType | None) -> None:
        # Whoever is impatient must not cut the cleaning up short.
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    # What is ignored already, as under nohup, is to be.
    wanted = [s for s in _ENDING if signal.getsignal(s) is not signal.SIG_IGN]
    before = {each: signal.signal(each, end) for each in wanted}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
