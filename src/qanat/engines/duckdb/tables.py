"""Tables as SELECT text: Parquet files, with what only their folders or the log say of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

from duckdb import DuckDBPyConnection

from qanat.digest import number
from qanat.engines.duckdb.files.bound import FILE, RID, ROW, ROW_BITS, SOURCE
from qanat.engines.duckdb.files.counted import LinesOf
from qanat.engines.duckdb.files.partitions import NULL_FOLDER
from qanat.engines.duckdb.files.widen import as_wider
from qanat.engines.duckdb.places import PLACE, Placed, of_table as place_of_table
from qanat.engines.duckdb.remembered import Footers
from qanat.engines.duckdb.sources import of_table
from qanat.engines.duckdb.types import to_duckdb
from qanat.frozen import Frozen
from qanat.model.name import Named
from qanat.model.schema import Decimal, Field, Primitive, Schema
from qanat.model.work import TableBatch
from qanat.text import literal, quote


class Bound(Frozen):
    """A bound input.

    Args:
        plain: SELECT text of the visible columns alone.
        full: SELECT text of the visible columns and then the `hidden` ones.
        hidden: any of `_metadata`, `__qanat_file` (path), `__qanat_row` (1-based),
            `__qanat_rid` (unique number of the row, the same each time it is read),
            `__qanat_source` (which source file it comes from) and `__qanat_place` (its place in
            the order of the table, where that of its files is another one).
        schema: the visible columns as found in files; None if they need not be remembered.
        malformed: SELECT text of (file, row, raw, error), or None.
        rows: how many, where that is free to know.
        whole: `full` with the rows that are set aside; empty if none are.
        counted: see `BoundFiles`.
        widened: whether columns have wider types than those of earlier files.
        missing: columns of earlier files that these do not have.
    """

    plain: str
    full: str
    hidden: tuple[str, ...] = ()
    schema: Schema | None = None
    malformed: str | None = None
    rows: int | None = None
    whole: str = ""
    counted: Mapping[str, LinesOf] = field(default_factory=dict)
    widened: bool = False
    missing: tuple[str, ...] = ()


def _grown(field: Field, type_: str) -> str:
    """A stored column; one that has gained struct fields which its files do not have yet, cast."""
    nested = not isinstance(field.type, Primitive | Decimal)
    if nested and type_ != (wanted := to_duckdb(field.type)):
        return f"CAST({quote(field.name)} AS {wanted}) AS {quote(field.name)}"
    return quote(field.name)


def bind_table(
    con: DuckDBPyConnection,
    name: str,
    batch: TableBatch,
    footers: Footers,
    sourced: bool = False,
    placed: Placed = Placed.NO,
) -> Bound:
    """A table's Parquet files as a SELECT; a table without files as typed emptiness.

    Args:
        sourced: whether rows tell which source file they come from; NULL where they do not know.
        placed: whether they tell their place.
    """
    if batch.narrower:
        return _bind_widened(con, name, batch, footers, sourced, placed)
    if not batch.files:
        return _without_rows(batch, sourced, placed)
    own = (SOURCE,) if sourced else ()
    files = f"[{literal(batch.files[0])}]"
    if len(batch.files) > 1:
        # A list variable keeps the text short however many files there are.
        files = f"getvariable({literal(f'files_{name}')})"
        con.execute(f"SET VARIABLE {quote(f'files_{name}')} = ?", [list(batch.files)])
    above = _keys_above(batch)
    arguments = ", ".join([files, *_options(batch, above)])
    table = f"read_parquet({arguments}) AS f"
    have = footers.types(con, batch, table)
    keys = _values_of_files(con, name, batch, above)
    # A column that joined the table later is absent where no file of this batch has it yet.
    visible = ", ".join(
        keys[f.name]
        if f.name in keys
        else _grown(f, have[f.name])
        if f.name in have
        else f"NULL::{to_duckdb(f.type)} AS {quote(f.name)}"
        for f in batch.schema.fields
    )
    # The bare row number lets DuckDB push joins on it into the scan; arithmetic does not.
    rid = "f.file_row_number"
    if len(batch.files) > 1:
        rid = f"(({_number_of_file(name)} - 1) << {ROW_BITS}) + f.file_row_number"
    file = "f.filename"
    if batch.copied is not None:
        # Rows of a copy say where the original is.
        folder, url = batch.copied
        file = f"concat({literal(url)}, f.filename[{len(folder) + 1}:])"
    positions = f"{file} AS {FILE}, f.file_row_number + 1 AS {ROW}, {rid} AS {RID}"
    at = _number_of_file(name) if len(batch.files) > 1 else "1"
    source = None
    if sourced or batch.without:
        source = of_table(con, name, batch, SOURCE in have, at)
    if sourced:
        positions += f", {source or 'NULL::BIGINT'} AS {SOURCE}"
    if (place := place_of_table(con, name, batch, have, at, placed)) is not None:
        own, positions = (*own, PLACE), f"{positions}, {place} AS {PLACE}"
    rows = _counted(con, files) if batch.told else None
    if left := _left(con, name, batch, rid, at, source):
        table += f" WHERE {' AND '.join(left)}"
        [(rows,)] = con.execute(f"SELECT count(*) FROM {table}").fetchall()
    return Bound(
        f"SELECT {visible} FROM {table}",
        f"SELECT {visible}, {positions} FROM {table}",
        (FILE, ROW, RID, *own),
        rows=rows,
    )


def _without_rows(batch: TableBatch, sourced: bool, placed: Placed) -> Bound:
    typed = ", ".join(f"NULL::{to_duckdb(f.type)} AS {quote(f.name)}" for f in batch.schema.fields)
    own = {SOURCE: sourced, PLACE: placed is Placed.ALWAYS}
    hidden = {FILE: "''::VARCHAR", ROW: "0::BIGINT", RID: "0::BIGINT"}
    hidden |= {name: "0::BIGINT" for name, wanted in own.items() if wanted}
    positions = ", ".join(f"{value} AS {name}" for name, value in hidden.items())
    return Bound(
        f"SELECT {typed} WHERE false",
        f"SELECT {typed}, {positions} WHERE false",
        tuple(hidden),
        rows=0,
    )


def _options(batch: TableBatch, above: bool) -> Iterator[str]:
    """How DuckDB is to read the files.

    Args:
        above: whether the folders above the table look like partitions.
    """
    if len(batch.files) > 1:
        yield "union_by_name = true"
    if batch.partition_by and not above:
        # Quoted: DuckDB's parser takes no type with arguments here.
        types = ", ".join(
            f"{quote(c)}: {literal(to_duckdb(f.type))}"
            for c in batch.partition_by
            if (f := batch.schema.get(c)) is not None
        )
        yield f"hive_partitioning = true, hive_types = {{{types}}}"
    else:
        # A folder above the table may be called `env=dev`; it says nothing about the rows.
        yield "hive_partitioning = false"


def in_file(con: DuckDBPyConnection, found: Bound, path: Path) -> Bound:
    """A bound input whose rows tell their places, copied to a file in the order of these."""
    hidden = tuple(h for h in found.hidden if h != PLACE)
    con.execute(
        f"COPY (SELECT * EXCLUDE ({PLACE}, {RID}) FROM ({found.full}) ORDER BY {PLACE}, {RID}) "
        f"TO {literal(str(path))} (FORMAT parquet, COMPRESSION lz4)"
    )
    rows = f"SELECT *, file_row_number AS {RID} FROM read_parquet({literal(str(path))})"
    full = f"SELECT * EXCLUDE ({', '.join(hidden)}), {', '.join(hidden)} FROM ({rows})"
    plain = f"SELECT * EXCLUDE ({', '.join(hidden)}) FROM ({rows})"
    return replace(found, plain=plain, full=full, hidden=hidden)


def _left(
    con: DuckDBPyConnection, name: str, batch: TableBatch, rid: str, at: str, source: str | None
) -> list[str]:
    """SQL that is true of the rows that are read, in parts; none if all rows are.

    Args:
        rid: SQL of the number of a row; `at` of its file; `source` of the one that it comes from.
    """
    left = []
    if batch.deleted is not None:
        left.append(_not_deleted(con, name, batch.files, batch.deleted(), rid))
    if batch.without and source:
        left.append(_not_corrected(batch, at, source))
    return left


def _not_deleted(
    con: DuckDBPyConnection,
    name: str,
    files: Sequence[str],
    deleted: Mapping[str, Sequence[int]],
    rid: str,
) -> str:
    """SQL that is true of rows but those that others have deleted by their position.

    Args:
        rid: SQL of the number of a row.
    """
    table = quote(f"__deleted_{name}")
    con.execute(f"CREATE OR REPLACE TEMP TABLE {table} (rid BIGINT)")
    for at, path in enumerate(files):
        rows = [(at << ROW_BITS) + row for row in deleted.get(path, ())]
        if rows:
            con.execute(f"INSERT INTO {table} SELECT unnest(?::BIGINT[])", [rows])
    return f"{rid} NOT IN (SELECT rid FROM {table})"


def _not_corrected(batch: TableBatch, file: str, source: str) -> str:
    """SQL that is true of rows but those of files that have been corrected since."""
    gone = (
        f"({file} <= {first} AND {source} IN ({', '.join(str(number(f)) for f in files)}))"
        for first, files in batch.without
    )
    return f"({' OR '.join(gone)}) IS NOT TRUE"


def _counted(con: DuckDBPyConnection, files: str) -> int:
    """How many rows Parquet files have, as their footers say."""
    counted = f"SELECT sum(num_rows) FROM parquet_file_metadata({files})"
    [(rows,)] = con.execute(counted).fetchall()
    return int(rows)


def _bind_widened(
    con: DuckDBPyConnection,
    name: str,
    batch: TableBatch,
    footers: Footers,
    sourced: bool,
    placed: Placed,
) -> Bound:
    """Files of a table from before and after columns of it got wider types, as one SELECT.

    They are read apart: DuckDB would find a type of its own for both, and round.
    """
    older = [f for part in batch.narrower for f in part.files]
    newest = replace(batch, files=batch.files[len(older) :], fetch=None, narrower=())
    # Where one part tells places, all have to.
    asked = placed is not Placed.NO and batch.moments
    placed = Placed.ALWAYS if asked else Placed.NO
    hidden = (FILE, ROW, RID, *((SOURCE,) * sourced), *((PLACE,) * bool(asked)))
    parts = (*batch.narrower, newest)
    plain, full, first = [], [], 0
    rows: list[int | None] = []
    for at, part in enumerate(parts):
        if not part.files and part is not newest:
            continue
        without = tuple((n - first, files) for n, files in batch.without if n > first)
        part = replace(part, without=without)
        found = bind_table(con, f"{name}_{at}", part, footers, sourced, placed)
        steps = [s for s in pairwise(p.schema for p in parts[at:]) if s[0] != s[1]]
        rid = f"{RID} + {first << ROW_BITS} AS {RID}"
        rows.append(found.rows)
        plain.append(_recast(found.plain, steps))
        full.append(f"SELECT * REPLACE ({rid}) FROM ({_recast(found.full, steps, *hidden)})")
        first += len(part.files)
    union = " UNION ALL "
    counted = None if None in rows else sum(r or 0 for r in rows)
    return Bound(union.join(plain), union.join(full), hidden, rows=counted)


def _recast(select: str, steps: Sequence[tuple[Schema, Schema]], *hidden: str) -> str:
    """Rows of older files with the columns that the table has got since, step by step."""
    for before, after in steps:
        known = Named((f.name, f) for f in before.fields)
        columns = [in_wider(f, known.get(f.name)) for f in after.fields]
        select = f"SELECT {', '.join((*columns, *hidden))} FROM ({select})"
    return select


def in_wider(field: Field, before: Field | None) -> str:
    """A column of older files in the type that it has by now, as SQL with its name."""
    wanted, name = to_duckdb(field.type), quote(field.name)
    if before is None:
        return f"NULL::{wanted} AS {name}"
    # The table has taken these values over, so that every one of them fits.
    value, _ = as_wider(name, to_duckdb(before.type), before.type, field.type)
    return f"CAST({value} AS {wanted}) AS {name}"


def _number_of_file(name: str) -> str:
    """SQL of the 1-based number of a row's file among those of a batch of several.

    DuckDB's own `file_index` is another number where a filter or a join lets it leave out files,
    as one on a partition column does: two passes over the same rows would tell them by different
    numbers.
    """
    return f"list_position(getvariable({literal(f'files_{name}')}), f.filename)::BIGINT"


def _keys_above(batch: TableBatch) -> bool:
    """True if a partitioned table lies in folders that look like partitions themselves."""
    if not batch.partition_by:
        return False
    own = len(batch.partition_by)
    return any("=" in f for f in batch.files[0].split("/")[: -own - 1])


def _values_of_files(
    con: DuckDBPyConnection, name: str, batch: TableBatch, above: bool
) -> dict[str, str]:
    """The columns that the files lack as SQL: each file has one value.

    Args:
        above: whether the partition columns are to be told by the folders next to the files alone.
    """
    told: dict[str, Sequence[str | None]] = dict(batch.told)
    own = len(batch.partition_by)
    for position, column in enumerate(batch.partition_by if above else ()):
        texts = [f.split("/")[position - own - 1].partition("=")[2] for f in batch.files]
        told[column] = [None if t == NULL_FOLDER else unquote(t) for t in texts]
    found: dict[str, str] = {}
    number = _number_of_file(name) if len(batch.files) > 1 else "1"
    for position, (column, values) in enumerate(told.items()):
        variable = f"partition_{position}_{name}"
        con.execute(f"SET VARIABLE {quote(variable)} = ?::VARCHAR[]", [list(values)])
        field = batch.schema.get(column)
        if field is not None:
            found[field.name] = (
                f"CAST(getvariable({literal(variable)})[{number}] "
                f"AS {to_duckdb(field.type)}) AS {quote(field.name)}"
            )
    return found
