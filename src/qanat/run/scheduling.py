"""What a scheduler does next: which runs are due, which of them start, which are given up.

Pure: a board (`qanat.model.schedule.Board`) goes in, and changes to it come out. The ledger asks
within the transaction that writes them, so that of several schedulers each sees what the others
have done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf
from secrets import SystemRandom

from qanat.model.name import Named
from qanat.model.schedule import (
    Board,
    Catchup,
    Changes,
    DueRun,
    RunState,
    Schedule,
    ScheduleRecord,
)
from qanat.run.timetable import caught_up, next_due

CRASHES = 3
"""How often a run whose process was lost begins again, besides its retries."""
_LONGEST_DELAY = 3600.0
_AHEAD = 60.0
"""Seconds by which a cursor may be in the future: by more, and the clock was wrong and is set."""


class Scheduling:
    """Decides for one project and environment; remembers when each schedule is due next.

    Args:
        schedules: those that are declared.
        pools: by name, how many runs may work at a time.
    """

    def __init__(self, schedules: Sequence[Schedule], pools: Mapping[str, int]) -> None:
        self.schedules = Named({s.name: s for s in schedules})
        self.pools = pools
        self._next: dict[str, tuple[float, float | None]] = {}

    def next_due(self, name: str, cursor: float) -> float | None:
        """When a schedule is due next after its cursor; None if it is not due by the clock."""
        known = self._next.get(name)
        if known is None or known[0] != cursor:
            found = next_due(self.schedules[name], cursor)
            known = self._next[name] = cursor, found
        return known[1]

    def wakes(self, board: Board) -> float | None:
        """The next moment at which something is due or may be tried again; None if there is none.

        Args:
            board: as it is after the changes that `decide` has made.
        """
        moments = [r.not_before for r in board.open if r.not_before > board.now]
        for schedule in self.schedules.values():
            record = board.schedules.get(schedule.name)
            if record is not None and record.paused is None:
                due = self.next_due(schedule.name, record.cursor)
                moments += [] if due is None else [due]
        return min(moments, default=None)

    def decide(self, board: Board, slots: int, until: float = inf) -> Changes:
        """What to write and what to start.

        Args:
            slots: how many more runs this scheduler can carry out.
            until: only what is due by then.
        """
        known = [n for n in self.schedules if n not in board.schedules]
        cursors, added = self._due(board, min(board.now, until))
        waiting, ended = self._lost(board)
        settled = {(r.schedule, r.due): r for r in (*waiting, *ended)}
        open_ = [settled.get((r.schedule, r.due), r) for r in (*board.open, *added)]
        superseded = list(self._superseded(open_))
        gone = {(r.schedule, r.due) for r in (*superseded, *ended)}
        open_ = [r for r in open_ if (r.schedule, r.due) not in gone]
        return Changes(
            known,
            cursors,
            added,
            waiting,
            (*ended, *superseded),
            list(self._alerts(open_, board)),
            self._starts(open_, board, slots, until),
        )

    def _due(self, board: Board, until: float) -> tuple[dict[str, float], list[DueRun]]:
        cursors, added = dict[str, float](), list[DueRun]()
        for name, schedule in self.schedules.items():
            record = board.schedules.get(name)
            if record is None or record.paused is not None:
                continue
            if record.cursor > board.now + _AHEAD:
                # What has been due up to the cursor is known, and is not due twice.
                cursors[name] = board.now
                continue
            due = self.next_due(name, record.cursor)
            if due is None or due > until:
                continue
            times, cursor = caught_up(schedule, record.cursor, until)
            added += [DueRun(name, each) for each in times]
            cursors[name] = cursor
        return cursors, added

    def _lost(self, board: Board) -> tuple[list[DueRun], list[DueRun]]:
        """Runs whose process is lost: those that begin again, and those that are given up."""
        waiting, ended = [], []
        for run in board.open:
            if not run.lost:
                continue
            if run.state is RunState.RUNNING:
                schedule = self.schedules.get(run.schedule)
                retries = 0 if schedule is None else schedule.retries
                if run.attempt > retries + CRASHES:
                    text = f"its process was lost {run.attempt} times"
                    ended.append(replace(run, state=RunState.FAILED, error=text, ended=board.now))
                    continue
            waiting.append(replace(run, state=RunState.WAITING, lost=False))
        return waiting, ended

    def _superseded(self, open_: Sequence[DueRun]) -> Iterator[DueRun]:
        """Waiting runs that nobody starts any more."""
        newest: dict[str, float] = {}
        for run in open_:
            newest[run.schedule] = max(run.due, newest.get(run.schedule, run.due))
        for run in open_:
            schedule = self.schedules.get(run.schedule)
            if run.state is not RunState.WAITING:
                continue
            if schedule is None:
                yield replace(run, state=RunState.SKIPPED, error="it is no longer declared")
                continue
            stays = run.attempt or schedule.catchup is Catchup.ALL
            if not stays and run.due < newest[run.schedule]:
                yield replace(run, state=RunState.SKIPPED, error="a newer run is due")

    def _alerts(self, open_: Sequence[DueRun], board: Board) -> Iterator[DueRun]:
        """Runs that will not have succeeded in time, as far as past runs let expect."""
        for run in open_:
            schedule = self.schedules.get(run.schedule)
            deadline = None if schedule is None else schedule.deadline(run.due)
            if deadline is None or run.alerted is not None:
                continue
            record = board.schedules.get(run.schedule) or ScheduleRecord(run.schedule, 0.0)
            begins = max(board.now, run.not_before)
            if run.state is RunState.RUNNING and run.started is not None:
                begins = run.started
            if max(board.now, begins + record.typical) >= deadline:
                yield run

    def _starts(
        self, open_: Sequence[DueRun], board: Board, slots: int, until: float
    ) -> list[DueRun]:
        at_work = [r for r in open_ if r.state in (RunState.STARTING, RunState.RUNNING)]
        running = Counter(r.schedule for r in at_work)
        pools = Counter(s.pool for r in at_work if (s := self.schedules.get(r.schedule)))
        ready = [r for r in open_ if r.due <= until and self._may_start(r, board)]
        ready.sort(key=lambda r: (-self.schedules[r.schedule].priority, r.due))
        found: list[DueRun] = []
        for run in ready:
            schedule = self.schedules[run.schedule]
            pool = schedule.pool
            if len(found) >= slots:
                break
            if running[run.schedule] >= schedule.max_concurrent_runs:
                continue
            if pool is not None and pools[pool] >= self.pools[pool]:
                continue
            running[run.schedule] += 1
            pools[pool] += 1
            found.append(run)
        return found

    def _may_start(self, run: DueRun, board: Board) -> bool:
        schedule = self.schedules.get(run.schedule)
        if schedule is None or run.state is not RunState.WAITING or run.not_before > board.now:
            return False
        record = board.schedules.get(run.schedule)
        paused = record is not None and record.paused is not None
        return not paused and schedule.allows(board.now)


def after_failure(schedule: Schedule, run: DueRun, error: str, may_succeed: bool) -> DueRun:
    """A run whose attempt has failed: it waits for a retry, or is over.

    Args:
        may_succeed: whether it may succeed later though its author changes nothing.
    """
    if not may_succeed or run.attempt > schedule.retries:
        return replace(run, state=RunState.FAILED, error=error)
    longest = min(schedule.retry_delay * 2.0 ** (run.attempt - 1), _LONGEST_DELAY)
    # Not all at once: what failed together would fail together again.
    delay = longest * SystemRandom().uniform(0.5, 1.0)
    return replace(run, state=RunState.WAITING, error=error, not_before=delay)
