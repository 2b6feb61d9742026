"""How the figures of a profile are written: bounds, shares, estimates, histograms as words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from qanat.model.profile import Bin, ColumnProfile, Method, ValueCount
from qanat.report.plots import short
from qanat.text import WIDEST, Cell, clip, percent, printable

_BLOCKS = "▁▂▃▄▅▆▇█"
_WHOLE = re.compile(r"-?\d+")
_END = 19
"""Letters of an end of a range at most: a moment has as many."""
_FEW, _SOME = 50, 0.001
"""Values of a column that are all shown, and the share of the rows that one of more must have."""


def bound(value: object) -> Cell:
    """The lowest or highest value, as people read it."""
    match value:
        case None:
            return Cell("–", "dim")
        case bool():
            return Cell("true" if value else "false")
        case int():
            return Cell(f"{value:,}", right=True)
        case float():
            return Cell(short(value), right=True)
        case Decimal():
            return Cell(f"{value:,f}", right=True)
        case str() if not value.strip():
            return Cell(repr(value[:WIDEST]))
    return Cell(clip(str(value)[: WIDEST + 1], WIDEST))


def range_text(column: ColumnProfile) -> str:
    """From the lowest to the highest value; empty if there is none.

    >>> range_text(ColumnProfile("a", "bigint", 9, 0, 9, low=1, high=9000))
    '1 to 9,000'
    """
    if column.low is None:
        return ""
    return " to ".join(clip(bound(end).text, _END) for end in (column.low, column.high))


def shortened(text: str | None) -> str:
    """A value of a quantile; a number of many digits with fewer of them.

    >>> shortened("36724.3200000001"), shortened("2026-01-02"), shortened(None)
    ('36,724', '2026-01-02', '–')
    >>> shortened("9007199254740993")
    '9,007,199,254,740,993'
    """
    if text is None:
        return "–"
    try:
        # A float has no place for all digits of an identifier.
        return f"{int(text):,}" if _WHOLE.fullmatch(text) else short(float(text))
    except ValueError:
        return text


def estimated(number: int, by: Method) -> str:
    """A count, with a mark if it is no exact one.

    >>> estimated(1200, Method.EXACT), estimated(1200, Method.HASHED)
    ('1,200', '~1,200')
    """
    return f"{number:,}" if by is Method.EXACT else f"~{number:,}"


def share_of(part: int, whole: int) -> str:
    """A share in percent; what is there and too little for that is not 0.

    >>> share_of(0, 10), share_of(1, 4), share_of(1, 10_000_000), share_of(0, 0)
    ('0 %', '25 %', '<0.01 %', '–')
    """
    if not whole:
        return "–"
    if 0 < part / whole < 0.0001:
        return "<0.01 %"
    return ">99.99 %" if 0.9999 < part / whole < 1 else percent(part / whole)


def blocks(bins: Sequence[Bin]) -> str:
    """A histogram as a word; a bin without values is a gap.

    >>> blocks([Bin(0, 1, 8), Bin(1, 2, 0), Bin(2, 3, 1)])
    '█ ▂'
    """
    most = max((each.rows for each in bins), default=0)
    if not most:
        return ""
    return "".join(
        " " if not each.rows else _BLOCKS[min(each.rows * len(_BLOCKS) // most, 7)]
        for each in bins
    )


def value_text(value: ValueCount) -> str:
    """A value; one that could be mistaken for something else in quotes.

    >>> [value_text(ValueCount(value, 1)) for value in ("a", " a", "NULL")]
    ['a', "' a'", "'NULL'"]
    """
    shown = printable(value.value)
    plain = shown.strip() and shown == shown.strip() and shown != "NULL"
    return shown if plain else repr(shown)


def telling_values(column: ColumnProfile) -> tuple[ValueCount, ...]:
    """The frequent values that say something: of many values, those that stand out.

    >>> top = ValueCount("7", 300), ValueCount("8", 3)
    >>> telling_values(ColumnProfile("a", "bigint", 1000, 0, 500, top=top))
    (ValueCount(value='7', rows=300),)
    """
    if column.distinct <= _FEW:
        return column.top
    usual = (column.rows - column.nulls) / column.distinct
    return tuple(v for v in column.top if v.rows >= 3 * usual and v.rows >= _SOME * column.rows)


def telling_patterns(column: ColumnProfile) -> tuple[ValueCount, ...]:
    """The patterns that more than a few texts have."""
    patterns = () if column.texts is None else column.texts.patterns
    return tuple(p for p in patterns if p.rows >= 0.01 * column.rows)


def span(each: Bin, whole: bool = False) -> str:
    """From where to where a bin goes.

    Args:
        whole: its values are whole numbers.

    >>> span(Bin(1.0, 2.0, 3), whole=True), span(Bin(1.0, 5.0, 3), whole=True), span(Bin(1, 2, 3))
    ('1', '1 to 4', '1 to 2')
    """
    if isinstance(each.low, str) or isinstance(each.high, str):
        return f"{each.low} to {each.high}"
    if whole and each.high > each.low:
        last = each.high - 1
        return short(each.low) if last == each.low else f"{short(each.low)} to {short(last)}"
    return f"{short(each.low)} to {short(each.high)}"


def is_whole(column: ColumnProfile) -> bool:
    """True of a column of whole numbers."""
    return isinstance(column.low, int) and not isinstance(column.low, bool)


def trend(values: Sequence[float]) -> str:
    """Values as a word, the lowest of which is the lowest block; empty if all are the same.

    >>> trend([1, 1, 3]), trend([2, 2])
    ('▁▁█', '')
    """
    low, high = min(values, default=0.0), max(values, default=0.0)
    if not low < high:
        return ""
    return "".join(_BLOCKS[round((value - low) / (high - low) * 7)] for value in values)
