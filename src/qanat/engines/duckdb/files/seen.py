"""What is seen of JSON texts before their values are read: keys, and how numbers are written.

All of it is of the texts of one SELECT, and is looked up once, when it is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from qanat.engines.duckdb.files.bound import FileTable
from qanat.engines.duckdb.files.leaves import (
    NUMBERS,
    Numbers,
    Path as Leaf,
    is_shallow,
    leaves,
    weigh,
)
from qanat.engines.duckdb.files.numbers import MAY_BE_LONG, Mark, find_mark, is_long
from qanat.engines.duckdb.files.sound import OBJECT, SOUND, column_of, odd
from qanat.model.name import Named
from qanat.model.schema import DataType

_SMALL = 4 << 20
"""Bytes of a batch of which it pays to look whether a text is odd."""


class Seen:
    """What is seen of some texts.

    Args:
        table: the files of the batch.
        source: a SELECT of `text`; empty without any.
        odd: whether one of `ODDITIES` may hold for a text; None if nobody has looked.
    """

    def __init__(self, table: FileTable, source: str, odd: bool | None) -> None:
        self._table, self._source, self._known = table, source, odd

    @cached_property
    def odd(self) -> bool:
        """Whether one of `ODDITIES` may hold for a text; only asked of small batches."""
        if self._known is not None:
            return self._known
        if sum(f.size for f in self._table.files) > _SMALL:
            return True
        asked = f"SELECT coalesce(bool_or({odd('text')}), false) FROM ({self._source})"
        [(found,)] = self._table.con.execute(asked).fetchall()
        return bool(found)

    @property
    def structure(self) -> dict[str, Any]:
        """All keys with what was seen of them."""
        return self._look[0]

    @cached_property
    def keys(self) -> Named[list[str]]:
        """The spellings of its key by column; the first one seen names the column."""
        found: Named[list[str]] = Named()
        for key in self.structure:
            found.setdefault(column_of(key), []).append(key)
        return found

    @property
    def rounded(self) -> bool:
        """True if numbers may be rounded when they are read."""
        structure, long = self._look
        return bool(self._numbers) or (long and "JSON" in {kind for _, kind in leaves(structure)})

    @cached_property
    def exact(self) -> Mapping[Leaf, DataType]:
        """The types of leaves whose numbers would not all keep their digits."""
        by = self._table.inference
        return {path: n.type_by(by) for path, n in self._numbers.items() if n.strained}

    @cached_property
    def mark(self) -> Mark:
        """What keeps the digits of numbers."""
        return find_mark(self._table.con, self._source)

    @property
    def _objects(self) -> str:
        return OBJECT if self.odd else SOUND

    @cached_property
    def _look(self) -> tuple[dict[str, Any], bool]:
        """The structure; whether there may be long numbers."""
        if not self._source:
            return {}, False
        [row] = self._table.con.execute(
            "SELECT json_group_structure(CAST(text AS JSON)), "
            f"coalesce(bool_or({MAY_BE_LONG}), false) FROM ({self._source}) WHERE {self._objects}"
        ).fetchall()
        structure = json.loads(row[0]) if row[0] else {}
        return (structure if isinstance(structure, dict) else {}), row[1]

    @cached_property
    def _numbers(self) -> Mapping[Leaf, Numbers]:
        """What the leaves with numbers are like, judged by the rows that have long ones."""
        structure, long = self._look
        if not long:
            return {}
        mark, con = self.mark, self._table.con
        paths = {p: kind for p, kind in leaves(structure) if kind in NUMBERS and is_shallow(p)}
        doubles = {path[-1] for path, kind in paths.items() if kind == "DOUBLE"}
        some = f"SELECT text FROM ({self._source}) WHERE {is_long(doubles)}"
        weighed = weigh(con, f"SELECT * FROM ({some}) WHERE {self._objects}", list(paths), mark)
        strained = [
            path
            for path, numbers in weighed.items()
            if numbers.strained
            or (
                # Whole here, with a point elsewhere.
                paths[path] == "DOUBLE" and numbers.changed
            )
        ]
        if not strained:
            return weighed
        every = f"SELECT text FROM ({self._source}) WHERE {self._objects}"
        return {**weighed, **weigh(con, every, strained, mark)}
