"""What the names of folders such as `…/month=3/…` say of the files in them (Hive's convention)."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote

from qanat.frozen import Frozen
from qanat.model.name import Named, Names
from qanat.model.work import LocalFile

NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"
"""Hive's name for the folder of rows whose value is NULL."""


class Partitions(Frozen):
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
    names = Names()
    found: list[Named[str | None]] = []
    for file in files:
        values: Named[str | None] = Named()
        for part in file.path.split("/")[:-1]:
            name, equals, value = part.partition("=")
            if equals and name:
                name = unquote(name)
                names.add(name)
                values[name] = None if value == NULL_FOLDER else unquote(value)
        found.append(values)
    return Partitions(tuple((name, tuple(v.get(name) for v in found)) for name in names))
