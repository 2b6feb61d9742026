"""What a kind of file brings to the comparison: files drawn at random, and another reader of them.

To add a kind: a module with a class that fits `Kind`, and a line in `KINDS` of `campaign`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from qanat.model.name import fold

Row: TypeAlias = tuple[int, Mapping[str, Any]]


@dataclass(frozen=True)
class Read:
    """What a reader finds in a file.

    Args:
        names: its columns.
        rows: the line of each row, and its values by column.
        malformed: the lines of records that are no rows.
    """

    names: tuple[str, ...]
    rows: tuple[Row, ...] = ()
    malformed: tuple[int, ...] = field(default=())

    def only(self, names: tuple[str, ...]) -> Read:
        """The same with these columns, if the rows have nothing in others."""
        mine = {fold(name): name for name in names}
        rows = tuple(
            (
                line,
                {
                    mine.get(fold(n), n): v
                    for n, v in row.items()
                    if fold(n) in mine or v is not None
                },
            )
            for line, row in self.rows
        )
        return Read(names, rows, self.malformed)

    @property
    def unplaced(self) -> Read:
        """The same without the lines of rows.

        Where DuckDB reads a file, it counts records; they are lines if no record has several.
        """
        return Read(self.names, tuple((0, row) for _, row in self.rows), self.malformed)


class Kind(Protocol):
    """A kind of file."""

    name: str
    """Also the format, as `read_files` calls it."""

    def options(self, rng: random.Random) -> dict[str, Any]:
        """Options of `read_files`, for all files of one batch."""

    def told(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options without those that Qanat finds out by itself."""

    def draw(self, rng: random.Random, options: Mapping[str, Any]) -> bytes:
        """A file that could be read with these options, mutated."""

    def expect(self, data: bytes, options: Mapping[str, Any]) -> Read | None:
        """What an independent reader finds in it; None if it cannot tell.

        Then it is only compared how Qanat reads it alone, in company and with care.
        """
