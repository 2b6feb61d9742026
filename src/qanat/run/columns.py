"""The columns that datasets have by their queries, known without running them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from qanat.errors import AdapterError, Problems, QanatError, SchemaMismatchError, located
from qanat.frozen import Frozen
from qanat.model.name import Named, Names
from qanat.model.pipeline import Dataset, DatasetKind, Expectation
from qanat.model.query import FunctionQuery, Read
from qanat.model.record import Definition, Range
from qanat.model.schema import NO_COLUMNS, Schema
from qanat.model.table import Snapshot
from qanat.model.work import (
    QUARANTINE_FIELDS,
    Batch,
    Output,
    Stored,
    TableBatch,
    ViewBatch,
    ViewWork,
    Work,
)
from qanat.planning.graph import resolve
from qanat.run.attempt import may_widen
from qanat.run.inputs import drift_of, key_of
from qanat.run.memo import CompiledFlow
from qanat.run.session import Session


class Described(Frozen):
    """What is known of a dataset's columns.

    Args:
        schema: the columns; None if nothing tells them.
        table: those that the table has already, which the queries have to fit.
        flows: by name, what each flow makes of the table.
        problems: what is wrong with the queries.
        described: a flow over no rows, and the rules for its rows; None if there is none, or a
            query is wrong.
    """

    schema: Schema | None
    table: Schema
    flows: Mapping[str, Schema]
    problems: tuple[QanatError, ...] = ()
    described: tuple[Work, tuple[Expectation, ...]] | None = None


def describe(
    session: Session,
    dataset: Dataset,
    known: Named[Schema],
    before: Definition | None,
    takes: Mapping[str, Mapping[str, Range]] | None = None,
) -> Described:
    """The columns of a dataset.

    Columns of files come from a look at the first of them; columns of tables from the tables,
    or from the queries that will make them. Nothing is written.

    Args:
        known: the columns of the datasets above it.
        before: its definition as it was last run.
        takes: by flow, the ranges that it is about to read, by key; if they are given, only its
            flows that are about to read something tell the columns.
    """
    table = _table(session, dataset, before)
    problems = Problems()
    given: dict[str, Schema] = {}
    described: tuple[Work, tuple[Expectation, ...]] | None = None
    flows = tuple(session.pipeline.flows_into(dataset.name))
    # Where a query is wrong, nothing more is said of its columns: not of those of the others, nor
    # of those that the table was last written with.
    unknown = bool(session.problems) and not flows
    unchanged = before is not None and before.fingerprint == _fingerprint(session, dataset)
    for flow in flows if takes is None else (f for f in flows if f.name in takes):
        compiled = session.analysis.flows.get(flow.name)
        if compiled is None:
            unknown = True
            continue
        ranges = {} if takes is None else takes[flow.name]
        so_far = len(problems)
        with problems.collecting():
            work = _work(session, compiled, known, table, unchanged, ranges)
            if work is not None:
                given[flow.name] = session.engine.describe(work)
                described = work, compiled.expectations
        unknown = unknown or len(problems) > so_far
    if unknown:
        declared = dataset.schema if dataset.schema.fields else None
        return Described(declared, _columns(table), given, tuple(problems))
    schema: Schema | None = None
    for each in given.values():
        schema = _merged(schema, each)
    if schema is None:
        schema = _stored(session, dataset)
    return Described(schema, _columns(table), given, tuple(problems), described)


def _fingerprint(session: Session, dataset: Dataset) -> str:
    found, _ = session.analysis.definitions.get(dataset.name, ("", ""))
    return found


def _columns(table: Snapshot | None) -> Schema:
    return NO_COLUMNS if table is None else table.schema


class Changes(Frozen):
    """How the columns that queries give differ from those of their streaming table.

    Args:
        adds: by flow, the columns that the table does not have yet.
        lacks: columns of the table that no flow gives.
    """

    adds: Mapping[str, tuple[str, ...]]
    lacks: tuple[str, ...] = ()


def changed_columns(session: Session, dataset: Dataset, definitions: Named[Definition]) -> Changes:
    """Compare the queries of a streaming table with the columns that it has.

    Raises:
        SchemaMismatchError: a query's columns do not fit the table.
    """
    known: Named[Schema] = Named()
    above = session.graph.upstream(dataset.name)
    for name in session.graph.order:
        if name in above:
            schema = describe(
                session, session.pipeline.dataset(name), known, definitions.get(name)
            ).schema
            if schema is not None:
                known[name] = schema
    given = describe(session, dataset, known, definitions.get(dataset.name))
    for problem in given.problems:
        # Others may be none any more once the unread input is there: it may have a new column.
        if isinstance(problem, SchemaMismatchError):
            raise problem
    adds = {
        flow: tuple(f.name for f in schema.fields if given.table.get(f.name) is None)
        for flow, schema in given.flows.items()
    }
    return Changes(adds, _lacking(session, dataset, known, given))


def _lacking(
    session: Session, dataset: Dataset, known: Named[Schema], given: Described
) -> tuple[str, ...]:
    """Columns of a table that none of its flows gives; none if one of them cannot be asked."""
    found: list[str] = []
    for flow in session.pipeline.flows_into(dataset.name):
        if flow.name not in given.flows:
            return ()
        work = _work(session, session.analysis.flows[flow.name], known, None, False, {})
        if work is None:
            return ()
        found += session.engine.describe(work).names
    names = Names(found)
    return tuple(f.name for f in given.table.fields if f.name not in names)


def _stored(session: Session, dataset: Dataset) -> Schema | None:
    """The columns of a dataset whose query does not tell: as declared, or as last written."""
    if dataset.schema.fields:
        return dataset.schema
    read = session.readable(dataset.name)
    if not dataset.stored or read.version is None:
        return None
    return read.store.snapshot(read.table).schema


def _merged(schema: Schema | None, more: Schema) -> Schema:
    if schema is None:
        return more
    new = tuple(f for f in more.fields if schema.get(f.name) is None)
    return Schema((*schema.fields, *new))


def _table(session: Session, dataset: Dataset, before: Definition | None) -> Snapshot | None:
    """The table that the query of a dataset has to fit, because rows will join those there."""
    streaming = DatasetKind.STREAMING_TABLE
    if dataset.kind is not streaming or before is None or before.kind != str(streaming):
        return None  # there is no table yet, or it will be replaced
    try:
        table = session.table(dataset.name)
        if session.store.version(table) is None:
            return None
        return session.store.snapshot(table)
    except AdapterError:
        # `qanat run` tells what is wrong with the store or the table; this is about declarations.
        return None


def _work(
    session: Session,
    compiled: CompiledFlow,
    known: Named[Schema],
    table: Snapshot | None,
    unchanged: bool,
    ranges: Mapping[str, Range],
) -> Work | None:
    """A flow over no rows; None where its columns cannot be known.

    Those of an input may not be (its own error tells why), and a Python function is not called
    here: its author would not expect a call without any rows.

    Args:
        table: what its target has already.
        unchanged: whether its definition is the one that the table was last written by.
        ranges: by key, what it is about to read.
    """
    queries = (compiled.query, *(v.query for v in compiled.views))
    if any(isinstance(q, FunctionQuery) for q in queries):
        return None
    if any(v.dataset.name not in known for v in compiled.views):
        return None
    inputs: dict[str, Batch] = {n: ViewBatch(view) for n, view in compiled.view_reads}
    for read in compiled.reads:
        with located(read.location):
            batch = _sample(session, compiled, read, known, ranges.get(key_of(read)))
        if batch is None:
            return None
        inputs[read.name] = batch
    widens = may_widen(session, compiled)
    nowhere = Output(
        session.scratch / "validate",
        "none",
        schema=_columns(table),
        stored=Stored(table.batch, table.version) if widens and table is not None else None,
        declared=compiled.dataset.schema,
        partition_by=compiled.dataset.partition_by,
    )
    return Work(
        flow=compiled.flow.name,
        epoch=0,
        update="",
        dataset=compiled.dataset.name,
        query=compiled.query,
        inputs=inputs,
        output=nowhere,
        quarantine=replace(nowhere, schema=NO_COLUMNS, stored=None),
        scratch=session.scratch / "validate" / compiled.flow.name,
        at_ns=0,
        views=tuple(ViewWork(v.dataset.name, v.query, (), nowhere) for v in compiled.views),
        widens=widens,
        unchanged=unchanged,
    )


def _sample(
    session: Session,
    compiled: CompiledFlow,
    read: Read,
    known: Named[Schema],
    range_: Range | None,
) -> Batch | None:
    """Just enough of an input to know its columns.

    Args:
        range_: what is about to be read of it; None if that is not known.
    """
    name = read.source.dataset
    if name is None:
        generation = session.recorded.generation(compiled.dataset.name)
        before = session.recorded.source_schema(
            compiled.flow.name, compiled.dataset.name, generation, key_of(read)
        )
        policy = drift_of(session, compiled)
        source = session.source(read.source)
        return source.sample(read.source, before or NO_COLUMNS, policy, session.scratch, range_)
    schema = known.get(name)
    owner = resolve(session.pipeline, name)
    if schema is None and owner is not None and owner.name in known:
        # x__quarantine has the columns of x and those about the quarantine.
        schema = known[owner.name]
        schema = Schema((*schema.fields, *QUARANTINE_FIELDS))
    if schema is not None and read.source.adds:
        schema = Schema((*schema.fields, *read.source.adds))
    return TableBatch((), schema) if schema is not None else None
