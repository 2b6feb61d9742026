"""How much may go to quarantine before an update fails, or a dataset is paused."""

from __future__ import annotations

import re
from fractions import Fraction

from qanat.frozen import Frozen
from qanat.text import count

QUARANTINE_LIMIT = "qanat.quarantine_limit"
"""The table property that sets a limit."""
QUARANTINE_WINDOW = "qanat.quarantine_window"
"""The table property that has the limit hold for the rows of so much time, instead of an epoch."""
LIMIT = "a share or a number of rows, such as 20 % or 1000"
"""What an error says was wanted."""

_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,9})?)\s*%", re.ASCII)
_ROWS = re.compile(r"(\d{1,18})(?:\s*rows?)?", re.ASCII | re.IGNORECASE)


class QuarantineLimit(Frozen):
    """The most rows of one epoch, or of some time, that may go to quarantine.

    Args:
        share: of the rows that the dataset's query gave and of those that could not be parsed,
            from 0 to 1; None for no limit of that kind.
        rows: a number of them; None for no limit of that kind.

    >>> limit = parse_limit("20 %")
    >>> limit.allows(20, 100), limit.allows(21, 100), str(limit)
    (True, False, '20 %')
    """

    share: Fraction | None = None
    rows: int | None = None

    def allows(self, aside: int, of: int) -> bool:
        """True if so many of so many rows may go to quarantine."""
        if self.rows is not None and aside > self.rows:
            return False
        return self.share is None or aside <= self.share * of

    def __str__(self) -> str:
        if self.share is not None:
            return f"{float(self.share * 100):g} %"
        return count(self.rows or 0, "row")


def parse_limit(text: str) -> QuarantineLimit:
    """The limit that a text means.

    Raises:
        ValueError: it means none; the message says what is wanted.

    >>> parse_limit("0.5%").share, parse_limit("1000 rows").rows
    (Fraction(1, 200), 1000)
    """
    text = text.strip()
    if (match := _SHARE.fullmatch(text)) and (share := Fraction(match[1]) / 100) <= 1:
        return QuarantineLimit(share=share)
    if match := _ROWS.fullmatch(text):
        return QuarantineLimit(rows=int(match[1]))
    raise ValueError(LIMIT)
