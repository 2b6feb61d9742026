"""The columns that datasets have by their queries, known without running them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field, replace

from qanat.errors import AdapterError, Problems, QanatError, SchemaMismatchError, located, naming
from qanat.frozen import Frozen
from qanat.model.expectation import Expectation
from qanat.model.name import Named, Names
from qanat.model.pipeline import Dataset, DatasetKind
from qanat.model.quarantine import QUARANTINE_FIELDS
from qanat.model.query import FunctionQuery, Read
from qanat.model.record import Definition, Range
from qanat.model.schema import NO_COLUMNS, Schema
from qanat.model.table import Snapshot
from qanat.model.work import (
    Batch,
    Merge,
    Output,
    StateWork,
    Stored,
    TableBatch,
    ViewBatch,
    ViewWork,
    Work,
)
from qanat.planning.changes import missing_columns, probes
from qanat.planning.fit import redeclared
from qanat.planning.graph import resolve
from qanat.ports.engine import Columns
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
        lacks: columns of the table that no flow gives; none if one of them cannot be asked.
        events: by name, the columns of the changes that a flow gives (AUTO CDC).
        problems: what is wrong with the queries.
        described: a flow over no rows, and the rules for its rows; None if there is none, or a
            query is wrong.
    """

    schema: Schema | None
    table: Schema
    flows: Mapping[str, Schema]
    problems: tuple[QanatError, ...] = ()
    described: tuple[Work, tuple[Expectation, ...]] | None = None
    lacks: tuple[str, ...] = ()
    events: Mapping[str, Schema] = field(default_factory=dict)


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
        before: its definition as it was last run; None if it has never run, or starts over.
        takes: by flow, the ranges that it is about to read, by key; if they are given, only its
            flows that are about to read something tell the columns.
    """
    table = _table(session, dataset, before)
    problems = Problems()
    given: dict[str, Schema] = {}
    events: dict[str, Schema] = {}
    described: tuple[Work, tuple[Expectation, ...]] | None = None
    flows = tuple(session.pipeline.flows_into(dataset.name))
    told = True
    lacks: tuple[str, ...] | None = None
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
        with problems.collecting(), naming(dataset.name):
            work = _work(session, compiled, known, table, unchanged, ranges, before is None)
            told = told and work is not None
            if work is not None:
                rows = replace(work, merge=None)
                described = rows, compiled.expectations
                if work.merge is not None:
                    events[flow.name] = session.engine.describe(rows).schema
                if not (missing := missing_columns(flow, events.get(flow.name, NO_COLUMNS))):
                    columns = _described(session, compiled, work)
                    given[flow.name] = columns.schema
                    lacks = columns.lacks if lacks is None else _both(lacks, columns.lacks)
                problems += missing
        unknown = unknown or len(problems) > so_far
    # A Python function whose definition changed may give anything: it is not called to find out.
    if unknown or not (told or unchanged):
        declared = dataset.schema if dataset.schema.fields else None
        return Described(declared, _columns(table), given, tuple(problems), events=events)
    schema: Schema | None = None
    for each in given.values():
        schema = _merged(schema, each)
    if schema is None:
        schema = _stored(session, dataset)
    lacking = lacks if told and lacks is not None else ()
    return Described(schema, _columns(table), given, tuple(problems), described, lacking, events)


def _described(session: Session, compiled: CompiledFlow, work: Work) -> Columns:
    """What a flow makes of its table; mistakes in the expressions of changes are told first.

    They stand where the author wrote them.
    """
    try:
        return session.engine.describe(work)
    except QanatError:
        problems = Problems()
        for probe in probes(compiled.flow, compiled.changes):
            with problems.collecting():
                _probe(session, replace(work, merge=None, expectations=(probe,)))
        problems.require()
        raise


def _probe(session: Session, work: Work) -> None:
    try:
        session.engine.describe(work)
    except QanatError as problem:
        problem.message = problem.message.removeprefix("expectation ")
        raise


def _fingerprint(session: Session, dataset: Dataset) -> str:
    found, _ = session.analysis.definitions.get(dataset.name, ("", ""))
    return found


def _columns(table: Snapshot | None) -> Schema:
    return NO_COLUMNS if table is None else table.schema


def as_stored(
    session: Session, dataset: Dataset, above: Named[Schema], before: Definition | None
) -> Schema | None:
    """The columns of a dataset as its table has them now, by its queries if there is none.

    Args:
        above, before: as `describe` takes them.
    """
    if dataset.stored:
        read = session.readable(dataset.name)
        if read.version is not None:
            return read.store.snapshot(read.table).schema
    return describe(session, dataset, above, before).schema


def columns_above(
    session: Session, dataset: Dataset, ask: Callable[[Dataset, Named[Schema]], Schema | None]
) -> Named[Schema]:
    """The columns of all datasets above one, as far as they are known.

    Args:
        ask: gives those of a dataset, all above it being known as far as they can be.
    """
    known: Named[Schema] = Named()
    above = session.graph.upstream(dataset.name)
    for name in (n for n in session.graph.order if n in above):
        schema = ask(session.pipeline.dataset(name), known)
        if schema is not None:
            known[name] = schema
    return known


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

    def columns(each: Dataset, above: Named[Schema]) -> Schema | None:
        return describe(session, each, above, definitions.get(each.name)).schema

    known = columns_above(session, dataset, columns)
    given = describe(session, dataset, known, definitions.get(dataset.name))
    for problem in given.problems:
        # Others may be none any more once the unread input is there: it may have a new column.
        if isinstance(problem, SchemaMismatchError):
            raise problem
    adds = {
        flow: tuple(f.name for f in schema.fields if given.table.get(f.name) is None)
        for flow, schema in given.flows.items()
    }
    return Changes(adds, given.lacks)


def _both(some: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    names = Names(others)
    return tuple(name for name in some if name in names)


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
    anew: bool,
) -> Work | None:
    """A flow over no rows; None where its columns cannot be known.

    Those of an input may not be (its own error tells why), and a Python function is not called
    here: its author would not expect a call without any rows.

    Args:
        table: what its target has already.
        unchanged: whether its definition is the one that the table was last written by.
        ranges: by key, what it is about to read.
        anew: whether it has read nothing yet.
    """
    queries = (compiled.query, *(v.query for v in compiled.views))
    if any(isinstance(q, FunctionQuery) for q in queries):
        return None
    if any(v.dataset.name not in known for v in compiled.views):
        return None
    inputs: dict[str, Batch] = {n: ViewBatch(view) for n, view in compiled.view_reads}
    for read in compiled.reads:
        with located(read.location):
            batch = _sample(session, compiled, read, known, ranges.get(key_of(read)), anew)
        if batch is None:
            return None
        inputs[read.name] = batch
    widens, changes = may_widen(session, compiled), compiled.changes
    wider = widens or bool(redeclared(_columns(table), compiled.dataset.schema))
    nowhere = Output(
        session.scratch / "validate",
        "none",
        schema=_columns(table),
        stored=Stored(table.batch, table.version) if wider and table is not None else None,
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
        output=nowhere if changes is None else Output(nowhere.folder, nowhere.prefix),
        quarantine=replace(nowhere, schema=NO_COLUMNS, stored=None),
        scratch=session.scratch / "validate" / compiled.flow.name,
        at_ns=0,
        views=tuple(ViewWork(v.dataset.name, v.query, (), nowhere) for v in compiled.views),
        widens=widens,
        unchanged=unchanged,
        merge=None if changes is None else Merge(changes, nowhere, None, 0, feed=False),
        state=None if compiled.stateful is None else StateWork(compiled.stateful, nowhere),
    )


def _sample(
    session: Session,
    compiled: CompiledFlow,
    read: Read,
    known: Named[Schema],
    range_: Range | None,
    anew: bool,
) -> Batch | None:
    """Just enough of an input to know its columns.

    Args:
        range_: what is about to be read of it; None if that is not known.
    """
    name = read.source.dataset
    if name is None:
        generation = session.recorded.generation(compiled.dataset.name)
        before = None
        if not anew:
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
