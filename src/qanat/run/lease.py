"""One update at a time: the lease is taken, kept alive while it lasts, and given back."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from qanat.errors import LeaseLostError, QanatError
from qanat.model.record import Lease
from qanat.ports.ledger import Ledger

SECONDS = 60.0
"""How long a lease lasts without a sign of life."""


class HeldLease:
    """Holds the lease while its block runs; a thread renews it.

    Raises:
        UpdateRunningError: another update holds it.
    """

    def __init__(self, ledger: Ledger, update: str) -> None:
        self._ledger = ledger
        self._holder = update
        self._done = threading.Event()
        self._lease: Lease | None = None
        self._thread = threading.Thread(target=self._keep, daemon=True, name="qanat-lease")

    @property
    def current(self) -> Lease:
        """The lease as last renewed."""
        if self._lease is None:
            raise LeaseLostError("the lease is not held")
        return self._lease

    def confirm(self) -> None:
        """Make sure that the lease is still ours, and prolong it.

        Raises:
            LeaseLostError: somebody else has taken it.
        """
        self._lease = self._ledger.renew(self.current, SECONDS)

    def judged(self, error: QanatError) -> QanatError:
        """The error to tell: who has lost the lease meets what its successor has done.

        Tables are newer then than what was read of the ledger, and files are gone.
        """
        try:
            self.confirm()
        except LeaseLostError as lost:
            lost.__cause__ = error
            return lost
        except QanatError:
            pass
        return error

    def _keep(self) -> None:
        while not self._done.wait(SECONDS / 3):
            try:
                self.confirm()
            except LeaseLostError:
                # Every write to the ledger checks the lease's token: a lost lease stops the
                # update there, with the right error, in the thread that would have written.
                return
            except QanatError:
                continue  # The ledger was busy; there are more tries before the lease ends.

    def __enter__(self) -> Self:
        self._lease = self._ledger.acquire(self._holder, SECONDS)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()
        if self._lease is None:
            return
        try:
            self._ledger.release(self._lease)
        except QanatError:
            # It ends by itself; what stopped the update matters more.
            if error is None:
                raise
