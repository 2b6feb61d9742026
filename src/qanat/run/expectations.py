"""Check expectations on the rows that tables hold; nothing is written."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator

from qanat.errors import SelectionError
from qanat.model.name import Names, fold
from qanat.model.pipeline import Dataset
from qanat.model.rule import References
from qanat.run.results import RuleCheck, Selection, choose_datasets
from qanat.run.session import Session
from qanat.run.stored import stored


def check(
    session: Session, selection: Selection | None = None, tested: Collection[str] = ()
) -> tuple[RuleCheck, ...]:
    """Every expectation of the stored datasets against their tables as they are.

    Rows that were written before a rule was added or changed have never met it. A table that
    has not run yet has no rows: it is left out, unless it was asked for by its name.

    Args:
        tested: datasets that have been tested otherwise, and need no rows.

    Raises:
        ProblemsError: the declarations are wrong.
        SelectionError: a pattern matches nothing.
        TableNotFoundError: a rule refers to a table that has never run.
        ColumnNotFoundError: a rule uses a column that the table does not have.
    """
    session.require()
    asked = selection or Selection()
    checks: list[RuleCheck] = []
    for name in choose_datasets(session, asked).datasets:
        dataset = session.pipeline.dataset(name)
        if not dataset.stored or not dataset.expectations:
            continue
        if session.readable(name).version is None:
            if name in Names(asked.select) and name not in Names(tested):
                raise SelectionError(
                    f"{name} has no rows to check: it has never run",
                    hint=f"run it first: qanat run --select {shlex.quote(f'+{name}')}",
                )
            continue
        checks += _checked(session, dataset)
    return tuple(checks)


def _checked(session: Session, dataset: Dataset) -> Iterator[RuleCheck]:
    rules = session.analysis.rules[dataset.name]
    references = {
        fold(r.rule.dataset): stored(session, r.rule.dataset).snapshot.batch
        for r in rules
        if isinstance(r.rule, References)
    }
    batch = stored(session, dataset.name).snapshot.batch
    rows, counts = session.engine.check(batch, dataset.name, rules, references)
    for expectation, count in zip(dataset.expectations, counts, strict=True):
        yield RuleCheck(
            dataset=dataset.name,
            rule=expectation.name,
            text=str(expectation.rule),
            action=str(expectation.action),
            rows=rows,
            violations=count.violations,
        )
