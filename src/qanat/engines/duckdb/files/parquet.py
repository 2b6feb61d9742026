"""Parquet files, read in place; row numbers come from DuckDB's virtual columns.

Files are grouped by schema, each group is read in its own types, and values are converted without
loss. DuckDB's `union_by_name` would turn a long into a double as soon as one file has doubles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path

from qanat.engines.duckdb.files import prepared
from qanat.engines.duckdb.files.again import NOT_THERE, Kept
from qanat.engines.duckdb.files.bound import (
    FILE,
    RESERVED,
    ROW,
    BatchColumns,
    BoundFiles,
    FileTable,
    folder_value,
    is_folder,
    lay_out,
    nothing,
)
from qanat.engines.duckdb.files.cast import Check, Value, error, failed, rescued
from qanat.engines.duckdb.files.folders import contradiction, folder_types
from qanat.engines.duckdb.files.infer import tally
from qanat.engines.duckdb.files.moments import all_known, has_moments, known
from qanat.engines.duckdb.files.spool import blaming
from qanat.engines.duckdb.files.typed import Column, Group
from qanat.engines.duckdb.files.widen import common, convert
from qanat.engines.duckdb.typenames import from_duckdb, to_duckdb
from qanat.errors import FileUnreadableError, OptionError
from qanat.model.name import Named, Names
from qanat.model.quarantine import RESCUED
from qanat.model.schema import STRING, Array, DataType, MapType, Struct
from qanat.model.work import FilesBatch, LocalFile
from qanat.planning.wider import wider
from qanat.text import literal, quote

# DuckDB's virtual columns. A real column with one of these names would hide it.
_VIRTUAL = Names(("file_index", "file_row_number"))
_MOST_DIGITS = 38
"""Of a DECIMAL of DuckDB; it reads longer ones as doubles, which are other numbers."""


def bind_parquet(table: FileTable, batch: FilesBatch, scratch: Path) -> BoundFiles:
    """Bind Parquet files in place; `scratch` is not used.

    Raises:
        SchemaDriftError: the files have a new column, and the policy is `freeze`.
        FileUnreadableError: a file is damaged, or is no Parquet file.
        OptionError: a file has a column with a name that DuckDB or Qanat reserves.
    """
    with blaming(batch.files, "parquet"):
        return bind_columns(table, batch, table.files)


def bind_columns(table: FileTable, batch: FilesBatch, files: Sequence[LocalFile]) -> BoundFiles:
    """Bind Parquet files that have the columns of a batch; its own files may be others.

    Raises:
        SchemaDriftError, OptionError: as for `bind_parquet`.
    """
    with blaming(files, batch.format):
        groups = _groups(table, files)
        found: Named[str] = Named()
        types: Named[DataType] = Named()
        for group in groups:
            for c in group.columns:
                if is_folder(table, c.name):
                    continue
                found.setdefault(c.name, files[group.indexes[0]].path)
                types[c.name] = common(types[c.name], c.type) if c.name in types else c.type
        for name in table.partitions.names:
            found.setdefault(name, batch.files[0].path)
        layout = lay_out(
            batch,
            found,
            lambda new: {n: types.get(n, STRING) for n in new} | folder_types(table, new),
            types,
        )
        return _bind(table, layout, groups)


def bind_parquet_again(
    table: FileTable, batch: FilesBatch, scratch: Path, kept: Kept
) -> BoundFiles:
    """Read rows of Parquet files again (see `again.bind_again`), from the files themselves.

    Raises:
        SchemaDriftError, FileUnreadableError, OptionError: as for `bind_parquet`.
    """
    present = replace(batch, files=tuple(f for f in batch.files if f.local))
    bound = bind_parquet(*prepared(table.con, table.name, present, scratch), scratch)
    wanted: list[tuple[str, int, int]] = []
    malformed = ["SELECT NULL::BIGINT AS row, '' AS raw, '' AS error WHERE false"]
    for index, rows in kept.items():
        file = batch.files[index]
        wanted += [(file.path, row.line, row.number) for row in rows if file.local]
        malformed += [
            f"SELECT {row.number}, {literal(row.raw or '')}, {literal(NOT_THERE)}"
            for row in rows
            if not file.local
        ]
    places = ", ".join(f"({literal(p)}, {line}, {number})" for p, line, number in wanted)
    again = f"(VALUES {places or '(NULL, NULL, NULL)'}) AS again(file, line, number)"
    if bound.malformed:
        malformed.append(
            f"SELECT again.number, m.raw, m.error FROM ({bound.malformed}) AS m "
            f"JOIN {again} ON m.file = again.file AND m.row = again.line"
        )
    return replace(
        bound,
        relation=f"SELECT r.* REPLACE (again.number AS {ROW}) FROM ({bound.relation}) AS r "
        f"JOIN {again} ON r.{FILE} = again.file AND r.{ROW} = again.line",
        malformed=" UNION ALL ".join(malformed),
        rows=None,
    )


def _groups(table: FileTable, sources: Sequence[LocalFile]) -> list[Group]:
    locals_ = [f.local for f in sources]
    if not locals_:
        return []
    files = table.variable("all", locals_, "VARCHAR")
    _refuse_long_decimals(table, files, sources)
    found = table.con.execute(
        "SELECT file_name, md5(string_agg(concat_ws(chr(1), name, duckdb_type, num_children), "
        f"chr(2) ORDER BY column_id)) FROM parquet_schema({files}) GROUP BY file_name"
    ).fetchall()
    counts = dict(
        table.con.execute(
            f"SELECT file_name, num_rows FROM parquet_file_metadata({files})"
        ).fetchall()
    )
    signature = dict(found)
    by_signature: dict[str, list[int]] = {}
    for index, local in enumerate(locals_):
        by_signature.setdefault(signature[local], []).append(index)
    groups = []
    for number, indexes in enumerate(by_signature.values()):
        paths = [locals_[i] for i in indexes]
        columns = _columns(table, paths[0], sources[indexes[0]].path)
        scan, strange = _scan(table, number, paths), _strange(table, number, paths, columns)
        rows = sum(counts[path] for path in paths)
        groups.append(Group(tuple(indexes), columns, scan, rows, strange))
    return groups


def _refuse_long_decimals(table: FileTable, files: str, sources: Sequence[LocalFile]) -> None:
    found = table.con.execute(
        f"SELECT file_name, name, precision, scale FROM parquet_schema({files}) "
        f"WHERE precision > {_MOST_DIGITS} AND contains(duckdb_type, 'DOUBLE') LIMIT 1"
    ).fetchall()
    for local, name, precision, scale in found:
        path = next(f.path for f in sources if f.local == local)
        raise FileUnreadableError(
            f"{path} has decimals of {precision} digits, which would be rounded: {name!r}",
            wanted=f"at most {_MOST_DIGITS} digits",
            got=f"decimal({precision},{scale})",
            hint="write the column with fewer digits, or as text",
        )


def _strange(
    table: FileTable, number: int, paths: Sequence[str], columns: Sequence[Column]
) -> frozenset[str]:
    """The names of columns with moments that may be out of bounds, by the files' statistics."""
    names = ", ".join(literal(c.name) for c in columns if has_moments(c.type))
    if not names:
        return frozenset()
    files = table.variable(f"moments{number}", paths, "VARCHAR")
    least, most = (f"TRY_CAST(stats_{m}_value AS TIMESTAMP)" for m in ("min", "max"))
    inside = " AND ".join(known(moment, "TIMESTAMP") for moment in (least, most))
    found = table.con.execute(
        f"SELECT DISTINCT name FROM parquet_metadata({files}), "
        f"(SELECT unnest([{names}]) AS name) WHERE (path_in_schema = name "
        "OR starts_with(path_in_schema, name || ', ')) "
        "AND num_values > coalesce(stats_null_count, 0) "
        f"AND NOT coalesce({inside}, false)"
    ).fetchall()
    return frozenset(name for (name,) in found)


def _scan(table: FileTable, number: int, paths: Sequence[str]) -> str:
    if len(paths) == 1:
        return f"read_parquet([{literal(paths[0])}], hive_partitioning = false) AS t"
    files = table.variable(f"group{number}", paths, "VARCHAR")
    return f"read_parquet({files}, hive_partitioning = false) AS t"


def _columns(table: FileTable, local: str, path: str) -> tuple[Column, ...]:
    relation = table.con.sql(
        f"SELECT * FROM read_parquet([{literal(local)}], hive_partitioning = false)"
    )
    columns = []
    for name, type_ in zip(relation.columns, relation.types, strict=True):
        if table.stored and name.startswith(RESERVED):
            continue
        if name in _VIRTUAL:
            raise OptionError(
                f"{path} has a column {name!r}, a name that DuckDB keeps for itself",
                hint="rename the column where the files are written",
            )
        try:
            model = from_duckdb(type_)
        except ValueError:
            model = STRING
        columns.append(Column(name, str(type_), model))
    return tuple(columns)


def _bind(table: FileTable, layout: BatchColumns, groups: Sequence[Group]) -> BoundFiles:
    schema = layout.schema
    if not groups:
        types = [to_duckdb(f.type) for f in schema.fields]
        return BoundFiles(nothing(table, schema, types), schema, None, 0)
    relations, malformed, rows = [], [], 0
    failing: list[tuple[Group, str, list[Check]]] = []
    for number, group in enumerate(groups):
        inner, checks = _inner(table, layout, group, number)
        columns = "".join(
            f"v{i} AS {quote(f.name)}, " if not is_folder(table, f.name)
            else f"{folder_value(table, f, 'file')} AS {quote(f.name)}, "
            for i, f in enumerate(layout.fields)
        )  # fmt: skip
        if layout.rescue:
            columns += f"rescued AS {quote(RESCUED)}, "
        hidden = table.hidden("file", "line", "number")
        relation = f"SELECT {columns}{hidden} FROM ({inner})"
        misfits = 0
        own = {n: f"p{i}" for i, n in enumerate(_of_folders(table, group))}
        fault = contradiction(table, layout, own) or "NULL"
        wrong = "NULL" if layout.rescue else error(checks)
        if own or (checks and not layout.rescue):
            bad = f"({fault}) IS NOT NULL OR ({wrong}) IS NOT NULL" if own else failed(checks)
            counted = table.con.execute(f"SELECT count(*) FROM ({inner}) WHERE {bad}").fetchall()
            misfits = counted[0][0]
            if misfits:
                failing.append((group, inner, checks))
                relation += f" WHERE NOT ({bad})"
                malformed.append(
                    f"SELECT {table.path('file')} AS file, line AS row, raw, "
                    f"CAST(coalesce({fault}, {wrong}) AS VARCHAR) AS error "
                    f"FROM ({inner}) WHERE {bad}"
                )
        relations.append(relation)
        rows += group.rows - misfits
    return BoundFiles(
        " UNION ALL ".join(relations),
        schema,
        " UNION ALL ".join(malformed) or None,
        rows,
        partial(_wider, table, layout, failing) if failing else None,
        missing=layout.missing,
    )


def _wider(
    table: FileTable,
    layout: BatchColumns,
    failing: Sequence[tuple[Group, str, list[Check]]],
) -> Mapping[str, DataType]:
    """Types for columns with values that do not fit.

    Args:
        failing: groups with such values, their rows, and the checks of these.
    """
    # Imported only here: most files fit.
    drift = import_module("qanat.engines.duckdb.files.drift")
    pairs, counts = [], []
    found_types: Named[DataType] = Named()
    for group, inner, checks in failing:
        found_types.update((c.name, c.type) for c in group.columns)
        for c in checks:
            name = literal(c.field.name)
            pairs.append(
                f"SELECT {name} AS name, CAST({c.value.original} AS VARCHAR) AS v FROM ({inner}) "
                f"WHERE {c.failed}"
            )
            counts.append(f"SELECT {name} AS name, count({c.result}) AS n FROM ({inner})")
    union = " UNION ALL "
    fitting = dict(
        table.con.execute(
            f"SELECT name, sum(n) FROM ({union.join(counts)}) GROUP BY name"
        ).fetchall()
    )
    found = {
        name: drift.Misfits(seen, int(fitting[name]))
        for name, seen in tally(table.con, union.join(pairs)).items()
    }
    types: dict[str, DataType] = {**drift.wider_types(layout.schema, found, table.inference)}
    for field in (f for f in layout.fields if isinstance(f.type, Array | Struct | MapType)):
        if field.name in found and field.name in found_types:
            choices = wider(field.type, found_types[field.name])
            new = next((t for t in choices if t != field.type), None)
            texts = str(new).count(str(STRING)) > str(field.type).count(str(STRING))
            if new is not None and (found[field.name].mostly or not texts):
                types[field.name] = new
    return types


def _of_folders(table: FileTable, group: Group) -> list[str]:
    """The columns of a group that folders have, too."""
    return [c.name for c in group.columns if is_folder(table, c.name)]


def _index(table: FileTable, group: Group, number: int) -> str:
    """The index in the batch of the file that a row of a group is in."""
    if len(group.indexes) == 1:
        return f"CAST({group.indexes[0]} AS BIGINT)"
    if group.indexes == tuple(range(len(table.files))):
        return "t.file_index"
    return table.at(f"index{number}", group.indexes, "BIGINT", "t.file_index")


def _inner(
    table: FileTable, layout: BatchColumns, group: Group, number: int
) -> tuple[str, list[Check]]:
    """A SELECT of the columns v0, v1, … of a group, and the checks of values that may not fit."""
    by_name = Named((c.name, c) for c in reversed(group.columns))
    parts: list[str] = []
    checks: list[Check] = []
    for i, f in enumerate(layout.fields):
        column = by_name.get(f.name)
        if is_folder(table, f.name):
            continue
        if column is None:
            parts.append(f"CAST(NULL AS {to_duckdb(f.type)}) AS v{i}")
            continue
        typed, checked = convert(*column.value, f.type)
        if column.name in group.strange and has_moments(f.type):
            typed, checked = f"CASE WHEN {all_known(typed, f.type)} THEN {typed} END", True
        parts.append(f"{typed} AS v{i}")
        if checked:
            original = f"t.{quote(column.name)}"
            parts += [f"{original} AS o{i}"]
            value = Value(f"o{i}", f"CAST(to_json(o{i}) AS VARCHAR)", typed, True)
            checks.append(Check(f, value, f"v{i}"))
    places = {
        "file": _index(table, group, number),
        "line": "t.file_row_number + 1",
        "number": "t.file_row_number",
        **table.stored,
    }
    raw = places.pop("raw", None)
    parts += [f"{sql} AS {name}" for name, sql in places.items()]
    own = _of_folders(table, group)
    parts += [f"CAST(t.{quote(name)} AS VARCHAR) AS p{i}" for i, name in enumerate(own)]
    if own or (checks and not layout.rescue):
        cells = ", ".join(f"{literal(c.name)}: t.{quote(c.name)}" for c in group.columns)
        parts.append(f"{raw or f'CAST(to_json({{{cells}}}) AS VARCHAR)'} AS raw")
    inner = f"SELECT {', '.join(parts)}"
    extras = [
        (c.name, f"x{k}") for k, c in enumerate(group.columns)
        if c.name in layout.extras
    ]  # fmt: skip
    for k, c in enumerate(group.columns):
        if c.name in layout.extras:
            inner += f", CAST(to_json(t.{quote(c.name)}) AS VARCHAR) AS x{k}"
    inner += f" FROM {group.scan}"
    if layout.rescue:
        saved = rescued(checks, extras, table.path("file"))
        inner = f"SELECT *, {saved} AS rescued FROM ({inner})"
    return inner, checks
