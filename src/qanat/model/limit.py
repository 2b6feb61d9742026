"""How much may go to quarantine before an update fails, or a dataset is paused."""

from __future__ import annotations

import re

from qanat.model.expectation import Tolerance

QUARANTINE_LIMIT = "qanat.quarantine_limit"
"""The table property that sets a limit."""
QUARANTINE_WINDOW = "qanat.quarantine_window"
"""The table property that has the limit hold for the rows of so much time, instead of an epoch."""
TOLERANCE_WINDOW = "qanat.tolerance_window"
"""The table property that has tolerances of checks hold for the rows of so much time."""
LIMIT = "a share or a number of rows, such as 20 % or 1000"
"""What an error says was wanted."""

_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,9})?)\s*%", re.ASCII)
_ROWS = re.compile(r"(\d{1,18})(?:\s*rows?)?", re.ASCII | re.IGNORECASE)


def parse_limit(text: str) -> Tolerance:
    """The most rows of one epoch, or of some time, that may go to quarantine, as a text has it.

    Raises:
        ValueError: it means none; the message says what is wanted.

    >>> parse_limit("0.5%").share, parse_limit("1000 rows").rows
    (0.005, 1000)
    """
    text = text.strip()
    # Not divided by 100, which would round a second time.
    if (match := _SHARE.fullmatch(text)) and (share := float(f"{match[1]}e-2")) <= 1:
        return Tolerance(share=share)
    if match := _ROWS.fullmatch(text):
        return Tolerance(rows=int(match[1]))
    raise ValueError(LIMIT)
