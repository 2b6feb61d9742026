"""Dates and times: not in the future, and not long before all others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from qanat.model.profile import ColumnProfile
from qanat.model.suggestion import Candidate
from qanat.quality.suggestions.evidence import Evidence, Ladder, moment, values_of
from qanat.text import count

_DAY = 86_400.0
_AHEAD = frozenset({"due", "expires", "expiry", "expiration", "until", "end", "ends", "planned"})
"""Words of columns whose values lie in the future, sooner or later."""
_PLACEHOLDERS = ("0001-01-01", "1900-01-01", "1970-01-01")


def moments(evidence: Evidence, column: ColumnProfile) -> Iterator[Ladder]:
    """No later than a day from now; no earlier than the first year, with room for as many."""
    low, high = parsed(column.low), parsed(column.high)
    if not moment(column) or low is None or high is None:
        return
    seen = f"{_short(low)} to {_short(high)} in {count(values_of(column), 'value')}"
    ahead = set(column.name.lower().split("_")) & _AHEAD
    if not ahead and high.timestamp() <= evidence.ended + _DAY:
        # A day of room: times without a zone may be those of a place that is ahead.
        given = (("condition", "{column} <= now() + INTERVAL 1 DAY"), ("column", column.name))
        reason = f"{seen}: none was in the future"
        named = f"{column.name}_not_in_the_future"
        yield (Candidate("sql", given, reason, passes=True, name=named),)
    if low.year > 1 and not str(column.low).startswith(_PLACEHOLDERS):
        first = low.year - max(1, high.year - low.year)
        given = (("column", column.name), ("min", f"{first:04}-01-01"))
        reason = f"{seen}; the bound leaves room for as many years again"
        yield (Candidate("between", given, reason, passes=True),)


def parsed(value: object) -> datetime | None:
    """A bound of a column of dates or times; None if Python has no such date.

    >>> parsed("2024-05-01"), parsed("infinity")
    (datetime.datetime(2024, 5, 1, 0, 0, tzinfo=datetime.timezone.utc), None)
    """
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _short(value: datetime) -> str:
    return value.date().isoformat()
