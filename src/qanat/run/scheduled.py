"""The schedules of a project as people see them, and which of them stand still."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from qanat.errors import ScheduleNotFoundError, SelectionError, nearest
from qanat.frozen import Frozen
from qanat.model.name import Named
from qanat.model.schedule import DueRun, Schedule, ScheduleRecord
from qanat.planning.graph import select
from qanat.run.session import Session
from qanat.run.timetable import next_due

_OVERDUE = 10.0
"""Seconds within which a scheduler that lives has found what is due."""


class Scheduled(Frozen):
    """A schedule with what is known of it. Moments are seconds since 1970 (UTC).

    Args:
        next: when it is due next; None if it follows another one, or is paused.
        last: the run of its newest due time that has begun.
        paused: since when it is; None if it is not.
        overdue: whether `next` has passed and no scheduler has looked since.
    """

    schedule: Schedule
    next: float | None
    last: DueRun | None
    paused: float | None
    reason: str
    overdue: bool = False


def scheduled(session: Session) -> Sequence[Scheduled]:
    """The schedules in the order of the spec."""
    records, last = Named[ScheduleRecord](), Named[DueRun]()
    if session.has_ledger:
        records, last = session.ledger.schedule_records(), session.ledger.last_runs()
    found = []
    for schedule in session.project.schedules:
        record = records.get(schedule.name)
        paused = None if record is None else record.paused
        # A scheduler looks for what is due after the cursor; without one, nothing is due yet.
        cursor = time.time() if record is None else record.cursor
        due = None if paused is not None else next_due(schedule, cursor)
        reason = "" if record is None else record.reason
        overdue = due is not None and due < time.time() - _OVERDUE
        found.append(Scheduled(schedule, due, last.get(schedule.name), paused, reason, overdue))
    return found


def next_updates(session: Session) -> dict[str, float]:
    """By dataset, when a schedule is due next that updates it; only those of which that is known.

    A schedule that follows others is due when the first of them is.
    """
    found = {each.schedule.name: each for each in scheduled(session)}
    folded = Named(found)
    moments = dict[str, float]()
    for each in found.values():
        first = each
        while first.paused is None and (above := folded.get(first.schedule.trigger.follows or "")):
            first = above
        if each.paused is not None or first.next is None:
            continue
        # What is wrong with a selection, `qanat validate` and `qanat serve` tell.
        with suppress(SelectionError):
            for name in select(session.graph, session.pipeline, each.schedule.select or ("*",)):
                moments[name] = min(first.next, moments.get(name, first.next))
    return moments


def due_runs(session: Session, schedule: str | None, limit: int) -> Sequence[DueRun]:
    """Due runs, the newest due time first.

    Args:
        schedule: only its runs; it may be one that is no longer declared.

    Raises:
        ScheduleNotFoundError: it is not declared and has no runs; names the nearest.
    """
    found = session.ledger.runs(schedule, limit) if session.has_ledger else []
    if schedule is not None and not found:
        _declared(session, schedule)
    return found


def pause(session: Session, names: Sequence[str], reason: str) -> Sequence[Scheduled]:
    """Let no run of these schedules start until they are told to go on.

    Raises:
        ScheduleNotFoundError: one is not declared; names the nearest.
    """
    found = [_declared(session, name) for name in names]
    session.begin_writing()
    for name in found:
        session.ledger.pause_schedule(name, reason)
    return scheduled(session)


def trigger(session: Session, names: Sequence[str]) -> Sequence[DueRun]:
    """Let schedules be due now, besides their due times.

    Raises:
        ScheduleNotFoundError: one is not declared; names the nearest.
    """
    found = [_declared(session, name) for name in names]
    session.begin_writing()
    return session.ledger.trigger(found)


def cancel(session: Session, names: Sequence[str]) -> Sequence[DueRun]:
    """End the runs of schedules that have not ended, within seconds.

    Raises:
        ScheduleNotFoundError: one is not declared; names the nearest.
    """
    found = [_declared(session, name) for name in names]
    if not session.has_ledger:
        return []
    return [run for name in found for run in session.ledger.cancel(name)]


def resume(session: Session, names: Sequence[str]) -> Sequence[str]:
    """Let runs of schedules start again; which of them were paused.

    Args:
        names: empty: all.

    Raises:
        ScheduleNotFoundError: one is not declared; names the nearest.
    """
    found = [_declared(session, n) for n in names]
    if not session.has_ledger:
        return []
    return session.ledger.resume_schedules(found or [s.name for s in session.project.schedules])


def _declared(session: Session, name: str) -> str:
    known = Named({s.name: s.name for s in session.project.schedules})
    if name not in known:
        text = f"the spec has no schedule {name!r}"
        near = nearest(name, list(known))
        wanted = (
            None if near else " or ".join(known.values()) or "a section `schedules` in the spec"
        )
        raise ScheduleNotFoundError(text, wanted=wanted, nearest=near)
    return known[name]
