"""The history of metrics: what updates have brought into a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qanat.model.metrics import Metrics
from qanat.model.staged import ColumnMetrics
from qanat.report.html import heading, page, table
from qanat.report.keys import VERSION_KEY, moment
from qanat.report.shape import Key, Shape
from qanat.report.update import COUNTS
from qanat.text import PLAIN, Cell, Layout, Value, grid, percent, size, utc

COLUMN = Shape(
    "ColumnMetrics",
    ColumnMetrics,
    (
        *("rows", "nulls"),
        Key("low", of=int | float | str | None, make=lambda column: column.low),
        Key("high", of=int | float | str | None, make=lambda column: column.high),
    ),
    "One column of the rows that were written. `nulls` is null where they were not counted.\n"
    "`low` and `high` are bounds of the values, numbers or dates and times in ISO 8601: loose\n"
    "perhaps, never wrong; null of texts.",
)
UPDATE = Shape(
    "UpdateMetrics",
    Metrics,
    (
        *("update", "flow", "dataset"),
        Key("started", of=str, make=lambda metrics: moment(metrics.started)),
        Key("ended", of=str, make=lambda metrics: moment(metrics.ended)),
        *("epochs", "rows"),
        *COUNTS,
        *("bytes", "rules"),
        Key("columns", of=Mapping[str, ColumnMetrics], make=lambda metrics: metrics.columns),
    ),
    "What the epochs of one flow have brought in one update. `rows` are those of the query and\n"
    "those that could not be parsed. `columns` is empty where the files that were written hold\n"
    "other rows, too, as after a merge.",
)
METRICS = Shape(
    "MetricsDocument",
    Sequence[Metrics],
    (VERSION_KEY, Key("metrics", of=list[Metrics], make=list)),
    "Newest first.",
)
PARTS = (COLUMN, UPDATE)

_HEADERS = ("Ended", "Flow", "Rows", "Written", "Quarantined", "Dropped", "Size", "Violations")
_COLUMN_HEADERS = ("Column", "NULL", "Share", "From", "To")
_NONE = "No update has brought rows yet."


def metrics_text(entries: Sequence[Metrics], layout: Layout = PLAIN) -> str:
    """What updates have brought, newest first, and the columns of the newest."""
    if not entries:
        return _NONE
    lines = list(grid(_HEADERS, [_row(e) for e in entries], layout))
    columns = list(_columns(entries[0]))
    if columns:
        title = f"Columns of the rows of {utc(entries[0].ended)}"
        lines += ["", title, *grid(_COLUMN_HEADERS, columns, layout)]
    return "\n".join(lines)


def metrics_html(entries: Sequence[Metrics]) -> str:
    """The same for a notebook."""
    if not entries:
        return page(heading(_NONE, "plain"))
    parts = [table(_HEADERS, [_row(e) for e in entries])]
    columns = list(_columns(entries[0]))
    if columns:
        title = f"Columns of the rows of {utc(entries[0].ended)}"
        parts += [heading(title, "plain"), table(_COLUMN_HEADERS, columns)]
    return page(*parts)


def _row(entry: Metrics) -> list[Value]:
    counts = entry.counts
    broken = (f"{r.rule} {r.violations:,}" for r in entry.rules if r.violations)
    return [
        utc(entry.ended),
        entry.flow,
        entry.rows,
        counts.written,
        Cell(_share(counts.set_aside, entry.rows), right=True),
        Cell(_share(counts.dropped, entry.rows), right=True),
        Cell(size(entry.bytes), right=True),
        ", ".join(broken),
    ]


def _columns(entry: Metrics) -> Iterator[list[Value]]:
    for name, column in entry.columns.items():
        nulls = "–" if column.nulls is None else _share(column.nulls, column.rows)
        yield [name, column.nulls, Cell(nulls, right=True), _end(column.low), _end(column.high)]


def _share(part: int, whole: int) -> str:
    return percent(part / whole if whole else 0.0)


def _end(value: Any) -> Value:
    if isinstance(value, str):
        return value.replace("T", " ")  # Times are kept in ISO 8601; tables show them like `show`.
    return Cell("–" if value is None else str(value), right=True)
