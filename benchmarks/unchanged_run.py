"""`qanat run` when nothing changed, against the first run of the same project."""

from __future__ import annotations

import trivial
from figure import Against, Figure
from measure import medians, spend
from place import QANAT, scratch


def measure() -> list[Figure]:
    """Wall time, process start to exit, median of 9 pairs, each pair in a fresh folder."""
    with scratch("unchanged-run") as folder:
        first, second = medians(
            9,
            lambda _: spend([*QANAT, "run"], trivial.lay_out(folder / "project")),
            lambda _: spend([*QANAT, "run"], folder / "project"),
        )
    return [
        Figure(
            "unchanged_run: two trivial views",
            second.wall,
            "first run",
            first.wall,
            "s",
            Against.RATIO,
            0.5,
        )
    ]
