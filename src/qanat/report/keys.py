"""Keys that many documents have, and how moments and durations stand in them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from qanat.errors import QanatError
from qanat.report.shape import Key
from qanat.report.version import VERSION

VERSION_KEY = Key("version", of=Literal[1], make=lambda _: VERSION)
SECONDS_KEY = Key("seconds", of=float, make=lambda value: round(value.seconds, 6))
PROBLEMS_KEY = Key("problems", of=list[QanatError], make=lambda value: _problems(value.error))


def _problems(error: QanatError | None) -> tuple[QanatError, ...]:
    return () if error is None else error.problems


def moment(seconds: float) -> str:
    """A time since 1970 as ISO 8601 in UTC.

    >>> moment(0)
    '1970-01-01T00:00:00.000Z'
    """
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def elapsed(started: float, ended: float | None) -> float | None:
    """Seconds between two times, None while it runs; never negative (clocks are set back)."""
    return None if ended is None else round(max(0.0, ended - started), 6)
