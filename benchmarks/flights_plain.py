"""The flights demo against a plain DuckDB script that does the same (`peers/plain`).

Both run in the same environment, with the same DuckDB, and must answer alike.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from figure import Against, Figure
from flights import OURS, PHASES, PLAIN, Tool, compare, prepare
from measure import BASELINES, Cost, baseline, medians
from place import scratch


def measure() -> list[Figure]:
    """CPU of a cold run and of one more month, and the larger peak of the two; medians of 5."""
    plain = replace(PLAIN, python=lambda: Path(sys.executable))
    with scratch("flights") as folder:
        data = prepare(folder / "prepared")
        projects = {tool: folder / tool.source.name for tool in (OURS, plain)}

        def of(tool: Tool, phase: str) -> Cost:
            return tool.run(projects[tool], phase, data)

        cold, plain_cold, _, more, plain_more = medians(
            5,
            lambda _: of(OURS, PHASES[0]),
            baseline(lambda _: of(plain, PHASES[0])),
            lambda _: of(OURS, PHASES[1]),  # the second run remembers what it parsed
            lambda _: of(OURS, PHASES[2]),
            baseline(lambda _: of(plain, PHASES[2])),
        )
        if BASELINES:
            compare(PHASES[2], {t.name: t.answers(p) for t, p in projects.items()})
    base, ratio = "plain script", Against.RATIO
    held, least = (max(a.peak, b.peak) / 1e6 for a, b in ((cold, more), (plain_cold, plain_more)))
    return [
        Figure("flights: cold, CPU", cold.cpu, base, plain_cold.cpu, "s", ratio, 1.15),
        Figure("flights: one more month, CPU", more.cpu, base, plain_more.cpu, "s", ratio, 1.5),
        Figure("flights: peak memory", held, base, least, "MB", Against.VALUE, 300),
    ]
