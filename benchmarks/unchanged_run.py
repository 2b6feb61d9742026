"""`qanat run` when nothing changed, against the first run of the same project."""

from __future__ import annotations

import trivial
from figure import Against, Figure
from measure import medians, spend
from place import QANAT, no_cache, scratch


def measure() -> list[Figure]:
    """Wall time, process start to exit, median of 9 pairs, each pair in a fresh folder."""
    with scratch("unchanged-run") as folder:
        project = folder / "project"
        env = no_cache(project)
        first, second = medians(
            9,
            lambda _: spend([*QANAT, "run"], trivial.lay_out(project), env=env),
            lambda _: spend([*QANAT, "run"], project, env=env),
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
