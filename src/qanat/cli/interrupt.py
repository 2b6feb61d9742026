"""Ctrl-C: the first stops what runs, in order; the second ends the process, whatever it does."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

_STOPPING = "\nStopping; press Ctrl-C again to end at once.\n"
CURSOR = "\x1b[?25h"
"""Shows the cursor, which a display of progress has hidden and, if killed, cannot show again."""


def listen() -> None:
    """From now on the second Ctrl-C ends the process.

    Where Ctrl-C is ignored, as in what a shell runs in the background, it stays so.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    # The system's own handler needs nothing of this process: not even that Python goes on.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    text = (CURSOR if sys.stderr.isatty() else "") + _STOPPING
    # Not by `print`: this may have interrupted another one, and streams cannot be entered twice.
    os.write(sys.stderr.fileno(), text.encode())
    raise KeyboardInterrupt
