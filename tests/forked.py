"""Processes forked from one that has imported everything and has started no thread."""

from __future__ import annotations

import multiprocessing

FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(
    ["deltalake", "pyarrow", "pytest", "qanat.storage.delta.table", "tests.acceptance.crashing"]
)
