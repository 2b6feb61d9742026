"""Imported by the process that those of due runs are forked from, and by no other.

It imports what updates need, so that each starts within milliseconds.
"""

from __future__ import annotations

import signal

from qanat.frozen import compile_all
from qanat.project import worker as worker

compile_all()
# It ends with the scheduler. A SIGTERM to all processes of a service is for those that work:
# without it, the scheduler would not learn how they end.
signal.signal(signal.SIGTERM, signal.SIG_IGN)
