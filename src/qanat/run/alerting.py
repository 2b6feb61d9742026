"""What a scheduler tells the observers of the spec: runs that are late, runs that have failed."""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import SimpleQueue

from qanat import plugins
from qanat.model.event import EventRecord, RunFailed, RunLate
from qanat.model.observer import DeclaredObserver
from qanat.model.record import UpdateRecord
from qanat.model.schedule import DueRun, Schedule, moment_text
from qanat.run.courier import Courier
from qanat.run.portraits import Portraits
from qanat.run.session import Session

_PATIENCE = 600.0
"""Seconds for which an observer that takes nothing is tried again."""
COMMAND = "serve"
"""What such an event names as its command."""


class Alerting:
    """Brings alerts to observers, each in a thread that the scheduler does not wait for.

    They belong to no update, so no ledger keeps them: what an observer does not take within ten
    minutes, or until the scheduler ends, is lost, and `warn` is told.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        # What couriers complain of in their threads is told in the scheduler's.
        self._complaints = SimpleQueue[str]()
        self._begun: list[tuple[Courier, float]] = []

    def late(self, session: Session, run: DueRun, schedule: Schedule) -> None:
        """A run will not have succeeded in time, or has not."""
        deadline = schedule.deadline(run.due)
        by = "" if deadline is None else moment_text(deadline)
        event = RunLate(run.schedule, moment_text(run.due), by, str(run.state))
        self._tell(session, run, event, "late")

    def failed(self, session: Session, run: DueRun) -> None:
        """A run has failed, and is not tried again."""
        due, error = moment_text(run.due), run.error or ""
        event = RunFailed(run.schedule, due, run.attempt, error, run.update)
        self._tell(session, run, event, "failed")

    def _tell(self, session: Session, run: DueRun, event: RunLate | RunFailed, what: str) -> None:
        id = f"{run.schedule}@{moment_text(run.due)}/{what}"
        environment, now = session.project.environment, time.time()
        about = UpdateRecord(id, environment, COMMAND, now, origin=run.origin)
        for declared in session.project.observers:
            if declared.wants(event):
                courier = _courier(session, declared, self._complaints.put)
                courier.begin(about)
                courier.take([EventRecord(1, now, event)])
                self._begun.append((courier, time.monotonic()))

    def look(self) -> None:
        """Dismiss who has taken all, or has had enough time."""
        self._complain()
        now = time.monotonic()
        done = [e for e in self._begun if not e[0].outstanding or now - e[1] > _PATIENCE]
        self._begun = [each for each in self._begun if each not in done]
        for courier, _ in done:
            self._dismiss(courier, now)

    def end(self) -> None:
        """Let those finish that have begun, for as long as each one's option `wait` says."""
        begun, self._begun, now = self._begun, [], time.monotonic()
        for courier, _ in begun:
            courier.close(now)
        for courier, _ in begun:
            courier.wait()
            self._dismiss(courier, now)
        self._complain()

    def _complain(self) -> None:
        while not self._complaints.empty():
            self._warn(self._complaints.get())

    def _dismiss(self, courier: Courier, now: float) -> None:
        courier.close(now)
        courier.leave()
        if text := courier.undelivered:
            self._warn(text)


def _courier(session: Session, declared: DeclaredObserver, warn: Callable[[str], None]) -> Courier:
    kind = plugins.observer_kind(declared.kind)

    def make() -> object:
        made = plugins.imported(kind.observer)
        return made(declared.name, declared.options, Portraits(session))

    return Courier(declared, False, make, session.ledger, warn)
