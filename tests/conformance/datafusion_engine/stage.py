"""One epoch, from bound inputs to staged files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count

import pyarrow as pa
import pyarrow.parquet as pq
from datafusion import DataFrame, SessionContext, col

from qanat.errors import InvariantError, QanatError, QueryError, UnsupportedError, located
from qanat.model.expectation import Expectation
from qanat.model.name import Name, Names
from qanat.model.quarantine import MALFORMED, QUARANTINE_FIELDS
from qanat.model.query import Computation, FunctionQuery, Query, Readmission, SqlQuery
from qanat.model.schema import Schema
from qanat.model.staged import Counts, RuleCount, Staged, StagedTable
from qanat.model.work import Batch, Output, ViewBatch, Work
from qanat.ports.engine import Columns
from tests.conformance.datafusion_engine.columns import fit, quote
from tests.conformance.datafusion_engine.faults import explained
from tests.conformance.datafusion_engine.inputs import Inputs, view_name
from tests.conformance.datafusion_engine.positions import AT, carrying
from tests.conformance.datafusion_engine.quarantine import broke, described, quarantine_schema
from tests.conformance.datafusion_engine.rules import RID, Marked, blame, mark
from tests.conformance.datafusion_engine.write import discard, write

_EXISTING = "__qanat_existing"


@dataclass(frozen=True, slots=True)
class Result:
    """The rows of a query in the columns of its table, not yet computed.

    Args:
        frame: has also `__qanat_at` if there is a `source`.
        source: the input whose rows these are, one by one.
        lacks: columns of the table that the query does not give.
    """

    frame: DataFrame
    schema: Schema
    source: str | None
    lacks: tuple[str, ...] = ()


class Staging:
    """The staging of one `Work` in one session."""

    def __init__(self, session: SessionContext, work: Work) -> None:
        self.session = session
        self.work = work
        self.inputs = Inputs(session)
        self.rules: list[RuleCount] = []
        self.quarantines: dict[str, StagedTable] = {}
        self.view_counts: dict[str, Counts] = {}
        self.numbers = count()

    def run(self) -> Staged:
        """Stage everything, or leave nothing staged."""
        try:
            query = self.work.query
            staged = self._readmit(query) if isinstance(query, Readmission) else self._run(query)
        except BaseException:
            self._discard()
            raise
        if staged.failed:
            self._discard()
            staged = replace(staged, table=replace(staged.table, files=()), quarantines={})
        return staged

    def describe(self) -> Columns:
        """Compile everything; run nothing but temporary views that have rules."""
        work, query = self.work, self.work.query
        if isinstance(query, Readmission):
            return Columns(work.output.schema)
        self._bind_all()
        result = self._result(query, work.output, work.dataset, positions=False)
        empty = self._spool(result.frame.limit(0), query)
        mark(self.session, empty, work.expectations, None, self._references())
        return Columns(result.schema, result.lacks)

    def _run(self, query: Query) -> Staged:
        work = self.work
        self._bind_all()
        result = self._result(query, work.output, work.dataset, bool(work.expectations))
        if not work.expectations:
            visible = result.frame.select(*(col(quote(n)) for n in result.schema.names))
            table = write(self._batches(visible, query), result.schema, work.output)
            counts = Counts(out=table.rows, written=table.rows)
        else:
            marked = self._mark(result, query, work.expectations, work.output.existing)
            counts = self._count(marked, work.dataset)
            if any(r.fails for r in self.rules):
                table = StagedTable(result.schema, ())
            else:
                self._put_aside(marked, result, work.dataset, work.quarantine, counts)
                kept = marked.select(_list(result.schema.names), marked.kept)
                table = write(self._batches(kept, None), result.schema, work.output)
                _check(work.dataset, counts.written, table.rows)
        return Staged(table, counts, tuple(self.rules), self.quarantines, self.view_counts)

    def _readmit(self, query: Readmission) -> Staged:
        """Stage the rows of a quarantine that pass now, and the quarantine without them."""
        work, (read,) = self.work, query.reads
        all_ = self._spool(self.inputs.bind(read.name, work.inputs[read.name]), query)
        has = {f.name for f in work.quarantine.schema.fields}
        about = {f.name for f in QUARANTINE_FIELDS}
        # Before there is a table, the rows' own columns are to become its columns.
        names = work.output.schema.names or work.quarantine.schema.names
        columns = [n for n in names if n in has - about]
        rows = self.session.sql(
            f"SELECT {_list([*columns, RID])} FROM {all_} WHERE NOT {broke(MALFORMED)}"
        )
        schema, fitted = fit(rows.drop(RID), work.output, query.location, work.dataset)
        result = Result(rows.select(*fitted, col(RID)), schema, None)
        marked = self._mark(result, query, work.expectations, work.output.existing)
        passed = self._spool(marked.select("*", marked.kept), query)
        kept = self.session.sql(f"SELECT {_list(schema.names)} FROM {passed}")
        left = self.session.sql(
            f"SELECT {_list(work.quarantine.schema.names)} FROM {all_} "
            f"WHERE {RID} NOT IN (SELECT {RID} FROM {passed})"
        )
        table = write(self._batches(kept, None), schema, work.output)
        rest = write(self._batches(left, None), work.quarantine.schema, work.quarantine)
        total = self.session.table(all_).count()
        _check(work.dataset, total, table.rows + rest.rows)
        # The rows that stay were counted when they were put there.
        counts = Counts(out=table.rows, written=table.rows)
        return Staged(table, counts, (), {work.dataset: rest}, read=total)

    # -- queries ---------------------------------------------------------------------------

    def _bind_all(self) -> None:
        """Make inputs known by their names, and define the temporary views on them."""
        work = self.work
        places = {r.name: r.location for v in work.views for r in v.query.reads}
        places |= {r.name: r.location for r in work.query.reads}
        later = {n: b for n, b in work.inputs.items() if isinstance(b, ViewBatch)}
        for name, batch in work.inputs.items():
            if name not in later:
                with located(places.get(name)):
                    self.inputs.bind(name, batch)
        for view in work.views:
            for read in view.query.reads:
                if read.name in later:
                    self.inputs.bind(read.name, later.pop(read.name))
            # A view has no table whose columns its own would have to match.
            free = Output(view.quarantine.folder, view.quarantine.prefix)
            result = self._result(view.query, free, view.name, bool(view.expectations))
            frame = result.frame
            if view.expectations:
                marked = self._mark(result, view.query, view.expectations, None)
                counts = self.view_counts[view.name] = self._count(marked, view.name)
                self._put_aside(marked, result, view.name, view.quarantine, counts)
                frame = marked.select("*", marked.kept)
            visible = frame.select(*(col(quote(n)) for n in result.schema.names))
            self.session.register_view(quote(view_name(view.name)), visible)
        for name, batch in later.items():
            self.inputs.bind(name, batch)

    def _result(self, query: Query, output: Output, dataset: str, positions: bool) -> Result:
        """A query's rows in the columns of its table.

        Args:
            positions: give the rows their positions, and their order, if they have any.
        """
        source = None
        if isinstance(query, SqlQuery):
            with explained(query):
                frame = self.session.sql(query.sql)  # an error is of the text as it was written
                if positions and (carried := carrying(query, self.inputs.files)):
                    sql, source = carried
                    frame = self.session.sql(sql)
        else:
            frame = self._call(query)
        at = [col(AT)] if source is not None else []
        schema, columns = fit(frame.drop(AT) if at else frame, output, query.location, dataset)
        with explained(query.location):
            given = Names(frame.schema().names)
            lacks = tuple(n for n in output.schema.names if n not in given)
            return Result(frame.select(*columns, *at), schema, source, lacks)

    def _call(self, query: FunctionQuery) -> DataFrame:
        if set(query.takes) - {"arrow"}:
            raise UnsupportedError(
                "this engine calls functions with Arrow tables only", location=query.location
            )
        arguments = [self.session.table(quote(r.name)).to_arrow_table() for r in query.reads]
        result = query.function(*arguments)
        if not hasattr(result, "__arrow_c_stream__"):
            raise QueryError(
                f"{query.function.__name__} returned no table",
                location=query.location,
                got=type(result).__name__,
            )
        return self.session.from_arrow(result)

    def _batches(self, frame: DataFrame, query: Computation | None) -> Iterator[pa.RecordBatch]:
        with explained(query):
            for batch in frame.execute_stream():
                yield batch.to_pyarrow()

    def _spool(self, frame: DataFrame, query: Computation) -> str:
        """Compute rows once, number them in their order, and keep them in scratch space.

        What is computed again for each pass may differ, and has no order to number it by.
        """
        table = f"__qanat_rows_{next(self.numbers)}"
        path = self.work.scratch / f"{table}.parquet"
        numbered = RID in frame.schema().names
        schema = frame.schema() if numbered else frame.schema().append(pa.field(RID, pa.int64()))
        rows = 0
        with pq.ParquetWriter(path, schema, compression="lz4") as writer:
            for batch in self._batches(frame, query):
                arrays = batch.columns
                if not numbered:
                    arrays = [*arrays, pa.array(range(rows, rows + batch.num_rows), pa.int64())]
                writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
                rows += batch.num_rows
        self.session.register_parquet(table, path)
        return table

    # -- rules -----------------------------------------------------------------------------

    def _mark(
        self,
        result: Result,
        query: Computation,
        expectations: tuple[Expectation, ...],
        existing: Batch | None,
    ) -> Marked:
        rows = self._spool(result.frame, query)
        if existing is not None:
            self.inputs.bind(_EXISTING, existing)
        known = None if existing is None else _EXISTING
        marked = mark(self.session, rows, expectations, known, self._references())
        try:
            table = self._spool(self.session.sql(marked.rows), query)
        except QanatError:
            blame(self.session, rows, expectations)
            raise
        return replace(marked, rows=f"SELECT * FROM {table}")

    def _references(self) -> dict[Name, str]:
        names = {n: f"__qanat_reference_{i}" for i, n in enumerate(self.work.references)}
        for dataset, name in names.items():
            if name not in self.inputs.bound:
                self.inputs.bind(name, self.work.references[dataset])
        return names

    def _count(self, marked: Marked, dataset: str) -> Counts:
        counts, rules = marked.count(dataset)
        self.rules += rules
        return counts

    def _put_aside(
        self, marked: Marked, result: Result, dataset: str, output: Output, counts: Counts
    ) -> None:
        target = quarantine_schema(result.schema, output)
        rows = marked.select("*", marked.quarantined)
        source = None
        if result.source is not None:
            source = partial(self.inputs.source, result.source)
        batches = described(rows, result.schema, target, marked.expectations, self.work, source)
        staged = write(batches, target, output)
        _check(dataset, counts.quarantined, staged.rows)
        if staged.rows:
            self.quarantines[dataset] = staged

    def _discard(self) -> None:
        for output in (
            self.work.output,
            self.work.quarantine,
            *(v.quarantine for v in self.work.views),
        ):
            discard(output)


def _list(names: Sequence[str]) -> str:
    return ", ".join(quote(n) for n in names)


def _check(dataset: str, wanted: int, got: int) -> None:
    if wanted != got:
        raise InvariantError(
            f"rows of {dataset} do not add up", wanted=f"{wanted} rows", got=f"{got} rows"
        )
