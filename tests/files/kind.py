"""What a kind of file brings to the comparison: files drawn at random, and another reader of them.

To add a kind: a module with a class that fits `Kind`, and a line in `KINDS` of `campaign`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

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

    @property
    def unplaced(self) -> Read:
        """The same without the lines of rows.

        Where DuckDB reads a file, it counts records; they are lines if no record has several.
        """
        return Read(self.names, tuple((0, row) for _, row in self.rows), self.malformed)


class Drawn(NamedTuple):
    """A file, and what an independent reader finds in it.

    Args:
        data: its bytes.
        wanted: what is to be found; None if no other reader can tell. Then it is only compared
            how Qanat reads it alone, in company and with care.
    """

    data: bytes
    wanted: Read | None


class Kind(Protocol):
    """A kind of file."""

    name: str
    """Also the format, as `read_files` calls it."""

    places: bool
    """True if the line of a row is known in any way of reading; else only with care."""

    def options(self, rng: random.Random) -> dict[str, Any]:
        """Options of `read_files`, for all files of one batch; `schema` has declared columns."""

    def told(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options without those that Qanat finds out by itself."""

    def draw(self, rng: random.Random, options: Mapping[str, Any]) -> Drawn:
        """A file that could be read with these options, mutated."""

    def same(self, wanted: Any, got: Any) -> bool:
        """True if a value that Qanat has read is the one that the other reader found."""
