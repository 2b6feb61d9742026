"""Schedules and their due runs: who writes that needs no lease of datasets.

Schedulers write one after the other, as each locks the row of its scope in `qanat_serving`; so
what one decides, the next one sees. Moments are those of the database's clock: a machine whose
clock goes wrong starts nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from qanat.ledgers.sql.database import Row, Transaction
from qanat.ledgers.sql.process import Process, this_process
from qanat.ledgers.sql.reader import SqlLedgerReader
from qanat.model.name import Named, fold, same
from qanat.model.schedule import (
    CANCELLED,
    Board,
    Changes,
    DueRun,
    RunState,
    ScheduleRecord,
)

_RUN = (
    "schedule, due, state, attempt, token, not_before, started, ended, error, update_id, alerted"
)
_OWNER = "expires, host, machine, pid, process_started"
_OPEN = "state IN ('waiting', 'starting', 'running')"
_OURS = "scope = ? AND schedule_key = ? AND due = ? AND token = ?"
_WEIGHT = 0.3
"""What the newest run counts for in the time that runs of a schedule take."""


class SqlRuns(SqlLedgerReader):
    """The schedules and due runs of a ledger."""

    def board(self) -> Board:
        """What is known of all schedules now."""
        with self._database.reading() as transaction:
            return self._board(transaction)

    def advance(self, decide: Callable[[Board], Changes], seconds: float) -> tuple[Board, Changes]:
        """Decide on the board as it is, and write the changes: all of it or nothing."""
        board = self.board()
        if not (changes := decide(board)):
            return board, changes
        with self._scheduling() as transaction:
            board = self._board(transaction)
            changes = decide(board)
            return board, self._write(transaction, board.now, changes, seconds)

    @contextmanager
    def _scheduling(self) -> Iterator[Transaction]:
        """Begin a transaction that writes to runs, while no other such one goes on.

        Without taking turns in PostgreSQL, a run could begin after a scheduler has read that its
        claim has expired, and two transactions could wait for each other's rows.
        """
        with self._database.writing() as transaction:
            transaction.write(
                "INSERT INTO qanat_serving (scope) VALUES (?) ON CONFLICT (scope) DO NOTHING",
                (self.scope,),
            )
            locked = f"SELECT scope FROM qanat_serving WHERE scope = ? {self._database.locks_rows}"
            transaction.read(locked, (self.scope,))
            yield transaction

    def _board(self, transaction: Transaction) -> Board:
        now = transaction.now()
        rows = transaction.read(
            f"SELECT {_RUN}, {_OWNER} FROM qanat_runs WHERE scope = ? AND {_OPEN}"
            " ORDER BY due, schedule_key",
            (self.scope,),
        )
        return Board(now, self._records(transaction), [_open_run(row, now) for row in rows])

    def _records(self, transaction: Transaction) -> Named[ScheduleRecord]:
        rows = transaction.read(
            "SELECT schedule_key, schedule, due_until, paused, reason, typical"
            " FROM qanat_schedules WHERE scope = ? ORDER BY schedule_key",
            (self.scope,),
        )
        return Named((key, ScheduleRecord(*values)) for key, *values in rows)

    def _write(
        self, transaction: Transaction, now: float, changes: Changes, seconds: float
    ) -> Changes:
        transaction.write_all(
            "INSERT INTO qanat_schedules (scope, schedule_key, schedule, due_until, reason,"
            " typical) VALUES (?, ?, ?, ?, '', 0) ON CONFLICT (scope, schedule_key) DO NOTHING",
            [(self.scope, fold(name), name, now) for name in changes.known],
        )
        transaction.write_all(
            "UPDATE qanat_schedules SET due_until = ? WHERE scope = ? AND schedule_key = ?",
            [(cursor, self.scope, fold(name)) for name, cursor in changes.cursors.items()],
        )
        self._add(transaction, changes.due)
        transaction.write_all(
            f"UPDATE qanat_runs SET state = 'waiting' WHERE {_OURS}",
            [self._key(run) for run in changes.waiting],
        )
        transaction.write_all(
            f"UPDATE qanat_runs SET state = ?, error = ?, ended = ? WHERE {_OURS}",
            [(r.state.value, r.error, now, *self._key(r)) for r in changes.ended],
        )
        transaction.write_all(
            f"UPDATE qanat_runs SET alerted = ? WHERE {_OURS}",
            [(now, *self._key(run)) for run in changes.alerts],
        )
        owner = _owner_values(now + seconds, this_process())
        claim = (
            f"UPDATE qanat_runs SET state = 'starting', token = token + 1, {_set(_OWNER)}"
            f" WHERE {_OURS} AND state = 'waiting'"
        )
        starts = [
            replace(run, state=RunState.STARTING, token=run.token + 1)
            for run in changes.starts
            # What is due now may have been due before, if the clock has gone back since.
            if transaction.write(claim, (*owner, *self._key(run)))
        ]
        return replace(changes, starts=starts)

    def _add(self, transaction: Transaction, runs: Iterable[DueRun]) -> None:
        transaction.write_all(
            "INSERT INTO qanat_runs (scope, schedule_key, schedule, due, state, attempt, token,"
            " not_before, expires, host, machine, pid, process_started)"
            " VALUES (?, ?, ?, ?, 'waiting', 0, 0, 0, 0, '', '', 0, 0)"
            " ON CONFLICT (scope, schedule_key, due) DO NOTHING",
            [(self.scope, fold(run.schedule), run.schedule, run.due) for run in runs],
        )

    def _key(self, run: DueRun) -> tuple[object, ...]:
        return self.scope, fold(run.schedule), run.due, run.token

    def begin_run(self, run: DueRun, seconds: float) -> DueRun | None:
        """Begin a claimed run in this process; None if the claim does not hold any more."""
        with self._scheduling() as transaction:
            now = transaction.now()
            owner = _owner_values(now + seconds, this_process())
            begun = transaction.write(
                "UPDATE qanat_runs SET state = 'running', attempt = attempt + 1, started = ?,"
                f" ended = NULL, {_set(_OWNER)} WHERE {_OURS} AND state = 'starting'",
                (now, *owner, *self._key(run)),
            )
        attempt = run.attempt + 1
        return (
            replace(run, state=RunState.RUNNING, attempt=attempt, started=now) if begun else None
        )

    def release_run(self, run: DueRun, error: str, seconds: float) -> bool:
        """Give back a claimed run that nobody has begun; False if it has begun."""
        with self._scheduling() as transaction:
            released = transaction.write(
                "UPDATE qanat_runs SET state = 'waiting', error = ?, not_before = ?"
                f" WHERE {_OURS} AND state = 'starting'",
                (error, transaction.now() + seconds, *self._key(run)),
            )
        return bool(released)

    def renew_run(self, run: DueRun, seconds: float) -> bool:
        """Give a sign of life of a run that has begun; False if it is another's by now."""
        with self._scheduling() as transaction:
            renewed = transaction.write(
                f"UPDATE qanat_runs SET expires = ? WHERE {_OURS} AND state = 'running'",
                (transaction.now() + seconds, *self._key(run)),
            )
        return bool(renewed)

    def end_run(self, run: DueRun, followers: Iterable[str] = ()) -> bool:
        """Record how an attempt has ended; False if the run is another's by now."""
        with self._scheduling() as transaction:
            now = transaction.now()
            over = run.state is not RunState.WAITING
            ended = transaction.write(
                "UPDATE qanat_runs SET state = ?, attempt = ?, not_before = ?, ended = ?,"
                f" error = ?, update_id = ? WHERE {_OURS} AND state = 'running'",
                (
                    run.state.value,
                    run.attempt,
                    now + run.not_before,
                    now if over else None,
                    run.error,
                    run.update,
                    *self._key(run),
                ),
            )
            if ended and run.state is RunState.SUCCEEDED:
                self._add(transaction, [DueRun(name, run.due) for name in followers])
                self._learn(transaction, run, now)
        return bool(ended)

    def _learn(self, transaction: Transaction, run: DueRun, now: float) -> None:
        took = now - (now if run.started is None else run.started)
        transaction.write(
            "UPDATE qanat_schedules SET typical = CASE WHEN typical = 0 THEN ?"
            " ELSE typical * ? + ? END WHERE scope = ? AND schedule_key = ?",
            (took, 1 - _WEIGHT, took * _WEIGHT, self.scope, fold(run.schedule)),
        )

    def cancel(self, schedule: str) -> list[DueRun]:
        """End the runs of a schedule that have not ended: they have failed. Those that were."""
        with self._scheduling() as transaction:
            board = self._board(transaction)
            runs = [run for run in board.open if same(run.schedule, schedule)]
            # With another token, whoever works on them begins and ends nothing more.
            transaction.write_all(
                "UPDATE qanat_runs SET state = 'failed', error = ?, ended = ?, token = token + 1"
                f" WHERE {_OURS}",
                [(CANCELLED, board.now, *self._key(run)) for run in runs],
            )
        state, ended = RunState.FAILED, board.now
        return [replace(r, state=state, error=CANCELLED, ended=ended, lost=False) for r in runs]

    def trigger(self, schedules: Iterable[str]) -> list[DueRun]:
        """Let each of these schedules be due now, besides its due times; the new runs."""
        with self._scheduling() as transaction:
            now = transaction.now()
            runs = [DueRun(name, now) for name in schedules]
            self._add(transaction, runs)
        return runs

    def runs(self, schedule: str | None = None, limit: int = 20) -> Sequence[DueRun]:
        """Due runs, the newest due time first."""
        where, values = (
            ("", []) if schedule is None else (" AND schedule_key = ?", [fold(schedule)])
        )
        with self._database.reading() as transaction:
            now = transaction.now()
            rows = transaction.read(
                f"SELECT {_RUN}, {_OWNER} FROM qanat_runs WHERE scope = ?{where}"
                " ORDER BY due DESC, schedule_key LIMIT ?",
                (self.scope, *values, limit),
            )
        return [_open_run(row, now) for row in rows]

    def run(self, schedule: str, due: float) -> DueRun | None:
        """The run of a schedule at a due time; None if there is none."""
        with self._database.reading() as transaction:
            now = transaction.now()
            rows = transaction.read(
                f"SELECT {_RUN}, {_OWNER} FROM qanat_runs"
                " WHERE scope = ? AND schedule_key = ? AND due = ?",
                (self.scope, fold(schedule), due),
            )
        return _open_run(rows[0], now) if rows else None

    def last_runs(self) -> Named[DueRun]:
        """By schedule, its run of the newest due time that has begun."""
        with self._database.reading() as transaction:
            now = transaction.now()
            rows = transaction.read(
                f"SELECT {_RUN}, {_OWNER} FROM qanat_runs r WHERE scope = ? AND due = ("
                "SELECT max(due) FROM qanat_runs n WHERE n.scope = r.scope"
                " AND n.schedule_key = r.schedule_key AND n.attempt > 0)",
                (self.scope,),
            )
        return Named((row[0], _open_run(row, now)) for row in rows)

    def pause_schedule(self, schedule: str, reason: str) -> None:
        """Let no run of a schedule start from now on."""
        with self._database.writing() as transaction:
            now = transaction.now()
            transaction.write(
                "INSERT INTO qanat_schedules (scope, schedule_key, schedule, due_until, paused,"
                " reason, typical) VALUES (?, ?, ?, ?, ?, ?, 0)"
                " ON CONFLICT (scope, schedule_key) DO UPDATE"
                " SET paused = excluded.paused, reason = excluded.reason",
                (self.scope, fold(schedule), schedule, now, now, reason),
            )

    def resume_schedules(self, schedules: Iterable[str]) -> list[str]:
        """Let runs start again; those of these schedules that were paused."""
        with self._scheduling() as transaction:
            return [
                name
                for name in schedules
                if transaction.write(
                    "UPDATE qanat_schedules SET paused = NULL, reason = ''"
                    " WHERE scope = ? AND schedule_key = ? AND paused IS NOT NULL",
                    (self.scope, fold(name)),
                )
            ]

    def schedule_records(self) -> Named[ScheduleRecord]:
        """What is known of each schedule."""
        with self._database.reading() as transaction:
            return self._records(transaction)

    def forget_runs(self, before: float) -> None:
        """Forget runs that ended before a moment."""
        with self._scheduling() as transaction:
            transaction.write(
                "DELETE FROM qanat_runs WHERE scope = ? AND ended < ?", (self.scope, before)
            )


def _open_run(row: Row, now: float) -> DueRun:
    schedule, due, state, attempt, token, not_before, started, ended, error, update = row[:10]
    alerted, expires, *place = row[10:]
    known = RunState(state)
    claimed = known in (RunState.STARTING, RunState.RUNNING)
    lost = claimed and (expires <= now or Process(*place).dead)
    return DueRun(
        *(schedule, due, known, attempt, token, not_before, started, ended, error, update),
        alerted=alerted,
        lost=lost,
    )


def _owner_values(expires: float, owner: Process) -> Row:
    return expires, owner.host, owner.machine, owner.pid, owner.started


def _set(columns: str) -> str:
    return ", ".join(f"{name} = ?" for name in columns.split(", "))
