"""Leases, and which epochs their holders may begin and settle.

A lease is the right to update some datasets of a scope, with a token that only grows. An update
that was stopped for longer than its lease does not know that another one has begun since. Every
write to the ledger therefore checks the token in its own transaction. Whether the process of a
holder is still alive can be told on its own machine.

Each write locks the row of its scope, so that writes of all updates come one after the other: they
take milliseconds, and numbers of epochs and leases are given once.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from qanat.errors import EpochConflictError, LeaseLostError, LedgerError
from qanat.ledgers.sql.database import Database, Transaction, WaitingEvents, write_events
from qanat.ledgers.sql.process import Process, this_process
from qanat.ledgers.sql.reader import SqlLedgerReader
from qanat.ledgers.sql.refusal import refusal, with_command
from qanat.model.name import Names
from qanat.model.record import Epoch, EpochStatus, Lease
from qanat.text import count


class SqlLeases(SqlLedgerReader):
    """A ledger's leases.

    Args:
        database: the database; it is closed with the ledger.
        scope: `<project>/<environment>`; several ledgers may share a database.
    """

    def __init__(self, database: Database, scope: str) -> None:
        super().__init__(database, scope)
        self._locks = database.locks_rows
        self._events = WaitingEvents()

    def acquire(
        self, holder: str, seconds: float, datasets: Collection[str] | None = None
    ) -> Lease:
        """Take the lease of datasets (None: of all there are) for `seconds`: of all, or of none.

        Leases of dead processes of this machine end, and those that have expired.

        Raises:
            UpdateRunningError: another update holds one; the error says which, where, since when.
        """
        here = self.scope, holder
        _HELD_HERE.add(here)
        try:
            with self._database.writing() as transaction:
                lease = _acquire(transaction, self._locks, self.scope, holder, seconds, datasets)
        except BaseException:
            _HELD_HERE.discard(here)
            raise
        self._answers.begin(lease)
        return lease

    def extend(self, lease: Lease, datasets: Collection[str], free_only: bool = False) -> Lease:
        """Add datasets to the lease.

        Args:
            free_only: leave out what another update holds.

        Raises:
            LeaseLostError: it expired, and another update has begun since.
            UpdateRunningError: another update holds one of them.
        """
        with self._held(lease) as transaction:
            extended = _extend(transaction, lease, datasets, free_only)
        self._answers.begin(extended)
        return extended

    def narrow(self, lease: Lease, datasets: Collection[str]) -> Lease:
        """Give back all datasets of the lease but these.

        Raises:
            LeaseLostError: it expired, and another update has begun since.
        """
        with self._held(lease) as transaction:
            narrowed = _narrow(transaction, lease, datasets)
        self._answers.begin(narrowed)
        return narrowed

    def renew(self, lease: Lease, seconds: float) -> Lease:
        """Prolong the lease by `seconds` from now.

        Raises:
            LeaseLostError: it expired, and another update took it.
        """
        with self._held(lease) as transaction:
            return replace(lease, expires=_prolong(transaction, lease, seconds))

    def release(self, lease: Lease) -> None:
        """Give the lease back; does nothing if it was lost."""
        self._events.forget(lease.holder)  # no other write of that update will come
        self._answers.end()
        _HELD_HERE.discard((self.scope, lease.holder))
        with self._database.writing() as transaction:
            _release(transaction, lease)

    def leases(self) -> Sequence[Lease]:
        """The leases that nobody has ended, oldest first; some may have expired."""
        with self._database.reading() as transaction:
            return [lease for lease, _ in _read_leases(transaction, self.scope)]

    def newest_token(self) -> int:
        """The token of the last lease that anybody has taken; 0 if nobody ever has."""
        with self._database.reading() as transaction:
            query = "SELECT token FROM qanat_leases WHERE scope = ?"
            return next((token for (token,) in transaction.read(query, (self.scope,))), 0)

    def held(self) -> Sequence[Lease]:
        """The leases that living processes hold now, oldest first, for people to look at."""
        with self._database.reading() as transaction:
            return _living(transaction, self.scope)

    @contextmanager
    def _held(self, lease: Lease) -> Iterator[Transaction]:
        """Begin a transaction in which the lease is ours and no other update can take it.

        It also writes the waiting events of the lease's update.
        """
        if lease.scope != self.scope:
            raise LedgerError(f"a lease of {lease.scope} does not hold for {self.scope}")
        try:
            with self._database.writing() as transaction:
                _check(transaction, self._locks, lease)
                yield transaction
                if events := self._events.of(lease.holder):
                    write_events(transaction, self.scope, lease.holder, events)
        except BaseException as error:
            self._answers.doubt(error)
            raise
        self._events.written(lease.holder, events)


_HELD_HERE: set[tuple[str, str]] = set()
"""Scopes and holders of the leases that this process has, or is about to take.

A lease in its name that is not among them is one of which it knows nothing, because the answer to
the COMMIT that took it, or gave it back, was lost.
"""

_HELD = (
    "SELECT token, holder, since, expires, datasets, host, machine, pid, process_started"
    " FROM qanat_held WHERE scope = ? ORDER BY token"
)


def _acquire(
    transaction: Transaction,
    locks_rows: str,
    scope: str,
    holder: str,
    seconds: float,
    datasets: Collection[str] | None,
) -> Lease:
    """Take a lease; end those of dead processes, and those that have expired.

    Args:
        transaction: a transaction that may write.
        locks_rows: as in `Database`.
        scope: where the datasets are, `<project>/<environment>`.
        holder: the identifier of the update that takes it.
        seconds: how long it lasts unless it is prolonged.
        datasets: what it is for; None: for all that there are.

    Raises:
        UpdateRunningError: another update holds one of them. Its process is alive, or runs on
            another machine, where that cannot be checked.
    """
    # Make sure that there is a row to lock: else two first updates could both take the lease.
    transaction.write(
        "INSERT INTO qanat_leases VALUES (?, 0, NULL, 0, 0, '', 0, '', 0)"
        " ON CONFLICT (scope) DO NOTHING",
        (scope,),
    )
    token = _locked(transaction, locks_rows, scope) + 1
    now = transaction.now()
    me = this_process()
    wanted = None if datasets is None else Names(datasets)
    lease = Lease(scope, holder, token, now + seconds, me.host, me.pid, now, wanted)
    _check_free(transaction, lease, now)
    transaction.write("UPDATE qanat_leases SET token = ? WHERE scope = ?", (token, scope))
    transaction.write(
        "INSERT INTO qanat_held (scope, token, holder, since, expires, datasets, host, machine,"
        " pid, process_started) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            scope,
            token,
            holder,
            now,
            lease.expires,
            _names_to_text(wanted),
            me.host,
            me.machine,
            me.pid,
            me.started,
        ),
    )
    return lease


def _extend(
    transaction: Transaction, lease: Lease, datasets: Collection[str], free_only: bool
) -> Lease:
    """Add datasets to a lease that was checked.

    Args:
        free_only: leave out what another update holds.

    Raises:
        UpdateRunningError: another update holds one of them.
    """
    if lease.datasets is None:
        return lease
    others = [o for o, _ in _read_leases(transaction, lease.scope) if o.token != lease.token]
    if free_only:
        datasets = [n for n in datasets if not any(o.covers(n) for o in others)]
    extended = replace(lease, datasets=Names([*lease.datasets, *datasets]))
    _check_free(transaction, extended, transaction.now())
    _write_datasets(transaction, extended)
    return extended


def _narrow(transaction: Transaction, lease: Lease, datasets: Collection[str]) -> Lease:
    """Give back all datasets but these."""
    narrowed = replace(lease, datasets=Names(datasets))
    _write_datasets(transaction, narrowed)
    return narrowed


def _living(transaction: Transaction, scope: str) -> list[Lease]:
    """The leases as they are held now, by processes that are not known to be dead."""
    now = transaction.now()
    return [
        with_command(transaction, lease)
        for lease, owner in _read_leases(transaction, scope)
        if _lives(lease, owner, now)
    ]


def _check(transaction: Transaction, locks_rows: str, lease: Lease) -> None:
    """Check that the lease is still ours, and lock it until the transaction ends.

    Args:
        transaction: a transaction that may write.
        locks_rows: as in `Database`.
        lease: the lease as we took it.

    Raises:
        LeaseLostError: another update has ended it.
    """
    token = _locked(transaction, locks_rows, lease.scope)
    others = []
    for other, _ in _read_leases(transaction, lease.scope):
        if (other.token, other.holder) == (lease.token, lease.holder):
            return
        if other.meets(lease.datasets):
            others.append(other)
    got = f"{count(token - lease.token, 'other update')} had a lease since"
    if others:
        got = f"now held by {others[-1]}"
    raise LeaseLostError(
        f"update {lease.holder} no longer holds the lease of {lease.scope}",
        got=got,
        hint="it was stopped for longer than its lease; nothing of it is lost: run again",
    )


def _prolong(transaction: Transaction, lease: Lease, seconds: float) -> float:
    """Prolong a lease that was checked; returns its new end in seconds since 1970."""
    expires = transaction.now() + seconds
    transaction.write(
        "UPDATE qanat_held SET expires = ? WHERE scope = ? AND token = ?",
        (expires, lease.scope, lease.token),
    )
    return expires


def _release(transaction: Transaction, lease: Lease) -> None:
    """Give the lease back if it is still ours."""
    transaction.write(
        "DELETE FROM qanat_held WHERE scope = ? AND token = ? AND holder = ?",
        (lease.scope, lease.token, lease.holder),
    )


def _locked(transaction: Transaction, locks_rows: str, scope: str) -> int:
    """The newest token of a scope, whose row is locked until the transaction ends."""
    rows = transaction.read(
        f"SELECT token FROM qanat_leases WHERE scope = ? {locks_rows}", (scope,)
    )
    return int(rows[0][0]) if rows else 0


def _read_leases(transaction: Transaction, scope: str) -> list[tuple[Lease, Process]]:
    found = []
    for token, holder, since, expires, names, *place in transaction.read(_HELD, (scope,)):
        owner = Process(*place)
        datasets = None if names is None else Names(json.loads(names))
        lease = Lease(scope, holder, token, expires, owner.host, owner.pid, since, datasets)
        found.append((lease, owner))
    return found


def _lives(lease: Lease, owner: Process, now: float) -> bool:
    if lease.expires <= now or owner.dead:
        return False
    return (lease.scope, lease.holder) in _HELD_HERE or owner != this_process()


def _check_free(transaction: Transaction, lease: Lease, now: float) -> None:
    """End the leases of dead processes, and those that have expired; refuse what others hold."""
    for other, owner in _read_leases(transaction, lease.scope):
        if other.token == lease.token:
            continue
        # One of our own name is from a try whose answer was lost.
        if other.holder == lease.holder or not _lives(other, owner, now):
            _release(transaction, other)
        elif other.meets(lease.datasets):
            raise refusal(with_command(transaction, other), lease)


def _write_datasets(transaction: Transaction, lease: Lease) -> None:
    transaction.write(
        "UPDATE qanat_held SET datasets = ? WHERE scope = ? AND token = ?",
        (_names_to_text(lease.datasets), lease.scope, lease.token),
    )


def _names_to_text(names: Names | None) -> str | None:
    return None if names is None else json.dumps(list(names))


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
