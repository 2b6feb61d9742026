"""What was out of the ordinary in past updates."""

from __future__ import annotations

from collections.abc import Sequence

from qanat.model.anomaly import ENOUGH, Anomaly
from qanat.report.html import heading, page, table
from qanat.report.keys import VERSION_KEY, moment
from qanat.report.shape import Key, Shape
from qanat.run.watching import Anomalies
from qanat.text import PLAIN, Cell, Layout, Value, count, grid, utc

ANOMALY = Shape(
    "Anomaly",
    Anomaly,
    (
        *("dataset", "flow", "metric", "update"),
        Key("at", of=str, make=lambda anomaly: moment(anomaly.at)),
        Key("value", of=float, make=lambda anomaly: round(anomaly.value, 6)),
        Key("expected", of=float, make=lambda anomaly: round(anomaly.expected, 6)),
        Key("low", of=float, make=lambda anomaly: round(anomaly.low, 6)),
        Key("high", of=float, make=lambda anomaly: round(anomaly.high, 6)),
        "verdict",
    ),
    "A metric that is beyond its limits `low` and `high`: rows, seconds (of `freshness`) or a\n"
    "share from 0 to 1. `verdict` is what somebody has said: `expected`, `anomaly`, or null.",
)
ANOMALIES = Shape(
    "AnomaliesDocument",
    Anomalies,
    (
        VERSION_KEY,
        Key("anomalies", of=list[Anomaly], make=lambda a: a.anomalies),
        "metrics",
        "budget",
    ),
    "Newest first. `metrics` are watched, over all flows; an update has `budget` false alarms on\n"
    "average, over all of them.",
)
PARTS = (ANOMALY,)

# A narrow terminal cuts the last ones.
_HEADERS = ("Dataset", "Metric", "Value", "Expected", "Said to be", "Found", "Update")
_NONE = "Nothing was out of the ordinary."


def anomalies_text(found: Anomalies, layout: Layout = PLAIN) -> str:
    """A table of anomalies, and how many false ones there may be among them."""
    lines = grid(_HEADERS, [_row(a) for a in found.anomalies], layout) if found.anomalies else []
    return "\n".join([*(lines or [_NONE]), "", budget_text(found)])


def anomalies_html(found: Anomalies) -> str:
    """The same for a notebook."""
    if not found.anomalies:
        return page(heading(_NONE, "ok"), heading(budget_text(found), "plain"))
    rows = [_row(a) for a in found.anomalies]
    return page(table(_HEADERS, rows), heading(budget_text(found), "plain"))


def budget_text(found: Anomalies) -> str:
    """How the limits are chosen.

    >>> budget_text(Anomalies((), 12))
    '12 metrics are watched, each by a history of more than 10 updates; of 50 updates, one may \
have a false alarm.'
    """
    watched = count(found.metrics, "metric")
    are = "is" if found.metrics == 1 else "are"
    return (
        f"{watched} {are} watched, each by a history of more than {ENOUGH} updates;"
        f" of {1 / found.budget:.0f} updates, one may have a false alarm."
    )


def marked_text(marked: Sequence[Anomaly]) -> str:
    """What was said of which anomalies.

    >>> anomaly = Anomaly("silver", "silver", "rows", "u", 1.0, 5.0, 90.0, 80.0, 100.0)
    >>> marked_text([anomaly])
    'rows of silver: 5, where 80 to 100 was expected: still open'
    """
    return "\n".join(f"{a}: {_VERDICTS[a.verdict]}" for a in marked)


_VERDICTS = {
    None: "still open",
    "expected": "expected; such values belong to the history from now on",
    "anomaly": "an anomaly; the value stays out of the history",
}


def _row(anomaly: Anomaly) -> list[Value]:
    return [
        anomaly.dataset,
        anomaly.metric,
        Cell(anomaly.found, right=True),
        anomaly.limits,
        None if anomaly.verdict is None else str(anomaly.verdict),
        utc(anomaly.at),
        anomaly.update,
    ]
