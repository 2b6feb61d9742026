"""GROUP BY over a stream, without windows or with those of a fixed length."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from duckdb import DuckDBPyConnection

from qanat.engines.duckdb.merge.pieces import columns_in, make
from qanat.engines.duckdb.state.aggregates import NUMBER, Part, part_of, spelled
from qanat.engines.duckdb.state.kind import GONE, Advance, Moment, OneInput
from qanat.engines.duckdb.typenames import from_duckdb, is_finer, to_duckdb
from qanat.model.schema import DataType, Field, Primitive, Schema
from qanat.model.stateful import GROUP, LEAVES, RESULT, Grouping, GroupKey, Window
from qanat.planning.eventtime.windows import starts
from qanat.text import quote

CLOSES = "closes"
"""The column of a state that says at which watermark its row is complete."""

_TAKEN, ROWS, _PARTS, BEFORE, _AFTER, _OUT = (
    f"__qanat_state_{each}" for each in ("taken", "rows", "parts", "before", "after", "out")
)
"""Names of temporary tables: the new rows, numbered; with their keys, once for each window; parts
of their groups; rows of the state that these, or the watermark, touch; both together; the result.
"""
_LONG = Primitive("long")
ONE = "key"
"""The key of a state where no value is one."""
TOUCHED = "__qanat_touched"


class Grouped(OneInput[Grouping]):
    """Groups of rows, of which parts of aggregates are kept."""

    _taken = False

    def __init__(
        self,
        con: DuckDBPyConnection,
        stateful: Grouping,
        new: Mapping[str, str],
        names: Sequence[str],
    ) -> None:
        super().__init__(con, stateful, new, names)
        self.types[NUMBER] = con.sql("SELECT 0::BIGINT").types[0]

    # -- the state -------------------------------------------------------------------------

    @cached_property
    def columns(self) -> Schema:
        """The columns of a row of the state."""
        keys = [Field(name, self._key_type(key)) for name, key in self._by_name()]
        if ONE in self.keys:
            keys = [Field(ONE, _LONG), *keys]
        closes = (Field(CLOSES, _LONG),) if self._timed else ()
        values = (Field(f"value_{n}", part.type) for n, part in enumerate(self._parts))
        return Schema((*keys, *closes, *values))

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that identify a row of the state."""
        return tuple(name for name, _ in self._by_name()) or (ONE,)

    @property
    def found_by(self) -> tuple[str, ...]:
        """The first of the keys, by which rows are looked up."""
        return self.keys

    @property
    def closes(self) -> str | None:
        """The column that says at which watermark a row is needed although no key asks."""
        timed = any(k.window or k.ends for k in self.stateful.keys)
        return CLOSES if timed and self.stateful.watermarks else None

    @property
    def _timed(self) -> bool:
        """True if rows of the state have the column `CLOSES`."""
        return self.closes is not None

    def _by_name(self) -> list[tuple[str, GroupKey]]:
        """The keys, each with its column in the state."""
        return [(f"key_{n}", key) for n, key in enumerate(self.stateful.keys)]

    @cached_property
    def _parts(self) -> list[Part]:
        rows = f"(SELECT *, 0::BIGINT AS {NUMBER} FROM ({self.select}))"
        return [part_of(self.con, a, rows, self.types) for a in self.stateful.aggregates]

    def _key_type(self, key: GroupKey) -> DataType:
        raw = self.types[key.column]
        if key.window is not None:
            return _LONG
        return Primitive("string") if is_finer(str(raw)) else from_duckdb(raw)

    # -- one epoch -------------------------------------------------------------------------

    def touched(self, moment: Moment) -> str:
        """SELECT text of the keys that new rows touch, each once."""
        self._take(moment)
        return f"SELECT DISTINCT {columns_in(self.found_by)} FROM {ROWS}"

    def advance(self, state: str | None, moment: Moment) -> Advance:
        """Compute an epoch."""
        self._take(moment)
        self._find_before(state, moment)
        self._assign()
        keys = columns_in(self.keys)
        closes = f", {self._close_of_group()} AS {CLOSES}" if self._timed else ""
        values = self._listed(lambda p, n: f"{p.of_rows()} AS value_{n}")
        make(
            self.con,
            _PARTS,
            f"SELECT {keys}{closes}{values}, true AS {TOUCHED} FROM {ROWS} GROUP BY {keys}",
        )
        names = columns_in(self.columns.names)
        both = (
            f"SELECT {names}, {TOUCHED} FROM {self._joined_to} "
            f"UNION ALL SELECT {names}, {TOUCHED} FROM {_PARTS}"
        )
        values = self._listed(lambda p, n: f"{p.of_parts(f'value_{n}')} AS value_{n}")
        closes = f", {self._close_of_group()} AS {CLOSES}" if self._timed else ""
        make(
            self.con,
            _AFTER,
            f"SELECT {keys}{closes}{values}, bool_or({TOUCHED}) AS {TOUCHED} "
            f"FROM ({both}) GROUP BY {keys}",
        )
        return Advance(
            self._output(moment), self._changed(moment), {self._name: self._late(moment)}
        )

    @property
    def _name(self) -> str:
        return self.stateful.inputs[0].name

    def _take(self, moment: Moment) -> None:
        """Number the new rows, and find their keys; those that are late are left out."""
        if self._taken:
            return
        first = moment.epoch << 32
        numbered = f"SELECT *, {first} + row_number() OVER () AS {NUMBER} FROM ({self.select})"
        make(self.con, _TAKEN, numbered)
        make(self.con, ROWS, f"SELECT * FROM ({self._keyed()}) WHERE {self._counts(moment)}")
        self._taken = True

    def _keyed(self) -> str:
        """SELECT text of the new rows with the columns of their keys, once for each window."""
        rows = f"SELECT {', '.join(self._key_values())}, * FROM {_TAKEN}"
        return f"SELECT *, {self._closes_at()} AS {CLOSES} FROM ({rows})" if self._timed else rows

    def _key_values(self) -> list[str]:
        """SQL of the columns of the keys; those of windows have where each begins."""
        values = [
            self._value(name, key)
            if key.window is None
            else f"{starts(key.window, quote(key.column))} AS {name}"
            for name, key in self._by_name()
        ]
        return values or [f"0::BIGINT AS {ONE}"]

    def _value(self, name: str, key: GroupKey) -> str:
        value = quote(key.column)
        if self.types[key.column].id in ("float", "double"):
            # GROUP BY takes 0.0 and -0.0 for one key, whose text tells its group from others.
            value = f"({value} + 0)"
        return f"CAST({value} AS {to_duckdb(self._key_type(key))}) AS {name}"

    def _closes_at(self) -> str:
        """SQL of the watermark at which the group of a row is complete."""
        moments = [
            f"{name} + {key.window.width}" if key.window else f"epoch_us({key.ends})"
            for name, key in self._by_name()
            if key.window or key.ends
        ]
        return moments[0] if len(moments) == 1 else f"least({', '.join(moments)})"

    def _counts(self, moment: Moment) -> str:
        """SQL that is true of a row that counts, in its window."""
        conditions = [f"{name} IS NOT NULL" for name, key in self._by_name() if key.window]
        if self.closes and moment.before is not None:
            conditions.append(f"coalesce({CLOSES} > {moment.before}, {not self._appends})")
        elif self._appends:
            conditions.append(f"{CLOSES} IS NOT NULL")
        return " AND ".join(conditions) or "true"

    @property
    def _appends(self) -> bool:
        return not self.stateful.changes

    def _late(self, moment: Moment) -> str:
        """SELECT text of the new rows that do not count, in one of their windows or at all."""
        return (
            f"SELECT * EXCLUDE ({NUMBER}) FROM {_TAKEN} WHERE {NUMBER} IN "
            f"(SELECT {NUMBER} FROM ({self._keyed()}) WHERE NOT ({self._counts(moment)}))"
        )

    def _find_before(self, state: str | None, moment: Moment) -> None:
        """Take the rows of the state that new rows or the watermark touch."""
        names = columns_in(self.columns.names)
        if state is None:
            nothing = ", ".join(
                f"NULL::{to_duckdb(f.type)} AS {quote(f.name)}" for f in self.columns.fields
            )
            make(self.con, BEFORE, f"SELECT {nothing}, true AS {TOUCHED} WHERE false")
            return
        same = " AND ".join(
            f"s.{quote(k)} IS NOT DISTINCT FROM t.{quote(k)}" for k in self.found_by
        )
        some = f"EXISTS (FROM {ROWS} AS t WHERE {same})"
        due = f" OR {CLOSES} <= {moment.after}" if self.closes and moment.after is not None else ""
        make(
            self.con,
            BEFORE,
            f"SELECT * FROM (SELECT {names}, {some} AS {TOUCHED} FROM ({state}) AS s) "
            f"WHERE {TOUCHED}{due}",
        )

    _joined_to = BEFORE
    """The relation of `BEFORE`, with the keys that its rows have afterwards."""

    def _assign(self) -> None:
        """Have new rows and rows of the state that belong together the same keys."""

    def _close_of_group(self) -> str:
        """SQL of the watermark at which a group of rows is complete."""
        return f"min({CLOSES})"

    def _listed(self, each: Callable[[Part, int], str]) -> str:
        return "".join(f", {each(p, n)}" for n, p in enumerate(self._parts))

    # -- what comes of it ------------------------------------------------------------------

    def _closed(self, moment: Moment) -> str:
        """SQL that is true of a group that is complete."""
        if not self.closes or moment.after is None:
            return "false"
        return f"coalesce({CLOSES} <= {moment.after}, false)"

    def _output(self, moment: Moment) -> str:
        shown = self._closed(moment) if self._appends else TOUCHED
        keys = (
            f"{self._shown(n, k)} AS __qanat_key_{i}" for i, (n, k) in enumerate(self._by_name())
        )
        values = (
            f"{p.result(f'value_{n}')} AS __qanat_value_{n}" for n, p in enumerate(self._parts)
        )
        group = f"{group_of(self.keys)} AS {GROUP}"
        listed = ", ".join((*keys, *values, group))
        make(self.con, RESULT, f"SELECT {listed} FROM {_AFTER} WHERE {shown}")
        return self.finished(f"SELECT {group} FROM {BEFORE} WHERE {TOUCHED}")

    def _shown(self, name: str, key: GroupKey) -> str:
        """SQL of a key as result rows have it."""
        raw = spelled(self.types[key.column])
        if key.window is None:
            return f"CAST({name} AS {raw})"
        return window_struct(name, self._end(name, key.window), raw)

    def _end(self, name: str, window: Window) -> str:
        """SQL of the end of a window, of whose start it is the column."""
        return f"{name} + {window.width}"

    def _changed(self, moment: Moment) -> str:
        names = columns_in(self.columns.names)
        open_ = f"SELECT * FROM {_AFTER} WHERE NOT ({self._closed(moment)})"
        same = " AND ".join(f"b.{quote(k)} IS NOT DISTINCT FROM a.{quote(k)}" for k in self.keys)
        return (
            f"SELECT {names}, false AS {GONE} FROM ({open_}) WHERE {TOUCHED} "
            f"UNION ALL SELECT {names}, true AS {GONE} FROM {BEFORE} AS b "
            f"WHERE NOT EXISTS (FROM ({open_}) AS a WHERE {same})"
        )

    def finished(self, groups: str) -> str:
        """SELECT text of the query's rows, made of the operator's result.

        Args:
            groups: SELECT text of the groups that had result rows before, and are touched.
        """
        result = self.stateful.result or f"SELECT * FROM {RESULT}"
        for number, name in enumerate(self.names):
            result = result.replace(f'"__qanat_name_{number}"', quote(name))
        if self._appends:
            return result
        make(self.con, _OUT, result)
        left = f"SELECT {GROUP} FROM {RESULT} UNION SELECT * FROM ({groups})"
        shown = self.con.sql(f"SELECT * EXCLUDE ({GROUP}) FROM {_OUT} LIMIT 0").columns
        return (
            f"SELECT {columns_in(shown)}, {GROUP}, false AS {LEAVES} FROM {_OUT} "
            f"UNION ALL BY NAME SELECT {GROUP}, true AS {LEAVES} FROM ({left}) "
            f"WHERE {GROUP} NOT IN (SELECT {GROUP} FROM {_OUT})"
        )


def window_struct(start: str, end: str, type_: str) -> str:
    """SQL of a window as queries see it."""
    # A date falls into windows that begin within a day.
    shown = "TIMESTAMP" if type_ == "DATE" else type_
    return (
        f'struct_pack("start" := CAST(make_timestamp({start}) AS {shown}), '
        f'"end" := CAST(make_timestamp({end}) AS {shown}))'
    )


def group_of(keys: Sequence[str]) -> str:
    """SQL of the text that tells a group from others."""
    parts = ", ".join(f"coalesce(md5(CAST({quote(k)} AS VARCHAR)), '-')" for k in keys)
    return f"md5(concat({parts}))"
