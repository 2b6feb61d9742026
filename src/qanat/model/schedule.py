"""When datasets are updated by themselves, and what came of it.

A *schedule* says when which datasets are updated; a *due run* is one start of a schedule at one
due time. All moments are seconds since 1970 (UTC), by the clock of the ledger's database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from math import ceil

from qanat.errors import Location
from qanat.frozen import Frozen
from qanat.model.name import Named
from qanat.model.trigger import Trigger, zone

SCHEDULE_HISTORY = 90 * 86_400.0
"""Seconds for which the ledger keeps a due run that has ended."""

CANCELLED = "it was cancelled"
"""The error of a run that people have ended."""


class Catchup(StrEnum):
    """What becomes of due times that came while no scheduler ran, or the schedule was paused."""

    SKIP = "skip"
    LAST = "last"
    ALL = "all"


class Window(Frozen):
    """The part of each day in which runs start; one that ends before it begins is of the night.

    >>> night = Window(time(22), time(5))
    >>> night.has(time(23)), night.has(time(4, 59)), night.has(time(5)), night.has(time(12))
    (True, True, False, False)
    """

    begin: time
    end: time

    def has(self, moment: time) -> bool:
        """True if a time of day is within."""
        if self.begin < self.end:
            return self.begin <= moment < self.end
        return moment >= self.begin or moment < self.end


class Schedule(Frozen):
    """When which datasets are updated.

    Args:
        select: datasets, as `qanat run --select` takes them; empty: all.
        timezone: of `between`, `skip_dates` and `done_by`.
        between: when runs may start; None: at any time.
        skip_dates: days on which none is due and none starts.
        done_by: the time of day by which a run is to have succeeded.
        max_concurrent_runs: how many runs of this schedule may work at a time.
        pool: whose slots its runs take, one each.
        priority: a greater number starts first.
        retries: how often a run that failed is tried again.
        retry_delay: seconds before the first retry; each further one waits twice as long, at
            most an hour, and up to a half less by chance.
        timeout: seconds that a run may take; None: as many as it takes.
        location: where it is declared.
    """

    name: str
    trigger: Trigger
    select: tuple[str, ...] = ()
    timezone: str = "UTC"
    catchup: Catchup = Catchup.LAST
    between: Window | None = None
    skip_dates: tuple[date, ...] = ()
    done_by: time | None = None
    max_concurrent_runs: int = 1
    pool: str | None = None
    priority: int = 0
    retries: int = 0
    retry_delay: float = 60.0
    timeout: float | None = None
    location: Location | None = field(default=None, compare=False)

    def allows(self, moment: float) -> bool:
        """True if a run may start at that moment."""
        if self.between is None and not self.skip_dates:
            return True
        local = datetime.fromtimestamp(moment, zone(self.timezone))
        within = self.between is None or self.between.has(local.time())
        return within and local.date() not in self.skip_dates

    def opens(self, moment: float) -> float:
        """A moment before which no run may start again, if none may at `moment`.

        It is when a window or a day begins, or when the clock changes, which may be within one.
        """
        there = zone(self.timezone)
        day = datetime.fromtimestamp(moment, there).date()
        found: list[float] = []
        while not found:
            if day not in self.skip_dates:
                # A time of day may come twice.
                begins = [b.replace(fold=fold) for b in self._begins for fold in (0, 1)]
                moments = [datetime.combine(day, b, there).timestamp() for b in begins]
                found = [each for each in moments if each > moment]
            day += timedelta(days=1)
        return _clock_change(there, moment, min(found)) or min(found)

    @property
    def _begins(self) -> list[time]:
        """The times of day at which runs may start again; midnight, if one night is left out."""
        midnight = time()
        if self.between is None:
            return [midnight]
        at_once = self.between.begin != midnight and self.between.has(midnight)
        return [midnight, self.between.begin] if at_once else [self.between.begin]

    def deadline(self, due: float) -> float | None:
        """When a run that was due at a moment is to have succeeded; None if it does not matter."""
        if self.done_by is None:
            return None
        there = zone(self.timezone)
        local = datetime.fromtimestamp(due, there)
        day = local.date() + timedelta(days=int(local.time() >= self.done_by))
        return datetime.combine(day, self.done_by, there).timestamp()


class RunState(StrEnum):
    """How far a due run is."""

    WAITING = "waiting"
    """It is due, and starts as soon as it may; also before a retry."""
    STARTING = "starting"
    """A scheduler has claimed it and starts its process."""
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    """It never started: a newer one was due, or its schedule is no longer declared."""


class DueRun(Frozen):
    """One start of a schedule at one due time.

    Args:
        attempt: how many times it has begun.
        token: of the newest claim; whoever shows an older one writes nothing.
        not_before: when it may start, or be tried again.
        update: the identifier of its last update; None if that found nothing new.
        alerted: when it was told that it will be late; None if it was not.
        lost: whether its process has ended, or has given no sign of life for too long.
    """

    schedule: str
    due: float
    state: RunState = RunState.WAITING
    attempt: int = 0
    token: int = 0
    not_before: float = 0.0
    started: float | None = None
    ended: float | None = None
    error: str | None = None
    update: str | None = None
    alerted: float | None = None
    lost: bool = False

    @property
    def origin(self) -> str:
        """What its update says of what started it."""
        return f"schedule {self.schedule}, due {moment_text(self.due)}"


class ScheduleRecord(Frozen):
    """What the ledger knows of a schedule.

    Args:
        cursor: the moment up to which all its due times are recorded as runs, or left out.
        paused: since when it is; None if it is not.
        typical: seconds that its runs take, the newer ones counting more; 0 if none has succeeded.
    """

    schedule: str
    cursor: float
    paused: float | None = None
    reason: str = ""
    typical: float = 0.0


class Board(Frozen):
    """What is known of all schedules of a scope at one moment.

    Args:
        now: by the clock of the ledger's database.
        open: the due runs that have not ended.
    """

    now: float
    schedules: Named[ScheduleRecord]
    open: Sequence[DueRun]


class Changes(Frozen):
    """What a scheduler makes of a board, in one transaction.

    Args:
        known: schedules that begin to count now.
        cursors: by schedule, its new cursor.
        due: new runs that wait.
        waiting: runs that wait again because what was to carry them out is lost.
        ended: runs that are over, as they are then.
        alerts: runs that will be late, or are.
        starts: runs that this scheduler claims.
    """

    known: Sequence[str] = ()
    cursors: Mapping[str, float] = field(default_factory=dict)
    due: Sequence[DueRun] = ()
    waiting: Sequence[DueRun] = ()
    ended: Sequence[DueRun] = ()
    alerts: Sequence[DueRun] = ()
    starts: Sequence[DueRun] = ()

    def __bool__(self) -> bool:
        """True if there is anything to write."""
        return any(vars(self).values())


def _clock_change(there: tzinfo, after: float, before: float) -> float | None:
    """When the clock changes between two moments; None if both have the same offset from UTC."""
    offset = datetime.fromtimestamp(after, there).utcoffset()
    if datetime.fromtimestamp(before, there).utcoffset() == offset:
        return None
    low, high = int(after), ceil(before)
    while high - low > 1:
        middle = (low + high) // 2
        unchanged = datetime.fromtimestamp(middle, there).utcoffset() == offset
        low, high = (middle, high) if unchanged else (low, middle)
    return float(high)


def moment_text(moment: float) -> str:
    """A moment as `2026-11-30T01:00:00Z`."""
    return f"{datetime.fromtimestamp(moment, zone('UTC')):%Y-%m-%dT%H:%M:%SZ}"
