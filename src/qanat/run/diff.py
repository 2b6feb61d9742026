"""Compare two tables, versions, environments, files or queries by keys; nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from time import monotonic

from qanat.model.comparison import Comparing, Diff, DiffSide, Relation
from qanat.model.name import Names
from qanat.model.rule import Unique
from qanat.run.query import condition_of
from qanat.run.session import Session
from qanat.run.subject import Subject, subject


def diff(session: Session, left: str, right: str, how: Comparing) -> Diff:
    """Compare two sides by keys.

    Args:
        left, right: `table`, `table@3`, `environment:table`, the path of a file, a call such as
            `read_postgres('orders', url => '…')`, or a query.
        how: `where` is in the project's dialect.

    Raises:
        DatasetNotFoundError, TableNotFoundError: a side is not there.
        ColumnNotFoundError: a key or column is not there, or no column tells rows apart.
        DeclarationError: a query or the condition does not fit.
    """
    started = monotonic()
    here, there = subject(session, left, "left"), subject(session, right, "right")
    where = condition_of(session, how.where.sql if how.where else None)
    keys, keyed = how.keys, "given"
    if not keys:
        keys, keyed = _declared(session, here, there)
    asked = replace(how, keys=keys, where=where)
    mine, theirs, shared = _apart(here, there)
    found = session.engine.compare(mine, theirs, asked)
    sides = (
        DiffSide(each.name, each.version, _rows(each, read.read, shared, how))
        for each, read in ((here, found.left), (there, found.right))
    )
    return Diff(next(sides), next(sides), found, keyed, shared, monotonic() - started)


def _rows(side: Subject, read: int, shared: int, how: Comparing) -> int | None:
    if not shared:
        return read
    return side.rows if how.where is None else None


def _apart(here: Subject, there: Subject) -> tuple[Relation, Relation, int]:
    """Both sides for the engine, without the files of a table that are in both."""
    mine, theirs, shared = here.inputs, there.inputs, 0
    if here.dataset and there.dataset:
        (a, first), (b, second) = *mine.items(), *theirs.items()
        both = first.shareable & second.shareable
        mine, theirs, shared = {a: first.less(both)}, {b: second.less(both)}, len(both)
    return Relation(here.query, mine), Relation(there.query, theirs), shared


def _declared(session: Session, here: Subject, there: Subject) -> tuple[tuple[str, ...], str]:
    """The keys that a declaration says of either side's dataset; none if it says none."""
    for side in (here, there):
        for keys in _keys_of(session, side.dataset):
            return keys, "declared"
    return (), "found"


def _keys_of(session: Session, name: str) -> Iterator[tuple[str, ...]]:
    dataset = session.pipeline.get(name) if name else None
    if dataset is None or Names((dataset.name,)) != Names((name,)):
        return
    if dataset.keys:
        yield dataset.keys
    for flow in session.pipeline.flows_into(dataset.name):
        if flow.changes is not None and (keys := flow.changes.identifies):
            yield keys
    for expectation in dataset.expectations:
        if isinstance(expectation.rule, Unique):
            yield expectation.rule.columns
