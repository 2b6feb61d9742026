"""One epoch whose rows change the table: from what its rules kept to staged files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.files.bound import RID
from qanat.engines.duckdb.inputs import Bindings
from qanat.engines.duckdb.merge.events import ROWS, Events, places
from qanat.engines.duckdb.merge.fold import rows, untold
from qanat.engines.duckdb.merge.pieces import columns_in, count_of, make
from qanat.engines.duckdb.merge.rewrite import FILE_BYTES, Rewriting
from qanat.engines.duckdb.merge.shape import SEQUENCE, SINCE, Shape, shape_of
from qanat.engines.duckdb.merge.snapshot import Given, Snapshot, sequenced
from qanat.engines.duckdb.order import keep_sorted
from qanat.engines.duckdb.typenames import from_duckdb
from qanat.engines.duckdb.write import write
from qanat.errors import InvariantError, UnsupportedError, full_refresh
from qanat.model.changes import CHANGE_TYPE, DELETE, INSERT, UPDATE_AFTER, UPDATE_BEFORE
from qanat.model.schema import STRING, DataType, Field, Schema
from qanat.model.staged import Counts, DataFile, StagedTable
from qanat.model.work import Merge, Output, TableBatch, Work
from qanat.text import literal, quote

_FEED, _EVENTS = "_change_data", "_events"
_FRESH, _GONE, _AFTER, _UNTOLD, _STORED, _SORTED = (
    f"__qanat_{name}" for name in ("fresh", "gone", "after", "untold", "stored", "sorted")
)
_FIRST = 1_000_000
"""Rows of which one file is made before their size is known."""
_SAME = "IS NOT DISTINCT FROM"


class Merging:
    """The merge of one epoch into its table.

    Args:
        bindings: of the epoch; what is stored is bound there.
    """

    def __init__(
        self, con: DuckDBPyConnection, bindings: Bindings, work: Work, merge: Merge
    ) -> None:
        self._con, self._bindings, self._work, self._merge = con, bindings, work, sequenced(merge)
        self.notes: tuple[str, ...] = ()

    def shape(self, select: str) -> Shape:
        """The columns of the table after rows of a SELECT have been merged into it."""
        work = self._work
        relation = self._con.sql(f"SELECT * FROM ({select}) LIMIT 0")
        found = shape_of(
            self._con, self._merge, relation, self._known_sequence(), work.query, work.dataset
        )
        self._con.sql(f"SELECT {found.events} FROM (SELECT {found.given} FROM ({select})) LIMIT 0")
        return found

    def merge(self, select: str, given: Given) -> tuple[StagedTable, Counts]:
        """Stage what the table becomes by rows of a SELECT; and how many rows did what.

        Args:
            given: what that SELECT was made from.
        """
        work, merge = self._work, self._merge
        shape = self.shape(select)
        now = work.at_ns // 1000
        stored = self._stored(shape)
        places = None if stored is None else self._places(shape, stored)
        if merge.changes.whole:
            change = Snapshot(self._con, shape, work, merge, given)
            events = Events(self._con, self._bindings, shape, None, now)
            taken = change.take(select, places)
            events.touch()
            self.notes = change.notes
        else:
            events = Events(self._con, self._bindings, shape, merge.events, now)
            taken = events.take(select)
        events.remember(places)
        events.settle_ties(work.query.location, work.dataset)
        late = events.late()
        make(self._con, _AFTER, rows(shape, events.every, events.emptied))
        self._compare(shape, stored is not None)
        removed, files = self._rewrite(shape, stored)
        table = StagedTable(
            shape.schema,
            (*files, *self._inserted(shape)),
            removed=removed,
            feed=self._feed(shape) if merge.feed and removed else (),
            events=self._events(shape, events),
        )
        updated = count_of(self._con, f"{_FRESH} WHERE {RID} IS NOT NULL")
        counts = Counts(
            written=taken,
            inserted=count_of(self._con, f"{_FRESH} WHERE {RID} IS NULL"),
            updated=updated,
            deleted=count_of(self._con, _GONE) - updated,
            late=late,
        )
        self._check(counts, table, stored)
        return table, counts

    # -- what is stored --------------------------------------------------------------------

    def _known_sequence(self) -> DataType | None:
        """The type of the sequence of rows that are there; None if only the query tells it."""
        stored = self._merge.target.stored
        for batch in (self._merge.events, stored.batch if stored else None):
            if isinstance(batch, TableBatch) and batch.files:
                batch.ready()
                # The newest file: earlier ones may be others'.
                path = literal(batch.files[-1])
                found = self._con.sql(f"SELECT * FROM read_parquet([{path}]) LIMIT 0")
                types = dict(zip(found.columns, found.types, strict=True))
                if SEQUENCE in types:
                    return from_duckdb(types[SEQUENCE])
        return None

    def _stored(self, shape: Shape) -> TableBatch | None:
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
        before = stored.batch.schema
        if shape.told is None:
            before = Schema((*before.fields, Field(SEQUENCE, shape.sequence_type)))
        new = (f for f in shape.schema.fields if before.get(f.name) is None)
        return replace(stored.batch, schema=Schema((*before.fields, *new)))

    def _places(self, shape: Shape, stored: TableBatch) -> str:
        return places(shape, self._bindings.bind(_STORED, stored).full)

    # -- what becomes of it ----------------------------------------------------------------

    def _compare(self, shape: Shape, stored: bool) -> None:
        """Find rows that are new or others, and the places of those that they replace."""
        new, old = (*shape.schema.names, SEQUENCE), shape.schema.names
        if not stored:
            columns = f"{columns_in(new)}, NULL::BIGINT AS {RID}"
            make(self._con, _FRESH, kind="VIEW", select=f"SELECT {columns} FROM {_AFTER}")
            self._con.execute(f"CREATE OR REPLACE TEMP TABLE {_GONE} ({RID} BIGINT)")
            return
        same, equal = _alike(shape.identity, "="), _alike(shape.stored.names, _SAME)
        joined = f"FROM {_AFTER} AS a {{}} JOIN {ROWS} AS o ON {same} WHERE ({equal}) IS NOT TRUE"
        for name, join, columns in (
            (_FRESH, "LEFT", columns_in(new, "a")),
            (_GONE, "RIGHT", columns_in(old, "o")),
        ):
            make(self._con, name, f"SELECT {columns}, o.{RID} {joined.format(join)}")

    def _rewrite(
        self, shape: Shape, stored: TableBatch | None
    ) -> tuple[tuple[str, ...], tuple[DataFile, ...]]:
        if stored is None or not count_of(self._con, _GONE):
            return (), ()
        rewriting = Rewriting(
            self._con,
            self._bindings,
            stored,
            shape.keys[0],
            _GONE,
            _FRESH,
            shape.stored,
            self._merge.target,
        )
        return rewriting.rewrite()

    def _inserted(self, shape: Shape) -> Iterator[DataFile]:
        """Stage rows of new keys: many of them in the order of their keys, in several files.

        So a later change has to write little anew, and whoever looks for a key opens one file.
        """
        columns, target = columns_in(shape.stored.names), self._merge.target
        select = f"SELECT {columns} FROM {_FRESH} WHERE {RID} IS NULL"
        total = count_of(self._con, f"({select})")
        if total <= _FIRST:
            yield from write(self._con, select, shape.stored, target).files
            return
        by = columns_in(shape.identity)
        columns = keep_sorted(self._con, _SORTED, f"{select} ORDER BY {by}")
        done, step, number = 0, _FIRST, 0
        while done < total:
            some = (
                f"SELECT {columns} FROM {_SORTED} WHERE rowid >= {done} AND rowid < {done + step}"
            )
            one = replace(target, prefix=f"{target.prefix}-n{number:05d}")
            files = write(self._con, some, shape.stored, one).files
            yield from files
            done, number = done + step, number + 1
            size = sum(f.size for f in files) / max(1, sum(f.rows for f in files))
            step = max(1, int(FILE_BYTES / max(1.0, size)))

    def _feed(self, shape: Shape) -> tuple[DataFile, ...]:
        """Stage the rows as readers of changes see them."""
        columns = columns_in(shape.schema.names)
        # Only the sequence of a row may be another one: that is no change to them.
        replaced = f"{RID} IN (SELECT {RID} FROM {_FRESH})"
        same = f"{_alike(shape.identity, '=')} AND {_alike(shape.schema.names, _SAME)}"
        parts = [
            f"SELECT {columns}, CASE WHEN {condition} THEN '{one}' ELSE '{other}' END "
            f"AS {CHANGE_TYPE} FROM {told} AS o "
            f"WHERE NOT EXISTS (SELECT 1 FROM {counterpart} AS a WHERE {same})"
            for told, counterpart, condition, one, other in (
                (_FRESH, _GONE, f"{RID} IS NULL", INSERT, UPDATE_AFTER),
                (_GONE, _FRESH, replaced, UPDATE_BEFORE, DELETE),
            )
        ]
        schema = Schema((*shape.schema.fields, Field(CHANGE_TYPE, STRING)))
        return self._beside(" UNION ALL ".join(parts), schema, _FEED)

    def _events(self, shape: Shape, events: Events) -> tuple[DataFile, ...] | None:
        """Stage the events that later ones may need; None if there were and are none."""
        if self._merge.changes.whole:
            return None  # no snapshot comes late, so that the rows tell all that a later one needs
        now = self._work.at_ns // 1000
        columns, keys = columns_in(shape.kept.names), columns_in(shape.keys)
        since = f"CASE WHEN {SINCE} = 0 THEN {now} ELSE {SINCE} END AS {SINCE}"
        own = f"SELECT * REPLACE ({since}) FROM ({untold(shape, events.every, events.emptied)})"
        others = events.others()
        parts = [own, events.emptying()]
        if others is not None:
            parts.append(f"SELECT {columns} FROM ({others})")
        make(self._con, _UNTOLD, " UNION ALL ".join(parts))
        if others is None and not count_of(self._con, _UNTOLD):
            return None
        # A key whose events are all that old is forgotten as a whole: its row tells what they
        # came to, and part of them would tell something else.
        recent = (
            f"SELECT * FROM {_UNTOLD} QUALIFY max({SINCE}) OVER "
            f"(PARTITION BY {keys}) >= {self._merge.forgets_ns // 1000}"
        )
        return self._beside(recent, shape.kept, _EVENTS, partitioned=False)

    def _beside(
        self, select: str, schema: Schema, folder: str, partitioned: bool = True
    ) -> tuple[DataFile, ...]:
        """Stage rows in a folder of the table that its readers do not look into."""
        target = self._merge.target
        by = target.partition_by if partitioned else ()
        output = Output(target.folder / folder, target.prefix, partition_by=by)
        found = write(self._con, select, schema, output).files
        return tuple(replace(f, path=f"{folder}/{f.path}") for f in found)

    def _check(self, counts: Counts, table: StagedTable, stored: TableBatch | None) -> None:
        """Raise unless the rows before, and what became of them, make the rows there are."""
        gone = 0
        if stored is not None and table.removed:
            batch = replace(stored, files=table.removed, fetch=None)
            gone = count_of(self._con, f"({self._bindings.bind('__qanat_removed', batch).plain})")
        if table.rows - gone != counts.inserted - counts.deleted:
            raise InvariantError(
                f"rows of {self._work.dataset} do not add up",
                wanted=f"{counts.inserted} more and {counts.deleted} fewer",
                got=f"{table.rows} in place of {gone}",
                hint="nothing was published; this is a defect of Qanat",
            )


def _alike(names: Iterable[str], how: str) -> str:
    """SQL that is true if a row `o` of the table and a row `a` are alike in some columns."""
    return " AND ".join(f"o.{quote(n)} {how} a.{quote(n)}" for n in names)
