"""Bind the inputs of an epoch to names that its query can use.

Where a row came from, and its `_metadata`, are ordinary columns of the input's relation; the
query is told to leave them out of its stars (`hidden.py`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.files import OnePass, bind_files, pass_files
from qanat.engines.duckdb.files.bound import FILE, METADATA, RID, ROW, SOURCE
from qanat.engines.duckdb.files.counted import LinesOf, with_lines
from qanat.engines.duckdb.places import Placed
from qanat.engines.duckdb.remembered import Footers
from qanat.engines.duckdb.sources import of_paths, of_rows
from qanat.engines.duckdb.tables import Bound, bind_table
from qanat.errors import FileUnreadableError
from qanat.model.work import ArrowBatch, Batch, FilesBatch, TableBatch, ViewBatch
from qanat.text import quote

_NEEDS_VIEWS = re.compile(r"\b(?:pivot|show|at)\b", re.IGNORECASE)
"""Words for which inputs that a query carries along (WITH) are not as good as views in DuckDB: the
values of PIVOT are looked for in statements of their own, before the query; SHOW finds no such
table; and AT (VERSION => 1) is passed over, where it is refused of a view."""


def file_name(name: str) -> str:
    """A name that is safe in file and variable names, and still tells names apart."""
    return "".join(c if c.isascii() and c.isalnum() else f"_{ord(c):x}_" for c in name)


def view_name(view: str) -> str:
    """The relation of a temporary view, quoted: a function's parameter has the view's own name."""
    return quote(f"__view_{view}")


@dataclass(slots=True)
class Bindings:
    """All bound inputs of one epoch, by `Read.name`.

    Args:
        footers: what is known of the files of tables.
        views: the temporary views that are defined.
        sourced: the inputs whose rows tell which source file they come from.
        widens: whether columns of files may get wider types than earlier ones had.
        widened: whether one has got one.
    """

    con: DuckDBPyConnection
    scratch: Path
    footers: Footers = field(default_factory=Footers)
    bound: dict[str, Bound] = field(default_factory=dict)
    views: dict[str, Bound] = field(default_factory=dict)
    sourced: frozenset[str] = frozenset()
    widens: bool = False
    widened: bool = False
    _keep: list[object] = field(default_factory=list)

    def bind(
        self, name: str, batch: Batch, sourced: bool = False, placed: Placed = Placed.NO
    ) -> Bound:
        """Bind one input; `over` or `define` let queries read it by its name.

        Args:
            sourced: whether rows of a table tell which source file they come from.
            placed: whether they tell their place in its order.
        """
        sourced = sourced or name in self.sourced
        match batch:
            case TableBatch():
                batch.ready()
                found = bind_table(self.con, name, batch, self.footers, sourced, placed)
            case FilesBatch():
                found = _bind_files(self.con, name, batch, self.scratch, self.widens)
                if sourced:
                    found = _with_sources(self.con, name, found, batch)
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

    def bind_once(self, name: str, batch: Batch, whole: bool) -> OnePass | None:
        """Bind an input that its query reads a single time; None if `bind` has to do it.

        The caller computes the query, asks the result if it is `complete`, and else calls `bind`.

        Args:
            whole: whether the query reads all columns of all rows.
        """
        if not isinstance(batch, FilesBatch):
            return None
        found = pass_files(self.con, name, batch, self.scratch, whole)
        if found is None or not found.schema.fields:
            return None
        plain = f"SELECT * EXCLUDE ({METADATA}) FROM ({found.relation})"
        full = found.relation
        hidden: tuple[str, ...] = (METADATA,)
        if name in self.sourced:
            source = of_paths(self.con, name, batch, found.path)
            full = f"SELECT *, {source} AS {SOURCE} FROM ({full})"
            hidden = (*hidden, SOURCE)
        self.bound[name] = Bound(plain, full, hidden, found.schema)
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


def _with_sources(con: DuckDBPyConnection, name: str, found: Bound, batch: FilesBatch) -> Bound:
    """Files whose rows tell which one they come from, also through tables."""
    malformed = found.malformed
    if malformed:
        source = of_paths(con, name, batch, "file")
        malformed = f"SELECT *, {source} AS {SOURCE} FROM ({malformed})"
    return replace(
        found,
        full=f"SELECT *, {of_rows(con, name, batch)} AS {SOURCE} FROM ({found.full})",
        hidden=(*found.hidden, SOURCE),
        malformed=malformed,
    )


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
