"""Everything that can be known to be wrong without running."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from qanat.errors import Problems, QanatError, located
from qanat.model.name import Named
from qanat.model.pipeline import Dataset, Expectation, Predicate
from qanat.model.record import Definition
from qanat.model.schema import Schema
from qanat.model.work import Work
from qanat.quality import check_expectations
from qanat.run.changing import KEY, SEQUENCE, probes
from qanat.run.columns import describe
from qanat.run.results import Validation
from qanat.run.session import Session
from qanat.run.sinks import check_apart


def validate(session: Session) -> Validation:
    """Check declarations, queries against the columns of their inputs, and rules.

    Columns of files come from a look at the first of them; columns of tables from the tables,
    or from the queries that will make them. Nothing is written.
    """
    problems = Problems(session.problems)
    with problems.collecting():
        session.check_store()
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
    given = describe(session, dataset, known, before)
    problems = [*given.problems]
    if given.schema is not None:
        known[name] = given.schema
        # Rules on changes are checked before these become rows of the table.
        checked = next(iter(given.events.values()), given.schema)
        missing = check_expectations(dataset, checked, known)
        problems += missing
        if given.described is not None:
            work, rules = given.described
            wrong = {p.location for p in missing}
            rest = [e for e in rules if e.location not in wrong and e.name not in (KEY, SEQUENCE)]
            problems += _rule_problems(session, work, rest)
            problems += _expression_problems(session, work)
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


def _expression_problems(session: Session, work: Work) -> Iterator[QanatError]:
    """What the engine does not accept of the expressions of AUTO CDC.

    They stand where the author wrote them, as the rules that are made of them do not.
    """
    compiled = session.analysis.flows[work.flow]
    for probe in probes(compiled.flow, compiled.changes):
        problem = _refused(session, work, [probe])
        if problem is not None:
            problem.message = problem.message.removeprefix("expectation ")
            yield problem


def _refused(session: Session, work: Work, rules: Sequence[Expectation]) -> QanatError | None:
    try:
        session.engine.describe(replace(work, expectations=tuple(rules)))
    except QanatError as error:
        return error
    return None
