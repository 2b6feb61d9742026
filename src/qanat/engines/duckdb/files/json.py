"""JSON and NDJSON files: each object a row, each key a column, whatever row it appears in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from qanat.engines.duckdb.files.again import Kept
from qanat.engines.duckdb.files.bound import (
    BatchColumns,
    BoundFiles,
    FileTable,
    expected,
    is_folder,
    lay_out,
)
from qanat.engines.duckdb.files.cast import Formats, Value
from qanat.engines.duckdb.files.dialect import compression_of, flag, formats, infers
from qanat.engines.duckdb.files.folders import contradiction, folder_types
from qanat.engines.duckdb.files.leaves import pointer
from qanat.engines.duckdb.files.lines import Texts, is_closed, shape_of
from qanat.engines.duckdb.files.many import beside, text_values
from qanat.engines.duckdb.files.messages import opened
from qanat.engines.duckdb.files.numbers import NO_MARK, Mark
from qanat.engines.duckdb.files.proven import Proven, prove
from qanat.engines.duckdb.files.seen import Seen
from qanat.engines.duckdb.files.sound import blank, fault_of
from qanat.engines.duckdb.files.spool import Spools, blaming
from qanat.engines.duckdb.files.structure import (
    changes,
    converted,
    dump,
    from_inferred,
    transform_spec,
    type_of,
)
from qanat.engines.duckdb.files.wide import FEW, spread
from qanat.model.envelope import OPTION as ENVELOPE
from qanat.model.name import Named
from qanat.model.schema import STRING, Array, DataType, Field, MapType, Struct
from qanat.model.work import FilesBatch
from qanat.text import quote

_Column: TypeAlias = tuple[Field, tuple[str, ...]]
"""A column with the spellings of its key."""


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
            shape = (
                "lines" if batch.format == "ndjson" else shape_of(file.local, compression, multi)
            )
            if shape == "array" and not is_closed(file.local, compression):
                texts.add_pieces(index, array=True)
            elif shape:
                shapes[shape].append(index)
        if shapes["lines"]:
            texts.add_lines(shapes["lines"])
        texts.add_documents(shapes["array"], "array")
        texts.add_documents(shapes["unstructured"], "unstructured")
        return _Objects(table, batch, scratch, texts).bind()


def bind_texts(table: FileTable, batch: FilesBatch, scratch: Path, texts: Texts) -> BoundFiles:
    """Read JSON that is there as texts, with the columns that `FileTable.carried` names.

    Raises:
        SchemaDriftError: a new key under `freeze`.
    """
    with blaming(batch.files, batch.format):
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
            return shape_of(batch.files[index].local, compression, multi)

        texts.add_kept(kept, shape)
        return _Objects(table, batch, scratch, texts).bind()


class _Objects:
    """Casts the values of JSON objects to the types of their columns."""

    def __init__(self, table: FileTable, batch: FilesBatch, scratch: Path, texts: Texts) -> None:
        self.table, self.batch, self.scratch, self.texts = table, batch, scratch, texts
        options = dict(batch.options)
        self.formats: Formats = formats(options)
        self.infers = infers(options)
        self.messages = opened(table, options, " UNION ALL ".join(texts.paths), scratch)
        self.source = self.messages.source
        self._check: Callable[[], None] | None = texts.put_aside

    def bind(self) -> BoundFiles:
        base, every = expected(self.batch).fields, self.source
        proven = self._prove(every, base)
        seen = self._seen()
        where = self.batch.files[0].path if self.batch.files else self.batch.path
        spelled = (*(proven.keys if proven else ()), *seen.keys)
        names = (n for n in spelled if not is_folder(self.table, n))
        found = Named((n, where) for n in (*names, *self.table.partitions.names))
        types = Named(
            (n, self._type(seen, k[0]) if len(k) == 1 else STRING) for n, k in seen.keys.items()
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
        if proven is None or layout.fields != base:
            before, proven = proven, self._prove(every, layout.fields)
            if before is not None:
                # With other columns, rows may be left that were not: nothing was seen of them.
                seen = self._seen()
        if proven is not None:
            spools.accept(proven.good(self.table), {}, explicit=True)
        if self.source:
            wanted = Named((f.name, f.type) for f in layout.fields)
            marked = bool(seen.exact) or any(
                changes(seen.structure[k], wanted.get(name, STRING), seen.rounded)
                for name, own in seen.keys.items()
                if name in wanted or seen.rounded
                for k in own
            )
            self._spool(spools, layout, seen, seen.mark if marked else NO_MARK)
            spools.sort()
        spools.bad += [*self.texts.bad, *self.texts.salvage.finish()]
        return spools.bind(self.formats)

    def _prove(self, every: str, fields: Sequence[Field]) -> Proven | None:
        """Read the rows of known columns that need no care; `source` has those that are left."""
        plain = every and not self.messages.more and not self.table.partitions.names
        found = None
        if (
            plain
            and self.infers
            and 0 < len(fields) <= FEW
            and ENVELOPE.name not in dict(self.batch.options)
        ):
            found = prove(self.table, every, fields, self.formats, self.scratch)
        self.source = every if found is None else found.rest if found.left else ""
        self._put_aside()
        return found

    def _put_aside(self) -> None:
        """Leave what is no text to the texts, if care is needed at all."""
        if self.source and self.texts.put_aside is not None:
            if self._check is not None:
                self._check()
                self._check = None
            self.source = f"SELECT * FROM ({self.source}) WHERE {self.messages.raw} IS NOT NULL"

    def _seen(self) -> Seen:
        return Seen(self.table, self.source, self.texts.odd)

    def _type(self, seen: Seen, key: str) -> DataType:
        structure = seen.structure[key]
        return self.messages.typed(key, structure) or type_of(structure, seen.exact, (key,))

    def _spool(self, spools: Spools, layout: BatchColumns, seen: Seen, mark: Mark) -> None:
        keys, structure = seen.keys, seen.structure
        various = any(spelled != [name] for name, spelled in keys.items())
        more = "".join(f"{name}, " for name in (*self.messages.more, *self.table.carried))
        fault = fault_of(various, structure, seen.odd)
        rows = (
            f"SELECT {self.messages.raw} AS raw_text, "
            f"CASE WHEN fault IS NULL THEN {mark.on('text')} END AS text, fault, {more}file, line "
            f"FROM (SELECT *, coalesce({self.messages.refused}, {fault}) "
            f"AS fault FROM ({self.source}) WHERE NOT {blank(self.messages.raw)})"
        )
        columns = [
            (f, () if is_folder(self.table, f.name) else tuple(keys.get(f.name, ())))
            for f in layout.fields
        ]
        if len(columns) > FEW:
            target = str(spools.path("wide.ndjson"))
            source, values = self._wide(target, rows, columns, structure, mark)
        else:
            source, values = self._narrow(rows, columns, structure, mark)
        if self.messages.columns:
            source = f"SELECT *, {self.messages.carried} AS carried FROM ({source})"
            values = [
                v and self.messages.value(f, _single(spelled) or "", v)
                for v, (f, spelled) in zip(values, columns, strict=True)
            ]
        extras = [
            (k, f"nullif({mark.off(f'CAST((text -> {pointer(k)}) AS VARCHAR)')}, 'null')")
            for name, spelled in keys.items()
            if name in layout.extras
            for k in spelled
        ]
        own = {
            name: mark.shown(_first(spelled))
            for name, spelled in keys.items()
            if is_folder(self.table, name)
        }
        contradicts = contradiction(self.table, layout, own, self.formats)
        path = spools.write(
            source,
            values,
            extras,
            "raw_text",
            "fault" if contradicts is None else f"coalesce(fault, {contradicts})",
        )
        spools.accept(path, {}, explicit=True)

    def _narrow(
        self, rows: str, columns: Sequence[_Column], structure: dict[str, Any], mark: Mark
    ) -> tuple[str, list[Value | None]]:
        """A SELECT that has all values of a row as one struct, and how the columns are read."""
        values: list[Value | None] = []
        spec: dict[str, Any] = {}
        for f, spelled in columns:
            key = _single(spelled)
            if key:
                spec[key] = transform_spec(f.type)
                taken = self._value(
                    f, spelled, _first(spelled), f"j.{quote(key)}", structure, mark
                )
                values.append(taken)
            else:
                values.append(self._several(f, spelled, structure, mark))
        parsed = f"json_transform(text, {dump(spec)})" if spec and not mark.sign else "NULL"
        return f"SELECT *, {parsed} AS j FROM ({rows})", values

    def _wide(
        self, target: str, rows: str, columns: Sequence[_Column], structure: dict[str, Any],
        mark: Mark,
    ) -> tuple[str, list[Value | None]]:  # fmt: skip
        """A SELECT that has each value as a column, and how the columns are read."""
        types = {
            key: "JSON" if isinstance(f.type, Array | MapType | Struct) else "VARCHAR"
            for f, spelled in columns
            if (key := _single(spelled))
        }
        places = {key: f"c{i}" for i, key in enumerate(types)}
        texts = [
            places[key] if (key := _single(spelled)) and types[key] == "VARCHAR" else None
            for _, spelled in columns
        ]
        fields, declared = [f for f, _ in columns], self.batch.declared
        values, lists = text_values(fields, texts, str, str, declared, self.formats, from_inferred)
        pattern = mark.off("CAST((text -> {x}) AS VARCHAR)")
        for at, (f, spelled) in enumerate(columns):
            key, value = _single(spelled), values[at]
            if value is not None:
                values[at] = _shown(value, pattern, key or "")
            elif key:
                direct = f"json_transform({places[key]}, {dump(transform_spec(f.type))})"
                value = self._value(f, spelled, places[key], direct, structure, mark)
                values[at] = _shown(value, pattern, key)
            else:
                values[at] = self._several(f, spelled, structure, mark)
        more = {**self.messages.more, **self.table.carried}
        source = spread(self.table.con, target, rows, types, structure, mark, more)
        return beside(source, lists), values

    def _several(
        self, field: Field, spelled: Sequence[str], structure: dict[str, Any], mark: Mark
    ) -> Value | None:
        """How a column is read whose key has several spellings, or is empty; None without any."""
        if not spelled:
            return None
        value, spec = _first(spelled), dump({"v": transform_spec(field.type)})
        direct = f"json_transform(json_object('v', {value}), {spec}).v"
        return self._value(field, spelled, value, direct, structure, mark)

    def _value(
        self, field: Field, spelled: Sequence[str], value: str, direct: str,
        structure: dict[str, Any], mark: Mark,
    ) -> Value:  # fmt: skip
        inferred = self.batch.declared.get(field.name) is None
        found = [structure[k] for k in spelled]
        typed = converted(value, direct, found, field.type, self.formats, mark, inferred)
        shown = mark.off(f"CAST({value} AS VARCHAR)")
        return Value(mark.shown(value), shown, typed, field.type != STRING)


def _single(spelled: Sequence[str]) -> str | None:
    """The key of a column; None if it has several spellings, or is empty."""
    return spelled[0] or None if len(spelled) == 1 else None


def _first(spelled: Sequence[str]) -> str:
    """SQL for the value of the first of some keys that a text has."""
    values = [f"(text -> {pointer(k)})" for k in spelled]
    return values[0] if len(values) == 1 else f"coalesce({', '.join(values)})"


def _shown(value: Value, pattern: str, key: str) -> Value:
    """A value that is shown as what a pattern makes of the pointer to its key."""
    return replace(value, json=pattern.format(x=pointer(key)), apart=(pattern, pointer(key)))
