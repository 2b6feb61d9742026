"""Tables whose columns get wider types: which types, and the rows that are there written again.

No value changes: a type is taken only if every value that is there, and every one that comes, is
the same in it. The rows keep their order, in new files that one commit puts in the place of all
that the table has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from duckdb import DuckDBPyConnection

from qanat.digest import number
from qanat.engines.duckdb.files.bound import FILE, RID, ROW, SOURCE
from qanat.engines.duckdb.inputs import Bindings
from qanat.engines.duckdb.order import keeping_order
from qanat.engines.duckdb.places import PLACE, placed_of
from qanat.engines.duckdb.tables import Bound
from qanat.engines.duckdb.types import columns_of, fit, misfit, to_duckdb
from qanat.engines.duckdb.write import write
from qanat.errors import InvariantError
from qanat.model.name import Named, Names, same
from qanat.model.query import Computation
from qanat.model.schema import STRING, DataType, Schema, holds_text
from qanat.model.staged import DataFile
from qanat.model.work import Batch, Output, TableBatch
from qanat.planning.fit import Column, redeclared, too_narrow
from qanat.text import literal

_TOGETHER = 256 * 1024 * 1024
"""Bytes of files that become one: many small ones are slow to read."""


class Widening:
    """The widening of one table.

    Args:
        bindings: of the epoch; those of the stored rows are added.
        name: of the table, as part of names of relations.
        output: of the table, with what it holds.
    """

    def __init__(
        self, con: DuckDBPyConnection, bindings: Bindings, name: str, output: Output
    ) -> None:
        self._con, self._bindings, self._name, self._output = con, bindings, name, output

    def types(
        self,
        parts: Sequence[tuple[Sequence[Column], str]],
        there: str | None = None,
        ordering: Names | None = None,
    ) -> Named[DataType]:
        """The types that columns of the table get, so that it takes the rows of relations.

        Columns that are declared get those of their declaration, if it is wider.

        Args:
            parts: the columns of each relation, and its SELECT text.
            there: SELECT text of the rows that are there; None: of those of the table alone.
            ordering: columns whose values must keep their order, which texts of numbers have not.
        """
        found: Named[DataType] = Named()
        for name, type_ in redeclared(self._output.schema, self._output.declared).items():
            mine = self._output.schema.get(name)
            old = mine and Column(mine.name, mine.type, to_duckdb(mine.type))
            if old and self._fits(old, there, type_):
                found[name] = type_
        wanted: Named[list[DataType]] = Named()
        for columns, _ in parts:
            for name, types in too_narrow(columns, self._output).items():
                wanted.setdefault(name, []).extend(types)
        stored = Named((f.name, f) for f in self._output.schema.fields) if wanted else Named()
        for name, candidates in wanted.items():
            old = Column(stored[name].name, stored[name].type, to_duckdb(stored[name].type))
            # New rows first: mostly there are fewer of them.
            known = ((c, rows) for columns, rows in parts for c in columns if not c.nothing)
            coming = [(c, rows) for c, rows in known if same(c.name, name)]
            for type_ in sorted(dict.fromkeys(candidates), key=lambda t: t == STRING):
                if ordering and name in ordering and holds_text(type_):
                    continue
                if all(self._fits(c, r, type_) for c, r in (*coming, (old, there))):
                    found[name] = type_
                    break
        return found

    def _fits(self, column: Column, relation: str | None, wanted: DataType) -> bool:
        """True if all values of a column are the same in a type.

        Args:
            relation: SELECT text of the rows; None for those that are stored.
        """
        wrong = misfit(column, wanted)
        if wrong is None:
            return True
        rows = self.stored if relation is None else relation
        found = self._con.execute(f"SELECT 1 FROM ({rows}) WHERE {wrong} LIMIT 1").fetchone()
        return found is None

    @property
    def stored(self) -> str:
        """SELECT text of the rows that are there, in the types that they have."""
        stored = self._output.stored
        if stored is None:
            raise InvariantError(f"the rows of {self._name} are not at hand")
        return self._bindings.bind(f"__stored_{self._name}", stored.batch).plain

    def recast(
        self, rows: str, schema: Schema, query: Computation, hidden: Sequence[str] = ()
    ) -> str:
        """SELECT text of stored rows with the columns of a schema.

        Args:
            rows: SELECT text.
            hidden: columns of theirs that stay as they are.
        """
        own = "".join(f", {h}" for h in hidden)
        left = f"EXCLUDE ({', '.join(hidden)})" if hidden else ""
        described = self._con.sql(f"SELECT * {left} FROM ({rows}) LIMIT 0")
        columns = columns_of(described.columns, described.types)
        wanted = replace(self._output, schema=schema)
        types = Named((f.name, f.type) for f in schema.fields)
        fitted = fit([c.name for c in columns], described.types, wanted, query, self._name, types)
        return f"SELECT {fitted.projection}{own} FROM ({rows})"

    def rewrite(
        self, schema: Schema, query: Computation, gone: str = "false"
    ) -> tuple[DataFile, ...]:
        """Stage the rows that are there with the columns of a schema, in their order.

        Args:
            query: whose columns they are to have, for messages.
            gone: SQL that is true of rows that are left out.

        Raises:
            InvariantError: a row would be lost or doubled.
        """
        stored, output = self._output.stored, replace(self._output, schema=schema)
        files: list[DataFile] = []
        with keeping_order(self._con):
            for at, batch in enumerate(_parts(stored.batch) if stored else ()):
                name = f"__rewritten_{self._name}_{at}"
                tells = stored is not None and not stored.plain
                bound = self._bindings.bind(name, batch, sourced=tells, placed=placed_of(output))
                rows, hidden = bound.plain, tuple(h for h in bound.hidden if h in (SOURCE, PLACE))
                if hidden:
                    rows = f"SELECT * EXCLUDE ({FILE}, {ROW}, {RID}) FROM ({bound.full})"
                    rows += f" WHERE ({gone}) IS NOT TRUE"
                # Their names come before those of new rows, as the rows do.
                one = replace(output, prefix=f"{output.prefix}--{at:06d}")
                recast = self.recast(rows, schema, query, hidden)
                written = write(self._con, recast, schema, one, PLACE in hidden)
                known = self._con.execute(f"SELECT count(*) FROM ({rows})").fetchone()
                if known is None or known[0] != written.rows:
                    raise InvariantError(
                        f"rows of {self._name} were lost or doubled while they were written again",
                        wanted="none" if known is None else str(known[0]),
                        got=str(written.rows),
                    )
                files += written.files
        return tuple(files)


def _parts(batch: Batch) -> Iterator[Batch]:
    """The files of a table in their order, some at a time; or the whole table."""
    if not isinstance(batch, TableBatch):
        yield batch
        return
    batch.ready()
    some: list[str] = []
    size = 0
    for path in batch.files:
        some.append(path)
        size += Path(path).stat().st_size
        if size >= _TOGETHER:
            yield replace(batch, files=tuple(some))
            some, size = [], 0
    if some:
        yield replace(batch, files=tuple(some))


def gone_of(files: Sequence[str], flow: str = "") -> str:
    """SQL that is true of rows that go because the source files that they come from changed.

    Args:
        files: none: of all files.
        flow: of a quarantine, whose rows go; empty: all.
    """
    parts = [f"{SOURCE} IN ({', '.join(str(number(f)) for f in files)})"] if files else []
    parts += [f"_quarantine_flow = {literal(flow)}"] if flow else []
    return " AND ".join(parts) or "true"


def without(stored: Bound, files: Sequence[str]) -> str:
    """SELECT text of the rows of a table without those of source files."""
    rows = f"SELECT * FROM ({stored.full}) WHERE ({gone_of(files)}) IS NOT TRUE"
    return f"SELECT * EXCLUDE ({', '.join(stored.hidden)}) FROM ({rows})"
