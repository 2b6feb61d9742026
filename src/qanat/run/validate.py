"""Everything that can be known to be wrong without running."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from qanat.errors import AdapterError, QanatError, located
from qanat.model.name import Named
from qanat.model.pipeline import Dataset, DatasetKind, Expectation, Predicate
from qanat.model.query import FunctionQuery, Read
from qanat.model.record import Definition
from qanat.model.schema import NO_COLUMNS, Schema
from qanat.model.work import (
    QUARANTINE_FIELDS,
    Batch,
    Output,
    TableBatch,
    ViewBatch,
    ViewWork,
    Work,
)
from qanat.planning.graph import resolve
from qanat.quality import check_expectations
from qanat.run.inputs import drift_of, key_of
from qanat.run.memo import CompiledFlow
from qanat.run.results import Validation
from qanat.run.session import Session
from qanat.run.sinks import check_apart


def validate(session: Session) -> Validation:
    """Check declarations, queries against the columns of their inputs, and rules.

    Columns of files come from a look at the first of them; columns of tables from the tables,
    or from the queries that will make them. Nothing is written.
    """
    problems = list(session.problems)
    known: Named[Schema] = Named()
    before = session.recorded.definitions()
    for name in session.graph.order:
        problems += _check(session, name, known, before.get(name))
        problems += _sink_problems(session, session.pipeline.dataset(name))
    problems.sort(key=_place)
    stored = [session.pipeline.dataset(n) for n in session.graph.order]
    return Validation(
        problems=tuple(problems),
        datasets=tuple((d.name, str(d.kind)) for d in stored),
        flows=len(session.pipeline.flows),
        expectations=sum(len(d.expectations) for d in session.pipeline.datasets),
    )


def _place(problem: QanatError) -> tuple[str, int, int]:
    where = problem.location
    return (where.file, where.line or 0, where.column or 0) if where else ("", 0, 0)


def _check(
    session: Session, name: str, known: Named[Schema], before: Definition | None
) -> list[QanatError]:
    """Check one dataset, all above it being checked; learn its columns on the way."""
    dataset = session.pipeline.dataset(name)
    table = _table(session, dataset, before)
    problems: list[QanatError] = []
    schema: Schema | None = None
    described: Work | None = None
    rules: tuple[Expectation, ...] = ()
    flows = tuple(session.pipeline.flows_into(name))
    # Where a query is wrong, nothing more is said of its columns: not of those of the others, nor
    # of those that the table was last written with.
    unknown = bool(session.problems) and not flows
    for flow in flows:
        compiled = session.analysis.flows.get(flow.name)
        if compiled is None:
            unknown = True
            continue
        try:
            work = _work(session, compiled, known, table)
            given = session.engine.describe(work) if work is not None else None
        except QanatError as error:
            problems.append(error)
            unknown = True
            continue
        if work is not None and given is not None:
            schema = _merged(schema, given)
            described, rules = work, compiled.expectations
    if unknown:
        schema, described = dataset.schema if dataset.schema.fields else None, None
    elif schema is None:
        schema = _stored(session, dataset)
    if schema is not None:
        known[name] = schema
        missing = check_expectations(dataset, schema, known)
        problems += missing
        if described is not None:
            wrong = {p.location for p in missing}
            rest = [e for e in rules if e.location not in wrong]
            problems += _rule_problems(session, described, rest)
    return problems


def _sink_problems(session: Session, dataset: Dataset) -> Iterator[QanatError]:
    if dataset.sink is None:
        return
    try:
        with located(dataset.location):
            session.sink(dataset.sink).check(dataset.sink)
            check_apart(session, dataset)
    except QanatError as error:
        yield error


def _stored(session: Session, dataset: Dataset) -> Schema | None:
    """The columns of a dataset whose query does not tell: as declared, or as last written."""
    if dataset.schema.fields:
        return dataset.schema
    read = session.readable(dataset.name)
    if not dataset.stored or read.version is None:
        return None
    return read.store.snapshot(read.table).schema


def _rule_problems(
    session: Session, work: Work, rules: Sequence[Expectation]
) -> Iterator[QanatError]:
    """What the engine does not accept of the rules on a dataset's rows."""
    predicates = [e for e in rules if isinstance(e.rule, Predicate)]
    if not predicates or _refused(session, work, predicates) is None:
        return
    for each in predicates:
        problem = _refused(session, work, [each])
        if problem is not None:
            yield problem


def _refused(session: Session, work: Work, rules: Sequence[Expectation]) -> QanatError | None:
    try:
        session.engine.describe(replace(work, expectations=tuple(rules)))
    except QanatError as error:
        return error
    return None


def _merged(schema: Schema | None, more: Schema) -> Schema:
    if schema is None:
        return more
    new = tuple(f for f in more.fields if schema.get(f.name) is None)
    return Schema((*schema.fields, *new))


def _table(session: Session, dataset: Dataset, before: Definition | None) -> Schema:
    """The columns that the query of a dataset has to fit, because rows will join those there."""
    streaming = DatasetKind.STREAMING_TABLE
    if dataset.kind is not streaming or before is None or before.kind != str(streaming):
        return NO_COLUMNS  # there is no table yet, or it will be replaced
    try:
        table = session.table(dataset.name)
        if session.store.version(table) is None:
            return NO_COLUMNS
        return session.store.snapshot(table).schema
    except AdapterError:
        # `qanat run` tells what is wrong with the store or the table; this is about declarations.
        return NO_COLUMNS


def _work(
    session: Session, compiled: CompiledFlow, known: Named[Schema], table: Schema
) -> Work | None:
    """A flow over no rows; None where its columns cannot be known.

    Those of an input may not be (its own error tells why), and a Python function is not called
    here: its author would not expect a call without any rows.

    Args:
        table: the columns that its target has already.
    """
    queries = (compiled.query, *(v.query for v in compiled.views))
    if any(isinstance(q, FunctionQuery) for q in queries):
        return None
    if any(v.dataset.name not in known for v in compiled.views):
        return None
    inputs: dict[str, Batch] = {n: ViewBatch(view) for n, view in compiled.view_reads}
    for read in compiled.reads:
        with located(read.location):
            batch = _sample(session, compiled, read, known)
        if batch is None:
            return None
        inputs[read.name] = batch
    nowhere = Output(
        session.scratch / "validate",
        "none",
        schema=table,
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
        quarantine=replace(nowhere, schema=NO_COLUMNS),
        scratch=session.scratch / "validate" / compiled.flow.name,
        at_ns=0,
        views=tuple(ViewWork(v.dataset.name, v.query, (), nowhere) for v in compiled.views),
    )


def _sample(
    session: Session, compiled: CompiledFlow, read: Read, known: Named[Schema]
) -> Batch | None:
    """Just enough of an input to know its columns."""
    name = read.source.dataset
    if name is None:
        generation = session.recorded.generation(compiled.dataset.name)
        before = session.recorded.source_schema(
            compiled.flow.name, compiled.dataset.name, generation, key_of(read)
        )
        policy = drift_of(session, compiled)
        source = session.source(read.source)
        return source.sample(read.source, before or NO_COLUMNS, policy, session.scratch)
    schema = known.get(name)
    owner = resolve(session.pipeline, name)
    if schema is None and owner is not None and owner.name in known:
        # x__quarantine has the columns of x and those about the quarantine.
        schema = known[owner.name]
        schema = Schema((*schema.fields, *QUARANTINE_FIELDS))
    return TableBatch((), schema) if schema is not None else None
