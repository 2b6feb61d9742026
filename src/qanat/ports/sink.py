"""What puts data outside the project's own tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from qanat.frozen import Frozen
from qanat.model.pipeline import SinkTarget
from qanat.model.query import SourceRef
from qanat.model.staged import StagedTable
from qanat.model.work import Output


class Delivery(Frozen):
    """One epoch of one flow on its way into a sink.

    Args:
        epoch: its number within the flow.
        scratch: a folder that all deliveries of this process share, for sinks that stage rows on
            this machine, each in a folder of its own there. It may not exist yet, and is removed
            when the process ends, or by a later update.
    """

    target: SinkTarget
    flow: str
    epoch: int
    scratch: Path


class Sink(Protocol):
    """A place that takes each epoch of a flow exactly once.

    A session makes one for each connector, as `Class(surroundings)`, from the class that
    `Connector.sink` names. It is called from several threads at a time, for different targets.
    """

    def check(self, target: SinkTarget) -> None:
        """Raise what is wrong with a target, as far as it can be told without writing."""
        ...

    def place(self, target: SinkTarget) -> object:
        """What targets that send to one place have in common; compared, and never shown."""
        ...

    def feeds(self, target: SinkTarget, ref: SourceRef) -> bool:
        """True if a source, of any connector, would read what is sent to a target."""
        ...

    def output(self, delivery: Delivery) -> Output:
        """Where and how the engine stages the rows."""
        ...

    def publish(
        self, delivery: Delivery, staging: Path, staged: StagedTable, may_be_published: bool
    ) -> None:
        """Make the epoch visible, whole; doing it twice is the same as once.

        Args:
            staging: the folder of the output in which the rows were staged.
            may_be_published: an earlier attempt may have published the epoch; if it has, that is
                the one that counts.

        Raises:
            HistoryMismatchError: the sink holds an epoch of that number which is not this one.
        """
        ...

    def carries(self, target: SinkTarget, flow: str, epoch: int) -> bool:
        """True if the epoch has been published."""
        ...

    def last(self, target: SinkTarget, flow: str) -> int:
        """The greatest number of the flow's epochs that are still there; 0 if none is."""
        ...

    def secure(self, target: SinkTarget) -> None:
        """Make durable what has been published, by this process or an earlier one."""
        ...

    def sweep(self, target: SinkTarget, confirm: Callable[[], object]) -> None:
        """Remove what was staged and not published.

        Args:
            confirm: called once it has been found, before any of it is removed; raises if another
                update may have begun. Nothing that came later is removed.
        """
        ...

    def rename(self, target: SinkTarget, flow: str, new: str) -> None:
        """Let what a flow has sent count as another's, durably: `last` and `carries` of the new
        one are what those of the old one were. What receivers have seen stays as it is.

        A sink that keeps no books but what receivers see has nothing to do: the ledger knows the
        number of the last epoch, and `last` may be smaller. Doing it twice is the same as once.
        """
        ...
