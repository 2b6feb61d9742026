"""JSON objects of known columns that need no care: a proof for each row that nothing is lost.

DuckDB's `json_transform` is many times faster than the careful reader, but rounds, takes the first
of two equal keys, and passes over keys that it does not know. Here it reads every scalar as text,
and a row counts as proven only if that is seen to be all there was: its keys, in their order, are
known ones without repetition (`json_keys`); a whole number has the digits of its text; any other
number, and each string that looks like a number, stands in the message as it was read. Most texts
are proven at less cost: what was read, written down in the most frequent order of keys, is the
text. What is not proven may be fine all the same: the careful reader gets it, so that both give
the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from qanat.engines.duckdb.files import plainly
from qanat.engines.duckdb.files.bound import FileTable
from qanat.engines.duckdb.files.cast import ISO, Formats, from_text
from qanat.engines.duckdb.files.spool import OPTIONS
from qanat.engines.duckdb.files.structure import dump
from qanat.engines.duckdb.typenames import to_duckdb
from qanat.frozen import Frozen
from qanat.model.name import Named, Names, same
from qanat.model.schema import DataType, Decimal, Field, Primitive, Struct
from qanat.text import literal, quote

LEAST = 2_000
"""Of fewer texts, proofs take longer than care."""
_SAMPLE = 2_000
_DISTINCT = 1000
"""Values of a dictionary in the spool at most: to look for more takes a sixth of the time."""
_ORDERS = 16
"""How many orders of keys are known at most: each row is compared with all of them."""
_PLAIN = re.compile(r"[A-Za-z0-9_$@. -]+")
"""Keys that are written in one way only."""
_WHOLE = frozenset({"long", "integer", "short", "byte"})
# First characters (of a text) that neither a number, NaN, Infinity, an object nor a list has.
_NO_NUMBER = ((":", "I"), ("O", "["), ("a", "i"), ("o", "{"))


Order: TypeAlias = tuple[tuple[str, ...] | None, ...]
"""The keys of an object in the order in which they stand, then those of the objects within it."""


class Proven(Frozen):
    """The rows of some JSON texts, as a spool (see `spool`) that has a column `proven` besides.

    Args:
        path: the spool; rows that are not proven have their text in `rest`.
        rows: how many are proven.
        left: how many are not.
        keys: those that proven rows may have.
        carried: what rows have besides (see `FileTable.carried`).
    """

    path: str
    rows: int
    left: int
    keys: tuple[str, ...]
    carried: tuple[str, ...]

    @property
    def rest(self) -> str:
        """A SELECT of the texts that are not proven, with what they had beside them."""
        more = "".join(f"{name}, " for name in self.carried)
        return (
            f"SELECT rest AS text, {more}file, line FROM read_parquet({literal(self.path)}) "
            "WHERE NOT proven"
        )

    def good(self, table: FileTable) -> str:
        """The path of a spool of the proven rows alone."""
        if not self.left:
            return self.path
        target = self.path.removesuffix(".parquet") + "_alone.parquet"
        table.con.execute(
            f"COPY (SELECT * EXCLUDE (proven, rest) FROM read_parquet({literal(self.path)}) "
            f"WHERE proven) TO {literal(target)} ({OPTIONS})"
        )
        return target


class _Leaf(Frozen):
    """A scalar in an object, or in one within it.

    Args:
        path: the keys on the way to it.
        type: of its column or field.
        alone: True if no other place has the same key.
    """

    path: tuple[str, ...]
    type: DataType
    alone: bool


def prove(
    table: FileTable,
    source: str,
    fields: Sequence[Field],
    formats: Formats,
    scratch: Path,
) -> Proven | None:
    """Read texts whose keys are known; None if that does not pay.

    Args:
        source: a SELECT of `text`, the columns that the table has carried, `file` and `line`.
        fields: the columns.
        formats: how dates and times are written.
    """
    if not all(_PLAIN.fullmatch(f.name) for f in _all(fields)):
        return None
    structs = [f.name for f in fields if isinstance(f.type, Struct)]
    if _count(table, source) < LEAST:
        return None
    found, colon = _orders(table, source, structs)
    spelled, orders = _known(found, fields)
    if not orders or not spelled:
        return None
    return _Reading(table, spelled, orders, colon, formats).write(source, fields, scratch)


def _all(fields: Sequence[Field]) -> Iterator[Field]:
    for field in fields:
        yield field
        if isinstance(field.type, Struct):
            yield from field.type.fields


def _pointers(structs: Sequence[str]) -> str:
    return f"[{', '.join(literal(p) for p in ('', *(f'/{s}' for s in structs)))}]"


def _count(table: FileTable, source: str) -> int:
    """How many texts there are, `LEAST` at most."""
    [(count,)] = table.con.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM ({source}) LIMIT {LEAST})"
    ).fetchall()
    return int(count)


def _orders(table: FileTable, source: str, structs: Sequence[str]) -> tuple[list[Order], str]:
    """The keys of some texts, the most frequent first; what stands between a key and its value."""
    rows = table.con.execute(
        "SELECT k, bool_or(spaced) FROM ("
        f"SELECT TRY(json_keys(text, {_pointers(structs)})) AS k, "
        f"contains(text, '\": ') AS spaced FROM (SELECT text FROM ({source}) LIMIT {_SAMPLE})) "
        "WHERE k IS NOT NULL GROUP BY k ORDER BY count(*) DESC, k"
    ).fetchall()
    orders = [tuple(None if part is None else tuple(part) for part in k) for k, _ in rows]
    return orders, ": " if any(spaced for _, spaced in rows) else ":"


def _known(found: Sequence[Order], fields: Sequence[Field]) -> tuple[Named[str], list[Order]]:
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


class _Reading:
    """How texts are read, and rows proven."""

    def __init__(
        self,
        table: FileTable,
        spelled: Named[str],
        orders: Sequence[Order],
        colon: str,
        formats: Formats,
    ) -> None:
        self._table, self._spelled, self._orders = table, spelled, orders
        self._colon, self._formats = colon, formats
        self._read: list[str] = []
        self._checks: list[str] = []
        self._texts: dict[str, str] = {}
        self._structs: list[str] = []

    def write(self, source: str, fields: Sequence[Field], scratch: Path) -> Proven:
        self._structs = structs = [f.name for f in fields if isinstance(f.type, Struct)]
        often = [n for f in fields for n in (f.name, *_inner(f.type))]
        alone = {n for n in often if sum(same(n, other) for other in often) == 1}
        spec: dict[str, Any] = {}
        values = []
        for f in fields:
            key = self._spelled.get(f.name)
            if key is None:
                values.append("NULL")
            elif isinstance(f.type, Struct):
                spec[key] = dict.fromkeys((i.name for i in f.type.fields), "VARCHAR")
                values.append(self._struct(key, f.type, alone))
            else:
                spec[key] = "VARCHAR"
                values.append(self._scalar(_Leaf((key,), f.type, f.name in alone)))
        columns = ", ".join(
            f"CAST({v} AS {to_duckdb(f.type)}) AS v{i}"
            for i, (v, f) in enumerate(zip(values, fields, strict=True))
        )
        orders = ", ".join(_lists(order) for order in self._orders)
        keys = f"TRY(json_keys(text, {_pointers(structs)}))"
        proven = " AND ".join([f"{'k' if structs else keys} IN ({orders})", *self._checks])
        if not structs and len(self._texts) == len(spec):
            proven = f"CASE WHEN text = {self._written()} THEN true ELSE {proven} END"
        carried = "".join(f"{name}, " for name in self._table.carried)
        rows = (
            f"SELECT *, TRY(json_transform(text, {dump(spec)})) AS j"
            f"{f', {keys} AS k' if structs else ''} FROM ({source})"
        )
        rows = f"SELECT {', '.join(['*', *self._read])} FROM ({rows})"
        rows = f"SELECT *, {columns}, coalesce({proven}, false) AS proven FROM ({rows})"
        names = "".join(f"v{i}, " for i in range(len(fields)))
        target = str(scratch / f"{self._table.name}_proven.parquet")
        con = self._table.con
        con.execute(
            f"COPY (SELECT {names}{carried}CAST(NULL AS VARCHAR) AS error, "
            "CAST(NULL AS VARCHAR) AS raw, CAST(NULL AS VARCHAR[]) AS originals, "
            "CAST(NULL AS VARCHAR) AS rescued, file, line, proven, "
            f"CASE WHEN NOT proven THEN text END AS rest FROM ({rows})) "
            f"TO {literal(target)} ({OPTIONS}, DICTIONARY_SIZE_LIMIT {_DISTINCT})"
        )
        [(count, left)] = con.execute(
            f"SELECT count(*), count(*) FILTER (NOT proven) FROM read_parquet({literal(target)})"
        ).fetchall()
        return Proven(
            target, count - left, left, tuple(self._spelled.values()), tuple(self._table.carried)
        )

    def _struct(self, key: str, type_: Struct, alone: set[str]) -> str:
        parts = ", ".join(
            f"{quote(f.name)} := CAST("
            f"{self._scalar(_Leaf((key, f.name), f.type, f.name in alone))} "
            f"AS {to_duckdb(f.type)})"
            for f in type_.fields
        )
        # `json_keys` has no keys of `null`, nor of what is no object, of which `json_transform`
        # makes a struct of NULLs.
        nothing = self._stands(key, "'null'") if key in alone else "false"
        there = f"len(k[{self._structs.index(key) + 2}]) > 0"
        self._checks.append(f"({there} OR {nothing})")
        return f"CASE WHEN {there} THEN struct_pack({parts}) END"

    def _scalar(self, leaf: _Leaf) -> str:
        """SQL for the value of a leaf; what proves it is noted."""
        text = "j." + ".".join(map(quote, leaf.path))
        value = f"l{len(self._read)}"
        cast, proof = self._proof(leaf, text, value)
        self._read.append(f"{cast} AS {value}")
        self._checks.append(f"({text} IS NULL OR coalesce({proof}, false))")
        self._note(leaf, text, value)
        return value

    def _note(self, leaf: _Leaf, text: str, value: str) -> None:
        """Note how a leaf is written as JSON, or `null` if it was not read without loss."""
        match leaf.type:
            case Primitive("string"):
                written = f"'\"' || {text} || '\"'"
            case Primitive("date" | "timestamp" | "timestamp_ntz"):
                written = f"'\"' || CASE WHEN {value} IS NOT NULL THEN {text} END || '\"'"
            case Primitive("double"):
                written = f"CASE WHEN isfinite({value}) AND {_is_short(text)} THEN {text} END"
            case Decimal():
                written = f"CASE WHEN {value} IS NOT NULL AND {_is_short(text)} THEN {text} END"
            case Primitive(name) if name in {"boolean", *_WHOLE}:
                written = f"CAST({value} AS VARCHAR)"
            case _:
                return
        self._texts[leaf.path[-1]] = f"coalesce({written}, 'null')"

    def _written(self) -> str:
        """SQL for the text of an object of the values that were read, in the most frequent order.

        If it is the text of the message, they are all that the message has: a number or a string
        ends there where it ends here. A string is written without escapes, each of which is longer
        than what it stands for: of a text with some, the first escaped quote would have to stand
        behind itself. Where nothing could be read, this is the text of an object that can be.
        """
        comma = ", " if self._colon == ": " else ","
        parts, before = [], "{"
        for key in self._orders[0][0] or ():
            parts += [literal(before + json.dumps(key) + self._colon), self._texts[key]]
            before = comma
        return f"concat({', '.join(parts)}, '}}')"

    def _proof(self, leaf: _Leaf, text: str, value: str) -> tuple[str, str]:
        """SQL for the value of a text, and SQL that is true only if it is what was written."""
        match leaf.type:
            case Primitive("string"):
                ranges = (
                    f"({text} >= {literal(a)} AND {text} < {literal(b)})" for a, b in _NO_NUMBER
                )
                begins = self._begins(leaf)
                return text, f"CASE WHEN {' OR '.join(ranges)} THEN true ELSE {begins} END"
            case Primitive(name) if name in _WHOLE:
                target = to_duckdb(leaf.type)
                proof = plainly.whole(text, value, target)
                return (
                    f"TRY_CAST({text} AS {target})",
                    f"CASE WHEN {proof} THEN true ELSE CAST({value} AS VARCHAR) = {text} END",
                )
            case Primitive("double"):
                return f"TRY_CAST({text} AS DOUBLE)", f"isfinite({value}) AND {self._short(leaf)}"
            case Decimal():
                cast = from_text(text, leaf.type, self._formats)
                return cast, f"{value} IS NOT NULL AND {self._short(leaf)}"
            case Primitive("boolean"):
                return f"{text} = 'true'", f"{text} IN ('true', 'false')"
            case Primitive("date" | "timestamp" | "timestamp_ntz"):
                cast = from_text(text, leaf.type, self._formats)
                # With a format, a number might be taken for a time.
                begins = "true" if self._formats == ISO else self._begins(leaf)
                return cast, f"{value} IS NOT NULL AND {begins}"
        return f"CAST(NULL AS {to_duckdb(leaf.type)})", "false"

    def _begins(self, leaf: _Leaf) -> str:
        """SQL that is true only if the value is a string."""
        if not leaf.alone:
            return "false"
        return f"contains(text, {literal(json.dumps(leaf.path[-1]) + self._colon)} || '\"')"

    def _short(self, leaf: _Leaf) -> str:
        """SQL that is true only if the value is a number of few digits, written as it was read."""
        if not leaf.alone:
            return "false"
        text = "j." + ".".join(map(quote, leaf.path))
        written = self._stands(leaf.path[-1], text)
        return f"{_is_short(text)} AND {written}"

    def _stands(self, key: str, value: str) -> str:
        """SQL that is true only if a key has a value of which the text is this."""
        begin = literal(json.dumps(key) + self._colon)
        ends = (f"contains(text, {begin} || {value} || {literal(end)})" for end in ",}")
        return f"({' OR '.join(ends)})"


def _is_short(text: str) -> str:
    """SQL that is true only if a text has few characters and begins as a number does."""
    return f"strlen({text}) <= {plainly.SAFE_LENGTH} AND {text} < ':'"


def _inner(type_: DataType) -> Sequence[str]:
    return [f.name for f in type_.fields] if isinstance(type_, Struct) else []


def _lists(order: Order) -> str:
    parts = (
        "NULL" if keys is None else f"CAST([{', '.join(map(literal, keys))}] AS VARCHAR[])"
        for keys in order
    )
    return f"[{', '.join(parts)}]"
