"""One epoch whose rows change the table: from what its rules kept to staged files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.files.bound import RID
from qanat.engines.duckdb.inputs import Bindings
from qanat.engines.duckdb.merge.by_adoption import ByAdoption
from qanat.engines.duckdb.merge.by_clauses import ByClauses
from qanat.engines.duckdb.merge.by_events import ByEvents
from qanat.engines.duckdb.merge.by_keys import by_keys
from qanat.engines.duckdb.merge.kind import FRESH, GONE, Becoming, Given, Target
from qanat.engines.duckdb.merge.pieces import columns_in, count_of
from qanat.engines.duckdb.merge.results import ByGroups
from qanat.engines.duckdb.merge.rewrite import FILE_BYTES, Rewriting
from qanat.engines.duckdb.merge.snapshot import BySnapshots
from qanat.engines.duckdb.order import keep_sorted
from qanat.engines.duckdb.write import CHANGE_DATA, write, write_beside
from qanat.errors import InvariantError, UnsupportedError, full_refresh
from qanat.model.adopted import Adopted
from qanat.model.changes import AutoCdc, Changes
from qanat.model.feed import CHANGE_TYPE, DELETE, INSERT, UPDATE_AFTER, UPDATE_BEFORE
from qanat.model.keyed import Keyed
from qanat.model.merge_into import MergeInto
from qanat.model.results import Results
from qanat.model.schema import STRING, Field, Schema
from qanat.model.snapshots import Snapshots
from qanat.model.staged import Counts, DataFile, StagedTable
from qanat.model.work import Merge, TableBatch, Work
from qanat.text import quote

_KINDS: Mapping[type[Changes], Callable[..., Becoming[Any]]] = {
    Adopted: ByAdoption,
    AutoCdc: ByEvents,
    Keyed: by_keys,
    MergeInto: ByClauses,
    Results: ByGroups,
    Snapshots: BySnapshots,
}
"""By kind of changes, what becomes of the rows of the table; of others as of their base."""

_EVENTS = "_events"
_STORED, _SORTED = "__qanat_stored", "__qanat_sorted"
_FIRST = 1_000_000
"""Rows of which one file is made before their size is known."""


class Merging:
    """The merge of one epoch into its table.

    Args:
        bindings: of the epoch; what is stored is bound there.

    Attributes:
        notes: what to tell of it.
    """

    def __init__(
        self, con: DuckDBPyConnection, bindings: Bindings, work: Work, merge: Merge
    ) -> None:
        self._con, self._bindings, self._work, self._merge = con, bindings, work, merge
        kind = next(_KINDS[each] for each in type(merge.changes).__mro__ if each in _KINDS)
        self._becoming = kind(con, bindings, work, merge, merge.changes)
        self.notes: tuple[str, ...] = ()

    @property
    def dated(self) -> bool:
        """True if rows that come back from quarantine have to say of which epoch they are."""
        return self._becoming.dated

    def target(self, select: str) -> Target:
        """The columns of the table after rows of a SELECT have been merged into it."""
        return self._becoming.target(select)

    def merge(self, select: str, given: Given) -> tuple[StagedTable, Counts]:
        """Stage what the table becomes by rows of a SELECT; and how many rows did what.

        Args:
            given: what that SELECT was made from.
        """
        target = self.target(select)
        stored = self._stored(target)
        bound = None if stored is None else self._bindings.bind(_STORED, stored).full
        taken = self._becoming.become(select, bound, given)
        self.notes = taken.notes
        removed, files, moved, gone = self._rewrite(target, stored)
        events, event_columns = self._events()
        table = StagedTable(
            target.schema,
            (*files, *self._inserted(target)),
            rewritten=moved,
            removed=removed,
            feed=self._feed(target) if self._merge.feed and removed else (),
            events=events,
            event_columns=event_columns,
        )
        updated = count_of(self._con, f"{FRESH} WHERE {RID} IS NOT NULL")
        counts = Counts(
            written=taken.rows,
            inserted=count_of(self._con, f"{FRESH} WHERE {RID} IS NULL"),
            updated=updated,
            deleted=count_of(self._con, GONE) - updated,
            late=taken.late,
        )
        self._check(counts, table, gone)
        return table, counts

    # -- parts -----------------------------------------------------------------------------

    def _stored(self, target: Target) -> TableBatch | None:
        """The files of the table, with all columns that it has afterwards; None if it has none."""
        stored = self._merge.target.stored
        if stored is None:
            return None
        if not isinstance(stored.batch, TableBatch):
            raise UnsupportedError(
                f"changes cannot be merged into {self._work.dataset}: its files are not plain"
                " Parquet (another tool has deleted single rows, or renamed columns)",
                location=self._work.query.location,
                hint=f"start over: {full_refresh(self._work.dataset)}",
            )
        if not stored.batch.files:
            return None
        before = Schema((*stored.batch.schema.fields, *target.hidden))
        if target.widens:
            narrow = replace(stored.batch, schema=before)
            return replace(stored.batch, schema=target.stored, narrower=(narrow,))
        new = (f for f in target.schema.fields if before.get(f.name) is None)
        return replace(stored.batch, schema=Schema((*before.fields, *new)))

    def _rewrite(
        self, target: Target, stored: TableBatch | None
    ) -> tuple[tuple[str, ...], tuple[DataFile, ...], tuple[DataFile, ...] | None, int]:
        """Files that are replaced; their new ones; all others, if columns get wider types; and
        how many rows the replaced ones have."""
        if stored is None:
            # A table whose rows have all gone gets wider types, too: there is nothing to move.
            return (), (), () if target.widens else None, 0
        if not (target.widens or count_of(self._con, GONE)):
            return (), (), None, 0
        rewriting = Rewriting(
            self._con,
            self._bindings,
            stored,
            target.sorted_by[0],
            GONE,
            FRESH,
            target.stored,
            self._merge.target,
        )
        removed, files, gone = rewriting.rewrite()
        return removed, files, rewriting.recast(removed) if target.widens else None, gone

    def _inserted(self, target: Target) -> Iterator[DataFile]:
        """Stage rows that replace none: many of them sorted, in several files.

        So a later change has to write little anew, and whoever looks for a key opens one file.
        """
        columns, output = columns_in(target.stored.names), self._merge.target
        select = f"SELECT {columns} FROM {FRESH} WHERE {RID} IS NULL"
        total = count_of(self._con, f"({select})")
        if total <= _FIRST:
            yield from write(self._con, select, target.stored, output).files
            return
        by = columns_in(target.sorted_by)
        columns = keep_sorted(self._con, _SORTED, f"{select} ORDER BY {by}")
        done, step, number = 0, _FIRST, 0
        while done < total:
            some = (
                f"SELECT {columns} FROM {_SORTED} WHERE rowid >= {done} AND rowid < {done + step}"
            )
            one = replace(output, prefix=f"{output.prefix}-n{number:05d}")
            files = write(self._con, some, target.stored, one).files
            yield from files
            done, number = done + step, number + 1
            size = sum(f.size for f in files) / max(1, sum(f.rows for f in files))
            step = max(1, int(FILE_BYTES / max(1.0, size)))

    def _feed(self, target: Target) -> tuple[DataFile, ...]:
        """Stage the rows as readers of changes see them."""
        columns = columns_in(target.schema.names)
        replaced = f"{RID} IN (SELECT {RID} FROM {FRESH})"
        # Only a hidden column of a row may be another one: that is no change to them.
        hides = target.stored.names != target.schema.names
        same = " AND ".join(
            f"o.{quote(n)} IS NOT DISTINCT FROM a.{quote(n)}" for n in target.schema.names
        )
        parts = [
            f"SELECT {columns}, CASE WHEN {condition} THEN '{one}' ELSE '{other}' END "
            f"AS {CHANGE_TYPE} FROM {told} AS o"
            + (f" ANTI JOIN {counterpart} AS a ON o.{RID} = a.{RID} AND {same}" if hides else "")
            for told, counterpart, condition, one, other in (
                (FRESH, GONE, f"{RID} IS NULL", INSERT, UPDATE_AFTER),
                (GONE, FRESH, replaced, UPDATE_BEFORE, DELETE),
            )
        ]
        schema = Schema((*target.schema.fields, Field(CHANGE_TYPE, STRING)))
        output = self._merge.target
        return write_beside(
            self._con, " UNION ALL ".join(parts), schema, output, CHANGE_DATA, output.partition_by
        )

    def _events(self) -> tuple[tuple[DataFile, ...] | None, Schema]:
        """Stage what later epochs need and rows do not tell, with its columns.

        None if there was and is nothing.
        """
        untold = self._becoming.untold()
        if untold is None:
            return None, Schema()
        select, schema = untold
        return write_beside(self._con, select, schema, self._merge.target, _EVENTS), schema

    def _check(self, counts: Counts, table: StagedTable, gone: int) -> None:
        """Raise unless the rows before, and what became of them, make the rows there are.

        Args:
            gone: rows of the files that `table` replaces.
        """
        if table.rows - gone != counts.inserted - counts.deleted:
            raise InvariantError(
                f"rows of {self._work.dataset} do not add up",
                wanted=f"{counts.inserted} more and {counts.deleted} fewer",
                got=f"{table.rows} in place of {gone}",
                hint="nothing was published; this is a defect of Qanat",
            )
