"""Group keys of event time: which calls are windows, and when a group of them is complete.

`window(time, width[, slide[, start]])` and `session_window(time, gap)` are Spark's; what is
declared calls the first one `event_window`, as `window` is a keyword. `time_bucket` and
`date_trunc` are DuckDB's: plain values, which also say up to when rows of a group may come.
"""

from __future__ import annotations

from sqlglot import exp

from qanat.errors import QanatError
from qanat.model.name import Names, fold
from qanat.model.stateful import Window
from qanat.planning.eventtime.apart import Apart
from qanat.planning.eventtime.intervals import interval_of
from qanat.text import quote

WINDOW, SESSION, TIME_OF = "event_window", "session_window", "window_time"
_TRUNCATED = ("MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH",
              "QUARTER", "YEAR")  # fmt: skip


def called(node: exp.Expr) -> str:
    """The name of a call that sqlglot does not know; empty for anything else."""
    return fold(node.name) if isinstance(node, exp.Anonymous) else ""


def window_of(apart: Apart, node: exp.Expr) -> tuple[Window, exp.Expr] | None:
    """The window that a call stands for, and the event time in it; None if it is no such call.

    Raises:
        FlowError: its arguments are none of a window.
    """
    name = called(node)
    if name not in (WINDOW, SESSION):
        return None
    args = list(node.expressions)
    most = 4 if name == WINDOW else 2
    if not 2 <= len(args) <= most:
        raise _wrong(apart, node, "it takes a time and spans of time")
    spans = [interval_of(a) for a in args[1:]]
    if None in spans:
        raise _wrong(apart, node, "a span has a fixed length, such as '10 minutes' or '1 day'")
    known = [s for s in spans if s is not None]
    width = known[0]
    slide = known[1] if len(known) > 1 else width
    offset = known[2] if len(known) > 2 else 0
    if width <= 0 or slide <= 0:
        raise _wrong(apart, node, "a span is longer than nothing")
    if slide > width:
        raise _wrong(apart, node, "windows may overlap; no rows lie between them")
    return Window(width, slide, offset % slide, name == SESSION), args[0]


def ends_of(apart: Apart, node: exp.Expr, column: str) -> str:
    """SQL of the moment at which a group of a key is complete; empty if it says none.

    Args:
        column: that has the key's value.
    """
    times = Names(w.column for w in apart.watermarks)
    value = quote(column)
    if isinstance(node, exp.Column) and node.name in times:
        return f"{value}::TIMESTAMP + INTERVAL 1 MICROSECOND"
    bucket = isinstance(node, exp.DateBin) and len([a for a in node.args.values() if a]) == 2
    if bucket and _is_time(node.expression, times):
        # Months have no fixed length; the engine adds them as a calendar does.
        return f"{value}::TIMESTAMP + {node.this.sql(dialect=apart.query.dialect)}"
    if isinstance(node, exp.TimestampTrunc | exp.DateTrunc) and _is_time(node.this, times):
        unit = node.args["unit"].name.upper()
        if unit in _TRUNCATED:
            amount = "3 MONTH" if unit == "QUARTER" else f"1 {unit}"
            return f"{value}::TIMESTAMP + INTERVAL {amount}"
    return ""


def starts(window: Window, time: str) -> str:
    """SQL of the start of the windows of a time (microseconds since 1970); NULL: no time.

    Where windows overlap, a row gets several: `unnest` makes a row for each.
    """
    moment = f"epoch_us({time}::TIMESTAMP)"
    inside = f"(({moment} - {window.offset}) % {window.slide} + {window.slide}) % {window.slide}"
    last = f"({moment} - {inside})"
    if window.slide == window.width:
        return last
    most = -(-window.width // window.slide)
    each = f"list_transform(range({most}), lambda i: {last} - i * {window.slide})"
    those = f"list_filter({each}, lambda s: s > {moment} - {window.width})"
    return f"unnest(CASE WHEN {time} IS NULL THEN [NULL] ELSE {those} END)"


def _is_time(node: exp.Expr, times: Names) -> bool:
    return isinstance(node, exp.Column) and node.name in times


def _wrong(apart: Apart, node: exp.Expr, why: str) -> QanatError:
    name = called(node)
    shown = "window" if name == WINDOW else name
    example = (
        "session_window(ts, '5 minutes')"
        if name == SESSION
        else "window(ts, '10 minutes'), or window(ts, '10 minutes', '5 minutes') if they overlap"
    )
    return apart.problem(f"{shown}(): {why}", shown, node, hint=f"write {example}")
