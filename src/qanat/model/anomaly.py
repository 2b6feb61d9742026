"""A metric that is beyond what its history lets expect, and what people say of it."""

from __future__ import annotations

from enum import StrEnum

from qanat.frozen import Frozen
from qanat.text import duration, percent

ANOMALIES = "qanat.anomalies"
"""The table property that says what an anomaly does."""
BUDGET = 0.02
"""False alarms that an update may have on average, over all its metrics: one in fifty updates."""
LONG = 600
"""Updates whose rows are looked back at: four weeks of hours, or more than a year of days."""
SHORT = 120
"""Updates whose other metrics are."""
ENOUGH = 10
"""Forecasts that must have been compared with what came, before anything is said."""
HOUR = 3600.0
"""Seconds by which the rows of continuous updates are compared."""
SHORTEST = 600.0
"""Seconds that a continuous update must last for its rows to be compared with those of others."""
ROWS = "rows"
"""The metric of how many rows came."""
FRESHNESS = "freshness"
"""The metric of how long nothing has come."""
REPEAT = "repeats"
"""The metric of whether an update has brought the same rows as the one before, by all metrics."""
NOTE = "anomaly: "
"""How the note of an update begins that tells of one."""


class OnAnomaly(StrEnum):
    """What an anomaly does (table property `qanat.anomalies`)."""

    WARN = "warn"
    """The rows are published, and a warning is told."""
    FAIL = "fail"
    """Publish nothing of this epoch and fail the dataset."""
    OFF = "off"
    """Nothing is looked for."""


class Verdict(StrEnum):
    """What somebody says of an anomaly."""

    EXPECTED = "expected"
    """Nothing was wrong: values like this one belong to the history."""
    ANOMALY = "anomaly"
    """Something was wrong: the value stays out of the history."""


class Anomaly(Frozen):
    """One metric of one update that is beyond its limits.

    Args:
        metric: `rows`, `freshness`, or a share of rows such as `quarantined` and `nulls(amount)`.
        update: in which it was found.
        at: when, seconds since 1970 (UTC).
        value, expected: rows, seconds or a share, and what was forecast.
        low, high: between which limits the value would have been nothing out of the ordinary.
        verdict: None until somebody has said.
    """

    dataset: str
    flow: str
    metric: str
    update: str
    at: float
    value: float
    expected: float
    low: float
    high: float
    verdict: Verdict | None = None

    @property
    def above(self) -> bool:
        """True if the value is too high, not too low."""
        return self.value > self.high

    @property
    def found(self) -> str:
        """The value, in the metric's unit."""
        return _written(self.metric, self.value)

    @property
    def limits(self) -> str:
        """What was expected, in the metric's unit.

        >>> Anomaly("d", "d", "nulls(a)", "u", 0.0, 0.5, 0.01, 0.0, 0.02).limits
        'at most 2 %'
        """
        low, high = (_written(self.metric, end) for end in (self.low, self.high))
        return f"{low} to {high}" if self.low > 0 else f"at most {high}"

    @property
    def note(self) -> str:
        """What an update tells of it.

        >>> Anomaly("d", "d", "rows", "u", 0.0, 5, 100, 90, 110).note
        'anomaly: rows of d: 5, where 90 to 110 was expected'
        """
        return f"{NOTE}{self}"

    def __str__(self) -> str:
        return f"{self.metric} of {self.flow}: {self.found}, where {self.limits} was expected"


def _written(metric: str, value: float) -> str:
    if metric == FRESHNESS:
        return duration(value)
    return f"{value:,.0f}" if metric == ROWS else percent(value)
