"""Columns that come and go: what an epoch changes in the columns of its table."""

from __future__ import annotations

from collections.abc import Iterator

from qanat.model.schema import Field, Schema
from qanat.run.attempt import Attempt


def column_changes(attempt: Attempt) -> Iterator[str]:
    """What to tell of an epoch whose table has other columns than before; nothing of a new table.

    Call it before the epoch is published.
    """
    session, compiled = attempt.session, attempt.compiled
    if not compiled.dataset.stored or compiled.readmits:
        return
    table = session.table(compiled.dataset.name)
    if session.store.version(table) is None:
        return
    before, after = session.store.snapshot(table).schema, attempt.staged.table.schema
    yield from (f"new column {f.name!r} ({f.type})" for f in _missing(before, after))
    if attempt.epoch.replaces:
        yield from (f"column {f.name!r} is gone" for f in _missing(after, before))


def _missing(here: Schema, there: Schema) -> Iterator[Field]:
    """The columns that are there and not here."""
    return (f for f in there.fields if here.get(f.name) is None)
