"""One epoch, from bound inputs to staged files."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial

import duckdb
from duckdb import DuckDBPyConnection, DuckDBPyRelation

from qanat.engines.duckdb.casts import compiled, exact_casts
from qanat.engines.duckdb.faults import explained
from qanat.engines.duckdb.files.bound import FILE, RESERVED, RID
from qanat.engines.duckdb.functions import run_function
from qanat.engines.duckdb.inputs import Bindings, keep_order, view_name
from qanat.engines.duckdb.onepass import copy_input
from qanat.engines.duckdb.quarantine import (
    Quarantined,
    malformed_rows,
    quarantine_table,
    removed_rows,
    unparsed_files,
)
from qanat.engines.duckdb.remembered import Carried, Footers, Queries
from qanat.engines.duckdb.split import Split, Splitter, compile_rule
from qanat.engines.duckdb.types import Fitted, Result, fit
from qanat.engines.duckdb.write import discard, write
from qanat.errors import (
    FileUnreadableError,
    FileVanishedError,
    InvariantError,
    SchemaDriftError,
    located,
)
from qanat.model.name import same
from qanat.model.pipeline import Expectation, Predicate
from qanat.model.query import Computation, FunctionQuery, Query, Readmission
from qanat.model.schema import Schema
from qanat.model.work import (
    MALFORMED,
    Batch,
    Counts,
    Output,
    RuleCount,
    Staged,
    StagedTable,
    ViewBatch,
    ViewWork,
    Work,
)
from qanat.text import literal, quote

_ABOUT_FILES = (FileUnreadableError, FileVanishedError, SchemaDriftError)


@dataclass(slots=True)
class Staging:
    """The staging of one `Work` on one connection.

    Args:
        footers: what is known of the files of tables.
        queries: what is known of queries.
        stopping: set when functions are to be given up.
    """

    con: DuckDBPyConnection
    work: Work
    footers: Footers
    queries: Queries
    stopping: threading.Event
    bindings: Bindings = field(init=False)
    rules: list[RuleCount] = field(default_factory=list)
    quarantines: dict[str, StagedTable] = field(default_factory=dict)
    view_counts: dict[str, Counts] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bindings = Bindings(self.con, self.work.scratch, self.footers)

    @property
    def _views(self) -> tuple[Query, ...]:
        return tuple(v.query for v in self.work.views)

    def run(self) -> Staged:
        """Stage everything, or leave nothing staged."""
        query = self.work.query
        try:
            staged = self._readmit(query) if isinstance(query, Readmission) else self._run()
        except BaseException:
            self._discard()
            raise
        if staged.failed:
            self._discard()
            staged = replace(staged, table=replace(staged.table, files=()), quarantines={})
        return staged

    def describe(self) -> Fitted:
        """Compile everything, run nothing."""
        for view in self.work.views:
            self._define_view(view.name, self._query(view.name, view.query, positions=False))
        result = self._query(self.work.flow, self.work.query, positions=False)
        work = self.work
        fitted = fit(result.names, result.types, work.output, work.query, work.dataset)
        relation = f"SELECT {fitted.projection} FROM ({result.select})"
        for expectation in work.expectations:
            if isinstance(expectation.rule, Predicate):
                compile_rule(
                    self.con, relation, expectation, f"({exact_casts(expectation.rule.sql)}\n)"
                )
        return fitted

    def _run(self) -> Staged:
        work = self.work
        copied = copy_input(
            self.con, work, self.bindings, self.queries, self._located, self._compiled
        )
        if copied is not None:
            return copied
        for name, batch in work.inputs.items():
            if not isinstance(batch, ViewBatch):
                self._bind(name)
        keep_order(self.con, work.inputs.values())
        for view in work.views:
            result = self._query(view.name, view.query, positions=bool(view.expectations))
            if view.expectations:
                result = self._filter(view, result)
            self._define_view(view.name, result)
        result, fitted = self._compiled()
        if work.expectations:
            table, counts = self._split_and_write(result, fitted)
        else:
            columns = f"SELECT {fitted.projection} FROM ({result.select})"
            with explained(work.query, result.names, views=self._views):
                table = write(self.con, columns, fitted.schema, work.output)
            counts = Counts(out=table.rows, written=table.rows)
        counts = replace(counts, malformed=self._quarantine_malformed(fitted.schema))
        bound = self.bindings.bound
        return Staged(
            table=table,
            counts=counts,
            rules=tuple(self.rules),
            quarantines=self.quarantines,
            view_counts=self.view_counts,
            source_schemas={n: b.schema for n, b in bound.items() if b.schema is not None},
            read=sum(b.rows for b in bound.values() if b.rows is not None),
            unparsed=unparsed_files(self.con, bound.values()) if counts.malformed else {},
            overruled=tuple(o for b in bound.values() for o in b.overruled),
        )

    def _readmit(self, query: Readmission) -> Staged:
        """Stage the rows of a quarantine that pass now, and the quarantine without them."""
        work = self.work
        rows = self._quarantined(query)
        result = self._candidates(rows)
        fitted = fit(result.names, result.types, work.output, query, work.dataset)
        result, _, split = self._split(
            work.dataset, query, result, fitted, work.expectations, work.output.existing
        )
        names = ", ".join(quote(n) for n in fitted.schema.names)
        kept = f"SELECT {names} FROM ({result.select}) AS r{_without(split)}"
        table = write(self.con, kept, fitted.schema, work.output)
        left = rows.remaining(split, work.quarantine.schema)
        rest = write(self.con, left, work.quarantine.schema, work.quarantine)
        total = self.con.execute(f"SELECT count(*) FROM ({rows.relation})").fetchone()
        if total is None or table.rows + rest.rows != total[0]:
            raise _unbalanced(work.dataset, total[0] if total else 0, table.rows + rest.rows)
        # Count only the rows that pass: those that stay were counted when they came.
        counts = Counts(out=table.rows, written=table.rows)
        return Staged(table, counts, (), {work.dataset: rest}, read=total[0])

    def _quarantined(self, query: Readmission) -> Quarantined:
        (read,) = query.reads
        bound = self.bindings.bind(read.name, self.work.inputs[read.name])
        described = self.con.sql(f"{bound.plain} LIMIT 0")
        rows = Result(bound.full, described.columns, described.types, bound.hidden)
        if RID not in bound.hidden:
            rows = self._materialize("quarantine", rows)
        return Quarantined(rows.select, tuple(rows.names))

    def _candidates(self, rows: Quarantined) -> Result:
        """The quarantined rows that may pass, in the columns of the table."""
        schema = rows.schema(self.work.output.schema, self.work.quarantine.schema)
        select = rows.candidates(schema)
        relation = self.con.sql(f"SELECT * EXCLUDE {RID} FROM ({select}) LIMIT 0")
        return Result(select, relation.columns, relation.types, (RID,))

    # -- queries ---------------------------------------------------------------------------

    def _query(self, name: str, query: Computation, positions: bool) -> Result:
        """Bind a query's inputs and describe its result."""
        if isinstance(query, Readmission):
            return self._candidates(self._quarantined(query))
        for read in query.reads:
            if read.name not in self.bindings.bound:
                self._bind(read.name)
        if isinstance(query, FunctionQuery):
            return self._function(name, query)
        with explained(query, self._names(query)):
            reads = dict.fromkeys(r.name for r in query.reads)
            carried = self.queries.carrying(query, self.bindings.hidden, positions)
            try:
                select, relation = self._over(carried, reads)
            except duckdb.BinderException:
                # Without positions the query is what its author wrote: if that is right, rows
                # are told apart by numbers given to the result.
                if not carried.positions:
                    raise
                carried = self.queries.carrying(query, self.bindings.hidden, False)
                select, relation = self._over(carried, reads)
            names = relation.columns
            if any(_numbered(n, names) for n in names):
                # Below another SELECT DuckDB tells equal names apart by itself, silently.
                for read_name in reads:
                    self.bindings.define(read_name, read_name in carried.needs)
                names = self.con.sql(carried.sql).columns
        skip = len(carried.positions)
        return Result(select, names[skip:], relation.types[skip:], carried.positions)

    def _over(self, carried: Carried, reads: Iterable[str]) -> tuple[str, DuckDBPyRelation]:
        over = partial(self.bindings.over, names=reads, full=carried.needs)
        select, relation = compiled(self.con, carried.sql, over)
        shown = relation.columns[len(carried.positions) :]
        if carried.needs and any(name.startswith(RESERVED) for name in shown):
            raise duckdb.BinderException("a star that was not seen shows hidden columns")
        return select, relation

    def _compiled(self) -> tuple[Result, Fitted]:
        """The query of the work over its bound inputs, and how it becomes the table's columns."""
        work = self.work
        result = self._query(work.flow, work.query, positions=bool(work.expectations))
        return result, fit(result.names, result.types, work.output, work.query, work.dataset)

    def _bind(self, name: str) -> None:
        """Bind an input; what is wrong with its files is told where they are read."""
        with self._located(name):
            self.bindings.bind(name, self.work.inputs[name])

    def _located(self, name: str) -> AbstractContextManager[None]:
        queries = (self.work.query, *(v.query for v in self.work.views))
        places = (r.location for q in queries for r in q.reads if r.name == name)
        return located(next(places, None), *_ABOUT_FILES)

    def _names(self, query: Query) -> Iterator[str]:
        """The columns of a query's inputs, for messages."""
        for read in query.reads:
            yield from self.con.sql(f"{self.bindings.bound[read.name].plain} LIMIT 0").columns

    def _function(self, name: str, query: FunctionQuery) -> Result:
        path = self.work.scratch / f"{_file_name(name)}-result.parquet"
        relations = tuple(self.bindings.bound[r.name].plain for r in query.reads)
        run_function(self.con, query, relations, path, self.stopping)
        relation = self.con.sql(f"SELECT * FROM read_parquet({literal(str(path))}) LIMIT 0")
        select = f"SELECT *, file_row_number AS {RID} FROM read_parquet({literal(str(path))})"
        return Result(select, relation.columns, relation.types, (RID,))

    def _define_view(self, name: str, result: Result) -> None:
        columns = ", ".join(quote(n) for n in result.names)
        self.con.execute(
            f"CREATE TEMP VIEW {view_name(name)} AS SELECT {columns} FROM ({result.select})"
        )

    # -- rules -----------------------------------------------------------------------------

    def _split_and_write(self, result: Result, fitted: Fitted) -> tuple[StagedTable, Counts]:
        work = self.work
        result, splitter, split = self._split(
            work.dataset, work.query, result, fitted, work.expectations, work.output.existing
        )
        if split.failed:
            return StagedTable(fitted.schema, ()), Counts(out=split.total)
        columns = ", ".join(quote(n) for n in fitted.schema.names)
        kept = f"SELECT {columns} FROM ({result.select}) AS r{_without(split)}"
        with explained(work.query, result.names, views=self._views):
            table = write(self.con, kept, fitted.schema, work.output)
        self._quarantine(work.dataset, result, fitted.schema, splitter, split, work.quarantine)
        return table, self._balance(work.dataset, table.rows, split)

    def _filter(self, view: ViewWork, result: Result) -> Result:
        """A temporary view's rows without those that its rules remove."""
        name = view.name
        # A view has no table whose columns its own would have to match.
        plain = Output(view.quarantine.folder, view.quarantine.prefix)
        fitted = fit(result.names, result.types, plain, view.query, name)
        result, splitter, split = self._split(
            name, view.query, result, fitted, view.expectations, None
        )
        self._quarantine(name, result, fitted.schema, splitter, split, view.quarantine)
        kept = f"SELECT * FROM ({result.select}) AS r{_without(split)}"
        row = self.con.execute(f"SELECT count(*) FROM ({kept})").fetchone()
        self.view_counts[name] = self._balance(name, row[0] if row else 0, split)
        return replace(result, select=kept)

    def _split(
        self,
        name: str,
        query: Computation,
        result: Result,
        fitted: Fitted,
        expectations: Sequence[Expectation],
        existing: Batch | None,
    ) -> tuple[Result, Splitter, Split]:
        hidden = "".join(f", {h}" for h in result.hidden)
        select = f"SELECT {fitted.projection}{hidden} FROM ({result.select})"
        result = replace(result, select=select, names=list(fitted.schema.names))
        if RID not in result.hidden:
            with explained(query, result.names, views=self._views):
                result = self._materialize(name, result)
        references = {
            key: self.bindings.bind(f"__ref_{_file_name(name)}_{i}", batch).plain
            for i, (key, batch) in enumerate(self.work.references.items())
        }
        current = None
        if existing is not None:
            current = self.bindings.bind(f"__existing_{_file_name(name)}", existing).plain
        splitter = Splitter(
            self.con, _file_name(name), name, result.select, expectations, current, references
        )
        split = splitter.split()
        self.rules.extend(split.rules)
        return result, splitter, split

    def _materialize(self, name: str, result: Result) -> Result:
        """Compute once what would differ, or cost too much, if computed again per pass."""
        path = literal(str(self.work.scratch / f"{_file_name(name)}-rows.parquet"))
        self.con.execute(f"COPY ({result.select}) TO {path} (FORMAT parquet, COMPRESSION lz4)")
        select = f"SELECT *, file_row_number AS {RID} FROM read_parquet({path})"
        return replace(result, select=select, hidden=(*result.hidden, RID))

    def _quarantine(
        self,
        dataset: str,
        result: Result,
        schema: Schema,
        splitter: Splitter,
        split: Split,
        output: Output,
    ) -> None:
        if not split.quarantined:
            return
        rows = removed_rows(result.select, schema, splitter, split, FILE in result.hidden)
        staged = quarantine_table(self.con, rows, schema, self.work, output, number=f"q.{RID}")
        if staged.rows != split.quarantined:
            raise _unbalanced(dataset, split.quarantined, staged.rows)
        self.quarantines[dataset] = staged

    def _quarantine_malformed(self, schema: Schema) -> int:
        """Rows that could not be parsed: they never reached the query."""
        parts = [b.malformed for b in self.bindings.bound.values() if b.malformed]
        if not parts:
            return 0
        rows = malformed_rows(parts, schema)
        output = replace(self.work.quarantine, prefix=f"{self.work.quarantine.prefix}-m")
        staged = quarantine_table(self.con, rows, schema, self.work, output, series="m")
        before = self.quarantines.get(self.work.dataset)
        self.quarantines[self.work.dataset] = (
            replace(before, files=before.files + staged.files) if before else staged
        )
        self.rules.append(RuleCount(self.work.dataset, MALFORMED, "quarantine", staged.rows))
        return staged.rows

    def _balance(self, dataset: str, written: int, split: Split) -> Counts:
        counts = Counts(split.total, written, split.dropped, split.quarantined)
        if not counts.balanced:
            raise _unbalanced(dataset, counts.out - counts.dropped - counts.quarantined, written)
        return counts

    def _discard(self) -> None:
        views = (v.quarantine for v in self.work.views)
        for output in (self.work.output, self.work.quarantine, *views):
            discard(output)


def _without(split: Split) -> str:
    if split.removed is None:
        return ""
    return f" WHERE r.{RID} NOT IN (SELECT {RID} FROM {split.removed})"


def _numbered(name: str, names: Sequence[str]) -> bool:
    """True if DuckDB may have made this name (`a_1`) of a second column `a`."""
    stem, _, number = name.rpartition("_")
    return number.isdigit() and any(same(stem, n) for n in names)


def _file_name(name: str) -> str:
    """A name that is safe in file and variable names, and still tells names apart."""
    return "".join(c if c.isascii() and c.isalnum() else f"_{ord(c):x}_" for c in name)


def _unbalanced(dataset: str, wanted: int, got: int) -> InvariantError:
    return InvariantError(
        f"rows of {dataset} do not add up",
        wanted=f"{wanted} rows",
        got=f"{got} rows",
        hint="nothing was published; this is a defect of Qanat, or a query that gives other"
        " rows each time it runs",
    )
