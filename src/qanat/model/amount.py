"""How much there is to read."""

from __future__ import annotations

from qanat.frozen import Frozen


class Amount(Frozen):
    """How much a range has, or how much waits; `rows` is None if they were not counted.

    >>> Amount(files=1, bytes=10, rows=2) + Amount(files=2, bytes=5)
    Amount(files=3, bytes=15, rows=None)
    """

    files: int = 0
    bytes: int = 0
    rows: int | None = None

    def __add__(self, other: Amount) -> Amount:
        rows = None if self.rows is None or other.rows is None else self.rows + other.rows
        return Amount(self.files + other.files, self.bytes + other.bytes, rows)
