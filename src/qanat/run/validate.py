"""Everything that can be known to be wrong without running."""

from __future__ import annotations

from qanat.errors import Problems, SelectionError
from qanat.model.name import Named
from qanat.model.schedule import Schedule
from qanat.model.schema import Schema
from qanat.planning.graph import select
from qanat.run.kept import problems_of_kept_rows
from qanat.run.mistakes import check, place
from qanat.run.results import Validation
from qanat.run.session import Session


def validate(session: Session) -> Validation:
    """Check declarations, queries against the columns of their inputs, and rules.

    Columns of files come from a look at the first of them; columns of tables from the tables,
    or from the queries that will make them. Nothing is written.
    """
    problems = Problems(session.problems)
    with problems.collecting():
        session.check_store()
    known: Named[Schema] = Named()
    wrong = set[str]()
    before = session.recorded.definitions()
    for name in session.graph.order if _knows_functions(session, problems) else ():
        checked = check(session, session.pipeline.dataset(name), known, before.get(name))
        problems += checked.problems
        wrong |= {name} if checked.problems else set()
        if checked.schema is not None:
            known[name] = checked.schema
    problems += problems_of_kept_rows(session, wrong)
    for schedule in session.project.schedules:
        with problems.collecting():
            check_selection(session, schedule)
    problems.sort(key=place)
    stored = [session.pipeline.dataset(n) for n in session.graph.order]
    return Validation(
        problems=tuple(problems),
        datasets=tuple((d.name, str(d.kind)) for d in stored),
        flows=len(session.pipeline.flows),
        expectations=sum(len(d.expectations) for d in session.pipeline.datasets),
        notes=tuple(map(str, session.pipeline.notes)),
    )


def check_selection(session: Session, schedule: Schedule) -> None:
    """Check that a schedule selects something.

    Raises:
        SelectionError: a name matches nothing; says where the schedule is.
    """
    try:
        select(session.graph, session.pipeline, schedule.select)
    except SelectionError as error:
        error.location = schedule.location
        raise


def _knows_functions(session: Session, problems: Problems) -> bool:
    """True unless the engine refuses a function of the project, which is a problem then."""
    before = len(problems)
    if session.pipeline.functions:
        with problems.collecting():
            session.engine.define(session.pipeline.functions)
    return len(problems) == before
