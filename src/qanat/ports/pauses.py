"""What remembers which datasets no update works on for now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from qanat.model.name import Named
from qanat.model.record import Pause


class Pauses(Protocol):
    """The part of a ledger that any process may write to, whoever holds which lease.

    People pause a dataset and let it go on while an update works on it.
    """

    def pause(self, dataset: str, reason: str) -> None:
        """Let no update work on a dataset from now on; a newer reason replaces an older one."""
        ...

    def resume(self, datasets: Iterable[str]) -> list[str]:
        """Let updates work on datasets again; those that were paused."""
        ...

    def pauses(self) -> Named[Pause]:
        """The newest pause of each dataset that has had one."""
        ...
