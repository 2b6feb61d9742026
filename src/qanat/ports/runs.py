"""What remembers schedules and their due runs, so that several schedulers can share the work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from qanat.model.name import Named
from qanat.model.schedule import Board, Changes, DueRun, ScheduleRecord


class Runs(Protocol):
    """The part of a ledger by which schedulers agree; it needs no lease of datasets.

    A due run is known by its schedule and its due time, and recorded once. A scheduler claims it
    for some seconds and starts a process, which begins the run if the claim still holds, gives
    signs of life, and ends it. Each claim has a greater token than those before; whoever comes
    with an older one is refused.
    """

    def board(self) -> Board:
        """What is known of all schedules now."""
        ...

    def advance(self, decide: Callable[[Board], Changes], seconds: float) -> tuple[Board, Changes]:
        """Decide on the board as it is, and write the changes: all of it or nothing.

        Args:
            decide: called with the board, within the transaction if there is something to write;
                so it may be called twice. It touches nothing.
            seconds: how long the claims hold.

        Returns:
            The board, and the changes as they were written: `starts` with the tokens of their
            claims.
        """
        ...

    def begin_run(self, run: DueRun, seconds: float) -> DueRun | None:
        """Begin a claimed run in this process; None if the claim does not hold any more.

        Args:
            run: with the token of its claim.
            seconds: how long it counts as alive without `renew_run`.
        """
        ...

    def release_run(self, run: DueRun, error: str, seconds: float) -> bool:
        """Give back a claimed run that nobody has begun: it waits for so many seconds at least.

        Args:
            error: why it was not begun.

        Returns:
            False if it has begun, or is another's by now.
        """
        ...

    def renew_run(self, run: DueRun, seconds: float) -> bool:
        """Give a sign of life of a run that has begun; False if it is another's by now."""
        ...

    def end_run(self, run: DueRun, followers: Iterable[str] = ()) -> bool:
        """Record how an attempt has ended; False if the run is another's by now.

        Args:
            run: with its new state. One that waits for a retry says in `not_before` how many
                seconds from now.
            followers: schedules that are due when it has succeeded, at its due time.
        """
        ...

    def cancel(self, schedule: str) -> list[DueRun]:
        """End the runs of a schedule that have not ended: they have failed. Those that were.

        Their processes find out by `renew_run`.
        """
        ...

    def trigger(self, schedules: Iterable[str]) -> list[DueRun]:
        """Let each of these schedules be due now, besides its due times; the new runs."""
        ...

    def runs(self, schedule: str | None = None, limit: int = 20) -> Sequence[DueRun]:
        """Due runs, the newest due time first.

        Args:
            schedule: only those of this one.
        """
        ...

    def run(self, schedule: str, due: float) -> DueRun | None:
        """The run of a schedule at a due time; None if there is none."""
        ...

    def last_runs(self) -> Named[DueRun]:
        """By schedule, its run of the newest due time that has begun."""
        ...

    def pause_schedule(self, schedule: str, reason: str) -> None:
        """Let no run of a schedule start from now on."""
        ...

    def resume_schedules(self, schedules: Iterable[str]) -> list[str]:
        """Let runs start again; those of these schedules that were paused."""
        ...

    def schedule_records(self) -> Named[ScheduleRecord]:
        """What is known of each schedule."""
        ...

    def forget_runs(self, before: float) -> None:
        """Forget runs that ended before a moment."""
        ...
