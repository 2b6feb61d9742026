"""What the epochs of one update share, and one attempt to carry out one of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from qanat.disk import sync
from qanat.errors import InvariantError, QanatError, RunError
from qanat.model.event import Event
from qanat.model.record import Epoch
from qanat.model.work import Staged, StagedTable, Work
from qanat.ports.sink import Delivery
from qanat.run.compiled import CompiledFlow
from qanat.run.inputs import Bound
from qanat.run.lease import HeldLease
from qanat.run.session import Session

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Current:
    """The update that runs.

    Args:
        gate: the folder through which it commits; see `qanat.run.gate`.
        update: its identifier.
        at_ns: when it began, nanoseconds since 1970 (UTC).
        tell: hands an event to all observers.
        stuck: by dataset (casefolded), why an epoch that a crash left open could not be brought
            to an end; the dataset is not run.
        redone: by dataset (casefolded), epochs that recovery has carried out.
        stopping: set when somebody pressed Ctrl-C; no epoch begins or is published after that.
    """

    session: Session
    lease: HeldLease
    gate: Path
    update: str
    at_ns: int
    tell: Callable[[Event], None]
    stuck: dict[str, QanatError] = field(default_factory=dict)
    redone: dict[str, list[Done]] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)

    def unless_stopping(self) -> None:
        """Go on, unless somebody pressed Ctrl-C.

        Raises:
            RunError: the update is being stopped.
        """
        if self.stopping.is_set():
            raise RunError("interrupted; nothing was published")


@dataclass(frozen=True, slots=True)
class Done:
    """A committed epoch, with rows and files read."""

    epoch: Epoch
    read: int
    files: int


@dataclass(slots=True)
class Attempt:
    """One attempt to carry out one epoch; each stage adds what the next ones need.

    Args:
        epoch: as the ledger has it; before `intend` as it is meant to be.
        again: an earlier attempt may have published it: nothing is published before the ledger
            knows what was staged.
        started: seconds of the monotonic clock.
    """

    current: Current
    compiled: CompiledFlow
    epoch: Epoch
    again: bool = False
    started: float = field(default_factory=time.monotonic)
    _work: Work | None = None
    _bound: Bound | None = None
    _staged: Staged | None = None

    @property
    def session(self) -> Session:
        """The session of the update."""
        return self.current.session

    @property
    def work(self) -> Work:
        """What the engine was asked for."""
        return _known(self._work)

    @property
    def bound(self) -> Bound:
        """The inputs."""
        return _known(self._bound)

    @property
    def staged(self) -> Staged:
        """What the engine made of it."""
        return _known(self._staged)

    def computed(self, work: Work, bound: Bound, staged: Staged) -> None:
        """Keep what was computed."""
        self._work, self._bound, self._staged = work, bound, staged

    @property
    def idle(self) -> bool:
        """Whether the epoch turns out to change nothing that is worth a commit."""
        return self.compiled.readmits and not self.staged.table.rows

    @property
    def delivery(self) -> Delivery | None:
        """The epoch on its way into a sink; None if the target is a table."""
        target = self.compiled.dataset.sink
        if target is None:
            return None
        scratch = self.session.scratch / "sinks"
        return Delivery(target, self.epoch.flow, self.epoch.number, scratch)

    @property
    def staged_tables(self) -> Iterator[tuple[Path, StagedTable]]:
        """What was staged, each with the folder that it is in."""
        work, staged = self.work, self.staged
        yield work.output.folder, staged.table
        folders = {v.name: v.quarantine.folder for v in work.views}
        folders[work.dataset] = work.quarantine.folder
        for name, table in staged.quarantines.items():
            yield folders[name], table

    def unstage(self, only: frozenset[Path] | None = None) -> None:
        """Remove staged files, durably: no update looks for leftovers of an epoch given up.

        Args:
            only: in these folders. What was published and taken back an older version still has.

        Raises:
            OSError: the disk does not let go of a file.
        """
        for folder, table in self.staged_tables:
            if only is None or folder in only:
                for file in table.files:
                    (folder / file.path).unlink(missing_ok=True)
                # The ledger is about to forget them; a power loss must not bring them back.
                for parent in {(folder / f.path).parent for f in table.files}:
                    sync(parent)


def _known(value: T | None) -> T:
    if value is None:
        raise InvariantError("a stage of an epoch was left out")
    return value
