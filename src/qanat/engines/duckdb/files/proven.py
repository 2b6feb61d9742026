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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qanat.engines.duckdb.files import plainly
from qanat.engines.duckdb.files.bound import FileTable
from qanat.engines.duckdb.files.cast import ISO, Formats, from_text
from qanat.engines.duckdb.files.orders import (
    WHOLE,
    Order,
    Written,
    are_plain,
    is_object,
    is_short,
    known,
    pointers,
    sampled,
    written,
)
from qanat.engines.duckdb.files.spool import OPTIONS
from qanat.engines.duckdb.files.structure import dump
from qanat.engines.duckdb.typenames import to_duckdb
from qanat.frozen import Frozen
from qanat.model.name import Named, same
from qanat.model.schema import DataType, Decimal, Field, Primitive, Struct
from qanat.text import literal, quote

LEAST = 2_000
"""Of fewer texts, proofs take longer than care."""
_DISTINCT = 1000
"""Values of a dictionary in the spool at most: to look for more takes a sixth of the time."""
# First characters (of a text) that neither a number, NaN, Infinity, an object nor a list has.
_NO_NUMBER = ((":", "I"), ("O", "["), ("a", "i"), ("o", "{"))


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
    if not are_plain(fields):
        return None
    structs = [f.name for f in fields if isinstance(f.type, Struct)]
    if _count(table, source) < LEAST:
        return None
    found, colon = sampled(table, source, structs)
    spelled, orders = known(found, fields)
    if not orders or not spelled:
        return None
    return _Reading(table, spelled, orders, colon, formats).write(source, fields, scratch)


def _count(table: FileTable, source: str) -> int:
    """How many texts there are, `LEAST` at most."""
    [(count,)] = table.con.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM ({source}) LIMIT {LEAST})"
    ).fetchall()
    return int(count)


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
        self._texts: dict[str, Written] = {}
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
        keys = f"TRY(json_keys(text, {pointers(structs)}))"
        proven = " AND ".join([f"{'k' if structs else keys} IN ({orders})", *self._checks])
        if not structs and len(self._texts) == len(spec):
            whole = is_object(self._orders[0][0] or (), self._colon, self._texts)
            proven = f"CASE WHEN {whole} THEN true ELSE {proven} END"
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
        """Note how a leaf is written as JSON, if that can be told."""
        found = written(leaf.type, text, value)
        if found is not None:
            self._texts[leaf.path[-1]] = found

    def _proof(self, leaf: _Leaf, text: str, value: str) -> tuple[str, str]:
        """SQL for the value of a text, and SQL that is true only if it is what was written."""
        match leaf.type:
            case Primitive("string"):
                ranges = (
                    f"({text} >= {literal(a)} AND {text} < {literal(b)})" for a, b in _NO_NUMBER
                )
                begins = self._begins(leaf)
                return text, f"CASE WHEN {' OR '.join(ranges)} THEN true ELSE {begins} END"
            case Primitive(name) if name in WHOLE:
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
        return f"{is_short(text)} AND {written}"

    def _stands(self, key: str, value: str) -> str:
        """SQL that is true only if a key has a value of which the text is this."""
        begin = literal(json.dumps(key) + self._colon)
        ends = (f"contains(text, {begin} || {value} || {literal(end)})" for end in ",}")
        return f"({' OR '.join(ends)})"


def _inner(type_: DataType) -> Sequence[str]:
    return [f.name for f in type_.fields] if isinstance(type_, Struct) else []


def _lists(order: Order) -> str:
    parts = (
        "NULL" if keys is None else f"CAST([{', '.join(map(literal, keys))}] AS VARCHAR[])"
        for keys in order
    )
    return f"[{', '.join(parts)}]"
