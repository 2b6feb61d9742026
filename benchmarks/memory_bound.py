"""Peak memory with a limit of 1 GB: ten times the data (60 M rows), against the data itself.

All 16 rules, the unique key and the reference are on: the key of 60 M rows does not fit.
"""

from __future__ import annotations

from figure import Against, Figure
from lineitem import run
from measure import baseline, medians
from place import scratch, tpch


def measure() -> list[Figure]:
    """Largest resident memory of the process; median of 3, no warming up."""
    small, large = tpch(1), tpch(10)
    with scratch("memory-bound") as folder:
        ten, one = medians(
            3,
            lambda _: run(folder / "p", large, rules=True, keys=True, memory_limit="1GB"),
            baseline(
                lambda _: run(folder / "p", small, rules=True, keys=True, memory_limit="1GB")
            ),
            warm=False,
        )
    return [
        Figure(
            "memory_bound: SF 10, limit 1 GB",
            ten.peak / 1e6,
            "SF 1, limit 1 GB",
            one.peak / 1e6,
            "MB",
            Against.VALUE,
            1500,
        )
    ]
