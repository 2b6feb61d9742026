"""What remembers which events observers have still to get."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from qanat.model.outbox import Owed


class Outbox(Protocol):
    """The part of a ledger that says how far each observer has got the events of each update.

    An update owes its events to observers from `Ledger.begin_update` on, in the transaction that
    records it, until `delivered` says that all of them are. So what a crash leaves, is known. No
    lease is needed for any of it: who delivers claims an entry, and nobody else takes it until the
    claim expires, or the claimant's process is known to have ended.
    """

    def claim(self, observers: Collection[str], seconds: float) -> Sequence[Owed]:
        """Claim for so long what observers are owed, oldest first, without what others claim."""
        ...

    def renew_claims(self, owed: Sequence[Owed], seconds: float) -> None:
        """Prolong claims, and remember how far their observers have got (`Owed.number`)."""
        ...

    def give_back(self, owed: Sequence[Owed]) -> None:
        """End claims, and remember how far their observers have got: others may go on."""
        ...

    def delivered(self, owed: Owed) -> None:
        """Nothing of this is owed any more."""
        ...
