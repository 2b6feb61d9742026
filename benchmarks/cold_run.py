"""A cold `qanat run` of two trivial views, against `spark-pipelines run` of the same files."""

from __future__ import annotations

from pathlib import Path

import trivial
from figure import Against, Figure
from measure import BASELINES, baseline, medians, spend
from place import QANAT, no_cache, scratch, spark


def measure() -> list[Figure]:
    """Wall time, process start to exit, median of 5; each time a fresh folder and no cache."""
    pipelines, variables = spark() if BASELINES else (Path(), {})
    with scratch("cold-run") as folder:

        def ours(_: int) -> Path:
            return trivial.lay_out(folder / "qanat")

        def other_project() -> Path:
            return trivial.lay_out(folder / "spark")

        qanat, other = medians(
            5,
            lambda n: spend([*QANAT, "run"], ours(n), env=no_cache(folder / "qanat")),
            baseline(lambda _: spend([pipelines, "run"], other_project(), env=variables)),
        )
    return [
        Figure(
            "cold_run: two trivial views",
            qanat.wall,
            "spark-pipelines run",
            other.wall,
            "s",
            Against.RATIO,
            1 / 33,
        )
    ]
