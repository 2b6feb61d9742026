"""Bind the inputs of an epoch to names that its query can use.

Where a row came from, and its `_metadata`, are ordinary columns of the input's relation; the
query is told to leave them out of its stars (`hidden.py`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.files import OnePass, bind_files, pass_files
from qanat.engines.duckdb.files.bound import FILE, METADATA, NULL_FOLDER, RID, ROW, ROW_BITS
from qanat.engines.duckdb.files.counted import LinesOf, with_lines
from qanat.engines.duckdb.files.widen import as_wider
from qanat.engines.duckdb.remembered import Footers
from qanat.engines.duckdb.types import to_duckdb
from qanat.errors import FileUnreadableError
from qanat.frozen import Frozen
from qanat.model.name import Named
from qanat.model.schema import Decimal, Field, Primitive, Schema
from qanat.model.work import ArrowBatch, Batch, FilesBatch, TableBatch, ViewBatch
from qanat.text import literal, quote

_NEEDS_VIEWS = re.compile(r"\b(?:pivot|show|at)\b", re.IGNORECASE)
"""Words for which inputs that a query carries along (WITH) are not as good as views in DuckDB: the
values of PIVOT are looked for in statements of their own, before the query; SHOW finds no such
table; and AT (VERSION => 1) is passed over, where it is refused of a view."""


_ORDERED = 64 * 1024 * 1024
"""Bytes of input up to which rows keep the order of their source. People look at small results
and expect that order; SQL does not promise it, and ORDER BY is kept at any size."""


class Bound(Frozen):
    """A bound input.

    Args:
        plain: SELECT text of the visible columns alone.
        full: SELECT text of the visible columns and then the `hidden` ones.
        hidden: any of `_metadata`, `__qanat_file` (path), `__qanat_row` (1-based) and
            `__qanat_rid` (unique number of the row, the same each time it is read).
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


def file_name(name: str) -> str:
    """A name that is safe in file and variable names, and still tells names apart."""
    return "".join(c if c.isascii() and c.isalnum() else f"_{ord(c):x}_" for c in name)


def view_name(view: str) -> str:
    """The relation of a temporary view, quoted: a function's parameter has the view's own name."""
    return quote(f"__view_{view}")


def keep_order(con: DuckDBPyConnection, batches: Iterable[Batch], always: bool) -> None:
    """Let rows keep the order of their source, as a new connection does, unless there are many.

    Args:
        always: however many there are.
    """
    # Keeping the order of many rows costs a fifth more CPU and twice the memory.
    if not always and _bytes(batches) > _ORDERED:
        con.execute("SET SESSION preserve_insertion_order = false")


def _bytes(batches: Iterable[Batch]) -> int:
    """The size of input files, compressed as they are."""
    total = 0
    for batch in batches:
        if isinstance(batch, FilesBatch):
            total += sum(f.size for f in batch.files)
        elif isinstance(batch, TableBatch):
            batch.ready()
            total += sum(Path(f).stat().st_size for f in batch.files)
    return total


@dataclass(slots=True)
class Bindings:
    """All bound inputs of one epoch, by `Read.name`.

    Args:
        footers: what is known of the files of tables.
        views: the temporary views that are defined.
        widens: whether columns of files may get wider types than earlier ones had.
        widened: whether one has got one.
    """

    con: DuckDBPyConnection
    scratch: Path
    footers: Footers = field(default_factory=Footers)
    bound: dict[str, Bound] = field(default_factory=dict)
    views: dict[str, Bound] = field(default_factory=dict)
    widens: bool = False
    widened: bool = False
    _keep: list[object] = field(default_factory=list)

    def bind(self, name: str, batch: Batch) -> Bound:
        """Bind one input; `over` or `define` let queries read it by its name."""
        match batch:
            case TableBatch():
                batch.ready()
                found = _bind_table(self.con, name, batch, self.footers)
            case FilesBatch():
                found = _bind_files(self.con, name, batch, self.scratch, self.widens)
                self.widened |= found.widened
            case ArrowBatch():
                # Registered objects are held weakly by DuckDB's replacement: keep them.
                stream = batch.open()
                self._keep.append(stream)
                raw = f"{name}__arrow"
                self.con.register(raw, stream)
                # A stream can be read once; a query may read its input twice.
                self.con.execute(f"CREATE TEMP TABLE {quote(raw + '_t')} AS FROM {quote(raw)}")
                self.con.unregister(raw)
                text = f"SELECT * FROM {quote(raw + '_t')}"
                found = Bound(text, text, schema=batch.schema)
            case ViewBatch(view):
                found = self.views[view]
        self.bound[name] = found
        return found

    @property
    def counted(self) -> dict[str, LinesOf]:
        """See `BoundFiles`: that of all inputs."""
        return {p: lines for b in self.bound.values() for p, lines in b.counted.items()}

    def with_lines(self, rows: str) -> str:
        """SELECT text of rows for a quarantine, with lines where they named numbers of rows."""
        return with_lines(self.con, rows, self.counted)

    def bind_once(self, name: str, batch: Batch) -> OnePass | None:
        """Bind an input that its query reads a single time; None if `bind` has to do it.

        The caller computes the query, asks the result if it is `complete`, and else calls `bind`.
        """
        if not isinstance(batch, FilesBatch):
            return None
        found = pass_files(self.con, name, batch, self.scratch)
        if found is None or not found.schema.fields:
            return None
        plain = f"SELECT * EXCLUDE ({METADATA}) FROM ({found.relation})"
        self.bound[name] = Bound(plain, found.relation, (METADATA,), found.schema)
        return found

    @property
    def hidden(self) -> dict[str, tuple[str, ...]]:
        """The hidden columns of each input that has some."""
        return {name: b.hidden for name, b in self.bound.items() if b.hidden}

    def define(self, name: str, full: bool = False) -> None:
        """Create a view of a bound input.

        Args:
            full: with the hidden columns.
        """
        found = self.bound[name]
        text = found.full if full else found.plain
        self.con.execute(f"CREATE OR REPLACE TEMP VIEW {quote(name)} AS {text}")

    def define_view(
        self, view: str, select: str, names: Sequence[str], hidden: Sequence[str]
    ) -> None:
        """Define a temporary view.

        Args:
            names: of its columns.
            hidden: further ones, which tell what its rows came from.
        """
        every = ", ".join((*map(quote, names), *hidden))
        name = view_name(view)
        self.con.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS SELECT {every} FROM ({select})")
        columns = ", ".join(map(quote, names))
        self.views[view] = Bound(
            f"SELECT {columns} FROM {name}", f"SELECT {every} FROM {name}", tuple(hidden)
        )

    def forget_views(self) -> None:
        """Have views bound anew, as they are defined next."""
        known = {id(b) for b in self.views.values()}
        self.bound = {name: b for name, b in self.bound.items() if id(b) not in known}

    def over(self, sql: str, names: Iterable[str], full: Collection[str]) -> str:
        """A query over bound inputs as one SELECT text, which needs no views.

        Each view is a statement of its own, for which DuckDB opens the files of the input once
        more; for a small dataset that is a tenth of all the work.

        Args:
            names: the inputs that it reads.
            full: those of them whose hidden columns it needs.
        """
        if _NEEDS_VIEWS.search(sql):
            for name in names:
                self.define(name, name in full)
            return sql
        inputs = ", ".join(
            f"{quote(n)} AS NOT MATERIALIZED ({b.full if n in full else b.plain})"
            for n in names
            if (b := self.bound[n])
        )
        return f"WITH {inputs} FROM (\n{sql}\n)" if inputs else sql


def _bind_table(con: DuckDBPyConnection, name: str, batch: TableBatch, footers: Footers) -> Bound:
    """A table's Parquet files as a SELECT; a table without files as typed emptiness."""
    if batch.narrower:
        return _bind_widened(con, name, batch, footers)
    if not batch.files:
        typed = ", ".join(
            f"NULL::{to_duckdb(f.type)} AS {quote(f.name)}" for f in batch.schema.fields
        )
        empty = f"SELECT {typed} WHERE false"
        hidden = (
            f"SELECT {typed}, ''::VARCHAR AS {FILE}, 0::BIGINT AS {ROW}, 0::BIGINT AS {RID} "
            "WHERE false"
        )
        return Bound(empty, hidden, (FILE, ROW, RID), rows=0)
    files = f"[{literal(batch.files[0])}]"
    if len(batch.files) > 1:
        # A list variable keeps the text short however many files there are.
        files = f"getvariable({literal(f'files_{name}')})"
        con.execute(f"SET VARIABLE {quote(f'files_{name}')} = ?", [list(batch.files)])
    options = ["union_by_name = true"] if len(batch.files) > 1 else []
    above = _keys_above(batch)
    if batch.partition_by and not above:
        # Quoted: DuckDB's parser takes no type with arguments here.
        types = ", ".join(
            f"{quote(c)}: {literal(to_duckdb(f.type))}"
            for c in batch.partition_by
            if (f := batch.schema.get(c)) is not None
        )
        options.append(f"hive_partitioning = true, hive_types = {{{types}}}")
    else:
        # A folder above the table may be called `env=dev`; it says nothing about the rows.
        options.append("hive_partitioning = false")
    arguments = ", ".join([files, *options])
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
    positions = f"f.filename AS {FILE}, f.file_row_number + 1 AS {ROW}, {rid} AS {RID}"
    return Bound(
        f"SELECT {visible} FROM {table}",
        f"SELECT {visible}, {positions} FROM {table}",
        (FILE, ROW, RID),
    )


def _bind_widened(
    con: DuckDBPyConnection, name: str, batch: TableBatch, footers: Footers
) -> Bound:
    """Files of a table from before and after columns of it got wider types, as one SELECT.

    They are read apart: DuckDB would find a type of its own for both, and round.
    """
    older = [f for part in batch.narrower for f in part.files]
    newest = replace(batch, files=batch.files[len(older) :], fetch=None, narrower=())
    parts = (*batch.narrower, newest)
    plain, full, first = [], [], 0
    for number, part in enumerate(parts):
        if not part.files and part is not newest:
            continue
        found = _bind_table(con, f"{name}_{number}", part, footers)
        steps = [s for s in pairwise(p.schema for p in parts[number:]) if s[0] != s[1]]
        rid = f"{RID} + {first << ROW_BITS} AS {RID}"
        plain.append(_recast(found.plain, steps))
        full.append(
            f"SELECT * REPLACE ({rid}) FROM ({_recast(found.full, steps, FILE, ROW, RID)})"
        )
        first += len(part.files)
    union = " UNION ALL "
    return Bound(union.join(plain), union.join(full), (FILE, ROW, RID))


def _recast(select: str, steps: Sequence[tuple[Schema, Schema]], *hidden: str) -> str:
    """Rows of older files with the columns that the table has got since, step by step."""
    for before, after in steps:
        known = Named((f.name, f) for f in before.fields)
        columns = [_widened(f, known.get(f.name)) for f in after.fields]
        select = f"SELECT {', '.join((*columns, *hidden))} FROM ({select})"
    return select


def _widened(field: Field, before: Field | None) -> str:
    """A column of older files in the type that it has by now."""
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


def _bind_files(
    con: DuckDBPyConnection, name: str, batch: FilesBatch, scratch: Path, widens: bool
) -> Bound:
    found = bind_files(con, name, batch, scratch, widens)
    if batch.files and not found.schema.fields:
        why = "there is nothing in them"
        if found.malformed and (first := con.execute(f"{found.malformed} LIMIT 1").fetchone()):
            why = f"none of their rows can be parsed (row {first[1]}: {first[3]})"
        raise FileUnreadableError(
            f"the files have no columns: {why}",
            got=", ".join(f.path for f in batch.files[:3]),
            hint="declare the columns: read_files(…, schema => 'id BIGINT, …'); or wait for a"
            " file that has some",
        )
    hidden = ", ".join((METADATA, FILE, ROW, RID))
    return Bound(
        plain=f"SELECT * EXCLUDE ({hidden}) FROM ({found.relation})",
        full=found.relation,
        hidden=(METADATA, FILE, ROW, RID),
        schema=found.schema,
        malformed=found.malformed,
        rows=found.rows,
        counted=found.counted,
        widened=found.widened,
        missing=found.missing,
    )
