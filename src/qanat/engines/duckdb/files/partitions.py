"""Partition columns: values from folder names such as `…/month=3/…` (Hive's convention)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from qanat.model.batch import LocalFile

NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"
"""Hive's name for the folder of rows whose value is NULL."""


@dataclass(frozen=True, slots=True)
class Partitions:
    """The partition columns of a batch.

    The values come from the paths that the author wrote, not from those of local copies.

    Args:
        columns: each column's name, with one value as text for each file; None for NULL, or if
            the file's path does not have the column.
    """

    columns: tuple[tuple[str, tuple[str | None, ...]], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in the order of their first appearance."""
        return tuple(name for name, _ in self.columns)


def find_partitions(files: Sequence[LocalFile]) -> Partitions:
    """The partition columns of some files, in the order of their first appearance.

    >>> find_partitions((LocalFile("/d/m=3/k=a%20b/x.csv", "", 0, 0),)).columns
    (('m', ('3',)), ('k', ('a b',)))
    """
    spelled: dict[str, str] = {}
    found: list[dict[str, str | None]] = []
    for file in files:
        values: dict[str, str | None] = {}
        for part in file.path.split("/")[:-1]:
            name, equals, value = part.partition("=")
            if equals and name:
                name = unquote(name)
                spelled.setdefault(name.casefold(), name)
                values[name.casefold()] = None if value == NULL_FOLDER else unquote(value)
        found.append(values)
    return Partitions(
        tuple((name, tuple(v.get(folded) for v in found)) for folded, name in spelled.items())
    )
