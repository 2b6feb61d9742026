"""What listens to an update."""

from __future__ import annotations

from typing import Protocol

from qanat.model.event import Event


class Observer(Protocol):
    """Gets every event, possibly from several threads, and must return quickly.

    The caller that starts an update makes its observers and hands them over; there is no registry
    of them.
    """

    def on(self, event: Event) -> None:
        """Take an event."""
        ...
