"""Messages of Debezium, opened: each becomes the JSON object of the row that it is about.

    {"before": null, "after": {"id": 1}, "op": "c", "ts_ms": 5, "source": {"lsn": 7}}
    {"id": 1, "__op": "c", "__deleted": false, "__ts_ms": 5, "__source_lsn": 7}

From there on it is an object like any other. A message may lie in `payload`, beside its `schema`.
Tombstones (`null`) and messages of the application's own (op `m`) are no rows. What else is no
message about a row is malformed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.files.bound import FileTable
from qanat.engines.duckdb.files.cast import Value
from qanat.engines.duckdb.files.connect import Decoder, decoded, merged, row_of
from qanat.engines.duckdb.files.numbers import NO_MARK, REWRITTEN, Mark, find_mark
from qanat.engines.duckdb.files.sound import OBJECT
from qanat.engines.duckdb.files.spool import OPTIONS
from qanat.engines.duckdb.files.structure import dump
from qanat.frozen import Frozen
from qanat.model.envelope import DELETED, ENVELOPES, OP, OPTION, SOURCE, TIMES, TRANSACTION
from qanat.model.name import Named
from qanat.model.schema import DataType, Field, Primitive
from qanat.text import literal, quote

_PARTS = ("op", "before", "after", "source", "transaction", *TIMES)
_OPS = {"c": "after", "r": "after", "u": "after", "d": "before", "t": ""}
"""By what a message tells the part of it that is the row; the table is emptied without one."""
_IGNORED = "m"
_AT_PAYLOAD = "strpos(text, ',\"payload\":')"
# In a schema, `payload` can only be a value: no key of it is followed by that comma and colon.
_SCHEMA = (
    f"CASE WHEN starts_with(text, '{{\"schema\":{{') AND {_AT_PAYLOAD} > 0 "
    f"THEN substr(text, 11, {_AT_PAYLOAD} - 11) "
    f"WHEN contains(text, '\"payload\"') AND {OBJECT} "
    "THEN CAST((text -> '/schema') AS VARCHAR) END"
)
_KEY = r"(^|,)\"([A-Za-z_][A-Za-z0-9_]*)\":"


class Opened(Frozen):
    """The rows of some texts.

    Args:
        source: a SELECT of `text`, `file`, `line` and, where there are messages, what stands in
            `more`, `raw` and `refused`.
        raw: SQL for the text as it came.
        refused: SQL for why it is no message about a row; NULL if it is one.
        more: columns of opened messages with their types: the number of the schema (`shape`), and
            the text once more (`opened`), as numbers in `text` may get marks.
        columns: those whose values are to be decoded: their type, and how, by number of schema.
        types: of columns that may have had no value yet.
    """

    source: str
    raw: str = "text"
    refused: str = "NULL"
    more: Mapping[str, str] = field(default_factory=dict)
    columns: Named[tuple[DataType, Mapping[int, Decoder]]] = field(default_factory=Named)
    types: Named[DataType] = field(default_factory=Named)

    def typed(self, key: str, structure: Any) -> DataType | None:
        """The type of a new column, where it is not what its values look like.

        Args:
            structure: what was seen of its values.
        """
        if key in self.columns:
            return self.columns[key][0]
        return self.types.get(key) if structure == "NULL" else None

    @property
    def carried(self) -> str:
        """SQL for the texts of all values that are to be decoded, as one struct."""
        return f"json_transform(text, {dump(dict.fromkeys(self.columns, 'VARCHAR'))})"

    def value(self, column: Field, key: str, plain: Value) -> Value:
        """How a column is read.

        Args:
            key: its key.
            plain: how it is read of messages without a schema.
        """
        if key not in self.columns:
            return plain
        text, typed, original = f"carried.{quote(key)}", "", ""
        for number, decoder in self.columns[key][1].items():
            value = decoded(decoder, text, column.type)
            shown = f"CAST({decoder.value(text)} AS VARCHAR)"
            if decoder.type == Primitive("binary"):
                shown = "NULL"
            # What does not fit the column when it is decoded may do so as it is: the rows before
            # may have come without a schema.
            typed += f"WHEN {number} THEN coalesce({value}, {plain.typed}) "
            original += f"WHEN {number} THEN coalesce({shown}, {plain.original}) "
        return Value(
            f"CASE shape {original} ELSE {plain.original} END",
            plain.json,
            f"CASE shape {typed} ELSE {plain.typed} END",
            checked=True,
        )


def opened(table: FileTable, options: Mapping[str, Any], source: str, scratch: Path) -> Opened:
    """The rows in texts that may be in an envelope.

    Args:
        options: of the read.
        source: a SELECT of `text`, `file` and `line`; empty without any text.
        scratch: where the rows are written.
    """
    name = options.get(OPTION.name)
    if name is None or not source:
        return Opened(source)
    con = table.con
    [(wrapped, rewritten)] = con.execute(
        f"SELECT bool_or(contains(text, '\"payload\"')), bool_or({REWRITTEN}) FROM ({source})"
    ).fetchall()
    schemas = _schemas(con, source) if wrapped else []
    shapes = table.variable("schemas", schemas, "VARCHAR")
    mark = find_mark(con, source) if rewritten else NO_MARK
    target = str(scratch / f"{table.name}_opened.parquet")
    carried = "".join(f"{name}, " for name in table.carried)
    con.execute(
        f"COPY ({_opening(source, mark, bool(wrapped), shapes if schemas else '', carried)}) "
        f"TO {literal(target)} ({OPTIONS})"
    )
    rows = {number: row_of(text) for number, text in enumerate(schemas, 1)}
    types = Named((n, t) for row in rows.values() for n, t in row.types.items())
    types.update((f.name, f.type) for f in ENVELOPES[name].filled)
    return Opened(
        f"SELECT text, text AS opened, {carried}file, line, raw, refused, shape "
        f"FROM read_parquet({literal(target)})",
        "raw",
        "refused",
        {"shape": "INTEGER", "opened": "VARCHAR"},
        merged(rows),
        types,
    )


def _schemas(con: DuckDBPyConnection, source: str) -> list[str]:
    """The schemas of some messages."""
    found = con.execute(f"SELECT DISTINCT {_SCHEMA} AS s FROM ({source}) ORDER BY s").fetchall()
    return [text for (text,) in found if text is not None]


def _opening(source: str, mark: Mark, wrapped: bool, shapes: str, carried: str) -> str:
    """A SELECT of the rows in messages.

    Args:
        mark: for numbers that would be written in another way.
        wrapped: whether some messages lie in a `payload`.
        shapes: SQL for the list of all schemas; empty if there is none.
        carried: columns of `source` that the rows keep, each with a comma behind it.
    """
    paths = [f"/{name}" for name in _PARTS]
    paths += [f"/payload/{name}" for name in _PARTS] if wrapped else []
    marked = "text"
    if mark.sign:
        marked = f"CASE WHEN {REWRITTEN} THEN {mark.on('text')} ELSE text END"
    parts = {
        name: f"coalesce(p[{i}], p[{i + len(_PARTS)}])" if wrapped else f"p[{i}]"
        for i, name in enumerate(_PARTS, 1)
    }
    columns = ", ".join(f"CAST({sql} AS VARCHAR) AS part_{name}" for name, sql in parts.items())
    listed = ", ".join(map(literal, paths))
    found = (
        f"SELECT *, CASE WHEN sound THEN json_extract({marked}, [{listed}]) END AS p "
        f"FROM (SELECT *, {OBJECT} AS sound FROM ({source}) WHERE trim(text) <> '')"
    )
    rows = " ".join(
        f"WHEN '\"{op}\"' THEN {f'part_{part}' if part else literal('{}')}"
        for op, part in _OPS.items()
    )
    # DuckDB may look at both sides of an AND: only CASE keeps a text from being parsed.
    inside = "CASE WHEN sound AND part_op IS NULL THEN json_type(text, '/payload') = 'NULL' END"
    tombstone = f"trim(text) = 'null' OR {inside}" if wrapped else "trim(text) = 'null'"
    kept = f"NOT coalesce(part_op = '\"{_IGNORED}\"' OR {tombstone}, false)"
    body = f"{_unclosed('row_')} || {_metadata()} || '}}'"
    shape = f"list_position({shapes}, {_SCHEMA})" if shapes else "NULL"
    judged = (
        f"SELECT *, {_refused()} AS refused FROM (SELECT *, CASE part_op {rows} END AS row_ "
        f"FROM (SELECT *, {columns} FROM ({found})) WHERE {kept})"
    )
    return (
        f"SELECT CASE WHEN sound THEN {mark.off('body')} ELSE text END AS text, text AS raw, "
        f"refused, CAST({shape} AS INTEGER) AS shape, {carried}file, line "
        f"FROM (SELECT *, CASE WHEN refused IS NULL THEN {body} END AS body FROM ({judged}))"
    )


def _refused() -> str:
    """SQL for why an object is no message about a row."""
    known = ", ".join(f"'\"{op}\"'" for op in _OPS)
    named = ", ".join(_OPS)
    missing = " ".join(
        f"WHEN '\"{op}\"' THEN 'a message with op {op}, but no object {part}'"
        for op, part in _OPS.items()
        if part
    )
    return (
        "CASE WHEN NOT sound THEN NULL "
        "WHEN part_op IS NULL THEN 'no message of Debezium: it has no op' "
        f"WHEN part_op NOT IN ({known}) "
        f"THEN 'the op ' || left(part_op, 40) || ' is none of {named}, {_IGNORED}' "
        f"WHEN NOT coalesce(starts_with(row_, '{{'), false) THEN CASE part_op {missing} END END"
    )


def _unclosed(row: str) -> str:
    """SQL for an object without its closing brace, with a comma behind its last value."""
    return f"CASE WHEN {row} = '{{}}' THEN '{{' ELSE left({row}, -1) || ',' END"


def _metadata() -> str:
    """SQL for what a message says besides the row, as keys and values of an object."""
    deleted = "CASE WHEN part_op = '\"d\"' THEN 'true' ELSE 'false' END"
    parts = [f"'\"{OP}\":' || part_op || ',\"{DELETED}\":' || {deleted}"]
    parts += [f"coalesce(',\"__{name}\":' || part_{name}, '')" for name in TIMES]
    for part, prefix in (("source", SOURCE), ("transaction", TRANSACTION)):
        # These are objects of plain values. A comma before a quote is before a key, unless a text
        # ends in one; a pattern sees that too, as quotes in texts are escaped, but takes longer.
        inner = f"left(substr(part_{part}, 2), -1)"
        ends = " OR ".join(f"contains(part_{part}, ',\"{c}')" for c in ",}:")
        quick = f"'\"{prefix}' || replace(substr({inner}, 2), ',\"', ',\"{prefix}')"
        careful = f"regexp_replace({inner}, '{_KEY}', '\\1\"{prefix}\\2\":', 'g')"
        parts.append(
            f"CASE WHEN NOT coalesce(starts_with(part_{part}, '{{\"'), false) THEN '' "
            f"WHEN {ends} THEN ',' || {careful} ELSE ',' || {quick} END"
        )
    return " || ".join(parts)
