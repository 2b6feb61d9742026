"""Which due times of a schedule lie between two moments, and which of them count.

Pure: it asks no clock and no ledger.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, takewhile

from qanat.model.schedule import Catchup, Schedule

GRACE = 60.0
"""Seconds by which a run of `catchup: skip` may be late."""
_MOST = 1000
"""Due times that are taken at once; the rest follows at the next look."""
_BACK = (3600.0, 86_400.0, 32 * 86_400.0, 366 * 86_400.0)
"""How far back the newest due time is looked for: one that comes each second is soon found."""


def due_times(schedule: Schedule, after: float) -> Iterator[float]:
    """The due times of a schedule after a moment, without those that its calendar leaves out."""
    return filter(schedule.allows, schedule.trigger.times(after))


def next_due(schedule: Schedule, after: float) -> float | None:
    """The next due time of a schedule after a moment; None if it is not due by the clock.

    A calendar that leaves out a thousand due times in a row counts as one that leaves out all.
    """
    ahead = islice(schedule.trigger.times(after), _MOST)
    return next(filter(schedule.allows, ahead), None)


def caught_up(schedule: Schedule, cursor: float, now: float) -> tuple[Sequence[float], float]:
    """The due times after `cursor` that are to be run now, and the cursor that follows."""
    if schedule.catchup is Catchup.ALL:
        up_to_now = takewhile(lambda due: due <= now, schedule.trigger.times(cursor))
        taken = list(islice(up_to_now, _MOST))
        return [d for d in taken if schedule.allows(d)], taken[-1] if taken else cursor
    last = _last(schedule, cursor, now)
    if last is None:
        return (), cursor
    late = schedule.catchup is Catchup.SKIP and now - last > GRACE
    return () if late else (last,), now


def _last(schedule: Schedule, cursor: float, now: float) -> float | None:
    """The newest due time in `(cursor, now]`."""
    for back in (*_BACK, now - cursor):
        start = max(cursor, now - back)
        last = None
        for due in takewhile(lambda due: due <= now, due_times(schedule, start)):
            last = due
        if last is not None or start == cursor:
            return last
    return None
