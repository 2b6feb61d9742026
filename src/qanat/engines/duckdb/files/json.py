"""JSON and NDJSON files: each object a row, each key a column, whatever row it appears in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qanat.engines.duckdb.files.again import Kept
from qanat.engines.duckdb.files.bound import (
    METADATA,
    RESERVED,
    BatchColumns,
    BoundFiles,
    FileTable,
    expected,
    folder_types,
    is_folder,
    is_reserved,
    lay_out,
)
from qanat.engines.duckdb.files.cast import Formats, Value
from qanat.engines.duckdb.files.dialect import compression_of, flag, formats, infers
from qanat.engines.duckdb.files.folders import contradiction
from qanat.engines.duckdb.files.leaves import (
    NUMBERS,
    Numbers,
    Path as Leaf,
    is_shallow,
    leaves,
    pointer,
    weigh,
)
from qanat.engines.duckdb.files.lines import Texts
from qanat.engines.duckdb.files.numbers import (
    HAS_MARK,
    MAY_BE_LONG,
    is_long,
    mark,
    unmark,
    unmarked,
)
from qanat.engines.duckdb.files.records import lines, open_bytes
from qanat.engines.duckdb.files.spool import Spools, blaming
from qanat.engines.duckdb.files.structure import (
    changes,
    converted,
    dump,
    too_deep,
    transform_spec,
    type_of,
)
from qanat.engines.duckdb.files.twice import given_twice
from qanat.model.name import Named
from qanat.model.schema import STRING
from qanat.model.work import FilesBatch
from qanat.text import quote

_NAMELESS = "_"
_CHUNK = 1 << 20
# A key with a NUL character, at any depth: no table can have a column of that name.
_NUL_KEY = (
    r"(contains(text, '\u0000') AND regexp_matches(text,"
    r""" '"([^"\\]|\\.)*\\u0000([^"\\]|\\.)*"\s*:'))"""
)
_DIGITS = 4300
"""Digits of a number at most: Python refuses longer ones, and a DECIMAL has 38."""
_ENDLESS = (
    f"(strlen(text) > {_DIGITS} AND regexp_matches(text, '[:,\\[]\\s*-?[0-9.]{{1000}}') AND "
    "list_max(list_transform(regexp_extract_all(text, '[:,\\[]\\s*-?[0-9.]{1000,}'), "
    f"lambda n: len(n))) > {_DIGITS})"
)
_OBJECT = (
    "CASE WHEN NOT json_valid(text) THEN false ELSE json_type(text) = 'OBJECT' "
    f"AND NOT {too_deep('text')} AND NOT {_NUL_KEY} AND NOT coalesce({_ENDLESS}, false) END"
)


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
        shapes: dict[str, list[int]] = {"lines": [], "array": [], "unstructured": []}
        for index, file in enumerate(batch.files):
            shape = "lines" if batch.format == "ndjson" else _shape(file.local, compression, multi)
            if shape == "array" and not _closed(file.local, compression):
                texts.add_pieces(index, array=True)
            elif shape:
                shapes[shape].append(index)
        if shapes["lines"]:
            texts.add_lines(shapes["lines"])
        texts.add_documents(shapes["array"], "array")
        texts.add_documents(shapes["unstructured"], "unstructured")
        return _Objects(table, batch, scratch, texts).bind()


def bind_json_again(table: FileTable, batch: FilesBatch, scratch: Path, kept: Kept) -> BoundFiles:
    """Parse texts of JSON files again (see `again.bind_again`).

    Of the files only texts are needed that were not of their encoding.

    Raises:
        SchemaDriftError: a new key under `freeze`.
    """
    with blaming(batch.files, batch.format):
        options = dict(batch.options)
        compression, multi = compression_of(options), flag(options, "multi_line", False)
        texts = Texts(table, scratch, compression)

        def shape(index: int) -> str:
            if batch.format == "ndjson":
                return "lines"
            return _shape(batch.files[index].local, compression, multi)

        texts.add_kept(kept, shape)
        return _Objects(table, batch, scratch, texts).bind()


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
    except (RecursionError, ValueError):
        # Python refuses texts that are nested deeply, and numbers of thousands of digits.
        return "lines"
    return "lines"


def _closed(local: str, compression: str | None) -> bool:
    """True if the last byte that is no space is `]`: DuckDB takes a cut array for a whole one."""
    last = b""
    with open_bytes(local, compression) as source:
        while chunk := bytes(source.read(_CHUNK)):
            last = chunk.rstrip() or last
    return last.endswith(b"]")


def _column(key: str) -> str:
    """The name of the column for a key that may be no name of a column.

    >>> _column(""), _column("_metadata"), _column("id")
    ('_', 'key_metadata', 'id')
    """
    return f"key{key}" if is_reserved(key) else key or _NAMELESS


# The same in SQL, without case.
_LOWER = "lower(k)"
_SPELLING = (
    f"lambda k: CASE WHEN k = '' THEN '{_NAMELESS}' WHEN {_LOWER} = '{METADATA}' "
    f"OR starts_with({_LOWER}, '{RESERVED}') THEN concat('key', {_LOWER}) ELSE {_LOWER} END"
)


def _fault(various: bool, exact: bool, structure: dict[str, Any]) -> str:
    """SQL for what is wrong with a text, NULL when nothing is.

    Args:
        various: some keys were seen in several spellings (`a` and `A`).
        exact: numbers are to be marked.
        structure: what was seen of all keys.
    """
    below = given_twice(structure)
    inner = f"WHEN {below} THEN 'a key of an inner object is given twice' " if below else ""
    keys = "json_keys(text)"
    # Comparing spellings costs as much as parsing: only where there are any.
    compared = f"list_transform({keys}, {_SPELLING})" if various else keys
    marked = f"WHEN {HAS_MARK} THEN 'U+FDD0, which is no character' " if exact else ""
    return (
        "CASE WHEN NOT json_valid(text) THEN 'not valid JSON' "
        "WHEN json_type(text) <> 'OBJECT' THEN 'not an object but ' || lower(json_type(text)) "
        f"WHEN {too_deep('text')} THEN 'nested too deeply' "
        f"WHEN {_ENDLESS} THEN 'a number of more than {_DIGITS} digits' "
        f"WHEN {_NUL_KEY} THEN 'a key has a NUL character' "
        f"WHEN list_unique({compared}) < len({keys}) "
        "THEN 'a key is given twice (names are compared without case)' "
        f"{inner}{marked}END"
    )


class _Objects:
    """Casts the values of JSON objects to the types of their columns."""

    def __init__(self, table: FileTable, batch: FilesBatch, scratch: Path, texts: Texts) -> None:
        self.table, self.batch, self.scratch, self.texts = table, batch, scratch, texts
        options = dict(batch.options)
        self.formats: Formats = formats(options)
        self.infers = infers(options)
        self.source = " UNION ALL ".join(texts.paths)

    def bind(self) -> BoundFiles:
        structure, long = self._look()
        numbers = self._numbers(structure) if long else {}
        exact = {path: n.type for path, n in numbers.items() if n.strained}
        # One column for all spellings of a key; the first one seen names it.
        keys: Named[list[str]] = Named()
        for key in structure:
            keys.setdefault(_column(key), []).append(key)
        where = self.batch.files[0].path if self.batch.files else self.batch.path
        names = (n for n in keys if not is_folder(self.table, n))
        found = Named((n, where) for n in (*names, *self.table.partitions.names))
        types = Named(
            (n, type_of(structure[k[0]], exact, (k[0],)) if len(k) == 1 else STRING)
            for n, k in keys.items()
        )
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
        if self.source:
            wanted = Named((f.name, f.type) for f in layout.fields)
            rounded = bool(numbers) or (long and "JSON" in {kind for _, kind in leaves(structure)})
            marked = bool(exact) or any(
                changes(structure[k], wanted.get(name, STRING), rounded)
                for name, spelled in keys.items()
                if name in wanted or rounded
                for k in spelled
            )
            self._spool(spools, layout, keys, structure, marked)
        spools.bad += self.texts.salvage.finish()
        return spools.bind(self.formats)

    def _look(self) -> tuple[dict[str, Any], bool]:
        """All keys with what was seen of them; whether there may be long numbers."""
        if not self.source:
            return {}, False
        [row] = self.table.con.execute(
            "SELECT json_group_structure(CAST(text AS JSON)), "
            f"coalesce(bool_or({MAY_BE_LONG}), false) FROM ({self.source}) WHERE {_OBJECT}"
        ).fetchall()
        structure = json.loads(row[0]) if row[0] else {}
        return (structure if isinstance(structure, dict) else {}), row[1]

    def _numbers(self, structure: dict[str, Any]) -> Mapping[Leaf, Numbers]:
        """What the leaves with numbers are like, judged by the rows that have long ones."""
        paths = {p: kind for p, kind in leaves(structure) if kind in NUMBERS and is_shallow(p)}
        doubles = {path[-1] for path, kind in paths.items() if kind == "DOUBLE"}
        some = f"SELECT text FROM ({self.source}) WHERE {is_long(doubles)}"
        weighed = weigh(self.table.con, f"SELECT * FROM ({some}) WHERE {_OBJECT}", list(paths))
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
        every = f"SELECT text FROM ({self.source}) WHERE {_OBJECT}"
        return {**weighed, **weigh(self.table.con, every, strained)}

    def _spool(
        self, spools: Spools, layout: BatchColumns, keys: Named[list[str]],
        structure: dict[str, Any], exact: bool,
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
                direct = f"j.{quote(key)}"
            else:
                value = f"coalesce({', '.join(f'(text -> {pointer(k)})' for k in spelled)})"
                wrapped = dump({"v": transform_spec(f.type)})
                direct = f"json_transform(json_object('v', {value}), {wrapped}).v"
            inferred = self.batch.declared.get(f.name) is None
            found = [structure[k] for k in spelled]
            typed = converted(value, direct, found, f.type, self.formats, exact, inferred)
            shown = unmark(f"CAST({value} AS VARCHAR)") if exact else f"CAST({value} AS VARCHAR)"
            original = unmarked(value) if exact else f"({value} ->> '$')"
            values.append(Value(original, shown, typed, f.type != STRING))
        extras = [
            (k, f"nullif({unmark(f'CAST((text -> {pointer(k)}) AS VARCHAR)')}, 'null')")
            for name, spelled in keys.items()
            if name in layout.extras
            for k in spelled
        ]
        parsed = f"json_transform(text, {dump(spec)})" if spec and not exact else "NULL"
        various = any(spelled != [name] for name, spelled in keys.items())
        text = mark("text") if exact else "text"
        own = {
            name: f"(coalesce({', '.join(f'(text -> {pointer(k)})' for k in spelled)}) ->> '$')"
            for name, spelled in keys.items()
            if is_folder(self.table, name)
        }
        if exact:
            own = {name: unmark(value) for name, value in own.items()}
        fault = contradiction(self.table, layout, own, self.formats)
        path = spools.write(
            f"SELECT raw_text, text, fault, file, line, {parsed} AS j FROM ("
            f"SELECT text AS raw_text, CASE WHEN fault IS NULL THEN {text} END AS text, fault, "
            f"file, line FROM (SELECT *, {_fault(various, exact, structure)} AS fault "
            f"FROM ({self.source}) WHERE trim(text) <> ''))",
            values,
            extras,
            "raw_text",
            "fault" if fault is None else f"coalesce(fault, {fault})",
        )
        spools.accept(path, {}, explicit=True)
