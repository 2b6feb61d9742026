"""The numbers in JSON values, leaf by leaf: which types hold all of them, digit by digit.

A leaf is a place in the structure of a batch's values, such as the element of a list in a struct.
DuckDB's structure calls its numbers DOUBLE as soon as one has a point or more than 64 bits; the
types here are the same as those of numbers in CSV.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import duckdb

from qanat.engines.duckdb.files.digits import canonical
from qanat.engines.duckdb.files.numbers import Mark
from qanat.frozen import Frozen
from qanat.model.inference import Inference
from qanat.model.schema import STRING, DataType, Decimal, Primitive
from qanat.planning.wider import PRECISION, SCALES
from qanat.text import literal

Path: TypeAlias = tuple[str | None, ...]
"""Where a leaf is: the keys on the way to it, and None for the elements of a list."""

NUMBERS = frozenset({"UBIGINT", "BIGINT", "HUGEINT", "DOUBLE"})
_LISTS = 6


def leaves(structure: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """The leaves of a structure of `json_group_structure`, each with DuckDB's name of its type.

    >>> list(leaves({"a": "BIGINT", "b": [{"c": "DOUBLE"}]}))
    [(('a',), 'BIGINT'), (('b', None, 'c'), 'DOUBLE')]
    """
    match structure:
        case dict():
            for key, inner in structure.items():
                yield from leaves(inner, (*path, key))
        case [element]:
            yield from leaves(element, (*path, None))
        case _:
            yield path, str(structure)


def is_shallow(path: Path) -> bool:
    """True if a place is in so few lists that they can have a type; others are kept as JSON text.

    DuckDB 2.0 takes twice the time and memory for each list around a list whose numbers are
    checked: 12 of them took it 8 s and 3 GB.
    """
    return path.count(None) <= _LISTS


def pointer(key: str) -> str:
    """The JSON pointer to a key, as an SQL literal.

    >>> pointer("a/b")
    "'/a~1b'"
    """
    return literal("/" + key.replace("~", "~0").replace("/", "~1"))


class Numbers(Frozen):
    """What was found of the numbers of a leaf.

    Args:
        fractions: how many are written with a point or an exponent.
        large: how many are whole and need more than 64 bits.
        changed: how many a double changes: its shortest text is another number.
        odd: how many have no digits (NaN), or exponents beyond all decimals.
        whole: the most digits before the point.
        scale: the most digits behind it.
    """

    fractions: int
    large: int
    changed: int
    odd: int
    whole: int
    scale: int

    @property
    def strained(self) -> bool:
        """True if the leaf needs another type than BIGINT or DOUBLE."""
        return bool(self.changed if self.fractions else self.large)

    def type_by(self, inference: Inference) -> DataType:
        """The first of BIGINT, DOUBLE, a DECIMAL and text that changes none of the numbers."""
        if not self.strained:
            return Primitive("double" if self.fractions else "long")
        if not self.fractions:
            return inference.decimal(self.whole) if self.whole <= PRECISION else STRING
        if not self.odd:
            for scale in (*SCALES, self.scale):
                if self.scale <= scale <= PRECISION - self.whole:
                    return Decimal(PRECISION, scale)
        return STRING


def weigh(
    con: duckdb.DuckDBPyConnection, source: str, paths: Sequence[Path], mark: Mark
) -> Mapping[Path, Numbers]:
    """What the numbers of some leaves are like.

    Args:
        source: a SELECT of valid JSON objects as `text`.
        paths: the leaves; one without numbers is not in the result.
        mark: that no text has.
    """
    if not paths:
        return {}
    # One look at an object for all of its keys: a query for each of 2,000 took 40 s to plan.
    objects: dict[Path, list[str]] = {}
    lists: list[Path] = []
    for *way, last in paths:
        if last is None:
            lists.append((*way, last))
        else:
            objects.setdefault(tuple(way), []).append(last)
    parts = [
        f"SELECT {i} AS place, key, {mark.shown('value')} AS t "
        f"FROM (SELECT unnest({_values('text', way)}) AS o FROM marked), json_each(o) "
        f"WHERE key IN ({', '.join(map(literal, keys))})"
        for i, (way, keys) in enumerate(objects.items())
    ]
    parts += [
        f"SELECT {i} AS place, NULL AS key, {mark.shown('o')} AS t "
        f"FROM (SELECT unnest({_values('text', path)}) AS o FROM marked)"
        for i, path in enumerate(lists, len(objects))
    ]
    double = "TRY_CAST(t AS DOUBLE)"
    changed = f"NOT isfinite({double}) OR {canonical(f'CAST({double} AS VARCHAR)')} <> c"
    rows = con.execute(
        f"WITH marked AS MATERIALIZED (SELECT {mark.on('text')} AS text FROM ({source})), "
        f"numbers AS ({' UNION ALL '.join(parts)}) "
        "SELECT place, key, count(*) FILTER (NOT bare), "
        "count(*) FILTER (bare AND TRY_CAST(t AS BIGINT) IS NULL), "
        f"count(*) FILTER (NOT odd AND ({changed}) IS DISTINCT FROM false), "
        "count(*) FILTER (odd OR c IS NULL), "
        "coalesce(max(len(ltrim(split_part(ltrim(c, '-'), '.', 1), '0'))), 0), "
        "coalesce(max(len(split_part(c, '.', 2))), 0) FROM ("
        "SELECT place, key, t, regexp_full_match(t, '-?[0-9]+') AS bare, "
        f"NOT regexp_matches(t, '[0-9]') AS odd, {canonical('t')} AS c "
        "FROM numbers WHERE t IS NOT NULL) GROUP BY place, key"
    ).fetchall()
    ways = [*objects, *lists]
    return {
        ways[place] if key is None else (*ways[place], key): Numbers(*counts)
        for place, key, *counts in rows
    }


def _values(value: str, path: Path, depth: int = 0) -> str:
    """SQL for the list of the JSON values at a path of one."""
    if not path:
        return f"[{value}]"
    key, *rest = path
    if key is not None:
        return _values(f"({value} -> {pointer(key)})", tuple(rest), depth)
    each = f"lambda e{depth}: {_values(f'e{depth}', tuple(rest), depth + 1)}"
    return f"flatten(list_transform(CAST({value} AS JSON[]), {each}))"
