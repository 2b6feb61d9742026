"""Columns that come from the names of folders: their types, and rows that contradict their folder.

A row contradicts its folder if in `m=1/x.csv` a column `m` has 99. Spark and DuckDB read the
folder's value, and the other one is gone without a word. Here such a row goes to quarantine, where
both can be seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from qanat.engines.duckdb.files.bound import BatchColumns, FileTable
from qanat.engines.duckdb.files.cast import ISO, Formats, from_text
from qanat.engines.duckdb.files.drift import Misfits, wider_type
from qanat.engines.duckdb.files.infer import exact, survey
from qanat.model.name import Named, same
from qanat.model.schema import STRING, DataType, Schema
from qanat.text import literal

_SHOWN = 80


def contradiction(
    table: FileTable,
    layout: BatchColumns,
    columns: Mapping[str, str],
    formats: Formats = ISO,
) -> str | None:
    """SQL for what a row and its folder say differently, NULL if nothing; None if nothing can be.

    A value that the row lacks contradicts nothing; nor does the same value in another form.

    Args:
        layout: the batch's columns, for their types.
        columns: the files' own columns, each with SQL for its value as text.
        formats: how dates and timestamps are written.
    """
    own = Named(columns.items())
    found = []
    for number, (name, values) in enumerate(table.partitions.columns):
        here = own.get(name)
        field = next((f for f in layout.fields if same(f.name, name)), None)
        if here is None or field is None:
            continue
        folders = table.variable(f"own{number}", values, "VARCHAR")
        there = f"{folders}[CAST(file AS BIGINT) + 1]"
        typed = (f"({from_text(text, field.type, formats)})" for text in (here, there))
        value, folder = typed
        said = (
            f"{literal(f'column {name!r}: the file says ')} || left({here}, {_SHOWN}) || "
            f"', its folder ' || coalesce({there}, 'NULL')"
        )
        found.append(
            f"CASE WHEN {here} IS NOT NULL AND {here} IS DISTINCT FROM {there} "
            f"AND ({value} IS NULL OR {value} IS DISTINCT FROM {folder}) THEN {said} END"
        )
    return f"nullif(concat_ws('; ', {', '.join(found)}), '')" if found else None


def folder_types(table: FileTable, names: Sequence[str]) -> dict[str, DataType]:
    """The narrowest type of each column of `names` that comes from folder names."""
    types: dict[str, DataType] = {}
    for place, (name, values) in enumerate(table.partitions.columns):
        if name in names:
            rows = f"(SELECT unnest({table.variable(f'folder{place}', values, 'VARCHAR')}) AS c0)"
            (seen,) = survey(table.con, rows, ("c0",))
            types[name] = seen.type_by(table.inference)
    return types


def wider_folders(table: FileTable, known: Schema) -> Schema:
    """The columns that earlier files had, each with a type for the values of its folders.

    All rows of a file have its folder's value, so a column whose next type does not hold every
    value becomes text: else the file could not be read at all.

    Args:
        known: the columns; those that nobody declared may get wider types.
    """
    fields = Named((f.name, f) for f in known.fields)
    for place, (name, values) in enumerate(table.partitions.columns):
        field = fields.get(name)
        if field is None or table.declared.get(name) is not None:
            continue
        variable = table.variable(f"folder{place}", values, "VARCHAR")
        rows = f"(SELECT unnest({variable}) AS c0)"
        if not _misfits(table, rows, field.type):
            continue
        wrong = f"(SELECT c0 FROM {rows} WHERE {exact('c0', field.type)} IS NULL)"
        (seen,) = survey(table.con, wrong, ("c0",))
        type_ = wider_type(field.type, Misfits(seen, 0), table.inference) or STRING
        fits = not _misfits(table, rows, type_)
        fields[name] = replace(field, type=type_ if fits else STRING)
    return Schema(tuple(fields.values()))


def _misfits(table: FileTable, rows: str, type_: DataType) -> bool:
    found = table.con.execute(
        f"SELECT 1 FROM {rows} WHERE c0 IS NOT NULL AND {exact('c0', type_)} IS NULL LIMIT 1"
    ).fetchone()
    return found is not None
