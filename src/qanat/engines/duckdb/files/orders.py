"""Which keys JSON texts have, and in which order: seen of the first of them.

A text with its keys in a known order, each of them written in one way only, can be compared with
what was read of it, written down again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from qanat.engines.duckdb.files import plainly
from qanat.engines.duckdb.files.bound import FileTable
from qanat.frozen import Frozen
from qanat.model.name import Named, Names
from qanat.model.schema import DataType, Decimal, Field, Primitive, Struct
from qanat.text import literal

SAMPLE = 2_000
"""Texts that are looked at."""
_ORDERS = 16
"""How many orders of keys are known at most: each row is compared with all of them."""
_PLAIN = re.compile(r"[A-Za-z0-9_$@. -]+")
"""Keys that are written in one way only."""
WHOLE = frozenset({"long", "integer", "short", "byte"})

Order: TypeAlias = tuple[tuple[str, ...] | None, ...]
"""The keys of an object in the order in which they stand, then those of the objects within it."""


def are_plain(fields: Sequence[Field]) -> bool:
    """True if the names of all columns, and of fields within them, are written in one way only."""
    return all(
        _PLAIN.fullmatch(f.name) and (not isinstance(f.type, Struct) or are_plain(f.type.fields))
        for f in fields
    )


def pointers(structs: Sequence[str]) -> str:
    """SQL for the list of pointers to an object, and to those within it."""
    return f"[{', '.join(literal(p) for p in ('', *(f'/{s}' for s in structs)))}]"


def sampled(table: FileTable, source: str, structs: Sequence[str]) -> tuple[list[Order], str]:
    """The keys of some texts, the most frequent first; what stands between a key and its value."""
    rows = table.con.execute(
        "SELECT k, bool_or(spaced) FROM ("
        f"SELECT TRY(json_keys(text, {pointers(structs)})) AS k, "
        f"contains(text, '\": ') AS spaced FROM (SELECT text FROM ({source}) LIMIT {SAMPLE})) "
        "WHERE k IS NOT NULL GROUP BY k ORDER BY count(*) DESC, k"
    ).fetchall()
    orders = [tuple(None if part is None else tuple(part) for part in k) for k, _ in rows]
    return orders, ": " if any(spaced for _, spaced in rows) else ":"


def known(found: Sequence[Order], fields: Sequence[Field]) -> tuple[Named[str], list[Order]]:
    """By column how its key is spelled, and the orders of keys that are known."""
    types = Named((f.name, f.type) for f in fields)
    structs = [f.type for f in fields if isinstance(f.type, Struct)]
    # Pointers into objects are made of the names of columns.
    exactly = {f.name for f in fields}
    spelled: Named[str] = Named()
    orders = []
    for order in found:
        whole, *inner = order
        if not whole or len(Names(whole)) < len(whole) or any(k not in types for k in whole):
            continue
        if any(spelled.get(k, k) != k for k in whole):
            continue
        if any(isinstance(types[k], Struct) and k not in exactly for k in whole):
            continue
        if not all(
            not keys or (len(set(keys)) == len(keys) and set(keys) <= {f.name for f in s.fields})
            for keys, s in zip(inner, structs, strict=True)
        ):
            continue
        spelled.update({k: k for k in whole})
        orders.append(order)
    return spelled, orders[:_ORDERS]


class Written(Frozen):
    """How a scalar is written as JSON.

    Args:
        text: SQL for its text without quotes, NULL if it was not read without loss.
        quoted: whether it stands in quotes.
        read: SQL that is NULL if it was not read without loss.
    """

    text: str
    quoted: bool
    read: str

    @property
    def whole(self) -> str:
        """SQL for it, with quotes; `null` if it was not read without loss."""
        if not self.quoted:
            return f"coalesce({self.text}, 'null')"
        text = self.text
        if self.read != self.text:
            text = f"CASE WHEN {self.read} IS NOT NULL THEN {text} END"
        return f"coalesce('\"' || {text} || '\"', 'null')"


def written(type_: DataType, text: str, value: str) -> Written | None:
    """How a scalar is written; None for other types.

    Args:
        text: SQL for the text of it that was read.
        value: SQL for what was made of that.
    """
    match type_:
        case Primitive("string"):
            return Written(text, True, text)
        case Primitive("date" | "timestamp" | "timestamp_ntz"):
            return Written(text, True, value)
        case Primitive("double"):
            found = f"CASE WHEN isfinite({value}) AND {is_short(text)} THEN {text} END"
        case Decimal():
            found = f"CASE WHEN {value} IS NOT NULL AND {is_short(text)} THEN {text} END"
        case Primitive(name) if name in {"boolean", *WHOLE}:
            found = f"CAST({value} AS VARCHAR)"
        case _:
            return None
    return Written(found, False, value)


def is_object(keys: Sequence[str], colon: str, values: Mapping[str, Written]) -> str:
    """SQL that is true if `text` is an object of the values that were read, in that order of keys.

    If it is, they are all that the message has: a number or a string ends there where it ends
    here. A string is written without escapes, each of which is longer than what it stands for: of
    a text with some, the first escaped quote would have to stand behind itself. Where nothing
    could be read, this is the text of an object that can be.

    Args:
        colon: what stands between a key and its value.
        values: by key.
    """
    comma = ", " if colon == ": " else ","
    full, quick, before, mark = [], [], "{", ""
    for key in keys:
        value, name = values[key], before + json.dumps(key) + colon
        opening = '"' if value.quoted else ""
        full += [literal(name), value.whole]
        quick += [literal(mark + name + opening), value.text]
        before, mark = comma, opening
    # Without NULLs, of which `concat` makes empty texts: `{"a":,"b":""}` is what is written of a
    # text that is no JSON at all. A string needs no look: what has it empty is an object.
    read = "".join(f" AND {v.read} IS NOT NULL" for v in values.values() if v.read != v.text)
    return (
        f"CASE WHEN text = concat({', '.join(quick)}, {literal(mark + '}')}){read} THEN true "
        f"ELSE text = concat({', '.join(full)}, '}}') END"
    )


def is_short(text: str) -> str:
    """SQL that is true only if a text has few characters and begins as a number does."""
    return f"strlen({text}) <= {plainly.SAFE_LENGTH} AND {text} < ':'"
