"""JSON and NDJSON files: each object a row, each key a column, whatever row it appears in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qanat.engines.duckdb.files.bound import (
    BatchColumns,
    BoundFiles,
    FileTable,
    expected,
    folder_types,
    is_folder,
    lay_out,
)
from qanat.engines.duckdb.files.cast import Formats, Value
from qanat.engines.duckdb.files.dialect import compression_of, flag, formats, infers
from qanat.engines.duckdb.files.lines import Texts
from qanat.engines.duckdb.files.records import lines, open_bytes
from qanat.engines.duckdb.files.spool import OPTIONS, Spools, blaming
from qanat.engines.duckdb.files.structure import (
    converted,
    dump,
    pointer,
    too_deep,
    transform_spec,
    type_of,
)
from qanat.model.name import Named
from qanat.model.schema import STRING, DataType, Decimal, Primitive
from qanat.model.work import FilesBatch
from qanat.text import literal, quote

_NAMELESS = "_"
_CHUNK = 1 << 20
# A key with a NUL character, at any depth: no table can have a column of that name.
_NUL_KEY = (
    r"(contains(text, '\u0000') AND regexp_matches(text,"
    r""" '"([^"\\]|\\.)*\\u0000([^"\\]|\\.)*"\s*:'))"""
)
_OBJECT = (
    "CASE WHEN NOT json_valid(text) THEN false "
    f"ELSE json_type(text) = 'OBJECT' AND NOT {too_deep('text')} AND NOT {_NUL_KEY} END"
)
_BIG = ("UBIGINT", "BIGINT", "HUGEINT", "DOUBLE")


def bind_json(table: FileTable, batch: FilesBatch, scratch: Path) -> BoundFiles:
    """Read JSON files (lines, arrays or documents) into a spool.

    Raises:
        SchemaDriftError: a new key under `freeze`.
        FileUnreadableError: a file cannot be opened or decompressed.
    """
    options = dict(batch.options)
    compression = compression_of(options)
    with blaming(batch.files, batch.format):
        texts = Texts(table, scratch, compression)
        multi = flag(options, "multi_line", False)
        bad: list[tuple[int, str]] = []
        shapes: dict[str, list[int]] = {"lines": [], "array": [], "unstructured": []}
        for index, file in enumerate(batch.files):
            shape = "lines" if batch.format == "ndjson" else _shape(file.local, compression, multi)
            if shape == "array" and not _closed(file.local, compression):
                bad.append((index, "the array is not closed"))
            elif shape:
                shapes[shape].append(index)
        if shapes["lines"]:
            texts.add_lines(shapes["lines"])
        bad += texts.add_documents(shapes["array"], "array")
        bad += texts.add_documents(shapes["unstructured"], "unstructured")
        return _Objects(table, batch, scratch, texts).bind(bad)


def _shape(local: str, compression: str | None, multi: bool) -> str:
    """How a `json` file is laid out: `array`, `lines`, `unstructured`; empty when it is empty."""
    with open_bytes(local, compression) as source:
        seen = [line for line, _ in zip(lines(source), range(1000), strict=False) if line.strip()]
    if not seen:
        return ""
    if seen[0].lstrip().startswith(b"["):
        return "array"
    if multi:
        return "unstructured"
    first = seen[0].decode(errors="replace")
    try:
        json.JSONDecoder().raw_decode(first.strip())
    except json.JSONDecodeError as error:
        cut = error.pos >= len(first.strip()) or first.strip() == "{"
        pretty = len(seen) > 1 and not seen[1].lstrip().startswith(b"{")
        return "unstructured" if cut and pretty else "lines"
    except RecursionError:
        return "lines"
    return "lines"


def _closed(local: str, compression: str | None) -> bool:
    """True if the last byte that is no space is `]`: DuckDB takes a cut array for a whole one."""
    last = b""
    with open_bytes(local, compression) as source:
        while chunk := bytes(source.read(_CHUNK)):
            last = chunk.rstrip() or last
    return last.endswith(b"]")


def _fault(various: bool) -> str:
    """SQL for what is wrong with a text, NULL when nothing is.

    Args:
        various: some keys were seen in several spellings (`a` and `A`).
    """
    keys = "json_keys(text)"
    # Comparing spellings costs as much as parsing: only where there are any.
    compared = f"list_transform({keys}, lambda k: lower(k))" if various else keys
    return (
        "CASE WHEN NOT json_valid(text) THEN 'not valid JSON' "
        "WHEN json_type(text) <> 'OBJECT' THEN 'not an object but ' || lower(json_type(text)) "
        f"WHEN {too_deep('text')} THEN 'nested too deeply' "
        f"WHEN {_NUL_KEY} THEN 'a key has a NUL character' "
        f"WHEN list_unique({compared}) < len({keys}) "
        "THEN 'a key is given twice (names are compared without case)' END"
    )


class _Objects:
    """Casts the values of JSON objects to the types of their columns."""

    def __init__(self, table: FileTable, batch: FilesBatch, scratch: Path, texts: Texts) -> None:
        self.table, self.batch, self.scratch, self.texts = table, batch, scratch, texts
        options = dict(batch.options)
        self.formats: Formats = formats(options)
        self.infers = infers(options)
        self.source = " UNION ALL ".join(texts.paths)

    def bind(self, malformed_files: Sequence[tuple[int, str]]) -> BoundFiles:
        structure, long = self._look()
        # One column for all spellings of a key; the first one seen names it.
        keys: Named[list[str]] = Named()
        for key in structure:
            keys.setdefault(key or _NAMELESS, []).append(key)
        where = self.batch.files[0].path if self.batch.files else self.batch.path
        names = (n for n in keys if not is_folder(self.table, n))
        found = Named((n, where) for n in (*names, *self.table.partitions.names))
        types = Named(
            (n, type_of(structure[spelled[0]]) if len(spelled) == 1 else STRING)
            for n, spelled in keys.items()
        )
        if long:
            types.update(self._refine(keys, structure))
        layout = lay_out(
            self.batch,
            found,
            lambda new: (
                {n: types.get(n, STRING) if self.infers else STRING for n in new}
                | folder_types(self.table, new)
            ),
            types if expected(self.batch).fields and self.infers else None,
        )
        spools = Spools(self.table, layout, self.scratch)
        for index, error in malformed_files:
            spools.bad.append(self._malformed_file(index, error))
        if self.source:
            self._spool(spools, layout, keys, structure, long)
        spools.bad += self.texts.salvage.finish()
        return spools.bind(self.formats)

    def _look(self) -> tuple[dict[str, Any], bool]:
        """All keys with what was seen of them; whether there are long numbers."""
        if not self.source:
            return {}, False
        [row] = self.table.con.execute(
            "SELECT json_group_structure(CAST(text AS JSON)), "
            "coalesce(bool_or(regexp_matches(text, '[0-9]{19}')), false) "
            f"FROM ({self.source}) WHERE {_OBJECT}"
        ).fetchall()
        structure = json.loads(row[0]) if row[0] else {}
        return (structure if isinstance(structure, dict) else {}), row[1]

    def _refine(self, keys: Named[list[str]], structure: dict[str, Any]) -> dict[str, DataType]:
        """Exact types for whole numbers beyond 64 bits."""
        chosen = [(n, k[0]) for n, k in keys.items() if structure[k[0]] in _BIG and len(k) == 1]
        if not chosen:
            return {}
        tests = []
        for _, key in chosen:
            text = f"(text ->> {pointer(key)})"
            whole = f"regexp_full_match({text}, '-?[0-9]+')"
            tests += [f"count({text})"] + [
                f"count(*) FILTER (WHERE {whole} AND TRY_CAST({text} AS {t}) IS NOT NULL)"
                for t in ("BIGINT", "DECIMAL(20,0)", "DECIMAL(38,0)")
            ]
        [row] = self.table.con.execute(
            f"SELECT {', '.join(tests)} FROM ({self.source}) WHERE {_OBJECT}"
        ).fetchall()
        types: dict[str, DataType] = {}
        candidates: tuple[DataType, ...] = (Primitive("long"), Decimal(20, 0), Decimal(38, 0))
        for k, (name, _) in enumerate(chosen):
            count, *fit = row[4 * k : 4 * k + 4]
            best = next((t for t, n in zip(candidates, fit, strict=True) if n == count), None)
            if best is not None:
                types[name] = best
        return types

    def _spool(
        self, spools: Spools, layout: BatchColumns, keys: Named[list[str]],
        structure: dict[str, Any], long: bool,
    ) -> None:  # fmt: skip
        values: list[Value | None] = []
        spec: dict[str, Any] = {}
        for f in layout.fields:
            spelled = keys.get(f.name)
            if spelled is None or is_folder(self.table, f.name):
                values.append(None)
                continue
            key = spelled[0]
            if len(spelled) == 1 and key:
                spec[key] = transform_spec(f.type)
                value = f"(text -> {pointer(key)})"
                original = f"(text ->> {pointer(key)})"
                direct = f"j.{quote(key)}"
            else:
                value = f"coalesce({', '.join(f'(text -> {pointer(k)})' for k in spelled)})"
                original = f"({value} ->> '$')"
                wrapped = dump({"v": transform_spec(f.type)})
                direct = f"json_transform(json_object('v', {value}), {wrapped}).v"
            typed = converted(
                value, direct, [structure[k] for k in spelled], f.type, self.formats, long
            )
            shown = f"CAST({value} AS VARCHAR)"
            values.append(Value(original, shown, typed, f.type != STRING))
        extras = [
            (k, f"nullif(CAST((text -> {pointer(k)}) AS VARCHAR), 'null')")
            for name, spelled in keys.items()
            if name in layout.extras
            for k in spelled
        ]
        parsed = f"json_transform(text, {dump(spec)})" if spec else "NULL"
        various = any(len(spelled) > 1 for spelled in keys.values())
        path = spools.write(
            f"SELECT raw_text, text, fault, file, line, {parsed} AS j FROM ("
            "SELECT text AS raw_text, CASE WHEN fault IS NULL THEN text END AS text, fault, file, "
            f"line FROM (SELECT *, {_fault(various)} AS fault FROM ({self.source}) "
            "WHERE trim(text) <> ''))",
            values,
            extras,
            "raw_text",
            "fault",
        )
        spools.accept(path, {}, explicit=True)

    def _malformed_file(self, index: int, error: str) -> str:
        target = str(self.scratch / f"{self.table.name}_bad_file{index}.parquet")
        self.table.con.execute(
            "COPY (SELECT CAST(? AS INTEGER) AS file, CAST(1 AS BIGINT) AS row, "
            f"? AS raw, ? AS error) TO {literal(target)} ({OPTIONS})",
            [index, self.texts.raw(index), error.removeprefix("Invalid Input Error: ")],
        )
        return target
