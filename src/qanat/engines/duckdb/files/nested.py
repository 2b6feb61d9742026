"""Wider types for columns of lists and structs in JSON, leaf by leaf."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.files.drift import Misfits, wider_type
from qanat.engines.duckdb.files.infer import Seen
from qanat.engines.duckdb.files.leaves import NUMBERS, Numbers, Path, leaves, weigh
from qanat.engines.duckdb.files.numbers import find_mark
from qanat.model.name import Named
from qanat.model.schema import STRING, Array, DataType, Decimal, Primitive, Struct

_ROOT = "v"


def nested_type(
    con: DuckDBPyConnection, have: DataType, texts: str, fitting: int
) -> DataType | None:
    """The type that a nested column gets for its new values; None if it keeps its own.

    Args:
        have: its type.
        texts: SELECT text of the values that do not fit, as JSON texts `v`.
        fitting: how many values fit.
    """
    source = f"SELECT '{{\"{_ROOT}\":' || v || '}}' AS text FROM ({texts}) WHERE json_valid(v)"
    [(found, rows)] = con.execute(
        f"SELECT json_group_structure(CAST(text AS JSON)), count(*) FROM ({source})"
    ).fetchall()
    if not rows:
        return None
    structure = json.loads(found)[_ROOT]
    paths = [p for p, kind in leaves(structure, (_ROOT,)) if kind in NUMBERS]
    numbers = weigh(con, source, paths, find_mark(con, source))
    new = _joined(have, structure, (_ROOT,), numbers, Misfits(Seen(values=rows), fitting))
    return None if new == have else new


def _joined(
    have: DataType,
    structure: Any,
    path: Path,
    numbers: Mapping[Path, Numbers],
    misfits: Misfits,
) -> DataType:
    """A type for the values that a column has, and for those of a structure."""
    match have, structure:
        case _, "NULL":
            return have
        case Array(element), [inner]:
            return replace(have, element=_joined(element, inner, (*path, None), numbers, misfits))
        case Struct(fields), dict():
            found = Named((k, (k, v)) for k, v in structure.items())
            return Struct(
                tuple(
                    replace(
                        f,
                        type=_joined(f.type, found[f.name][1], (*path, f.name), numbers, misfits),
                    )
                    if f.name in found
                    else f
                    for f in fields
                )
            )
        case ((Primitive() | Decimal()), _):
            return _leaf(have, numbers.get(path), misfits)
    return have


def _leaf(have: DataType, numbers: Numbers | None, misfits: Misfits) -> DataType:
    if have == STRING:
        return have
    if numbers is None:
        # No number at all: text, if that is what most of the new rows have.
        return wider_type(have, misfits) or have
    if _holds(have, numbers):
        return have
    seen = Seen(
        values=1,
        longs=int(not (numbers.fractions or numbers.large)),
        wholes=int(not numbers.fractions),
        fixed=int(not numbers.odd),
        numbers=1,
        doubles=int(not numbers.changed),
        before=numbers.whole,
        behind=numbers.scale,
    )
    return wider_type(have, Misfits(seen, 0)) or have


def _holds(have: DataType, numbers: Numbers) -> bool:
    match have:
        case Decimal(precision, scale):
            fits = numbers.scale <= scale and numbers.whole <= precision - scale
            return fits and not numbers.odd
        case Primitive("double"):
            return not numbers.changed
        case Primitive("long"):
            return not (numbers.large or numbers.odd or numbers.scale)
    return False
