"""What forgets old history, so that a ledger does not grow without limit."""

from __future__ import annotations

from typing import Protocol

from qanat.model.record import Lease


class Retention(Protocol):
    """The part of a ledger that forgets what only people would look at."""

    def forget_updates(self, before: float, lease: Lease, most: int = 100) -> int:
        """Forget updates that began before a moment (seconds since 1970, UTC), the oldest first.

        Their events go with them, and those of their epochs that nothing has to know any more.
        The newest epoch of a flow into a dataset stays, and so do those that say which files,
        which sources or by which definition the rows came that the table has.

        Args:
            most: updates at most, so that it takes a moment, however many there are.

        Returns:
            How many updates were forgotten.

        Raises:
            LeaseLostError: the lease is no longer ours.
        """
        ...
