"""One due run of a schedule, in a process of its own: begin it, update, tell how it ended."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType

from qanat.errors import QanatError
from qanat.model.name import Named, same
from qanat.model.schedule import DueRun, RunState, Schedule
from qanat.ports.observer import Observer
from qanat.run.results import Selection, UpdateResult
from qanat.run.scheduling import after_failure
from qanat.run.session import Session
from qanat.run.update import update
from qanat.text import duration

ALIVE = 8.0
"""Seconds for which a run counts as alive after a sign of life, and a claim holds."""
_SIGN = 2.0
_PATIENCE = 30.0
"""Seconds that a run which is stopped may take to end in order."""


class _Stop:
    """Why a run was told to stop; None if it was not.

    Signals end an update only: what is told to the ledger before and after it is told as a whole.
    """

    reason: str | None = None
    timed_out = False
    updating = False


def carry_out(session: Session, run: DueRun, observers: Sequence[Observer]) -> DueRun | None:
    """Begin a run that a scheduler has claimed, update what it selects, and record how it ended.

    SIGTERM stops it, and so does a second SIGINT: what has begun is given up, and the run waits
    again, for whatever scheduler comes next.

    Returns:
        The run as it ended; None if it did not begin, as the claim no longer held.
    """
    declared = Named({s.name: s for s in session.project.schedules})
    schedule = declared.get(run.schedule)
    if schedule is None:
        return None  # it is no longer declared; the scheduler finds out, too
    session.begin_writing()
    stop = _Stop()
    with _stoppable(stop, schedule.timeout):
        begun = session.ledger.begin_run(run, ALIVE)
        if begun is None:
            return None
        with _signs_of_life(session, begun, stop):
            ended = _updated(session, schedule, begun, observers, stop)
        done = ended.state is RunState.SUCCEEDED
        after = [s.name for s in declared.values() if same(s.trigger.follows or "", run.schedule)]
        session.ledger.end_run(ended, after if done else ())
    return ended


def _updated(
    session: Session,
    schedule: Schedule,
    run: DueRun,
    observers: Sequence[Observer],
    stop: _Stop,
) -> DueRun:
    try:
        # Another schedule, or a person, may be updating the same datasets.
        chosen = Selection(schedule.select)
        with _interruptible(stop):
            result = update(session, chosen, observers, wait=True, origin=run.origin)
    except QanatError as error:
        return after_failure(schedule, run, error.message, error.exit_code != 2)
    except KeyboardInterrupt:
        if stop.timed_out:
            text = f"it took longer than {duration(schedule.timeout or 0.0)}"
            return after_failure(schedule, run, text, may_succeed=True)
        # It has not failed: who was told to stop lets another one begin it anew.
        waiting = replace(run, state=RunState.WAITING, attempt=run.attempt - 1)
        return replace(waiting, error=stop.reason or "it was stopped", not_before=0.0)
    if result.status == "failed":
        return replace(_failed(schedule, run, result), update=result.id or None)
    return replace(run, state=RunState.SUCCEEDED, error=None, update=result.id or None)


def _failed(schedule: Schedule, run: DueRun, result: UpdateResult) -> DueRun:
    errors = [r.error for r in result.failed if r.error is not None]
    text = "; ".join(f"{r.dataset}: {r.reason}" for r in result.failed)
    # One that may succeed later is reason enough to try again.
    may_succeed = not errors or any(error.exit_code != 2 for error in errors)
    return after_failure(schedule, run, text, may_succeed)


@contextmanager
def _stoppable(stop: _Stop, timeout: float | None) -> Iterator[None]:
    """Let SIGTERM stop the update as Ctrl-C does, and stop it after `timeout` seconds.

    A first Ctrl-C is for the scheduler: it gives runs their time.
    """

    def terminate(number: int, frame: FrameType | None) -> None:
        stop.reason = stop.reason or "it was stopped"
        if not stop.updating:
            return
        # Once is enough: the update is on its way out.
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_IGN)
        _end_at_last()
        raise KeyboardInterrupt

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, terminate)

    def time_out() -> None:
        stop.timed_out = True
        os.kill(os.getpid(), signal.SIGTERM)

    handlers = {signal.SIGTERM: terminate, signal.SIGINT: interrupt}
    before = {each: signal.signal(each, handler) for each, handler in handlers.items()}
    timer = threading.Timer(timeout, time_out) if timeout is not None else None
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        yield
    finally:
        if timer is not None:
            timer.cancel()
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def _interruptible(stop: _Stop) -> Iterator[None]:
    """Let what was told to stop, before or within the block, raise a KeyboardInterrupt there."""
    stop.updating = True
    try:
        if stop.reason is not None:
            raise KeyboardInterrupt
        yield
    finally:
        stop.updating = False


def _end_at_last() -> None:
    """End this process if it does not end in order."""
    timer = threading.Timer(_PATIENCE, os._exit, (1,))
    timer.daemon = True
    timer.start()


@contextmanager
def _signs_of_life(session: Session, run: DueRun, stop: _Stop) -> Iterator[None]:
    """Tell the ledger that this run is alive, again and again; stop it if it is lost."""
    over = threading.Event()

    def tell() -> None:
        while not over.wait(_SIGN):
            try:
                ours = session.ledger.renew_run(run, ALIVE)
            except QanatError:
                continue  # the ledger may answer the next time
            if not ours:
                stop.reason = "it was cancelled, or another process has taken it over"
                os.kill(os.getpid(), signal.SIGTERM)
                return

    thread = threading.Thread(target=tell, name="qanat-alive", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
