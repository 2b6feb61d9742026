"""What sets a schedule off: the moments at which it is due, or the schedule that it follows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from functools import cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from qanat.frozen import Frozen
from qanat.text import count

_UNITS = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))


class Trigger(Frozen):
    """What sets a schedule off."""

    @property
    def follows(self) -> str | None:
        """The schedule that this one comes after; None if it is due by the clock."""
        return None

    def times(self, after: float) -> Iterator[float]:
        """The due times after a moment, in their order; seconds since 1970 (UTC)."""
        return iter(())


class Cron(Trigger):
    """Due when a cron expression matches the clock of a time zone.

    As with Debian's cron, a time of day that the change to daylight saving skips is due when the
    clock goes on, and one that comes twice is due once. An expression whose minutes or hours
    begin with a star is due by the hours that really pass.

    Args:
        expression: five fields (minute, hour, day, month, weekday), or six, seconds first.
        timezone: its name in the IANA's database.

    >>> due = Cron("30 2 * * *", "Europe/Berlin").times(1774656000)
    >>> [datetime.fromtimestamp(next(due), UTC).isoformat() for _ in range(2)]
    ['2026-03-28T01:30:00+00:00', '2026-03-29T01:00:00+00:00']
    """

    expression: str
    timezone: str = "UTC"

    def __str__(self) -> str:
        return f"{self.expression} {self.timezone}"

    def times(self, after: float) -> Iterator[float]:
        """The due times after a moment."""
        start = datetime.fromtimestamp(after, zone(self.timezone))
        last = after
        for due in CronSim(self.expression, start):
            # cronsim 2.8 answers a time of day twice where the clock skips an hour, and with one
            # that has passed where the clock repeats it.
            if (at := due.timestamp()) > last:
                last = at
                yield at


class Every(Trigger):
    """Due at each multiple of an interval since 1970 (UTC), so that all schedulers agree on it.

    >>> due = Every(900.0).times(1000.0)
    >>> next(due), next(due)
    (1800.0, 2700.0)
    >>> str(Every(900.0)), str(Every(86_400.0))
    ('every 15 minutes', 'every 1 day')
    """

    seconds: float

    def __str__(self) -> str:
        unit, seconds = next(u for u in _UNITS if not self.seconds % u[1])
        return f"every {count(int(self.seconds // seconds), unit)}"

    def times(self, after: float) -> Iterator[float]:
        """The due times after a moment."""
        number = int(after // self.seconds) + 1
        while True:
            yield number * self.seconds
            number += 1


class After(Trigger):
    """Due each time that a run of another schedule has succeeded, at that run's due time."""

    schedule: str

    def __str__(self) -> str:
        return f"after {self.schedule}"

    @property
    def follows(self) -> str | None:
        """The schedule that this one comes after."""
        return self.schedule


def check_cron(expression: str) -> None:
    """Check a cron expression.

    Raises:
        ValueError: it is none, or no moment of the next fifty years matches it.
    """
    try:
        found = next(CronSim(expression, datetime(2026, 1, 1, tzinfo=UTC)), None)
    except CronSimError as error:
        raise ValueError(str(error)) from error
    if found is None:
        raise ValueError("it never matches")


@cache
def zone(name: str) -> tzinfo:
    """A time zone by its name.

    Raises:
        ValueError, KeyError: there is none of that name.
    """
    # cronsim takes a shorter way for the constant than for a zone without changes.
    return UTC if name == "UTC" else ZoneInfo(name)
