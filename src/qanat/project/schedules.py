"""The schedules of a project, and what starts their due runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib import import_module

from qanat.project.followed import Followed
from qanat.project.shown import DueRuns, Schedules
from qanat.project.upkeep import run_module

WORKERS = 4
"""Runs that one scheduler lets work at a time."""


class Scheduler(Followed):
    """The part of an opened project that updates it by itself."""

    def schedules(self) -> Schedules:
        """The schedules of the spec, with when they are due next and what came of the last run.

        >>> len(project.schedules())
        0
        """
        return Schedules(run_module("scheduled").scheduled(self._current()))

    def due_runs(self, schedule: str | None = None, limit: int = 20) -> DueRuns:
        """Due runs of schedules, the newest due time first.

        Args:
            schedule: only its runs; also one that is no longer declared.

        Raises:
            ScheduleNotFoundError: it is not declared and has no runs; names the nearest.

        >>> project.due_runs()
        ()
        """
        return DueRuns(run_module("scheduled").due_runs(self._current(), schedule, limit))

    def pause_schedules(self, *names: str, reason: str = "") -> Schedules:
        """Let no run of schedules start until `resume_schedules`; what runs comes to its end.

        The due times that come meanwhile are caught up with as the schedule says (`catchup`).

        Args:
            reason: half a sentence, for those who find them paused.

        Raises:
            ScheduleNotFoundError: the spec has no such schedule; names the nearest.
        """
        return Schedules(run_module("scheduled").pause(self._current(), names, reason))

    def trigger_schedules(self, *names: str) -> DueRuns:
        """Let schedules be due now, besides their due times; a scheduler starts the runs.

        Raises:
            ScheduleNotFoundError: the spec has no such schedule; names the nearest.
        """
        return DueRuns(run_module("scheduled").trigger(self._current(), names))

    def cancel_schedules(self, *names: str) -> DueRuns:
        """End the runs of schedules that have not ended, within seconds; which ones these were.

        They count as failed. Nothing is half-written.

        Raises:
            ScheduleNotFoundError: the spec has no such schedule; names the nearest.
        """
        return DueRuns(run_module("scheduled").cancel(self._current(), names))

    def resume_schedules(self, *names: str) -> tuple[str, ...]:
        """Let runs of schedules start again; none: of all. Which ones were paused.

        Raises:
            ScheduleNotFoundError: the spec has no such schedule; names the nearest.
        """
        return tuple(run_module("scheduled").resume(self._current(), names))

    def serve(
        self,
        *,
        once: bool = False,
        workers: int = WORKERS,
        stop: threading.Event | None = None,
        reload: threading.Event | None = None,
        patience: float = 30.0,
        tell: Callable[..., None] | None = None,
    ) -> DueRuns:
        """Start the due runs of the spec's schedules, each in a process of its own.

        Several schedulers may serve a project: each due run is started by one of them, and if that
        one dies, another takes over within ten seconds. When the project's files change, the new
        ones count from the next due run on.

        Args:
            once: start what is due now, wait for it, and return.
            workers: runs that work at a time.
            stop: set it, from another thread or a signal handler, to stop.
            reload: set it to read the project's files again even if they seem unchanged.
            patience: seconds that runs may go on once `stop` is set; then they are stopped, and
                begin anew with the next scheduler.
            tell: is called with all that happens (`qanat.project.serving.Told`).

        Returns:
            The runs that this scheduler started, as they ended.

        Raises:
            SelectionError: a schedule selects what is not there.
            ProblemsError: the declarations are wrong; nothing was started.
        """
        self._current().require()
        # Imported only here: it comes with Python's `multiprocessing`.
        module = import_module("qanat.project.serving")
        opened = module.Opened(lambda: self.session, self._reopened, self._take_up, self.close)
        events = stop or threading.Event(), reload or threading.Event()
        serving = module.Serving(opened, workers, tell or _nothing, *events)
        return DueRuns(serving.serve(once, patience))


def _nothing(told: object) -> None:
    """Tell nobody."""
