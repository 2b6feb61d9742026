"""Processes forked from one that has imported everything and has started no thread."""

from __future__ import annotations

import multiprocessing
import threading

POLLING = threading.RLock()
"""Held wherever one of several threads starts a process or asks whether one has ended.

To start one, Python asks that of all others; of two threads that ask at once, one takes what the
other was to read, which then says 255.
"""

FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(
    ["deltalake", "pyarrow", "pytest", "qanat.storage.delta.table", "tests.acceptance.crashing"]
)
