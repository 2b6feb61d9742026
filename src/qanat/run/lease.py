"""Leases that are held, and a gate that stops sleepers.

Updates of disjoint datasets run side by side, each with the lease of what it updates. A process
may be stopped at any instruction for longer than its lease lasts. What it writes to the ledger
then is refused, by the lease's token; but a commit to a table is the making of a name in a
folder, which asks no ledger. So every update writes its log entries in a folder of its own, its
gate, from where they are given their names. An update that ends the lease of another renames that
one's folder before looking at what was committed. After that no commit of the sleeper can
succeed, at whatever instruction it wakes; everything it committed earlier is seen.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import Self
from uuid import uuid4

from qanat.disk import explained
from qanat.errors import LeaseLostError, QanatError, UpdateRunningError
from qanat.frozen import Frozen
from qanat.model.name import Names
from qanat.model.record import Lease
from qanat.ports.ledger import Ledger
from qanat.run.scratch import make_folder


class Gate:
    """The gate of one update.

    Args:
        parent: where all gates are, in the file system of the tables.
    """

    def __init__(self, parent: Path, lease: HeldLease) -> None:
        self.lease = lease
        self.folder = parent / str(lease.latest.token)

    def open(self) -> None:
        """Close those of updates that have lost their lease, and open this one.

        Raises:
            LeaseLostError: another update has ended ours.
            StorageFullError, AdapterError: the folder cannot be made.
        """
        parent = self.folder.parent
        make_folder(parent)
        with explained("close the gates in", parent):
            for other in self.lost():
                close(other)
            self.folder.mkdir(exist_ok=True)
        self.lease.confirm()

    def lost(self) -> list[Path]:
        """The gates of updates that have lost their lease, and what is left of closed ones."""
        # List first. A gate that was there then belongs to a lease that was taken before; if
        # nobody holds that now, nobody ever will.
        others = [f for f in _inside(self.folder.parent) if f != self.folder]
        held = {str(token) for token in self.lease.tokens()} if others else set()
        return [f for f in others if f.name not in held]

    def confirm(self) -> None:
        """Ask the ledger whether the lease is still ours (see `qanat.model.table.CommitGate`)."""
        self.lease.confirm()

    def close(self) -> None:
        """Close it: the update is over."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _inside(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def close(folder: Path) -> None:
    """Remove a gate; renamed first, it is gone at once for an update that commits through it."""
    away = folder.with_name(f"closed-{uuid4().hex}")
    with suppress(FileNotFoundError):
        folder.rename(away)
    shutil.rmtree(away, ignore_errors=True)


SECONDS = 60.0
"""How long a lease lasts without a sign of life."""

_FIRST_LOOK = 0.05
"""Seconds before the second look whether a lease is free; each wait is longer, up to the next."""
_LONGEST_LOOK = 2.0
STOP_IT = (
    "it goes on until it is stopped: stop it (Ctrl-C, or SIGTERM to its process), run this, and"
    " start it again, which goes on where it was"
)
"""The way out for one whom a continuous update does not let in."""
_REQUEST = 10.0
"""Seconds for which a request for a lease counts, should its process die."""


class Patience(Frozen):
    """How long to wait for other updates, and whom to tell.

    Args:
        seconds: at most; infinite for as long as it takes.
        tell: called with the lease that is waited for, once for each.
        stop: ends the waiting once it is set.
        asks: whether to ask continuous updates for room, which they make between two epochs.
    """

    seconds: float = 0.0
    tell: Callable[[Lease], object] = bool
    stop: threading.Event = field(default_factory=threading.Event)
    asks: bool = False


class HeldLease:
    """Holds the lease of datasets while its block runs; a thread renews it.

    Args:
        datasets: what the update is about to work on; None: all that there are.
        choose: what it is to work on once the updates that were waited for have ended: they may
            have changed that. If the lease does not cover all of it, it is given back first, so
            that no two updates wait for each other.
        besides: what it has to take along at first, asked before each try; `narrow` gives it back.
        seconds: how long it lasts without a sign of life; default: a minute.

    Raises:
        UpdateRunningError: another update holds one of them, and did so to the end of patience.
    """

    def __init__(
        self,
        ledger: Ledger,
        update: str,
        datasets: Names | None = None,
        patience: Patience | None = None,
        choose: Callable[[], Names | None] | None = None,
        besides: Callable[[], Collection[str]] = tuple,
        seconds: float | None = None,
    ) -> None:
        self._ledger = ledger
        self._seconds = SECONDS if seconds is None else seconds
        self._choose = choose
        self._holder = update
        self._datasets = datasets
        self._besides = besides
        self._patience = patience or Patience()
        self._done = threading.Event()
        self._lease: Lease | None = None
        self._changing = threading.RLock()
        self._thread = threading.Thread(target=self._keep, daemon=True, name="qanat-lease")
        self._asked = False
        self.waited = False
        """True if other updates were waited for: what was read before may be old."""

    @property
    def latest(self) -> Lease:
        """The lease as last renewed."""
        if self._lease is None:
            raise LeaseLostError("the lease is not held")
        return self._lease

    def confirm(self) -> None:
        """Make sure that the lease is still ours, and prolong it.

        Raises:
            LeaseLostError: another update has ended it.
        """
        with self._changing:
            self._lease = self._ledger.renew(self.latest, self._seconds)

    def covers(self, dataset: str) -> bool:
        """True if the update may write to that dataset."""
        return self.latest.covers(dataset)

    def tokens(self) -> list[int]:
        """The tokens of all leases that nobody has ended, ours among them.

        Raises:
            LeaseLostError: another update has ended ours.
        """
        self.confirm()
        return [lease.token for lease in self._ledger.leases()]

    def confirm_alone(self, newest: int | None = None) -> int:
        """Make sure that no other update holds a lease now.

        Args:
            newest: what an earlier call returned: nor may one have begun since, and ended.

        Returns:
            The newest token that was given to anybody.

        Raises:
            LeaseLostError: another update has ended ours.
            UpdateRunningError: one does.
        """
        # First: whoever begins after that is either still there, or seen by the next call.
        given = self._ledger.newest_token()
        if len(self.tokens()) > 1 or newest not in (None, given):
            raise UpdateRunningError("another update has begun")
        return given

    def extend(self, datasets: Collection[str], free_only: bool = False) -> None:
        """Take more datasets.

        Args:
            free_only: leave out what another update holds.

        Raises:
            LeaseLostError: another update has ended the lease.
            UpdateRunningError: another update holds one of them.
        """
        with self._changing:
            self._lease = self._ledger.extend(self.latest, datasets, free_only)

    def give(self, datasets: Collection[str], of: Collection[str]) -> None:
        """Give some datasets back for a while.

        Args:
            of: all that the update works on.

        Raises:
            LeaseLostError: another update has ended the lease.
        """
        given = Names(datasets)
        with self._changing:
            held = self.latest.datasets
            left = [n for n in (of if held is None else held) if n not in given]
            self._lease = self._ledger.narrow(self.latest, left)

    def narrow(self) -> None:
        """Give back what the update has taken beside what it was to work on."""
        if self._datasets is not None and self.latest.datasets != self._datasets:
            with self._changing:
                self._lease = self._ledger.narrow(self.latest, self._datasets)

    def explain(self, error: QanatError) -> QanatError:
        """The error to report: `LeaseLostError` if the lease was lost, which explains the rest.

        Another update has gone on then: tables are newer than what was read of the ledger, and
        files are gone.
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
        while not self._done.wait(self._seconds / 3):
            try:
                self.confirm()
            except LeaseLostError:
                # Every write to the ledger checks the lease's token: a lost lease stops the
                # update there, with the right error, in the thread that would have written.
                return
            except QanatError:
                continue  # The ledger was busy; there are more tries before the lease ends.

    def __enter__(self) -> Self:
        self._lease = self._acquired()
        self._thread.start()
        return self

    def _acquired(self) -> Lease:
        try:
            return self._waited_for()
        finally:
            if self._asked:
                self._ledger.withdraw(self._holder)

    def _waited_for(self) -> Lease:
        end, pause, told = time.monotonic() + self._patience.seconds, _FIRST_LOOK, set[int]()
        while True:
            wanted = self._datasets
            if wanted is not None and (more := self._besides()):
                wanted = Names((*wanted, *more))
            try:
                lease = self._ledger.acquire(self._holder, self._seconds, wanted)
            except UpdateRunningError as error:
                left = end - time.monotonic()
                if left <= 0 and self.waited:
                    raise self._refused(error, wanted) from error
                impatient = left <= 0 and not self._patience.seconds
                if impatient or self._patience.stop.is_set():
                    raise self._refused(error, wanted) from error
            else:
                if self._suffices(lease):
                    return lease
                continue
            self._tell_of_others(wanted, told)
            # At least once, however long the first try took: who waits is told for whom.
            self._patience.stop.wait(max(0.0, min(pause, left)))
            pause = min(1.5 * pause, _LONGEST_LOOK)

    def _tell_of_others(self, wanted: Names | None, told: set[int]) -> None:
        """Tell whom the update waits for, each once, and ask for room (see `lending`)."""
        self.waited = True
        others = [o for o in self._ledger.held() if o.meets(wanted)]
        for other in others:
            if other.token not in told:
                told.add(other.token)
                self._patience.tell(other)
        if self._patience.asks and others:
            self._asked = True
            self._ledger.request(self._holder, wanted, _REQUEST)

    def _refused(self, error: UpdateRunningError, wanted: Names | None) -> UpdateRunningError:
        """The error for one who has waited long enough, or would wait for ever."""
        endless = any(o.endless and o.meets(wanted) for o in self._ledger.held())
        return _refused(error, self._patience, endless, self.waited)

    def _suffices(self, lease: Lease) -> bool:
        """True if a lease is of all that is to be worked on now; otherwise it is given back."""
        if not self.waited or self._choose is None:
            return True
        suffices = False
        try:
            wanted = self._choose()
            covered = wanted is not None and all(map(lease.covers, wanted))
            suffices = lease.datasets is None or covered
        finally:
            if not suffices:
                self._ledger.release(lease)
        if not suffices:
            self._datasets = wanted
        return suffices

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()
        if self._lease is None:
            return
        try:
            self._ledger.release(self._lease)
        except QanatError:
            # A lease that is not released expires; the error that stopped the update matters more.
            if error is None:
                raise


def _refused(
    error: UpdateRunningError, patience: Patience, endless: bool, waited: bool
) -> UpdateRunningError:
    """The same error for one who has waited, or whom a continuous update does not let in."""
    message, (wait, semicolon, if_dead) = error.message, (error.hint or "").partition("; ")
    if waited:
        message += f", still after {patience.seconds:g} s of waiting"
        wait = "wait as long as it takes (--wait without a number)"
    if endless and not patience.asks:
        wait = STOP_IT
    return UpdateRunningError(message, got=error.got, hint=f"{wait}{semicolon}{if_dead}")
