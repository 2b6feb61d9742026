"""What tells the holder of a lease that others wait for it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from qanat.model.name import Names


class Requests(Protocol):
    """The part of a ledger by which an update asks a continuous one to let it in.

    Who asks needs no lease: that is what it asks for.
    """

    def request(self, holder: str, datasets: Collection[str] | None, seconds: float) -> None:
        """Ask for the lease of some datasets, for `seconds` from now; again to prolong that.

        Args:
            holder: the update that would hold it.
            datasets: None for all that there are.
        """
        ...

    def withdraw(self, holder: str) -> None:
        """Ask no longer; nothing if the update did not ask."""
        ...

    def requests(self) -> Sequence[Names | None]:
        """What is asked for now, by each update that asks."""
        ...
