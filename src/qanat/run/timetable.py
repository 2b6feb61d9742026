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
_CLOSED = 1000
"""Days, or parts of them, in which a calendar leaves out all that is due."""
_FAR = 50 * 366 * 86_400.0
"""Seconds: nobody waits longer for what a calendar does not leave out."""
_BEFORE = 0.001
"""Seconds: what is due as a calendar opens counts, and triggers tell what comes after a moment."""
_BACK = (3600.0, 86_400.0, 32 * 86_400.0, 366 * 86_400.0)
"""How far back the newest due time is looked for: one that comes each second is soon found."""


def due_times(schedule: Schedule, after: float) -> Iterator[float]:
    """The due times of a schedule after a moment, without those that its calendar leaves out.

    What a calendar leaves out is passed over at once: the nights of a schedule that is due each
    second are not counted through.
    """
    closed, moment, last = 0, after, after
    while closed < _CLOSED:
        for due in schedule.trigger.times(moment):
            if schedule.allows(due):
                closed, last = 0, due
                yield due
            elif due - last > _FAR:
                return
            elif (again := schedule.opens(due) - _BEFORE) > due:
                break
        else:
            return
        closed, moment = closed + 1, again


def next_due(schedule: Schedule, after: float) -> float | None:
    """The next due time of a schedule after a moment; None if it is not due by the clock.

    A calendar that leaves out what is due on a thousand days in a row counts as one that leaves
    out all.
    """
    return next(due_times(schedule, after), None)


def caught_up(schedule: Schedule, cursor: float, now: float) -> tuple[Sequence[float], float]:
    """The due times after `cursor` that are to be run now, and the cursor that follows."""
    if schedule.catchup is Catchup.ALL:
        up_to_now = takewhile(lambda due: due <= now, due_times(schedule, cursor))
        taken = list(islice(up_to_now, _MOST))
        return taken, taken[-1] if taken else cursor
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
