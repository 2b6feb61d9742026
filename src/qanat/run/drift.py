"""Columns that come, go and widen: what an epoch changes in the columns of its table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from qanat.errors import QanatError
from qanat.model.name import Named, Names
from qanat.model.quarantine import RESCUED
from qanat.model.schema import DataType, Field, Schema, grown, holds_text
from qanat.model.staged import DataFile
from qanat.model.table import Snapshot
from qanat.run.attempt import Attempt
from qanat.run.snapshots import takes_snapshots
from qanat.text import count, size

_CHANCE = 0.05
"""Columns that are often NULL are so in a few rows by chance: above this, nothing is told."""
_LOOKED_AT = 1000
"""Rows in which a column is looked for that has no value any more."""
_FENCES = 10
"""Versions without new rows at most, as fences are."""

_SINGULAR = {"are": "is", "were": "was"}


def column_changes(attempt: Attempt) -> Iterator[str]:
    """What to tell of an epoch whose table has other columns than before; nothing of a new table.

    Call it before the epoch is published.
    """
    session, compiled = attempt.session, attempt.compiled
    if not compiled.dataset.stored or not compiled.brings_rows:
        return
    table = session.table(compiled.dataset.name)
    if session.store.version(table) is None:
        return
    before, after = session.store.snapshot(table), attempt.staged.table.schema
    new = list(_missing(before.schema, after))
    if new and not attempt.epoch.replaces:
        inherited = _inherited(attempt)
        new = [f for f in new if f.name not in inherited]
    if new:
        listed = ", ".join(f"{f.name!r} ({f.type})" for f in new)
        yield f"new column{'s' if len(new) > 1 else ''} {listed}"
    if attempt.epoch.replaces:
        yield from (f"column {f.name!r} is gone" for f in _missing(after, before.schema))
        yield from (
            f"column {name!r} is {new} now, and was {old}"
            for name, old, new in _retyped(before.schema, after)
        )
    else:
        yield from widenings(before, after, "were")
        yield from _emptied(attempt, before)


def _inherited(attempt: Attempt) -> Names:
    """The columns of the project's tables that a flow reads: those have told of what is new."""
    session, compiled = attempt.session, attempt.compiled
    names = [r.source.dataset for r in compiled.reads if r.source.dataset]
    found = [session.readable(name) for name in names]
    known = [r.store.snapshot(r.table).schema for r in found if r.version is not None]
    return Names(name for schema in known for name in schema.names)


def _emptied(attempt: Attempt, before: Snapshot) -> Iterator[str]:
    """The columns that a source from outside the project has no value for any more.

    Told once: when the rows before these had some. A history (SCD type 2) keeps them in its ended
    versions, so that it is told again, and not before an epoch writes new versions alone.
    """
    rows = attempt.staged.table.rows
    compiled = attempt.compiled
    taken = [r for r in compiled.reads if r.streaming or takes_snapshots(compiled)]
    outside = any(not r.source.dataset for r in taken)
    if not rows or not outside:
        return
    missing = Names(n for names in attempt.staged.missing.values() for n in names)
    files = attempt.staged.table.files
    empty = [
        f.name
        for f in before.schema.fields
        if f.name != RESCUED and all(_is_empty(file, f.name, f.name in missing) for file in files)
    ]
    new = "new row" if rows == 1 else count(rows, "new row")
    for name, share in _null_before(attempt, before).items() if empty else ():
        if name not in empty or share == 1:
            continue
        if name in missing:
            yield f"column {name!r} is in none of the new files"
        elif share**rows < _CHANCE:
            yield f"column {name!r} is NULL in {'all' if rows > 1 else 'the'} {new}"


def _is_empty(file: DataFile, column: str, missing: bool) -> bool:
    """True if all values of a column are NULL in a file, as far as that is known."""
    if column in file.partition_values:
        return file.partition_values[column] is None
    known = file.statistics.get(column)
    return missing if known is None else known.nulls == file.rows


def _null_before(attempt: Attempt, before: Snapshot) -> Mapping[str, float]:
    """How many of the first rows of the newest commit that added some are NULL, by column.

    From 0 to 1: the share.
    """
    session = attempt.session
    table = session.table(attempt.compiled.dataset.name)
    batch = before.batch
    for version in range(before.version, max(before.version - _FENCES, 0), -1):
        try:
            added = session.store.added(table, version - 1, version)
        except QanatError:
            break  # it has replaced the table
        if added.amount.files:
            batch = added.batch
            break
    found = session.engine.fetch(batch, _LOOKED_AT)
    columns = zip(found.schema.names, zip(*found.values, strict=True), strict=False)
    return {name: values.count(None) / len(values) for name, values in columns}


def widenings(before: Snapshot, after: Schema, verb: str) -> Iterator[str]:
    """The columns of a table that get wider types, and what that takes.

    Args:
        verb: `were` or `are`: the rows written again.
    """
    changes = [
        f"column {name!r} widens from {old} to {new}{_formed(old, new)}"
        for name, old, new in _retyped(before.schema, after)
    ]
    if changes:
        files = count(before.files, "file")
        verb = _SINGULAR[verb] if before.files == 1 else verb
        yield f"{', '.join(changes)}: {files}, {size(before.bytes)}, {verb} written again"


def _formed(old: DataType, new: DataType) -> str:
    """What becomes of the texts of files for values that a table has had in another type."""
    if not holds_text(new) or holds_text(old):
        return ""
    text = str(old)
    if any(name in text for name in ("decimal", "double", "float")):
        return " (what files wrote as 1.50 is the text 1.5, as numbers have it)"
    if "timestamp" in text:
        return " (what files wrote as 2026-01-02T03:04 is the text 2026-01-02 03:04:00)"
    return ""


def _retyped(before: Schema, after: Schema) -> Iterator[tuple[str, DataType, DataType]]:
    """The columns that get another type: name, old type, new type."""
    now = Named((f.name, f) for f in after.fields)
    for field in before.fields:
        found = now.get(field.name)
        if found is not None and found.type != grown(field.type, found.type):
            yield field.name, field.type, found.type


def _missing(here: Schema, there: Schema) -> Iterator[Field]:
    """The columns that are there and not here."""
    known = Names(here.names)
    return (f for f in there.fields if f.name not in known)
