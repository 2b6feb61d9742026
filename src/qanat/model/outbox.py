"""What has still to be delivered to observers: for each, the updates of which events are left."""

from __future__ import annotations

from qanat.frozen import Frozen

CLAIM_SECONDS = 60.0
"""How long a claim lasts without a sign of life."""


class Owed(Frozen):
    """An update of which an observer may not have got all events.

    Args:
        observer: its name in the spec.
        update: the update's identifier.
        number: of the last event that is known to be delivered, or that the observer does not
            want; 0 if there is none.
        since: when the update began, seconds since 1970 (UTC).
    """

    observer: str
    update: str
    number: int
    since: float
