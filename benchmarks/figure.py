"""One measured figure beside its baseline, and whether it is good enough."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from place import CORES

RESULTS = Path(__file__).parent / "results"


class Against(StrEnum):
    """How a figure is held against its baseline."""

    RATIO = "ratio"
    """`value / baseline` is at most the limit."""
    DIFFERENCE = "difference"
    """`value - baseline` is at most the limit."""
    VALUE = "value"
    """`value` is at most the limit; the baseline is there to compare."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table.

    Args:
        name: of the benchmark, with what was measured: `lineitem_plain: CPU`.
        value, baseline: medians, both in `unit`, both of this run.
        unit: `s`, `ms`, `MB` or what is counted.
        against: how they are compared; `limit` is the most that is accepted.
    """

    name: str
    value: float
    baseline_name: str
    baseline: float
    unit: str
    against: Against
    limit: float

    @property
    def result(self) -> float:
        """What is held against the limit."""
        match self.against:
            case Against.RATIO:
                return self.value / self.baseline
            case Against.DIFFERENCE:
                return self.value - self.baseline
            case Against.VALUE:
                return self.value

    @property
    def reached(self) -> bool:
        return self.result <= self.limit

    def document(self) -> dict[str, object]:
        """The figure as JSON."""
        if math.isnan(self.baseline):  # left out: two commits are compared
            return {"name": self.name, "value": self.value, "unit": self.unit}
        return {
            "name": self.name,
            "value": round(self.value, 4),
            "baseline": self.baseline_name,
            "baseline_value": round(self.baseline, 4),
            "unit": self.unit,
            "against": str(self.against),
            "result": round(self.result, 4),
            "limit": round(self.limit, 4),
            "reached": self.reached,
        }


def keep(name: str, figures: Sequence[object]) -> None:
    """Write what was measured to `results/<name>.json`, with when and where."""
    RESULTS.mkdir(exist_ok=True)
    document = {
        "benchmark": name,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": CORES,
        "figures": figures,
    }
    text = json.dumps(document, indent=2) + "\n"
    (RESULTS / f"{name}.json").write_text(text, encoding="utf-8")


def table(figures: list[Figure]) -> str:
    """The figures as text, one line each: medians of Qanat and of its baseline."""
    head = ("what", "Qanat", "baseline", "", "result", "at most", "")
    rows = [head]
    for f in figures:
        rows.append(
            (
                f.name,
                f"{f.value:.3f} {f.unit}",
                f"{f.baseline:.3f} {f.unit}",
                f.baseline_name,
                _limit(f, f.result),
                _limit(f, f.limit),
                "reached" if f.reached else "MISSED",
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def _limit(figure: Figure, number: float) -> str:
    match figure.against:
        case Against.RATIO:
            return f"{number:.3f}x"
        case Against.DIFFERENCE:
            return f"{number:+.3f} {figure.unit}"
        case Against.VALUE:
            return f"{number:.3f} {figure.unit}"
