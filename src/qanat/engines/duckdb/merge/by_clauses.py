"""What becomes of rows by the clauses of `MERGE INTO`.

First it is found which rows of the source and of the table match, by as few columns as the
condition needs; then which clause is about each pair, and about each row of the source that
matches none; then what these rows become. A row of the table that several rows of the source would
change in one epoch is an error: nothing says which of them counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType

from duckdb.sqltypes import DuckDBPyType

from qanat.engines.duckdb.casts import exact_casts
from qanat.engines.duckdb.faults import explained
from qanat.engines.duckdb.files.bound import RID
from qanat.engines.duckdb.merge.kind import FRESH, GONE, Becoming, Given, Taken, Target
from qanat.engines.duckdb.merge.missing import MISSING, find_missing
from qanat.engines.duckdb.merge.pieces import columns_in, count_of, make
from qanat.engines.duckdb.typenames import to_duckdb
from qanat.engines.duckdb.types import Conversion, fit
from qanat.errors import (
    AmbiguousMergeError,
    ColumnNotFoundError,
    SchemaMismatchError,
    nearest,
)
from qanat.model.changes import Expression
from qanat.model.merge_into import Clause, Does, MergeInto
from qanat.model.name import Named, Names
from qanat.model.query import SqlQuery
from qanat.model.schema import DataType, Schema
from qanat.model.work import Output
from qanat.text import quote

_SOURCE, _PAIRS, _ROWS, _CHOSEN, _UPDATED = (
    f"__qanat_{name}" for name in ("source_rows", "pairs", "rows", "chosen", "updated")
)
"""Names of temporary tables: rows of the source; which of them matches which row of the table;
rows of the table that match; by pair, the clause that is about it; what those rows become."""
_NUMBER, _CLAUSE, _BEFORE = "__qanat_number", "__qanat_clause", "__qanat_before"
_SHOWN = 4
"""Columns by which a message tells a row."""


class ByClauses(Becoming[MergeInto]):
    """Rows that are inserted, updated and deleted as clauses say."""

    _given: Mapping[str, DuckDBPyType] = MappingProxyType({})
    _schema = Schema()
    _wider: Named[DataType] = Named()

    def target(self, select: str) -> Target:
        """The columns of the table after rows of a SELECT have changed it."""
        relation = self.con.sql(f"SELECT * FROM ({select}) LIMIT 0")
        self._given = dict(zip(relation.columns, relation.types, strict=True))
        self._schema, casts = self._columns(select)
        for each in self.changes.clauses:
            self._check_names(each)
        self._compile(select)
        return Target(
            self._schema, self._schema, self._schema.names[:1], casts, widens=bool(self._wider)
        )

    def become(self, select: str, stored: str | None, given: Given) -> Taken:
        """Make `FRESH` and `GONE`, from rows of a SELECT; `target` has been asked.

        Args:
            stored: SELECT text of all rows of the table, with their places; None: it has none.
            given: what the SELECT was made from.
        """
        names = columns_in(self._schema.names)
        make(self.con, _SOURCE, f"SELECT *, row_number() OVER () AS {_NUMBER} FROM ({select})")
        rows = f"({self._nothing() if stored is None else stored})"
        make(self.con, _PAIRS, self._pairs(_SOURCE, rows))
        notes = self._find_missing(rows, given)
        touched = f"SELECT {RID} FROM {_PAIRS} UNION ALL SELECT {RID} FROM {MISSING}"
        make(self.con, _ROWS, f"SELECT {names}, {RID} FROM {rows} AS r WHERE {RID} IN ({touched})")
        make(self.con, _CHOSEN, self._chosen(_SOURCE, _ROWS))
        self._check_matches()
        updates = [self._update(n, c, _SOURCE, _ROWS) for n, c in self._doing(Does.UPDATE)]
        nothing = f"SELECT {names}, {RID} FROM {_ROWS} WHERE false"
        make(self.con, _UPDATED, " UNION ALL ".join((nothing, *updates)))
        same = " AND ".join(
            f"n.{quote(c)} IS NOT DISTINCT FROM r.{quote(c)}" for c in self._schema.names
        )
        # A row that is the same afterwards stays where it is.
        others = f"{_UPDATED} AS n ANTI JOIN {_ROWS} AS r ON n.{RID} = r.{RID} AND {same}"
        inserts = [self._insert(n, c, _SOURCE) for n, c in self._doing(Does.INSERT)]
        fresh = f"SELECT {columns_in(self._schema.names, 'n')}, n.{RID} FROM {others}"
        # Of a first load, which may be large, there is no second copy.
        kind = "VIEW" if stored is None else "TABLE"
        make(self.con, FRESH, " UNION ALL ".join((fresh, *inserts)), kind)
        deleting = ", ".join(str(n) for n, _ in self._doing(Does.DELETE)) or "NULL"
        gone = (
            f"SELECT {RID} FROM {_CHOSEN} WHERE {_CLAUSE} IN ({deleting}) "
            f"UNION ALL SELECT {RID} FROM {FRESH}"
        )
        make(self.con, GONE, f"SELECT * FROM {_ROWS} AS r WHERE r.{RID} IN ({gone})")
        return Taken(count_of(self.con, _SOURCE), notes=notes)

    # -- columns ---------------------------------------------------------------------------

    def _columns(self, select: str) -> tuple[Schema, tuple[Conversion, ...]]:
        """The columns of the table, and the conversions of those that the source gives as such."""
        target, work = self.merge.target, self.work
        types: Named[DuckDBPyType] = Named()
        taken = self._taken_over()
        for name in taken:
            types[name] = self._given[name]
        for each in self.changes.clauses:
            if each.does is Does.INSERT and each.sets:
                listed = f"SELECT {self._list(each.sets)} FROM ({select}) AS {self._source}"
                with self._explained(each.sets):
                    found = self.con.sql(f"{listed} LIMIT 0")
                for name, type_ in zip(found.columns, found.types, strict=True):
                    types.setdefault(name, type_)
        if not types and not target.schema.fields and not target.declared.fields:
            raise SchemaMismatchError(
                f"nothing tells the columns of {work.dataset}: it has no rows, and no clause"
                " inserts any",
                location=work.query.location,
                hint=f"declare them: CREATE STREAMING TABLE {work.dataset} (column TYPE, …)",
            )
        self._wider = self._types(select)
        for name, wide in self._wider.items():
            # No clause that inserts sets it.
            if name not in types:
                nothing = self.con.sql(f"SELECT NULL::{to_duckdb(wide)} LIMIT 0")
                types[name] = nothing.types[0]
        for field in target.declared.fields:
            # A column that no clause sets is NULL in new rows.
            if field.name not in types:
                nothing = self.con.sql(f"SELECT NULL::{to_duckdb(field.type)} LIMIT 0")
                types[field.name] = nothing.types[0]
        fitted = fit(
            list(types), list(types.values()), target, work.query, work.dataset, self._wider
        )
        own = {quote(name) for name in taken}
        return fitted.schema, tuple(c for c in fitted.casts if own.issuperset(c.columns))

    def _types(self, select: str) -> Named[DataType]:
        """The types that columns of the table get, so that it takes all that clauses set."""
        stored = self.merge.target.stored
        if not self.may_widen or stored is None:
            return Named()
        rows = self.bindings.bind(_BEFORE, stored.batch).plain
        mine = f"({select}) AS {self._source}"
        both = f"{mine} JOIN ({rows}) AS {self._table} ON {_sql(self.changes.condition)}"
        taken = self._taken_over()
        given = [f"SELECT {columns_in(taken)} FROM ({select})"] if taken else []
        for each in self.changes.clauses:
            if each.sets:
                seen = both if each.matched else mine
                seen = f"({rows}) AS {self._table}" if each.missing else seen
                with self._explained(each.sets):
                    values = f"SELECT {self._list(each.sets)} FROM {seen}"
                    self.con.sql(f"{values} LIMIT 0")
                given.append(values)
        return self.widened(given)

    def _taken_over(self) -> list[str]:
        """The columns of the source that `*` sets: those that the table declares, or all."""
        if not any(each.every for each in self.changes.clauses):
            return []
        declared = Names(self.merge.target.declared.names)
        return [n for n in self._given if not declared or n in declared]

    def _check_names(self, clause: Clause) -> None:
        for name, _ in clause.sets:
            if self._schema.get(name) is None:
                raise ColumnNotFoundError(
                    f"{self.work.dataset} has no column {name!r}",
                    location=clause.location,
                    wanted=", ".join(self._schema.names),
                    nearest=nearest(name, self._schema.names),
                )

    def _compile(self, select: str) -> None:
        """Have DuckDB look at all that the statement says, before any row is read.

        Each expression by itself first: what is wrong is told at its place.
        """
        source, rows = f"(SELECT *, 0 AS {_NUMBER} FROM ({select}))", f"({self._nothing()})"
        both = f"FROM {source} AS {self._source}, {rows} AS {self._table}"
        mine = f"FROM {source} AS {self._source}"
        parts = [(self.changes.condition, both)]
        for each in self.changes.clauses:
            seen = both if each.matched else mine
            seen = f"FROM {rows} AS {self._table}" if each.missing else seen
            parts += ((e, seen) for e in (each.condition, *(v for _, v in each.sets)) if e)
        for value, seen in parts:
            with self._explained([("", value)]):
                self.con.sql(f"SELECT {_sql(value)} {seen} LIMIT 0")
        for number, each in self._doing(Does.UPDATE):
            self.con.sql(f"{self._update(number, each, source, rows, chosen=False)} LIMIT 0")
        for number, each in self._doing(Does.INSERT):
            self.con.sql(f"{self._insert(number, each, source, chosen=False)} LIMIT 0")

    # -- rows ------------------------------------------------------------------------------

    @property
    def _source(self) -> str:
        return quote(self.changes.source)

    @property
    def _table(self) -> str:
        return quote(self.changes.table)

    def _doing(self, does: Does) -> Iterator[tuple[int, Clause]]:
        return ((n, c) for n, c in enumerate(self.changes.clauses) if c.does is does)

    def _nothing(self) -> str:
        """SELECT text of a table of the same columns without a row."""
        columns = ", ".join(
            f"NULL::{to_duckdb(f.type)} AS {quote(f.name)}" for f in self._schema.fields
        )
        return f"SELECT {columns}, NULL::BIGINT AS {RID} WHERE false"

    def _pairs(self, source: str, rows: str) -> str:
        """SELECT text of the rows that match each other."""
        condition = _sql(self.changes.condition)
        return (
            f"SELECT {self._source}.{_NUMBER}, {self._table}.{RID} "
            f"FROM {source} AS {self._source} JOIN {rows} AS {self._table} ON {condition}"
        )

    def _find_missing(self, rows: str, given: Given) -> tuple[str, ...]:
        """Find the rows of the table that no row of the source matches; what to tell of it."""
        if not self.changes.whole:
            make(self.con, MISSING, f"SELECT {RID} FROM {_PAIRS} WHERE false")
            return ()
        source = f"(SELECT *, 0 AS {_NUMBER} FROM ({given.select}))"
        return find_missing(self.con, rows, self._pairs(source, rows), given.lost)

    def _which(self, matched: bool, missing: bool = False) -> str:
        """SQL of the number of the clause that is about a row; -1 if none is."""
        about = [
            f"WHEN {'true' if each.condition is None else _sql(each.condition)} THEN {number}"
            for number, each in enumerate(self.changes.clauses)
            if (each.matched, each.missing) == (matched, missing)
        ]
        return f"CASE {' '.join(about)} ELSE -1 END" if about else "-1"

    def _chosen(self, source: str, rows: str) -> str:
        """SELECT text of pairs, and of rows of the source that match none, with their clauses."""
        matched = (
            f"SELECT __qanat_p.{_NUMBER}, __qanat_p.{RID}, {self._which(True)} AS {_CLAUSE} "
            f"FROM {self._together(_PAIRS, source, rows)}"
        )
        alone = (
            f"SELECT {self._source}.{_NUMBER}, NULL::BIGINT AS {RID}, "
            f"{self._which(False)} AS {_CLAUSE} FROM {source} AS {self._source} "
            f"ANTI JOIN {_PAIRS} AS __qanat_p ON __qanat_p.{_NUMBER} = {self._source}.{_NUMBER}"
        )
        missing = (
            f"SELECT NULL::BIGINT AS {_NUMBER}, {RID}, {self._which(False, True)} AS {_CLAUSE} "
            f"FROM {rows} AS {self._table} WHERE {RID} IN (FROM {MISSING})"
        )
        return f"{matched} UNION ALL {alone} UNION ALL {missing}"

    def _together(self, pairs: str, source: str, rows: str) -> str:
        """What stands behind FROM: pairs of rows with both rows."""
        return (
            f"{pairs} AS __qanat_p JOIN {source} AS {self._source} "
            f"ON __qanat_p.{_NUMBER} = {self._source}.{_NUMBER} "
            f"JOIN {rows} AS {self._table} ON __qanat_p.{RID} = {self._table}.{RID}"
        )

    def _update(
        self, number: int, clause: Clause, source: str, rows: str, chosen: bool = True
    ) -> str:
        """SELECT text of what rows of the table become by a clause."""
        sets = Named(clause.sets)
        taken = Names(self._taken_over() if clause.every else ())
        values = []
        for name in self._schema.names:
            if (value := sets.get(name)) is not None:
                values.append(_sql(value))
            else:
                values.append(f"{self._source if name in taken else self._table}.{quote(name)}")
        place = f"{self._table}.{RID} AS {RID}"
        table = f"{rows} AS {self._table}"
        if not chosen:
            seen = table if clause.missing else f"{source} AS {self._source}, {table}"
            return self._typed(values, place, seen)
        about = f"(FROM {_CHOSEN} WHERE {_CLAUSE} = {number} AND {RID} IS NOT NULL)"
        if clause.missing:
            on = f"__qanat_p.{RID} = {self._table}.{RID}"
            return self._typed(values, place, f"{table} SEMI JOIN {about} AS __qanat_p ON {on}")
        return self._typed(values, place, self._together(about, source, rows))

    def _insert(self, number: int, clause: Clause, source: str, chosen: bool = True) -> str:
        """SELECT text of the rows that a clause inserts."""
        sets = Named(clause.sets)
        taken = Names(self._taken_over() if clause.every else ())
        values = []
        for name in self._schema.names:
            if (value := sets.get(name)) is not None:
                values.append(_sql(value))
            else:
                values.append(f"{self._source}.{quote(name)}" if name in taken else "NULL")
        place = f"NULL::BIGINT AS {RID}"
        if not chosen:
            return self._typed(values, place, f"{source} AS {self._source}")
        about = f"(FROM {_CHOSEN} WHERE {_CLAUSE} = {number} AND {RID} IS NULL)"
        alone = (
            f"{source} AS {self._source} SEMI JOIN {about} AS __qanat_p "
            f"ON __qanat_p.{_NUMBER} = {self._source}.{_NUMBER}"
        )
        return self._typed(values, place, alone)

    def _typed(self, values: Sequence[str], place: str, rows: str) -> str:
        """SELECT text of values in the types of the table, with the place of the row.

        Args:
            values: SQL, one for each column of the table.
            rows: what stands behind FROM.
        """
        target, names = self.merge.target, list(self._schema.names)
        listed = ", ".join(f"{v} AS {quote(n)}" for n, v in zip(names, values, strict=True))
        select = f"SELECT {listed}, {place} FROM {rows}"
        types = self.con.sql(f"{select} LIMIT 0").types[:-1]
        output = Output(
            target.folder,
            target.prefix,
            schema=self._schema,
            declared=target.declared,
            partition_by=target.partition_by,
        )
        fitted = fit(names, types, output, self.work.query, self.work.dataset, self._wider)
        return f"SELECT {fitted.projection}, {RID} FROM ({select})"

    def _check_matches(self) -> None:
        """Refuse rows of the table that several rows of the source would change.

        Raises:
            AmbiguousMergeError: there is one.
        """
        deleting = [n for n, _ in self._doing(Does.DELETE)]
        changing = [*deleting, *(n for n, _ in self._doing(Does.UPDATE))]
        found = self.con.execute(
            f"SELECT {RID}, count(*) FROM {_CHOSEN} WHERE {RID} IS NOT NULL AND "
            f"list_contains(?::BIGINT[], {_CLAUSE}) GROUP BY {RID} HAVING count(*) > 1 "
            # Nothing is unclear about a row that all of them delete.
            f"AND NOT bool_and(list_contains(?::BIGINT[], {_CLAUSE})) ORDER BY {RID} LIMIT 1",
            [changing, deleting],
        ).fetchone()
        if found is None:
            return
        place, rows = found
        names = self._schema.names[:_SHOWN]
        values = self.con.execute(
            f"SELECT {columns_in(names)} FROM {_ROWS} WHERE {RID} = ?", [place]
        ).fetchone()
        row = ", ".join(f"{n} = {v}" for n, v in zip(names, values or (), strict=True))
        raise AmbiguousMergeError(
            f"{rows} rows of the source change the same row of {self.work.dataset}: {row}",
            location=self.changes.condition.location or self.work.query.location,
            hint="nothing was published; let one row of the source match (ON, or USING (SELECT …"
            " WHERE …)); or, if they come from several files, take one at a time: read_files(…,"
            " maxFilesPerTrigger => 1); KEYS and AUTO CDC keep the last of several rows",
        )

    def _list(self, sets: Sequence[tuple[str, Expression]]) -> str:
        return ", ".join(f"{_sql(value)} AS {quote(name)}" for name, value in sets)

    def _explained(self, sets: Sequence[tuple[str, Expression]]) -> AbstractContextManager[None]:
        """Tell what is wrong with expressions where the first of them stands."""
        value = sets[0][1]
        where = value.location or self.work.query.location
        query = SqlQuery(str(value), value.sql, value.dialect, (), where)
        return explained(query, (*self._given, *self._schema.names))


def _sql(value: Expression) -> str:
    """SQL of an expression; it may end in a comment, so the bracket needs a line of its own."""
    return f"({exact_casts(value.sql)}\n)"
