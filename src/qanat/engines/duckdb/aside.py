"""Set rows aside that the queries of an epoch cannot compute, so that all others can be.

Nothing here runs before the engine has refused a value: then the queries are asked one after the
other which rows of which input they fail for, and each input goes on without those.

A query may compute rows of several inputs (UNION ALL). Which input a failing row is of, its place
does not tell: two inputs may read one file. So it is asked about one input after the other, while
the others have no rows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import duckdb
from duckdb import DuckDBPyConnection
from sqlglot import exp

from qanat.engines.duckdb.expressions import needed_of
from qanat.engines.duckdb.faults import BY_DATA
from qanat.engines.duckdb.files.bound import FILE, METADATA, RID, ROW, SOURCE
from qanat.engines.duckdb.hidden import carry_below
from qanat.engines.duckdb.inputs import Bindings
from qanat.engines.duckdb.quarantine import failed_rows
from qanat.engines.duckdb.remembered import Queries
from qanat.engines.duckdb.rowwise import RowWise, reason, row_wise
from qanat.engines.duckdb.tables import Bound
from qanat.engines.duckdb.types import Fitted, Result
from qanat.engines.duckdb.udf import told_by
from qanat.model.name import Names
from qanat.model.query import Computation, SqlQuery
from qanat.model.schema import Schema
from qanat.model.work import ViewBatch, Work
from qanat.planning.fingerprint import repeatable
from qanat.planning.levels import Path, parts, paths
from qanat.planning.stateful import tree_of
from qanat.text import literal, quote


@dataclass(slots=True)
class RowsAside:
    """Rows that fail, by input.

    Args:
        bindings: the inputs of `work`, bound; each that may lose rows is bound anew without them.
        queries: what is known of queries.
    """

    con: DuckDBPyConnection
    work: Work
    bindings: Bindings
    queries: Queries
    _whole: dict[str, Bound] = field(default_factory=dict)
    _origins: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _joined: set[str] = field(default_factory=set)  # Views in which rows may appear repeatedly.

    def __post_init__(self) -> None:
        for name in tuple(self._candidates()):
            bound = self.bindings.bound[name]
            self._whole[name] = bound
            self.con.execute(
                f"CREATE OR REPLACE TEMP TABLE {_table(name)} (rid BIGINT, reason VARCHAR)"
            )
            full = (
                f"SELECT * FROM ({bound.full}) "
                f"WHERE {RID} NOT IN (SELECT rid FROM {_table(name)}) "
                f"AND coalesce(getvariable({literal(_variable(name))}), true)"
            )
            hidden = ", ".join(bound.hidden)
            plain = f"SELECT * EXCLUDE ({hidden}) FROM ({full})"
            self.bindings.bound[name] = replace(bound, plain=plain, full=full, whole=bound.full)

    def _candidates(self) -> Iterator[str]:
        """The inputs whose rows can be told apart, and computed again later.

        A row of a stream is read once. To compute it again later, it has to be clear what else
        its epoch would have to read: nothing, if there is one stream, or if rows of several
        streams do not meet.
        """
        queries = _queries(self.work)
        views = {n for n, b in self.work.inputs.items() if isinstance(b, ViewBatch)}
        streams = {r.name for q in queries for r in q.reads if r.streaming} - views
        apart = streams <= set(sources_of(self.work))
        for name, bound in self.bindings.bound.items():
            # What the table has may be bound as well, by an attempt before this one.
            input_ = name in self.work.inputs and name not in views
            if input_ and RID in bound.hidden and (apart or streams <= {name}):
                yield name

    def look(self, query: Computation, strictly: bool, view: str = "") -> None:
        """Find the rows that a query fails for.

        Args:
            query: its inputs are bound.
            strictly: whether what may not matter must not fail either.
            view: what it defines; empty: the result.
        """
        if not isinstance(query, SqlQuery):
            return
        carried = self.queries.carrying(query, self.bindings.hidden, True)
        found = paths(replace(query, sql=carried.sql)) if carried.positions else ()
        needed = self._needed(view) if view else None
        self._origins[_result(view)] = self._origins_of(found)
        if any(level.joined for path in found for level in path) or self._repeats(found):
            self._joined.add(view)
        self._ask(query, found, carried.needs, needed, strictly)
        for number, sql, needs in carry_below(query, self.bindings.hidden):
            below = parts(replace(query, sql=sql))
            if number < len(below) and self._only_reader(query, below[number]):
                self._ask(query, below[number], needs, None, strictly)

    def _ask(
        self,
        query: SqlQuery,
        found: Sequence[Path],
        full: Collection[str],
        needed: Names | None,
        strictly: bool,
    ) -> None:
        """Find the rows that a query, or a part of it, fails for.

        Args:
            found: the paths from its inputs up.
            full: the inputs whose hidden columns it needs.
            needed: which columns of what is above all paths matter; None: all.
        """
        names = [r.name for r in query.reads]
        every = self._origins_of(found)
        sources = [path[0].relation for path in found]
        for path in found:
            source = path[0].relation
            readers = sum(r.name == source for q in _queries(self.work) for r in q.reads)
            alone = (
                readers == 1
                and sources.count(source) == 1
                and not self._repeats([path])
                # What is rejected now must be rejected again.
                and repeatable(query)
            )
            asked = row_wise(path, query.dialect, needed, told_by(self.con))
            for origin in self._origins_of([path]):
                with self._only(origin, every):
                    for level in asked:
                        self._look(level, names, full, origin, alone, strictly)

    def _only_reader(self, query: SqlQuery, part: Sequence[Path]) -> bool:
        """True if nothing but a part of a query reads its inputs: it alone goes without a row."""
        sources = [path[0].relation for path in part]
        read = [table.name for table in tree_of(query).find_all(exp.Table)]
        viewed = [
            batch.view
            for each in _queries(self.work)
            for r in each.reads
            if isinstance(batch := self.work.inputs[r.name], ViewBatch)
        ]
        views = [b.view for n in sources if isinstance(b := self.work.inputs[n], ViewBatch)]
        once = all(read.count(n) == sources.count(n) for n in sources)
        return once and all(viewed.count(v) == views.count(v) for v in views)

    def _repeats(self, found: Sequence[Path]) -> bool:
        """True if rows of an input may appear repeatedly in what the paths begin with."""
        sources = [path[0].relation for path in found]
        batches = [self.work.inputs[source] for source in sources]
        views = [b.view for b in batches if isinstance(b, ViewBatch)]
        return len(sources) > len(set(sources)) or any(v in self._joined for v in views)

    def _origins_of(self, found: Sequence[Path]) -> tuple[str, ...]:
        """The inputs whose rows can be set aside that paths begin with, if need be through views.

        There are none if there is one whose rows cannot.
        """
        origins = [self._origin(path[0].relation) for path in found]
        return tuple(dict.fromkeys(n for each in origins for n in each)) if all(origins) else ()

    @contextmanager
    def _only(self, origin: str, among: Collection[str]) -> Iterator[None]:
        """Have only one of some inputs give rows."""
        others = [name for name in among if name != origin]
        for name in others:
            self.con.execute(f"SET VARIABLE {quote(_variable(name))} = false")
        try:
            yield
        finally:
            for name in others:
                self.con.execute(f"RESET VARIABLE {quote(_variable(name))}")

    def _needed(self, view: str) -> Names | None:
        """The columns of a view that its readers may need; None: all."""
        found: list[str] = []
        for query in _queries(self.work):
            for read in query.reads:
                batch = self.work.inputs[read.name]
                if isinstance(batch, ViewBatch) and batch.view == view:
                    needed = needed_of(tree_of(query)) if isinstance(query, SqlQuery) else None
                    if needed is None:
                        return None
                    found += needed
        return Names(found)

    def _look(
        self,
        level: RowWise,
        names: Sequence[str],
        full: Collection[str],
        origin: str,
        alone: bool,
        strictly: bool,
    ) -> None:
        def over(sql: str) -> str:
            return self.bindings.over(sql, names, full)

        def compiles(sql: str) -> Sequence[str] | None:
            try:
                return self._columns(over(sql))
            except duckdb.Error:
                return None

        columns = compiles(level.relation)
        if columns is None:
            return
        key = self._key(origin)
        found = [level.failing(compiles, columns, key, alone, strictly)]
        if strictly:
            found.append(level.failing_below(compiles, columns, key, alone))
        for failing in found:
            if failing is not None and compiles(failing) is not None:
                self._add(origin, over(failing))

    def look_at_casts(self, compiled: Callable[[], tuple[Result, Fitted]]) -> None:
        """Find the rows whose values do not fit the columns that the table has.

        Args:
            compiled: compiles the query over its inputs.
        """
        origins = self._origins.get(_result(""), ())
        result, fitted = compiled()
        for origin in origins if fitted.casts else ():
            if set(self._key(origin)) <= set(result.hidden):
                with self._only(origin, origins):
                    self._look_at_casts(origin, result, fitted)

    def _compiles(self, select: str) -> bool:
        try:
            self._columns(f"SELECT {select}")
        except duckdb.Error:
            return False
        return True

    def _look_at_casts(self, origin: str, result: Result, fitted: Fitted) -> None:
        # TRY takes neither subqueries nor what changes from call to call.
        tried = (c for c in fitted.casts if self._compiles(f"{c.fails} FROM ({result.select})"))
        reasons = ", ".join(
            f"CASE WHEN {c.fails} THEN {reason(c.text, c.columns)} END" for c in tried
        )
        if not reasons:
            return
        key = ", ".join(self._key(origin))
        each = f"SELECT {key}, nullif(concat_ws('; ', {reasons}), '') AS reason"
        failing = f"FROM ({each} FROM ({result.select})) WHERE reason IS NOT NULL"
        self._add(origin, f"SELECT {key}, min(reason) AS reason {failing} GROUP BY {key}")

    def _key(self, origin: str) -> tuple[str, ...]:
        """The columns that tell the rows of an input apart, also behind joins."""
        placed = {FILE, ROW} <= set(self._whole[origin].hidden)
        return (FILE, ROW) if placed else (RID,)

    def reasons(self, name: str) -> str:
        """SELECT text of `rid` and `reason` of the rows of an input that fail."""
        return f"SELECT rid, reason FROM {_table(name)} WHERE reason IS NOT NULL"

    @property
    def total(self) -> int:
        """How many rows were found."""
        rows = (
            self.con.execute(f"SELECT count(*) FROM {_table(n)}").fetchone() for n in self._whole
        )
        return sum(int(row[0]) for row in rows if row)

    def rows(self, schema: Schema) -> Iterator[tuple[str, str, bool]]:
        """The rows of each input: what tells it from others, SELECT text, and whether they tell
        their source file.

        The text gives the columns of a quarantine, and `__qanat_rid`.
        """
        labels = labels_of(self.work)
        mentioned = any(
            METADATA in q.sql.lower() for q in _queries(self.work) if isinstance(q, SqlQuery)
        )
        for name, whole in self._whole.items():
            columns = self._columns(whole.plain)
            if mentioned and METADATA in whole.hidden:
                columns.append(METADATA)
            label = f"({labels[name]})" if len(self._whole) > 1 else ""
            sourced = SOURCE in whole.hidden
            rows = failed_rows(whole.full, _table(name), columns, schema, sourced)
            yield label, rows, sourced

    def _origin(self, name: str) -> tuple[str, ...]:
        """The inputs that the rows of a relation come from, one by one."""
        batch = self.work.inputs.get(name)
        if isinstance(batch, ViewBatch):
            return self._origins.get(_result(batch.view), ())
        return (name,) if name in self._whole else ()

    def _columns(self, select: str) -> list[str]:
        return list(self.con.sql(f"SELECT * FROM ({select}) LIMIT 0").columns)

    def _add(self, origin: str, failing: str) -> None:
        # A join repeats rows of its input, and carries their places, but not their identifiers.
        key = self._key(origin)
        places = (
            f"SELECT {', '.join(dict.fromkeys((*key, RID)))} FROM ({self._whole[origin].full})"
        )
        found = f"({places}) JOIN ({failing}) USING ({', '.join(key)})"
        try:
            self.con.execute(f"INSERT INTO {_table(origin)} SELECT {RID}, reason FROM {found}")
        except BY_DATA:
            return  # what fails is none of the expressions that were asked, such as that of a join


def sources_of(work: Work) -> tuple[str, ...]:
    """The inputs whose rows those of the result come from, one by one."""
    views = {v.name: v.query for v in work.views}

    def below(query: Computation | None) -> list[str]:
        found = paths(query) if isinstance(query, SqlQuery) else ()
        each = [sources(path[0].relation) for path in found]
        return [name for names in each for name in names] if all(each) else []

    def sources(relation: str) -> list[str]:
        batch = work.inputs.get(relation)
        return below(views.get(batch.view)) if isinstance(batch, ViewBatch) else [relation]

    return tuple(dict.fromkeys(below(work.query)))


def labels_of(work: Work) -> dict[str, str]:
    """By name, what tells an input from others of a flow, also after its query was changed."""
    seen: dict[str, int] = {}
    found: dict[str, str] = {}
    for read in (read for query in _queries(work) for read in query.reads):
        number = seen[read.source.key] = seen.get(read.source.key, 0) + 1
        found[read.name] = f"{read.source.key}#{number}" if number > 1 else read.source.key
    return found


def _queries(work: Work) -> tuple[Computation, ...]:
    return (*(v.query for v in work.views), *work.row_wise)


def _result(view: str) -> str:
    """The key of a query's result, which no input is named like."""
    return f"\0{view}"


def _table(name: str) -> str:
    return quote(f"__qanat_failed_{name}")


def _variable(name: str) -> str:
    return f"__qanat_gives_{name}"
