"""Rows of a table that go because the source files that they come from have new content.

Files of the table with such rows are written again without them, each by itself, so that all other
rows stay in their order. What the epoch has staged are the rows that come in their place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.files.bound import FILE, RID, ROW, ROW_BITS, SOURCE
from qanat.engines.duckdb.inputs import Bindings, file_name
from qanat.engines.duckdb.order import keeping_order
from qanat.engines.duckdb.places import PLACE, placed_of
from qanat.engines.duckdb.widening import Widening, gone_of
from qanat.engines.duckdb.write import CHANGE_DATA, check_rewritten, discard, write, write_beside
from qanat.errors import UnsupportedError, full_refresh
from qanat.model.feed import CHANGE_TYPE, DELETE, INSERT
from qanat.model.schema import STRING, Field, Schema
from qanat.model.staged import DataFile, Staged, StagedTable
from qanat.model.work import Correction, Output, Stale, TableBatch, Work
from qanat.text import literal, quote

_DELETED, _INSERTED = "__qanat_deleted", "__qanat_inserted"


def correct(con: DuckDBPyConnection, bindings: Bindings, work: Work, staged: Staged) -> Staged:
    """What an epoch has staged, with what is left of tables that lose rows by it.

    Raises:
        UnsupportedError: rows do not tell which file they come from.
        InvariantError: a row would be lost or doubled.
    """
    if work.correction is None:
        return staged
    return _Correcting(con, bindings, work, work.correction).correct(staged)


class _Correcting:
    def __init__(
        self, con: DuckDBPyConnection, bindings: Bindings, work: Work, correction: Correction
    ) -> None:
        self._con, self._bindings, self._work = con, bindings, work
        self._correction = correction

    def correct(self, staged: Staged) -> Staged:
        table, counts, told = staged.table, staged.counts, frozenset[int]()
        if table.files and not table.sourced:
            raise _untold(self._work)
        quarantines = dict(staged.quarantines)
        for name, waiting in self._correction.quarantines.items():
            if (stored := self._stored(waiting)) is None:
                continue
            new = quarantines.get(name) or StagedTable(stored.schema, (), sourced=True)
            if new.files and not new.sourced:
                raise _untold(self._work)
            left, deleted = self._left(f"{name}_quarantine", waiting, stored, new)
            if deleted:
                quarantines[name] = left
        stale, stored = self._correction.table, None
        if stale is not None:
            stored = self._stored(stale)
        if stale is not None and stored is not None:
            told = self._told(stored)
            table, deleted = self._left(self._work.dataset, stale, stored, table)
            if deleted:
                widened = staged.table.rewritten is not None
                table = self._fed(stale.output, stored, table, widened)
            if table.removed or not deleted:
                counts = replace(counts, inserted=table.rows, deleted=deleted)
        return replace(staged, table=table, counts=counts, quarantines=quarantines, told=told)

    def _stored(self, stale: Stale) -> TableBatch | None:
        """The rows that a table has; None if it has none."""
        if stale.output.stored is None:
            return None
        batch = stale.output.stored.batch
        if not isinstance(batch, TableBatch):
            raise UnsupportedError(
                f"rows of {self._work.dataset} cannot be replaced: its files are not plain"
                " Parquet (another tool has deleted single rows, or renamed columns)",
                location=self._work.query.location,
                hint=f"start over: {full_refresh(self._work.dataset)}",
            )
        return replace(batch, sources=stale.known(batch.files)) if batch.files else None

    def _told(self, stored: TableBatch) -> frozenset[int]:
        """The numbers of the files that rows of the table come from."""
        full = self._bindings.bind("__qanat_told", stored, sourced=True).full
        found = self._con.execute(f"SELECT DISTINCT {SOURCE} FROM ({full})").fetchall()
        return frozenset(name for (name,) in found)

    def _left(
        self, name: str, stale: Stale, stored: TableBatch, new: StagedTable
    ) -> tuple[StagedTable, int]:
        """A table with its other rows written again, and how many rows go."""
        bound = self._bindings.bind(f"__stale_{file_name(name)}", stored, sourced=True)
        gone = gone_of(self._correction.files, stale.flow)
        unknown = f"{SOURCE} IS NULL AND {gone_of((), stale.flow)}"
        if stale.flows:
            # A flow that has got another name since may have put them there.
            named = ", ".join(map(literal, stale.flows))
            theirs = gone_of(self._correction.files)
            unknown += f" OR {theirs} AND _quarantine_flow NOT IN ({named})"
        found = self._con.execute(
            f"SELECT {RID} >> {ROW_BITS}, count(*) FILTER ({gone}), count(*) FILTER ({unknown}) "
            f"FROM ({bound.full}) GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        if any(untold for _, _, untold in found):
            raise _untold(self._work)
        deleted = sum(number for _, number, _ in found)
        if new.rewritten is not None:
            # With wider types: the rows that go were left out. If there are none, no row changes.
            return (replace(new, removed=stored.files) if deleted else new), deleted
        touched = [int(file) for file, number, _ in found if number]
        if not touched:
            return new, 0
        written: list[DataFile] = []
        with keeping_order(self._con):
            for number in touched:
                written += self._without(name, number, stale.output, stored, gone)
        removed = tuple(stored.files[n] for n in touched)
        return replace(new, rewritten=tuple(written), removed=removed), deleted

    def _without(
        self, name: str, number: int, output: Output, stored: TableBatch, gone: str
    ) -> Iterator[DataFile]:
        """Stage the rows of one file that stay."""
        path = stored.files[number]
        batch = replace(stored, files=(path,), fetch=None, told=_part(stored, number))
        name = f"__stale_{file_name(name)}_{number}"
        bound = self._bindings.bind(name, batch, sourced=True, placed=placed_of(output))
        rows = f"SELECT * EXCLUDE ({FILE}, {ROW}, {RID}) FROM ({bound.full})"
        one = replace(output, prefix=f"{output.prefix}--k{number:06d}")
        placed = PLACE in bound.hidden
        table = write(self._con, f"{rows} WHERE ({gone}) IS NOT TRUE", stored.schema, one, placed)
        (before, went) = self._con.execute(
            f"SELECT count(*), count(*) FILTER ({gone}) FROM ({bound.full})"
        ).fetchall()[0]
        check_rewritten(table.rows, before - went)
        # In the place of the file: readers that keep the first row of several go by the moment
        # that the log has. The file may be younger, if it took the place of another one.
        return (replace(f, since_ms=stored.moments.get(path)) for f in table.files)

    def _fed(
        self, output: Output, stored: TableBatch, table: StagedTable, widened: bool
    ) -> StagedTable:
        """The table with files for readers of changes; or as it was, if the same rows come again.

        Args:
            widened: whether all of its rows were written again with wider types.
        """
        columns = table.schema
        added = (f for f in columns.fields if stored.schema.get(f.name) is None)
        batch = replace(stored, schema=Schema((*stored.schema.fields, *added)))
        old = self._rows("__qanat_before", batch, gone_of(self._correction.files))
        if widened:
            widening = Widening(self._con, self._bindings, "__qanat_before", output)
            old = widening.recast(old, columns, self._work.query)
        old = f"SELECT {_listed(columns.names)} FROM ({old})"
        paths = tuple(str(output.folder / f.path) for f in table.files)
        fresh = TableBatch(paths, columns, output.partition_by)
        new = self._rows("__qanat_after", fresh, "true") if paths else f"{old} LIMIT 0"
        new = f"SELECT {_listed(columns.names)} FROM ({new})"
        for name, some, others in ((_DELETED, old, new), (_INSERTED, new, old)):
            self._con.execute(
                f"CREATE OR REPLACE TEMP TABLE {name} AS ({some}) EXCEPT ALL ({others})"
            )
        [(changed,)] = self._con.execute(
            f"SELECT (SELECT count(*) FROM {_DELETED}) + (SELECT count(*) FROM {_INSERTED})"
        ).fetchall()
        if not changed and widened:
            # The same rows in other files: those that came again are among them.
            every = (*(table.rewritten or ()), *table.files)
            return replace(table, files=(), rewritten=every, removed=())
        if not changed:
            discard(output)
            return StagedTable(columns, (), sourced=True)
        if not self._correction.feed:
            return table
        schema = Schema((*columns.fields, Field(CHANGE_TYPE, STRING)))
        select = " UNION ALL ".join(
            f"SELECT {_listed(columns.names)}, '{kind}' AS {CHANGE_TYPE} FROM {name}"
            for name, kind in ((_DELETED, DELETE), (_INSERTED, INSERT))
        )
        feed = write_beside(self._con, select, schema, output, CHANGE_DATA, output.partition_by)
        return replace(table, feed=feed)

    def _rows(self, name: str, batch: TableBatch, condition: str) -> str:
        bound = self._bindings.bind(name, batch, sourced=True)
        return (
            f"SELECT * EXCLUDE ({', '.join(bound.hidden)}) FROM ({bound.full}) WHERE {condition}"
        )


def _part(stored: TableBatch, number: int) -> dict[str, list[str | None]]:
    return {name: [values[number]] for name, values in stored.told.items()}


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(quote, names))


def _untold(work: Work) -> UnsupportedError:
    return UnsupportedError(
        f"rows of {work.dataset} do not tell which file they come from, so that those of a file"
        " cannot be replaced",
        location=work.query.location,
        hint=f"start over: {full_refresh(work.dataset)}",
    )
