"""Two streams that are joined: rows of each wait for those of the other that they may match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from duckdb import DuckDBPyConnection
from duckdb.sqltypes import DuckDBPyType

from qanat.engines.duckdb.merge.pieces import columns_in, make
from qanat.engines.duckdb.state.aggregates import spelled
from qanat.engines.duckdb.state.grouped import CLOSES
from qanat.engines.duckdb.state.kind import GONE, Advance, Keeping, Moment
from qanat.engines.duckdb.typenames import from_duckdb, to_duckdb
from qanat.model.schema import DataType, Field, Primitive, Schema, Struct
from qanat.model.stateful import RESULT, Joining
from qanat.text import quote

_NEW, _ALL, _MARKED = (
    ("__qanat_state_new_0", "__qanat_state_new_1"),
    ("__qanat_state_all_0", "__qanat_state_all_1"),
    ("__qanat_state_marked_0", "__qanat_state_marked_1"),
)
"""Names of temporary tables, for each side: new rows; these with those of the state; with whether
they have matched."""
_BEFORE, _PAIRS = "__qanat_state_before", "__qanat_state_pairs"
"""Names of temporary tables: rows of the state that may match; which rows match each other."""
_NUMBER, _FRESH, _MATCHED, _CLOSES, _TIMELY = (
    f"__qanat_{each}" for each in ("number", "fresh", "matched", "closes", "timely")
)
_LONG, _BOOLEAN = Primitive("long"), Primitive("boolean")
_OURS = "__qanat_"
_NEVER_MATCHES = -(2**62)
"""Since when a row without event time is not needed any more."""


class Joined(Keeping[Joining]):
    """Pairs of rows of two streams; rows that match none, once they no longer can."""

    _taken = False

    def __init__(
        self,
        con: DuckDBPyConnection,
        stateful: Joining,
        new: Mapping[str, str],
        names: Sequence[str],
    ) -> None:
        super().__init__(con, stateful, new, names)
        self._inputs = [new[each.name] for each in stateful.inputs]
        self._types: list[dict[str, DuckDBPyType]] = []
        for select in self._inputs:
            relation = con.sql(f"SELECT * FROM ({select}) LIMIT 0")
            self._types.append(dict(zip(relation.columns, relation.types, strict=True)))

    # -- the state -------------------------------------------------------------------------

    @cached_property
    def columns(self) -> Schema:
        """The columns of a row of the state."""
        keys = (Field(f"key_{n}", t) for n, t in enumerate(self._key_types))
        return Schema(
            (
                *keys,
                Field("side", _LONG),
                Field("number", _LONG),
                *((Field(CLOSES, _LONG),) if self.closes else ()),
                Field("matched", _BOOLEAN),
                Field("row_0", self._row_type(0)),
                Field("row_1", self._row_type(1)),
            )
        )

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that identify a row of the state."""
        return (*self.found_by, "side", "number")

    @property
    def found_by(self) -> tuple[str, ...]:
        """The first of the keys, by which rows are looked up."""
        return tuple(f"key_{n}" for n in range(len(self.stateful.equal)))

    @property
    def closes(self) -> str | None:
        """The column that says at which watermark a row can no longer match."""
        return CLOSES if any(s.needed is not None for s in self.stateful.sides) else None

    @cached_property
    def _key_types(self) -> list[DataType]:
        columns = columns_in(self.stateful.equal)
        both = " UNION ALL ".join(f"SELECT {columns} FROM ({each})" for each in self._inputs)
        return [from_duckdb(t) for t in self.con.sql(f"SELECT * FROM ({both}) LIMIT 0").types]

    def _shown(self, side: int) -> list[str]:
        """The columns of a side's rows."""
        return [n for n in self._types[side] if not n.startswith(_OURS)]

    def _row_type(self, side: int) -> Struct:
        types = self._types[side]
        return Struct(tuple(Field(n, from_duckdb(types[n])) for n in self._shown(side)))

    # -- one epoch -------------------------------------------------------------------------

    def touched(self, moment: Moment) -> str:
        """SELECT text of the keys that new rows touch, each once."""
        self._take(moment)
        keys = columns_in(self.found_by)
        timely = (f"SELECT {keys} FROM {each} WHERE {_TIMELY}" for each in _NEW)
        return f"SELECT DISTINCT {keys} FROM ({' UNION ALL '.join(timely)})"

    def advance(self, state: str | None, moment: Moment) -> Advance:
        """Compute an epoch."""
        self._take(moment)
        listed = columns_in(self.columns.names)
        nothing = ", ".join(f"NULL::{to_duckdb(f.type)} AS {f.name}" for f in self.columns.fields)
        make(
            self.con,
            _BEFORE,
            f"SELECT {nothing} WHERE false"
            if state is None
            else f"SELECT {listed} FROM ({state})",
        )
        for side in range(2):
            make(self.con, _ALL[side], self._everything(side))
        left, right = (quote(s.alias) for s in self.stateful.sides)
        fresh = f"({left}.{_FRESH} OR {right}.{_FRESH})"
        make(
            self.con,
            _PAIRS,
            f"SELECT {left}.{_NUMBER} AS n0, {right}.{_NUMBER} AS n1 FROM {_ALL[0]} AS {left} "
            f"JOIN {_ALL[1]} AS {right} ON ({self.stateful.condition}\n) AND {fresh}",
        )
        for side in range(2):
            make(
                self.con,
                _MARKED[side],
                f"SELECT *, {_MATCHED} OR {_NUMBER} IN (SELECT n{side} FROM {_PAIRS}) AS now "
                f"FROM {_ALL[side]}",
            )
        make(self.con, RESULT, self._result(moment))
        late = {}
        for side, each in enumerate(self.stateful.inputs):
            columns = columns_in(self._types[side])
            late[each.name] = f"SELECT {columns} FROM {_NEW[side]} WHERE NOT {_TIMELY}"
        changed = (
            f"{self._changed(0, moment)} UNION ALL {self._changed(1, moment)} "
            f"UNION ALL {self._gone(0, moment)} UNION ALL {self._gone(1, moment)}"
        )
        return Advance(self.stateful.result, changed, late)

    def _take(self, moment: Moment) -> None:
        """Number the new rows of both sides, and find their keys."""
        if self._taken:
            return
        for side, select in enumerate(self._inputs):
            keys = ", ".join(
                f"CAST({quote(column)} AS {to_duckdb(t)}) AS key_{n}"
                for n, (column, t) in enumerate(
                    zip(self.stateful.equal, self._key_types, strict=True)
                )
            )
            number = f"{moment.epoch << 32} + row_number() OVER () AS {_NUMBER}"
            time = quote(self.stateful.sides[side].time)
            timely = "true"
            if self.stateful.sides[side].time and moment.before is not None:
                timely = f"coalesce({time} >= {moment.before}, true)"
            make(
                self.con,
                _NEW[side],
                f"SELECT *, {keys}, {number}, {self._closes_at(side)} AS {_CLOSES}, "
                f"{timely} AS {_TIMELY} FROM ({select})",
            )
        self._taken = True

    def _closes_at(self, side: int) -> str:
        """SQL of the watermark at which a row of a side can no longer match."""
        one = self.stateful.sides[side]
        if one.needed is None:
            return "NULL::BIGINT"
        # It matches by its event time: without one it never does.
        return f"coalesce({quote(one.time)} + {one.needed + 1}, {_NEVER_MATCHES})"

    def _everything(self, side: int) -> str:
        """SELECT text of the rows of a side that there are: new ones, and those of the state."""
        types = self._types[side]
        names = columns_in(self._shown(side))
        keys = columns_in(self.found_by)
        raw = ", ".join(f"{quote(n)} {spelled(types[n])}" for n in self._shown(side))
        row = f"CAST(row_{side} AS STRUCT({raw}))"
        closes = CLOSES if self.closes else "NULL::BIGINT"
        return (
            f"SELECT {names}, {keys}, {_NUMBER}, {_CLOSES}, true AS {_FRESH}, false AS {_MATCHED} "
            f"FROM {_NEW[side]} WHERE {_TIMELY} UNION ALL "
            f"SELECT UNNEST({row}), {keys}, number, {closes}, false, matched "
            f"FROM {_BEFORE} WHERE side = {side}"
        )

    def _closed(self, moment: Moment) -> str:
        """SQL that is true of a row that can no longer match."""
        if not self.closes or moment.after is None:
            return "false"
        return f"coalesce({_CLOSES} <= {moment.after}, false)"

    # -- what comes of it ------------------------------------------------------------------

    def _struct(self, side: int, of: str | None) -> str:
        """SQL of a row of a side as a struct; of NULLs if there is none."""
        types = self._types[side]
        fields = ", ".join(
            f"{quote(n)} := "
            + (f"{of}.{quote(n)}" if of else f"CAST(NULL AS {spelled(types[n])})")
            for n in self._shown(side)
        )
        return f"struct_pack({fields}) AS __qanat_{('left', 'right')[side]}"

    def _result(self, moment: Moment) -> str:
        """SELECT text of pairs, and of rows that match none."""
        own, closed = self.stateful, self._closed(moment)
        parts = []
        if own.semi:
            parts.append(
                f"SELECT {self._struct(0, 'a')}, {self._struct(1, None)} FROM {_MARKED[0]} AS a "
                f"WHERE a.now AND NOT a.{_MATCHED}"
            )
        elif not own.anti:
            parts.append(
                f"SELECT {self._struct(0, 'a')}, {self._struct(1, 'b')} FROM {_PAIRS} AS p "
                f"JOIN {_ALL[0]} AS a ON a.{_NUMBER} = p.n0 "
                f"JOIN {_ALL[1]} AS b ON b.{_NUMBER} = p.n1"
            )
        if own.sides[0].kept or own.anti:
            parts.append(
                f"SELECT {self._struct(0, 'a')}, {self._struct(1, None)} FROM {_MARKED[0]} AS a "
                f"WHERE NOT a.now AND {closed}"
            )
        if own.sides[1].kept:
            parts.append(
                f"SELECT {self._struct(0, None)}, {self._struct(1, 'b')} FROM {_MARKED[1]} AS b "
                f"WHERE NOT b.now AND {closed}"
            )
        return " UNION ALL ".join(parts)

    def _done(self, side: int, moment: Moment) -> str:
        """SQL that is true of a row that is not needed any more."""
        closed = self._closed(moment)
        # One match is all that such a join asks for.
        return (
            f"({closed} OR now)"
            if side == 0 and (self.stateful.semi or self.stateful.anti)
            else closed
        )

    def _state_row(self, side: int) -> str:
        rows = []
        for each in range(2):
            type_ = to_duckdb(self._row_type(each))
            fields = ", ".join(f"{quote(n)} := {quote(n)}" for n in self._shown(each))
            value = f"struct_pack({fields})" if each == side else "NULL"
            rows.append(f"CAST({value} AS {type_}) AS row_{each}")
        closes = f", {_CLOSES} AS {CLOSES}" if self.closes else ""
        return (
            f"SELECT {columns_in(self.found_by)}, {side}::BIGINT AS side, {_NUMBER} AS number"
            f"{closes}, now AS matched, {', '.join(rows)}"
        )

    def _changed(self, side: int, moment: Moment) -> str:
        """SELECT text of rows of a side that the state has now, or that have matched since."""
        return (
            f"{self._state_row(side)}, false AS {GONE} FROM {_MARKED[side]} "
            f"WHERE ({_FRESH} OR now <> {_MATCHED}) AND NOT {self._done(side, moment)}"
        )

    def _gone(self, side: int, moment: Moment) -> str:
        """SELECT text of rows of a side that the state had, and that are not needed any more."""
        return (
            f"{self._state_row(side)}, true AS {GONE} FROM {_MARKED[side]} "
            f"WHERE NOT {_FRESH} AND {self._done(side, moment)}"
        )
