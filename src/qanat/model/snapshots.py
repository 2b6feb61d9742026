"""Flows whose rows are all that their target has: each epoch is a snapshot, with a version.

A version says when the state that a snapshot shows began: a number, text, a day or a moment that
only grows. Of flows that read a source as it is, it is the moment at which an update looked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from numbers import Integral
from typing import Any, TypeAlias

from qanat.model.changes import AutoCdc, Expression

Version: TypeAlias = int | float | str | date | datetime
"""Of a snapshot. Moments with a time zone are kept in UTC."""

WANTED = "a number, text, a date or a datetime"
"""What a version may be, for messages."""

_LONGEST = 63
_TICK = timedelta(microseconds=1)


class Snapshots(AutoCdc):
    """How a snapshot changes its target: it becomes what the snapshot has.

    Keys that the target lacks are inserted, rows that differ are updated, and keys that the
    snapshot lacks are deleted. The fields are those of `AutoCdc`; of them `keys`, `scd`,
    `tracked` and `columns` have a meaning here. An engine puts the version in the place of
    `sequence`, which is empty.
    """

    @property
    def whole(self) -> bool:
        """True: what a snapshot lacks is deleted."""
        return True

    def _order(self, text: Callable[[Expression], str], function: bool) -> str:
        """By what changes are ordered, for a definition."""
        del text
        if function:
            return "the versions of snapshots that a function gives"
        return "the moments at which snapshots were taken"


def as_version(value: object) -> Version:
    """What a function gave as a version, as one of the types that are kept.

    Raises:
        ValueError: it cannot be a version; says why, in half a sentence.

    >>> as_version(3), as_version("2026-01-31")
    (3, '2026-01-31')
    """
    if isinstance(value, bool):
        raise ValueError("a truth value has no order")
    if isinstance(value, Integral):
        if int(value).bit_length() > _LONGEST:
            raise ValueError("it is too large for 64 bits")
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("it is not finite")
        return float(value)
    if isinstance(value, datetime):
        return _plain(value)
    if isinstance(value, date):
        return date(value.year, value.month, value.day)
    if isinstance(value, str) and value:
        return str(value)
    raise ValueError("it is empty" if value == "" else f"it is {type(value).__name__}")


def _plain(value: datetime) -> datetime:
    """A moment as `datetime` itself (pandas has a class of its own), in UTC if it has a zone."""
    moment = datetime.combine(value.date(), value.timetz())
    return moment if moment.tzinfo is None else moment.astimezone(UTC)


def kind_of(version: Version) -> str:
    """What people call such versions; of one flow all are of one kind.

    >>> kind_of(3), kind_of("a"), kind_of(datetime(2026, 1, 1, tzinfo=UTC))
    ('number', 'text', 'datetime with a time zone')
    """
    if isinstance(version, datetime):
        return "datetime" if version.tzinfo is None else "datetime with a time zone"
    if isinstance(version, str):
        return "text"
    if isinstance(version, date):
        return "date"
    return "fraction" if isinstance(version, float) else "number"


def follows(version: Version, latest: Version) -> bool:
    """True if a version may come after another: it is of the same kind, and greater.

    >>> follows(2, 1), follows(1, 1), follows("b", "a"), follows("2", 1)
    (True, False, True, False)
    """
    known: Any = latest
    return kind_of(version) == kind_of(latest) and version > known


def moment_after(now: datetime, latest: Version | None) -> Version:
    """The version of a snapshot that is taken now: now, or just after the last one.

    A clock may have been put back since then.
    """
    if not isinstance(latest, datetime):
        return now
    return max(now, latest + _TICK)


def version_to_json(version: Version) -> Mapping[str, Any]:
    """A version as a ledger keeps it.

    >>> version_to_json(3), version_to_json(date(2026, 1, 31))
    ({'kind': 'number', 'value': 3}, {'kind': 'date', 'value': '2026-01-31'})
    """
    value = version.isoformat() if isinstance(version, date) else version
    return {"kind": kind_of(version), "value": value}


def version_from_json(kept: Mapping[str, Any]) -> Version:
    """What `version_to_json` was given.

    >>> version_from_json({"kind": "date", "value": "2026-01-31"})
    datetime.date(2026, 1, 31)
    """
    kind, value = str(kept["kind"]), kept["value"]
    if kind.startswith("datetime"):
        return datetime.fromisoformat(value)
    if kind == "date":
        return date.fromisoformat(value)
    version: Version = float(value) if kind == "fraction" else value
    return version
