"""What becomes of rows by events in an order of their own: AUTO CDC."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from qanat.engines.duckdb.files.bound import RID
from qanat.engines.duckdb.merge.events import ROWS, Events, places
from qanat.engines.duckdb.merge.fold import fold, rows, untold
from qanat.engines.duckdb.merge.kind import FRESH, GONE, Becoming, Given, Taken, Target
from qanat.engines.duckdb.merge.pieces import SEQUENCE, columns_in, count_of, make
from qanat.engines.duckdb.merge.shape import (
    SINCE,
    Shape,
    sequence_sql,
    shape_of,
    told_by,
    told_names,
)
from qanat.engines.duckdb.typenames import from_duckdb
from qanat.errors import InvariantError
from qanat.model.changes import END_AT, START_AT, AutoCdc, ScdType
from qanat.model.name import Named, Names
from qanat.model.schema import DataType, Field, Schema, Struct
from qanat.model.work import Batch, TableBatch
from qanat.text import literal, quote

_FOLDED, _AFTER, _UNTOLD, _NARROW = (
    f"__qanat_{name}" for name in ("folded", "after", "untold", "narrow")
)
_SAME = "IS NOT DISTINCT FROM"


class ByEvents(Becoming[AutoCdc]):
    """Rows that are what the events of their keys come to, in the order of their sequence."""

    _shape: Shape | None = None
    _events: Events | None = None

    def target(self, select: str) -> Target:
        """The columns of the table after rows of a SELECT have changed it."""
        work = self.work
        relation = self.con.sql(f"SELECT * FROM ({select}) LIMIT 0")
        sequence = self._known_sequence()
        found = shape_of(
            self.con,
            self.changes,
            self.merge.target,
            relation,
            sequence,
            self._wider(select, sequence),
            work.query,
            work.dataset,
        )
        self.con.sql(f"SELECT {found.events} FROM (SELECT {found.given} FROM ({select})) LIMIT 0")
        self._shape = found
        hidden = found.hidden if found.told is None else ()
        return Target(
            found.schema,
            found.stored,
            found.identity,
            found.casts,
            found.lacks,
            hidden or tuple(f for f in found.stored.fields if found.schema.get(f.name) is None),
            found.widens,
        )

    def become(self, select: str, stored: str | None, given: Given) -> Taken:
        """Make `FRESH` and `GONE`, from rows of a SELECT; `target` has been asked.

        Args:
            stored: SELECT text of all rows of the table, with their places; None: it has none.
            given: what the SELECT was made from.
        """
        shape, work = self._known, self.work
        events = Events(self.con, self.bindings, shape, self._kept, work.at_ns // 1000)
        there = None if stored is None else places(shape, stored)
        taken = self._take(events, select, there, given)
        events.remember(there)
        events.settle_ties(work.query.location, work.dataset)
        late = events.late()
        make(self.con, _FOLDED, fold(shape, events.every, events.emptied))
        # Rows that come from several events are put together only once.
        kind = "TABLE" if shape.keeps and not shape.versions else "VIEW"
        make(self.con, _AFTER, rows(shape, _FOLDED), kind)
        self._compare(shape, stored is not None)
        self._events = events
        return replace(taken, late=late)

    def untold(self) -> tuple[str, Schema] | None:
        """SELECT text and columns of the events that later ones may need.

        None if there were and are none.
        """
        shape, events, now = self._known, self._events, self.work.at_ns // 1000
        if events is None:
            return None
        columns, keys = columns_in(shape.kept.names), columns_in(shape.keys)
        since = f"CASE WHEN {SINCE} = 0 THEN {now} ELSE {SINCE} END AS {SINCE}"
        own = f"SELECT * REPLACE ({since}) FROM ({untold(shape, _FOLDED)})"
        others = events.others()
        parts = [own, events.emptying()]
        if others is not None:
            parts.append(f"SELECT {columns} FROM ({others})")
        make(self.con, _UNTOLD, " UNION ALL ".join(parts))
        if others is None and not count_of(self.con, _UNTOLD):
            return None
        # A key whose events are all that old is forgotten as a whole: its row tells what they
        # came to, and part of them would tell something else.
        recent = (
            f"SELECT * FROM {_UNTOLD} QUALIFY max({SINCE}) OVER "
            f"(PARTITION BY {keys}) >= {self.merge.forgets_ns // 1000}"
        )
        return recent, shape.kept

    # -- parts -----------------------------------------------------------------------------

    @property
    def _kept(self) -> Batch | None:
        """Events that earlier epochs kept beside the table."""
        return self.merge.events

    def _take(self, events: Events, select: str, stored: str | None, given: Given) -> Taken:
        """Take the rows of a SELECT as new events.

        Args:
            stored: SELECT text of the rows of the table, with the sequence; None: it has none.
        """
        del stored, given
        return Taken(events.take(select))

    @property
    def _known(self) -> Shape:
        if self._shape is None:
            raise InvariantError("rows become others before their columns are known")
        return self._shape

    def _wider(self, select: str, sequence: DataType | None) -> Named[DataType]:
        """The types that columns of the table get, and the sequence (as `SEQUENCE`).

        Args:
            sequence: the type that files say it has; None if none does.
        """
        if not self.may_widen:
            return Named()
        target, changes = self.merge.target, self.changes
        versions = changes.scd is ScdType.TWO
        own = told_names(changes, target.schema)
        sequence = sequence or self._told_sequence(own)
        fixed = (START_AT, END_AT) if versions else own
        columns = target.schema
        if sequence is not None and not any(target.declared.get(n) for n in fixed):
            columns = Schema((*columns.fields, Field(SEQUENCE, sequence)))
            select = f"SELECT *, {sequence_sql(changes)} AS {SEQUENCE} FROM ({select})"
        there = self._there(sequence, None if versions else told_by(changes, target.schema))
        types = self.widened([select], columns, there, Names((SEQUENCE, *own)))
        # What tells the sequence has its type.
        for name in own:
            types.pop(name, None)
        new = types.get(SEQUENCE)
        if new is not None and own:
            parts = [f.type for f in new.fields] if isinstance(new, Struct) else [new]
            types.update(zip(own, parts, strict=True))
        return types

    def _told_sequence(self, own: Sequence[str]) -> DataType | None:
        """The type of the sequence by the columns of the table; None if they do not tell it.

        Args:
            own: the columns that make it up.
        """
        names = (START_AT,) if self.changes.scd is ScdType.TWO else own
        fields = tuple(f for n in names if (f := self.merge.target.schema.get(n)) is not None)
        if len(fields) > 1:
            return Struct(tuple(Field(f.name, f.type) for f in fields))
        return fields[0].type if fields else None

    def _there(self, sequence: DataType | None, told: str | None) -> str:
        """SELECT text of all values that the table and its events have."""
        stored = self.merge.target.stored
        if stored is None or not isinstance(stored.batch, TableBatch):
            raise InvariantError("the rows of a table are not at hand")
        batch, versions = stored.batch, self.changes.scd is ScdType.TWO
        if not versions and told is None and sequence is not None:
            columns = (*batch.schema.fields, Field(SEQUENCE, sequence))
            batch = replace(batch, schema=Schema(columns))
        rows = self.bindings.bind(_NARROW, batch).plain
        if versions:
            ends = f"SELECT {END_AT} AS {SEQUENCE} FROM ({rows})"
            rows = f"SELECT *, {START_AT} AS {SEQUENCE} FROM ({rows}) UNION ALL BY NAME {ends}"
        elif told is not None:
            rows = f"SELECT *, {told} AS {SEQUENCE} FROM ({rows})"
        if self._kept is not None:
            rows += (
                f" UNION ALL BY NAME {self.bindings.bind(f'{_NARROW}_events', self._kept).plain}"
            )
        return rows

    def _known_sequence(self) -> DataType | None:
        """The type of the sequence of rows that are there; None if only the query tells it."""
        stored = self.merge.target.stored
        for batch in (self.merge.events, stored.batch if stored else None):
            if isinstance(batch, TableBatch) and batch.files:
                batch.ready()
                # The newest file: earlier ones may be others'.
                path = literal(batch.files[-1])
                found = self.con.sql(f"SELECT * FROM read_parquet([{path}]) LIMIT 0")
                types = dict(zip(found.columns, found.types, strict=True))
                if SEQUENCE in types:
                    return from_duckdb(types[SEQUENCE])
        return None

    def _compare(self, shape: Shape, stored: bool) -> None:
        """Find rows that are new or others, and the places of those that they replace."""
        new, old = (*shape.schema.names, SEQUENCE), shape.schema.names
        if not stored:
            columns = f"{columns_in(new)}, NULL::BIGINT AS {RID}"
            make(self.con, FRESH, kind="VIEW", select=f"SELECT {columns} FROM {_AFTER}")
            self.con.execute(f"CREATE OR REPLACE TEMP TABLE {GONE} ({RID} BIGINT)")
            return
        same, equal = _alike(shape.identity, "="), _alike(shape.stored.names, _SAME)
        joined = f"FROM {_AFTER} AS a {{}} JOIN {ROWS} AS o ON {same} WHERE ({equal}) IS NOT TRUE"
        for name, join, columns in (
            (FRESH, "LEFT", columns_in(new, "a")),
            (GONE, "RIGHT", columns_in(old, "o")),
        ):
            make(self.con, name, f"SELECT {columns}, o.{RID} {joined.format(join)}")


def _alike(names: Iterable[str], how: str) -> str:
    """SQL that is true if a row `o` of the table and a row `a` are alike in some columns."""
    return " AND ".join(f"o.{quote(n)} {how} a.{quote(n)}" for n in names)
