"""Tables as sources: a stream takes what a table gained since the version it has read.

A range of a stream is `{"after": …, "upto": …}`: the rows of the versions after one, up to and
with another; `after` is -1 to begin with everything. A table read as it is now is
`{"kind": "snapshot", "version": …}`. `feed` has
those of changes. Each has the key `environment` where the rows are in the table of another
environment. A stream's has `corrected` with the source files whose rows the table has replaced and
the stream has read.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from qanat.connectors.tables.feed import (
    begin,
    check_versions,
    end,
    gained,
    reads_changes,
    taken,
)
from qanat.errors import (
    DatasetNotFoundError,
    NotAppendOnlyError,
    RereadError,
    TableNotFoundError,
    full_refresh,
)
from qanat.model.name import fold
from qanat.model.pipeline import QUARANTINE, Drift
from qanat.model.query import SourceRef
from qanat.model.record import Range, Unread
from qanat.model.schema import Schema
from qanat.model.table import TableRef
from qanat.model.work import Batch, Input, TableBatch
from qanat.ports.source import (
    ENVIRONMENT,
    TABLE,
    Everywhere,
    Handover,
    Neighbour,
    Past,
    Readable,
    Surroundings,
)
from qanat.text import neither

_CORRECTED = "corrected"


class TableSource(Everywhere):
    """What all sources of tables have in common; the subclasses say which table is meant."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings

    def plan(
        self, ref: SourceRef, past: Past, without: frozenset[str] = frozenset()
    ) -> Unread | None:
        """What the table has gained since the newest committed range; None if nothing.

        Raises:
            TableNotFoundError: there is no such table outside the project.
            NotAppendOnlyError: it was rebuilt or restored, or rows were removed or rewritten.
            RereadError: what was read before is in the table of another environment.
        """
        read = self.stored(ref)
        _check_same(ref, past.position, read, self._surroundings)
        table = read.table
        if read.version is None:
            self.absent(ref, table)
            return None
        after = begin(ref, _upto(past.position))
        version = read.settled(after)
        if version is None or (past.position is None and version <= after):
            return None
        mark = read.mark
        another = _is_another(past.position, mark)
        if another or version < after or (after >= 0 and self.replaced(ref, past, after)):
            raise NotAppendOnlyError(
                f"{table} was rebuilt or restored since it was last read",
                wanted=f"the table of which version {after} has been read",
                got=f"another {'table' if another else 'history'}, now at version {version}",
                hint=f"start over: {full_refresh()}",
            )
        version = end(ref, version)
        if version <= after:
            return None
        added = gained(ref, read, after, version)
        amount, corrected = added.amount, added.corrected
        if after >= 0 and not amount.files and not corrected:
            return None  # versions that brought no row: only a name has changed, say
        value = {"after": after, "upto": version, **mark}
        # Of other source files the reader has nothing that could go.
        if had := sorted(name for name, first in corrected.items() if first <= after):
            value[_CORRECTED] = had
        return Unread(Range(value, positioned=True, amount=amount), amount)

    def corrected(self, range: Range) -> tuple[str, ...]:
        """The source files whose earlier rows the table has replaced, if the stream has them."""
        return tuple(range.value.get(_CORRECTED, ()))

    def reached(self, position: Mapping[str, Any]) -> int | None:
        """The version up to which a stream has read the project's own table."""
        return None if position.get(ENVIRONMENT) else _upto(position)

    def looked_at(self, value: Mapping[str, Any]) -> tuple[int, ...]:
        """The versions of the project's own table whose files an open range needs."""
        if value.get(ENVIRONMENT):
            return ()
        found = value.get("version", value.get("upto"))
        return () if found is None or found < 0 else (int(found),)

    def renamed(self, old: str, new: str) -> tuple[str, str]:
        """Nothing: there are no files."""
        del old, new
        return "", ""

    def everything(self, ref: SourceRef) -> Range | None:
        """The table as it is now; None for a dataset that has no table yet.

        Raises:
            TableNotFoundError: there is no such table outside the project.
        """
        read = self.stored(ref)
        version = read.store.last_change(read.table)
        if version is None:
            self.absent(ref, read.table)
            return None
        if reads_changes(ref):
            check_versions(ref, version)
            return Range({"kind": "changes", "upto": version, **read.mark})
        return Range({"kind": "snapshot", "version": version, **read.mark})

    def bind(
        self, ref: SourceRef, range: Range | None, known: Schema, drift: Drift, scratch: Path
    ) -> Input:
        """The files of a range; for None no files, but the table's columns.

        Raises:
            NotAppendOnlyError: a version of the range removed or rewrote rows.
            DatasetNotFoundError: the table has never been written to.
        """
        read = self.stored(ref, range)
        store, table = read.store, read.table
        if range is not None and "version" in range.value:
            # The same rows may be in fewer files by now, and the others be gone.
            newest = store.same_rows(table, range.value["version"])
            snapshot = store.snapshot(table, newest)
            return Input(snapshot.batch, snapshot.amount)
        if range is not None:
            added = taken(ref, read, range.value)
            # Logs do not know how many rows files of changes have. The engine counts them all.
            amount = replace(added.amount, rows=None) if reads_changes(ref) else added.amount
            return Input(added.batch, amount)
        batch = self.sample(ref, known, drift, scratch)
        if batch is None:
            raise DatasetNotFoundError(
                f"{ref.place} has no table yet{neither(read.looked)}:"
                " nothing has been written to it",
                hint=f"run it first: qanat run --select {shlex.quote(ref.place)}",
            )
        return Input(batch)

    def sample(
        self,
        ref: SourceRef,
        known: Schema,
        drift: Drift,
        scratch: Path,
        range: Range | None = None,
    ) -> Batch | None:
        """The table's columns, without rows; None if there is no table."""
        read = self.stored(ref)
        if read.version is None:
            self.absent(ref, read.table)
            return None
        snapshot = read.store.snapshot(read.table)
        if ref.adds:
            return TableBatch((), Schema((*snapshot.schema.fields, *ref.adds)))
        return TableBatch((), snapshot.schema, snapshot.partition_by)

    def verify(self, ref: SourceRef, range: Range) -> Range:
        """The range as it is: a version of a table never changes."""
        return range

    # -- which table -------------------------------------------------------------------------

    def stored(self, ref: SourceRef, range: Range | None = None) -> Readable:
        """The table that is meant, or that a range is of, and the store that it is in."""
        raise NotImplementedError

    def absent(self, ref: SourceRef, table: TableRef) -> None:
        """Raise unless a table may be missing."""
        raise TableNotFoundError(f"there is no table in {table}")

    def replaced(self, ref: SourceRef, past: Past, after: int) -> bool:
        """True if all rows of the table were replaced since it was read up to a version."""
        return False


class DatasetSource(TableSource):
    """Datasets of the project."""

    def stored(self, ref: SourceRef, range: Range | None = None) -> Readable:
        """The dataset's table, or that of its quarantine, in whatever environment it is read."""
        environment = None if range is None else str(range.value.get(ENVIRONMENT, ""))
        return self._surroundings.readable(ref.place, environment)

    def absent(self, ref: SourceRef, table: TableRef) -> None:
        """Nothing is wrong: a dataset may not have run yet."""

    def replaced(self, ref: SourceRef, past: Past, after: int) -> bool:
        """True if the ledger knows of a version up to the one read that replaced the table.

        The table's versions began anew then, so that their numbers say nothing about its rows.
        """
        version = past.replaced(ref.place)
        return version is not None and version <= after

    def promoted(self, ref: SourceRef, range: Range, handover: Handover) -> Range:
        """The range in the table that this environment reads.

        Raises:
            RereadError: it is of another table, or of rows that are not handed over along.
            NotAppendOnlyError: rows of it were removed or rewritten since.
        """
        own = self._surroundings.scope.rpartition("/")[2]
        before = str(range.value.get(ENVIRONMENT, "")) or handover.origin
        read = self.stored(ref)
        rest = {k: v for k, v in range.value.items() if k not in (ENVIRONMENT, TABLE)}
        if before == (read.environment or own):
            if "upto" in rest:
                _check_kept(ref, read, rest["upto"])
            return replace(range, value={**rest, **read.mark})
        versions = handover.versions.get(fold(ref.place)) if before == handover.origin else None
        if versions is None:
            raise _not_handed_over(ref, before, own, handover)
        reached = int(rest["upto"] if "upto" in rest else rest["version"])
        had_all = versions.since <= reached <= versions.theirs
        if not had_all and ("upto" in rest or handover.exact):
            raise RereadError(
                f"{before} has read its {ref.label} up to version {reached}, and that is at"
                f" version {versions.theirs} by now",
                hint=f"let it read the rest first: qanat run -e {shlex.quote(before)}"
                f" --select {shlex.quote(handover.dataset)}",
            )
        if "upto" in rest:
            return replace(range, value={**rest, "after": -1, "upto": versions.ours})
        return replace(range, value={**rest, "version": versions.ours})


class ProjectSource(TableSource):
    """Datasets of other projects."""

    def stored(self, ref: SourceRef, range: Range | None = None) -> Readable:
        """The table of a dataset there, in that project's own store.

        Raises:
            TableNotFoundError: there is no project in that folder, or no such table.
        """
        return self._surroundings.elsewhere(self.neighbour(ref))

    def neighbour(self, ref: SourceRef) -> Neighbour:
        """The dataset there."""
        return Neighbour(ref.option("project"), ref.place, ref.option("environment"))


class DeltaSource(TableSource):
    """Delta tables by path or URL."""

    def stored(self, ref: SourceRef, range: Range | None = None) -> Readable:
        """The table at a path, which is relative to the project's root.

        Its store is Delta's, whatever the project's own tables are.
        """
        path = ref.place
        outside = "://" in path or Path(path).is_absolute()
        table = TableRef(path if outside else str(self._surroundings.root / path), path)
        return Readable(self._surroundings.store_of("delta"), table, foreign=True)

    def absent(self, ref: SourceRef, table: TableRef) -> None:
        """Raise: a path must name a table that exists, while a dataset may not have one yet."""
        raise TableNotFoundError(f"there is no Delta table in {table}")


def _check_same(
    ref: SourceRef,
    position: Mapping[str, Any] | None,
    read: Readable,
    surroundings: Surroundings,
) -> None:
    """Refuse to count the versions of one table on in another.

    Rows of both environments may be the same or not: which ones the reader lacks, nobody can tell.

    Raises:
        RereadError: the position is in the table of another environment.
    """
    # Where there is no table any more, there is nothing to mistake for it.
    if position is None or read.looked:
        return
    before = str(position.get(ENVIRONMENT, ""))
    if before == read.environment:
        return
    # A plan may look before the update that makes the environment's own table.
    missing = not read.environment and read.version is None
    owner = shlex.quote(ref.place.removesuffix(QUARANTINE))
    anew = f"start over with what is there now: {full_refresh()}"
    if missing:
        anew += f" --select {owner}"
    elif before and not read.environment:
        own = surroundings.scope.rpartition("/")[2]
        anew = f"go on in {before}: qanat drop {owner} -e {shlex.quote(own)}; or {anew}"
    raise RereadError(
        f"{ref.label} was read from {_whose(before)} up to version {_upto(position)}, and is now"
        f" read from {_whose(read.environment)}, whose rows may be the same or others",
        hint=anew,
    )


def _check_kept(ref: SourceRef, read: Readable, upto: int) -> None:
    """Tell now, and not with the next update, that a stream could not go on.

    Raises:
        NotAppendOnlyError: rows of the table were removed or rewritten since, or all of it.
    """
    version = read.version
    if version is not None and version >= upto:
        gained(ref, read, upto, version)
        return
    raise NotAppendOnlyError(
        f"{ref.label} was rebuilt or restored since it was last read",
        wanted=f"the table of which version {upto} has been read",
        got="no table" if version is None else f"a table at version {version}",
    )


def _not_handed_over(ref: SourceRef, before: str, own: str, handover: Handover) -> RereadError:
    owner, to = ref.place.removesuffix(QUARANTINE), f"-e {shlex.quote(own)}"
    hint = f"compute it here instead: qanat run {to} --select {shlex.quote(handover.dataset)}"
    if before == handover.origin and owner == ref.place:
        both = shlex.join((owner, handover.dataset))
        hint = f"promote both: qanat promote {both} {to} --from {shlex.quote(before)}"
    return RereadError(
        f"{handover.dataset} was computed from {ref.label} of {before}, whose rows may be others"
        f" than those of {own}",
        hint=hint,
    )


def _is_another(position: Mapping[str, Any] | None, mark: Mapping[str, str]) -> bool:
    """True if another table is in the place of the one that was read; its versions began anew."""
    if position is None or TABLE not in position or TABLE not in mark:
        return False  # a position of an earlier release says nothing
    return bool(position[TABLE] != mark[TABLE])


def _whose(environment: str) -> str:
    return environment or "this environment's own table"


def _upto(position: Mapping[str, Any] | None) -> int:
    """The newest version that has been read; -1 if none."""
    return -1 if position is None else int(position["upto"])
