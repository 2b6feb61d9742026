"""What becomes of rows that come too late, and of streams that bring none."""

from __future__ import annotations

from enum import StrEnum

from qanat.model.name import fold
from qanat.model.upkeep import parse_duration

LATE_ROWS = "qanat.late_rows"
"""The table property that says what becomes of rows that came too late."""


class LateRows(StrEnum):
    """What becomes of rows that the watermark has passed."""

    COUNT = "count"
    """They are counted, and do not change any result."""
    QUARANTINE = "quarantine"
    """They are counted, and go to quarantine as `_late`."""


IDLE_TIMEOUT = "qanat.idle_timeout"
"""The table property that says when a stream without rows holds the watermark no longer."""
NEVER = "never"
_IDLE_SECONDS = 3600


def parse_idle_timeout(text: str | None) -> int | None:
    """Seconds without a row after which a stream is idle; None: it never is. Default: an hour.

    Raises:
        ValueError: the text is no duration.

    >>> parse_idle_timeout(None), parse_idle_timeout("5 minutes"), parse_idle_timeout("never")
    (3600, 300, None)
    """
    if text is None:
        return _IDLE_SECONDS
    return None if fold(text.strip()) == NEVER else int(parse_duration(text))
