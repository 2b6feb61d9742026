"""Why a lease cannot be had, and what to do."""

from __future__ import annotations

from dataclasses import replace

from qanat.errors import UpdateRunningError
from qanat.ledgers.sql.database import Transaction
from qanat.model.record import Lease
from qanat.text import listed, utc


def with_command(transaction: Transaction, lease: Lease) -> Lease:
    """A lease with the command of its holder, if that has written its line by now."""
    query = "SELECT command FROM qanat_updates WHERE scope = ? AND id = ?"
    for (command,) in transaction.read(query, (lease.scope, lease.holder)):
        return replace(lease, command=command)
    return lease


def refusal(other: Lease, wanted: Lease) -> UpdateRunningError:
    """The error for who wants a lease that another update holds.

    Args:
        other: the lease of that update, with its command.
    """
    what, way = "another update works", "wait for it (the same command with --wait)"
    if other.endless:
        what = "a continuous update works"
        way = "have it let you in between two epochs (the same command with --wait)"
    return UpdateRunningError(
        f"{what} on {_common(other, wanted)}",
        got=str(other),
        hint=f"{way}; if that machine is gone, its lease ends by itself at {utc(other.expires)}",
    )


def _common(other: Lease, wanted: Lease) -> str:
    both = [n for n in wanted.datasets or other.datasets or () if other.covers(n)]
    return listed(both) if both else wanted.scope
