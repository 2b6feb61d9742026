"""What is wrong with one dataset's queries, rules and target, its inputs' columns being known.

`validate` asks it of all datasets, a plan of those that an update would work on, and an update of
one that has failed: so that all three name the same mistakes, all of them, in the same words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from qanat.declare.files import CONTRACTS
from qanat.errors import Problems, QanatError, located
from qanat.frozen import Frozen
from qanat.model.changes import KEY, SEQUENCE
from qanat.model.expectation import Expectation
from qanat.model.name import Named
from qanat.model.pipeline import Dataset
from qanat.model.record import Definition, Range
from qanat.model.rule import Predicate
from qanat.model.schema import Schema
from qanat.model.work import Work
from qanat.quality.contracts import breaches
from qanat.quality.expectations import check_expectations
from qanat.run.columns import as_stored, columns_above, describe
from qanat.run.decide import Decision, Step
from qanat.run.session import Session
from qanat.run.sinks import check_apart


class Checked(Frozen):
    """A dataset's columns, None if nothing tells them, and what is wrong with its declaration."""

    schema: Schema | None
    problems: tuple[QanatError, ...]


def check(
    session: Session,
    dataset: Dataset,
    known: Named[Schema],
    before: Definition | None,
    takes: Mapping[str, Mapping[str, Range]] | None = None,
) -> Checked:
    """The columns of a dataset and its mistakes, in the order of the files.

    Args:
        known, before, takes: as `describe` takes them.
    """
    given = describe(session, dataset, known, before, takes)
    problems = [*given.problems]
    if given.schema is not None:
        around = Named({**known, dataset.name: given.schema})
        # Rules on changes are checked before these become rows of the table.
        checked = next(iter(given.events.values()), given.schema)
        missing = check_expectations(dataset, checked, around)
        broken = [*breaches(session.pipeline.promises, dataset, given.schema, given.lacks)]
        # A column that is gone is told once, and not again for each check that needs it.
        own = [p for p in missing if not (p.location and p.location.file.startswith(CONTRACTS))]
        problems += [*broken, *(own if broken else missing)]
        if given.described is not None:
            work, rules = given.described
            wrong = {p.location for p in missing}
            rest = [e for e in rules if e.location not in wrong and e.name not in (KEY, SEQUENCE)]
            problems += _rule_problems(session, work, rest)
    problems += _sink_problems(session, dataset)
    return Checked(given.schema, tuple(sorted(problems, key=place)))


def all_mistakes(
    session: Session,
    dataset: Dataset,
    decision: Decision,
    definitions: Named[Definition],
    first: QanatError,
) -> QanatError:
    """All that is wrong with a declaration whose first mistake an update has met, as one error.

    Args:
        decision: what the update does with the dataset.
        definitions: of all datasets, as last run.
    """

    def columns(each: Dataset, above: Named[Schema]) -> Schema | None:
        return as_stored(session, each, above, definitions.get(each.name))

    known = columns_above(session, dataset, columns)
    # A table that starts over need not be fitted.
    before = None if decision.step is Step.FULL_REFRESH else definitions.get(dataset.name)
    takes = {t.flow: t.ranges for t in decision.takes}
    found = Problems(check(session, dataset, known, before, takes).problems)
    if not any(p.location == first.location for p in found):
        # It is one that only rows can show.
        found = Problems([*first.problems, *found])
    return found.as_one()


def place(problem: QanatError) -> tuple[str, int, int]:
    """Where an error is, to sort errors by."""
    where = problem.location
    return (where.file, where.line or 0, where.column or 0) if where else ("", 0, 0)


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


def _refused(session: Session, work: Work, rules: Sequence[Expectation]) -> QanatError | None:
    try:
        session.engine.describe(replace(work, expectations=tuple(rules)))
    except QanatError as error:
        return error
    return None
