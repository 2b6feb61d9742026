"""Check expectations on the rows that tables hold; nothing is written."""

from __future__ import annotations

import shlex
import time
from collections.abc import Collection, Iterator

from qanat.errors import SelectionError
from qanat.model.name import Names, fold
from qanat.model.pipeline import Dataset, DatasetKind
from qanat.model.rule import Level, of_epoch
from qanat.run.auditing import of_columns
from qanat.run.checked import RuleCheck
from qanat.run.results import Selection, choose_datasets
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
        CheckUndecidedError: nobody can say whether a rule about the table holds.
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
    if dataset.kind is not DatasetKind.MATERIALIZED_VIEW:
        # The rows of one epoch are not known any more.
        rules = tuple(e for e in rules if not of_epoch(e.rule))
    read = {name for e in rules for name in e.rule.datasets}
    references = {fold(name): stored(session, name).snapshot.batch for name in read}
    snapshot = stored(session, dataset.name).snapshot
    engine, name = session.engine, dataset.name
    of_rows = [e for e in rules if e.rule.level.of_rows]
    rows, counts = engine.check(snapshot.batch, name, of_rows, references)
    found = {c.rule: c for c in (*counts, *of_columns(name, snapshot.schema, rules))}
    if wanted := [e for e in rules if e.rule.level is Level.TABLE]:
        batches, now = (snapshot.batch,), time.time_ns()
        counts = engine.measure(batches, name, wanted, references, now, rows)
        found |= {c.rule: c for c in counts}
    for expectation in rules:
        count = found[expectation.name]
        yield RuleCheck(
            dataset=name,
            rule=expectation.name,
            text=expectation.text,
            action=str(expectation.action),
            rows=rows if count.rows is None else count.rows,
            violations=count.violations,
            value=count.value,
            tolerated=count.tolerated,
            severity=str(expectation.severity),
            dimension=None if expectation.dimension is None else str(expectation.dimension),
            owner=expectation.owner,
            comment=expectation.comment,
            tags=expectation.tags,
            origin=expectation.origin,
        )
