"""The lease, what its holder knows, and which epochs it may begin and settle.

The lease is the right to update, for one holder at a time, with a token that only grows. An update
that was stopped for longer than its lease does not know that another one took over. Every write to
the ledger therefore checks the token in its own transaction. Whether the process of a holder is
still alive can be told on its own machine.

An update asks the same few things of each dataset. While it holds the lease no other update writes
to its scope, so three queries answer them for all datasets, and its own writes keep the answers
right. An update that has lost the lease without noticing goes on with answers that may be stale,
and can do no harm: the ledger refuses its writes by the lease's token, the gate its commits.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from threading import Lock

from qanat.errors import EpochConflictError, LeaseLostError, UpdateRunningError
from qanat.frozen import Frozen
from qanat.ledgers.sql.database import Database, Transaction
from qanat.model.name import Named
from qanat.model.record import (
    Epoch,
    EpochStatus,
    LastEpoch,
    Lease,
    PastSource,
    is_mark,
)


class Process(Frozen):
    """One process of one machine.

    Args:
        host: the machine's host name, for messages.
        machine: host name, boot and container together: machines and containers may share host
            names and process ids.
        pid: the process id.
        started: the process's start in clock ticks since boot, because process ids are reused; 0
            if the system does not provide it.
    """

    host: str
    machine: str
    pid: int
    started: int

    @property
    def dead(self) -> bool:
        """True if the process is known to have ended; False if it runs, or cannot be seen here."""
        if self.machine != _machine():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        if self.started == 0:
            return False
        state, started = _status(self.pid)
        # A zombie (Z) or dead (X) process has ended; its parent has not collected it yet.
        return state in ("Z", "X") or started not in (0, self.started)


def this_process() -> Process:
    """The calling process."""
    pid = os.getpid()
    _, started = _status(pid)
    return Process(socket.gethostname(), _machine(), pid, started)


@cache
def _machine() -> str:
    parts = [socket.gethostname()]
    try:
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    except OSError:
        pass  # not Linux: only the host name is known
    return " ".join(parts)


def _status(pid: int) -> tuple[str, int]:
    """A process's state as Linux's letter, and its start as in `Process.started`."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "", 0
    # Fields 3 and 22. Split behind the last parenthesis: field 2, the program's name in
    # parentheses, may itself contain spaces and parentheses.
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])


def acquire(
    transaction: Transaction, locks_rows: str, scope: str, holder: str, seconds: float
) -> Lease:
    """Take the lease.

    Args:
        transaction: a transaction that may write.
        locks_rows: as in `Database`.
        scope: what the lease is for, `<project>/<environment>`.
        holder: the identifier of the update that takes it.
        seconds: how long it lasts unless it is prolonged.

    Raises:
        UpdateRunningError: another update holds the lease. Its process is alive, or runs on
            another machine, where that cannot be checked.
    """
    # Make sure that there is a row to lock: else two first updates could both take the lease.
    transaction.write(
        "INSERT INTO qanat_leases VALUES (?, 0, NULL, 0, 0, '', 0, '', 0)"
        " ON CONFLICT (scope) DO NOTHING",
        (scope,),
    )
    (row,) = transaction.read(
        "SELECT token, holder, since, expires, host, machine, pid, process_started"
        f" FROM qanat_leases WHERE scope = ? {locks_rows}",
        (scope,),
    )
    token, current, since, expires, *place = row
    now = transaction.now()
    owner = Process(*place)
    if current is not None and expires > now and not owner.dead:
        raise UpdateRunningError(
            f"another update of {scope} is running",
            got=f"update {current} on {owner.host}, process {owner.pid}, since {_time(since)}",
            hint="wait for it; if that machine is gone, the lease ends by itself at "
            f"{_time(expires)}",
        )
    me = this_process()
    transaction.write(
        "UPDATE qanat_leases SET token = ?, holder = ?, since = ?, expires = ?, host = ?,"
        " machine = ?, pid = ?, process_started = ? WHERE scope = ?",
        (token + 1, holder, now, now + seconds, me.host, me.machine, me.pid, me.started, scope),
    )
    return Lease(scope, holder, token + 1, now + seconds, me.host, me.pid)


def held(transaction: Transaction, scope: str) -> Lease | None:
    """The lease as it is held now; None if it is free, expired, or its holder is dead."""
    rows = transaction.read(
        "SELECT token, holder, expires, host, machine, pid, process_started"
        " FROM qanat_leases WHERE scope = ?",
        (scope,),
    )
    if not rows:
        return None
    token, holder, expires, *place = rows[0]
    owner = Process(*place)
    if holder is None or expires <= transaction.now() or owner.dead:
        return None
    return Lease(scope, holder, token, expires, owner.host, owner.pid)


def check(transaction: Transaction, locks_rows: str, lease: Lease) -> None:
    """Check that the lease is still ours, and lock it until the transaction ends.

    Args:
        transaction: a transaction that may write.
        locks_rows: as in `Database`.
        lease: the lease as we took it.

    Raises:
        LeaseLostError: another update took it.
    """
    rows = transaction.read(
        f"SELECT token, holder, host, pid, since FROM qanat_leases WHERE scope = ? {locks_rows}",
        (lease.scope,),
    )
    if rows and rows[0][:2] == (lease.token, lease.holder):
        return
    got = "another update has had it since"
    if rows and rows[0][1] is not None:
        _, holder, host, pid, since = rows[0]
        got = f"now held by update {holder} on {host}, process {pid}, since {_time(since)}"
    raise LeaseLostError(
        f"update {lease.holder} no longer holds the lease of {lease.scope}",
        got=got,
        hint="it was stopped for longer than its lease; nothing of it is lost: run again",
    )


def prolong(transaction: Transaction, lease: Lease, seconds: float) -> float:
    """Prolong a lease that was checked; returns its new end in seconds since 1970."""
    expires = transaction.now() + seconds
    transaction.write(
        "UPDATE qanat_leases SET expires = ? WHERE scope = ?", (expires, lease.scope)
    )
    return expires


def release(transaction: Transaction, lease: Lease) -> None:
    """Give the lease back if it is still ours; its row stays, so that the token keeps growing."""
    transaction.write(
        "UPDATE qanat_leases SET holder = NULL, expires = 0"
        " WHERE scope = ? AND token = ? AND holder = ?",
        (lease.scope, lease.token, lease.holder),
    )


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def check_due(transaction: Transaction, scope: str, epoch: Epoch) -> None:
    """Check that a flow may begin an epoch of that number.

    Raises:
        EpochConflictError: the flow already has an open epoch, or one of that number.
    """
    rows = transaction.read(
        "SELECT number FROM qanat_epochs WHERE scope = ? AND flow = ? AND status = 'intended'",
        (scope, epoch.flow),
    )
    if rows:
        raise EpochConflictError(
            f"flow {epoch.flow} has an open epoch",
            got=f"epoch {rows[0][0]}",
            hint="it is recovered when an update starts; run again",
        )
    ((last,),) = transaction.read(
        "SELECT coalesce(max(number), 0) FROM qanat_epochs"
        " WHERE scope = ? AND flow = ? AND status = 'committed'",
        (scope, epoch.flow),
    )
    # Gaps are allowed: with a ledger restored from a copy, a full refresh continues at the
    # table's number.
    if epoch.number <= last:
        raise EpochConflictError(
            f"flow {epoch.flow} has had that epoch",
            wanted=f"epoch {last + 1}",
            got=f"epoch {epoch.number}",
        )


def check_status(transaction: Transaction, scope: str, epoch: Epoch, wanted: EpochStatus) -> None:
    """Check that an epoch is where its update thinks it is.

    Raises:
        EpochConflictError: it is not.
    """
    rows = transaction.read(
        "SELECT status FROM qanat_epochs WHERE scope = ? AND id = ?", (scope, epoch.id)
    )
    if rows != [(wanted.value,)]:
        raise EpochConflictError(
            f"epoch {epoch.number} of {epoch.flow} cannot be settled",
            wanted=f"an epoch that is {wanted.value}",
            got=rows[0][0] if rows else "an epoch that the ledger does not know",
        )


_LAST = """
WITH RECURSIVE flows (flow) AS (
    SELECT min(flow) FROM qanat_epochs WHERE scope = ?
    UNION ALL
    SELECT (SELECT min(flow) FROM qanat_epochs WHERE scope = ? AND flow > flows.flow)
    FROM flows WHERE flow IS NOT NULL
)
SELECT e.flow, e.id, e.number, e.generation, e.fingerprint, e.dataset
FROM flows JOIN qanat_epochs e ON e.scope = ? AND e.flow = flows.flow AND e.status = 'committed'
    AND e.number = (
        SELECT max(number) FROM qanat_epochs
        WHERE scope = ? AND flow = flows.flow AND status = 'committed'
    )
"""
# The recursion steps from flow to flow by the index. GROUP BY would read every epoch that there
# ever was, in SQLite and in PostgreSQL.


class Answers(Frozen):
    """The answers, for all flows and datasets of a scope.

    Args:
        last: by flow, its newest committed epoch.
        generations: the current one of each dataset that had a full refresh.
        positions: as text, by flow, generation and source.
        described: the flows, generations and sources whose columns are kept. Those may be long
            texts, so only the database has them.
    """

    last: dict[str, LastEpoch]
    generations: Named[int]
    positions: dict[tuple[str, int, str], str]
    described: set[tuple[str, int, str]]

    def sources(self) -> Iterator[PastSource]:
        """What each flow has read as a stream."""
        for flow, generation, key in sorted(self.described | self.positions.keys()):
            last = self.last.get(flow)
            if last is not None and last.generation == generation and not is_mark(key):
                positioned = (flow, generation, key) in self.positions
                yield PastSource(flow, last.dataset, generation, key, positioned)


class AnswerCache:
    """Keeps what is known between `begin` and `end`; safe for several threads.

    Args:
        scope: of the ledger.
    """

    def __init__(self, database: Database, scope: str) -> None:
        self._database = database
        self._scope = scope
        self._held = False
        self._known: Answers | None = None
        # Held while the answers are read, so that writes meanwhile are added after that.
        self._lock = Lock()

    def begin(self) -> None:
        """The lease is ours."""
        with self._lock:
            self._held, self._known = True, None

    def end(self) -> None:
        """The lease is no longer ours, as far as we know."""
        with self._lock:
            self._held, self._known = False, None

    def doubt(self, error: BaseException) -> None:
        """A write failed, and may have been kept all the same: read anew when asked."""
        with self._lock:
            self._held = self._held and not isinstance(error, LeaseLostError)
            self._known = None

    def known(self) -> Answers | None:
        """What is known; None while the lease is not ours: then only the database can tell."""
        if not self._held:
            return None
        with self._lock:
            if self._held and self._known is None:
                with self._database.reading() as transaction:
                    self._known = _read_known(transaction, self._scope)
            return self._known

    def looked_up(self) -> Answers:
        """The answers as they are now, whether or not the lease is ours."""
        known = self.known()
        if known is None:
            with self._database.reading() as transaction:
                known = _read_known(transaction, self._scope)
        return known

    def settled(self, epoch: Epoch, positions: Mapping[str, str]) -> None:
        """An epoch was committed, and moved these sources' positions."""
        with self._lock:
            if self._known is not None:
                self._known.last[epoch.flow] = LastEpoch(
                    epoch.id, epoch.number, epoch.generation, epoch.fingerprint, epoch.dataset
                )
                for source, text in positions.items():
                    self._known.positions[epoch.flow, epoch.generation, source] = text
                for source in epoch.source_schemas:
                    self._known.described.add((epoch.flow, epoch.generation, source))

    def began(self, dataset: str, generation: int) -> None:
        """A dataset began another generation."""
        with self._lock:
            if self._known is not None:
                self._known.generations[dataset] = generation


def _read_known(transaction: Transaction, scope: str) -> Answers:
    last = transaction.read(_LAST, (scope,) * 4)
    generations = transaction.read(
        "SELECT dataset_key, generation FROM qanat_generations WHERE scope = ?", (scope,)
    )
    sources = transaction.read(
        "SELECT flow, generation, source, position, columns IS NOT NULL FROM qanat_sources"
        " WHERE scope = ?",
        (scope,),
    )
    return Answers(
        {flow: LastEpoch(*values) for flow, *values in last},
        Named(generations),
        {(f, generation, s): text for f, generation, s, text, _ in sources if text is not None},
        {(f, generation, s) for f, generation, s, _, described in sources if described},
    )
