"""Whether an epoch may begin, and whether it may be settled."""

from __future__ import annotations

from qanat.errors import EpochConflictError
from qanat.ledgers.sql.database import Transaction
from qanat.model.record import Epoch, EpochStatus


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
            wanted=f"an epoch that is {EpochStatus.INTENDED.value}",
            got=rows[0][0] if rows else "an epoch that the ledger does not know",
        )
