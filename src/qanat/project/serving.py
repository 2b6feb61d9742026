"""What starts the due runs of a project's schedules until it is stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path

from qanat.errors import LedgerLostError, QanatError
from qanat.frozen import Frozen
from qanat.model.event import Event, ProjectRead, Warned
from qanat.model.schedule import CANCELLED, SCHEDULE_HISTORY, Changes, DueRun, RunState
from qanat.project.continuous import Watch
from qanat.project.crew import Crew, Job
from qanat.project.stamps import stamps_of
from qanat.run.alerting import Alerting
from qanat.run.due import ALIVE
from qanat.run.scheduling import Scheduling
from qanat.run.session import Session
from qanat.run.validate import check_selection

_LOOK = 0.5
"""Seconds between two looks at what other schedulers have done, or left undone."""
_AGAIN = 5.0
"""Seconds before another try where the ledger does not answer."""
_DAY = 86_400.0


class Told(Frozen):
    """What a scheduler tells while it serves.

    Args:
        kind: `started`, `succeeded`, `failed`, `retried`, `stopped`, `skipped`, `lost`, `late`
            (it will be, or is), `read` (the project's files, anew) or `warning`.
        run: that it is about; None if it is about none.
        text: more, in words.
        log: the file with what the run tells.
    """

    kind: str
    run: DueRun | None = None
    text: str = ""
    log: Path | None = None


class Opened(Frozen):
    """An opened project, as the loop needs it.

    Args:
        session: gives its session as it is.
        reopened: gives one that declares what the project's files do now.
        take_up: goes on with such a session.
        close: closes what was opened; what is asked next opens it again.
    """

    session: Callable[[], Session]
    reopened: Callable[[], Session]
    take_up: Callable[[Session], None]
    close: Callable[[], None]


class Serving:
    """Starts due runs, each in a process of its own.

    Args:
        project: whose runs they are.
        slots: how many work at a time.
        tell: is called with all that happens, in this thread.
        stop: ends `serve` once it is set.
        reload: reads the project's files anew once it is set.
    """

    def __init__(
        self,
        project: Opened,
        slots: int,
        tell: Callable[[Told], None],
        stop: threading.Event,
        reload: threading.Event,
    ) -> None:
        self._project, self._slots, self._tell, self._stop = project, slots, tell, stop
        self._ended: list[DueRun] = []
        self._forgot = float("-inf")
        for schedule in project.session().project.schedules:
            check_selection(project.session(), schedule)
        self._watch = Watch(
            lambda: stamps_of(project.session()), project.reopened, reload, (self,)
        )
        self._crew = Crew()
        self._alerting = Alerting(lambda text: tell(Told("warning", text=text)))
        self._take_up()

    def on(self, event: Event) -> None:
        """Take what the watch over the project's files tells."""
        if isinstance(event, Warned):
            self._tell(Told("warning", text=event.message))
        elif isinstance(event, ProjectRead):
            self._tell(Told("read", text="the project's files have changed, and are read anew"))

    def serve(self, once: bool, patience: float) -> Sequence[DueRun]:
        """Start what is due until `stop` is set; how the runs ended that this scheduler started.

        Args:
            once: end as soon as nothing that is due now is left to start, and all has ended.
            patience: seconds that runs may go on once `stop` is set.
        """
        until = self._project.session().ledger.board().now if once else inf
        try:
            while not self._stop.is_set():
                try:
                    done = self._step(once, until)
                except LedgerLostError:
                    raise
                except QanatError as error:
                    if once:
                        raise
                    self._tell(
                        Told("warning", text=f"{error.message}; trying again in {_AGAIN:g} s")
                    )
                    # Connections may be broken: open them anew.
                    self._project.close()
                    self._stop.wait(_AGAIN)
                    continue
                if done:
                    break
        finally:
            self._crew.end(patience if self._stop.is_set() else 0.0)
            self._collect()
            self._crew.dismiss()
            self._alerting.end()
        return self._ended

    def _step(self, once: bool, until: float) -> bool:
        """Collect what has ended and start what is due; True if nothing is left, for `once`."""
        self._collect()
        self._alerting.look()
        if self._watch.changed() and (reopened := self._watch.taken()) is not None:
            self._project.take_up(reopened)
            self._take_up()
        ledger, free = self._project.session().ledger, self._slots - self._crew.busy
        if time.monotonic() - self._forgot > _DAY:
            self._forgot = time.monotonic()
            ledger.forget_runs(ledger.board().now - SCHEDULE_HISTORY)
        ready = min(free, self._crew.ready)
        board, changes = ledger.advance(lambda b: self._scheduling.decide(b, ready, until), ALIVE)
        self._tell_of(changes)
        for run in changes.starts:
            job = self._crew.start(self._project.session().project, run)
            if job.unlogged:
                self._tell(Told("warning", run, f"no log of it can be written: {job.unlogged}"))
            self._tell(Told("started", run, log=None if job.unlogged else job.log))
        if changes:
            return False  # look at once what has come of it
        waiting = len(self._scheduling.decide(board, free, until).starts) if ready < free else 0
        self._crew.grow(self._project.session().project, waiting)
        if once and not waiting and not self._crew.busy:
            return True
        wakes = self._scheduling.wakes(board)
        self._crew.wait(_LOOK if wakes is None else min(_LOOK, max(0.0, wakes - board.now)))
        return False

    def _take_up(self) -> None:
        project = self._project.session().project
        self._project.session().begin_writing()
        self._scheduling = Scheduling(project.schedules, project.pools)
        self._crew.prepare(project)

    def _tell_of(self, changes: Changes) -> None:
        for run in changes.waiting:
            self._tell(Told("lost", run, "its process is lost; it begins anew"))
        for run in changes.ended:
            self._tell(Told(run.state.value, run, run.error or ""))
            if run.state is RunState.FAILED:
                self._alerting.failed(self._project.session(), run)
        for run in changes.alerts:
            self._tell(Told("late", run, "it will not be done in time"))
            schedule = self._scheduling.schedules[run.schedule]
            self._alerting.late(self._project.session(), run, schedule)

    def _collect(self) -> None:
        """Tell how runs have ended whose processes have."""
        for job in self._crew.done():
            ended = self._project.session().ledger.run(job.run.schedule, job.run.due)
            if ended is not None and ended.error == CANCELLED:
                self._tell(Told("failed", ended, CANCELLED, job.log))
                self._ended.append(ended)
                continue
            if ended is None or ended.token != job.run.token:
                continue  # another scheduler has taken it over
            if ended.state is RunState.STARTING:
                ended = self._given_back(job)
                if ended is None:
                    continue  # it has begun at the last moment
                kind = "retried"
            elif ended.state is RunState.WAITING:
                kind = "stopped" if ended.attempt == job.run.attempt else "retried"
            elif ended.state in (RunState.SUCCEEDED, RunState.FAILED):
                kind = ended.state.value
            else:
                continue  # its process ended before it could tell: `decide` deals with that
            self._ended.append(ended)
            self._tell(Told(kind, ended, ended.error or "", job.log))
            if ended.state is RunState.FAILED:
                self._alerting.failed(self._project.session(), ended)

    def _given_back(self, job: Job) -> DueRun | None:
        """A run that its process could not begin: it is nobody's again, and waits a while."""
        error = f"it could not begin: {job.said or 'it is no longer declared'}"
        if not self._project.session().ledger.release_run(job.run, error, _AGAIN):
            return None
        return replace(job.run, state=RunState.WAITING, error=error)
