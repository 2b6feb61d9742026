"""What listens to an update."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from qanat.model.event import Event, EventRecord
from qanat.model.observer import Told
from qanat.model.portrait import Portrait


class Observer(Protocol):
    """Gets every event, possibly from several threads, and must return quickly.

    The caller that starts an update makes such observers and hands them over. One that raises an
    error is told no more; the update goes on.
    """

    def on(self, event: Event) -> None:
        """Take an event."""
        ...


class Observed(Protocol):
    """What an observer may ask about the project that it is told of."""

    @property
    def project(self) -> str:
        """The project's name."""
        ...

    @property
    def environment(self) -> str:
        """The environment whose updates they are."""
        ...

    @property
    def root(self) -> Path:
        """Absolute folder of the spec; relative paths of options start there."""
        ...

    def events(self, update: str) -> Sequence[EventRecord]:
        """What an update has told, as far as the ledger has it."""
        ...

    def portrait(
        self, dataset: str, update: str | None = None, lineage: bool = True
    ) -> Portrait | None:
        """A dataset as it is declared now; None if it is not, or has no rows of its own.

        Args:
            update: then also what this update has done to it.
            lineage: whether to find out what its columns are made of, which takes a while.
        """
        ...


class DeliveringObserver(Protocol):
    """An observer that the spec names: gets the events of updates that the ledger keeps.

    An update makes one as `Class(name, options, observed)`, from the class that
    `ObserverKind.observer` names: the key below `observers`, and options by canonical name. All
    calls come one after another from one thread, which no update waits for.

    Each event comes at least once, those of one update in their order. One comes again after a
    crash; `Told.id` then is the same.
    """

    def deliver(self, told: Told) -> None:
        """Hand one event on; it counts as delivered when this returns.

        Raises:
            UndeliveredError: it was not taken; says whether it is to be sent again. An `OSError`
                counts as one that is, any other error as one that never will be.
        """
        ...

    def close(self) -> None:
        """Close what was opened."""
        ...
