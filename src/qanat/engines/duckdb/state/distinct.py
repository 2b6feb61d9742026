"""DISTINCT over a stream: keys that rows have had, until they are forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from qanat.engines.duckdb.merge.pieces import columns_in, make
from qanat.engines.duckdb.state.aggregates import NUMBER
from qanat.engines.duckdb.state.grouped import CLOSES
from qanat.engines.duckdb.state.kind import GONE, Advance, Moment, OneInput
from qanat.engines.duckdb.typenames import from_duckdb, is_finer, to_duckdb
from qanat.model.schema import Field, Primitive, Schema
from qanat.model.stateful import RESULT, Deduplication
from qanat.text import quote

_TAKEN, _BEFORE, _FIRST = (f"__qanat_state_{each}" for each in ("taken", "before", "first"))
"""Names of temporary tables: the new rows, numbered, with their keys; rows of the state with some
of these, or that are forgotten; new rows that are the first of their keys."""
_OURS = "__qanat_"


class Distinct(OneInput[Deduplication]):
    """Rows of which the first one of each key counts."""

    _taken = False

    @cached_property
    def _shown(self) -> list[str]:
        """The columns of result rows."""
        return [n for n in self.types if not n.startswith(_OURS)]

    @cached_property
    def columns(self) -> Schema:
        """The columns of a row of the state."""
        fields = []
        for name, column in zip(self.keys, self._keys, strict=True):
            raw = self.types[column]
            text = is_finer(str(raw))
            fields.append(Field(name, Primitive("string") if text else from_duckdb(raw)))
        if self.closes:
            fields.append(Field(CLOSES, Primitive("long")))
        return Schema(tuple(fields))

    @property
    def _keys(self) -> Sequence[str]:
        """The columns of the input that are keys."""
        return self.stateful.keys or self._shown

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that identify a row of the state."""
        return tuple(f"key_{n}" for n in range(len(self._keys)))

    @property
    def found_by(self) -> tuple[str, ...]:
        """The first of the keys, by which rows are looked up."""
        return self.keys

    @property
    def closes(self) -> str | None:
        """The column that says at which watermark a key is forgotten."""
        return CLOSES if self.stateful.time else None

    def touched(self, moment: Moment) -> str:
        """SELECT text of the keys that new rows touch, each once."""
        self._take(moment)
        return (
            f"SELECT DISTINCT {columns_in(self.keys)} FROM {_TAKEN} WHERE {self._on_time(moment)}"
        )

    def advance(self, state: str | None, moment: Moment) -> Advance:
        """Compute an epoch."""
        self._take(moment)
        names, keys = columns_in(self.columns.names), columns_in(self.keys)
        due = "false"
        if self.closes and moment.after is not None:
            due = f"coalesce({CLOSES} <= {moment.after}, false)"
        nothing = ", ".join(f"NULL::{to_duckdb(f.type)} AS {f.name}" for f in self.columns.fields)
        before = (
            f"SELECT {nothing} WHERE false" if state is None else f"SELECT {names} FROM ({state})"
        )
        make(self.con, _BEFORE, before)
        same = " AND ".join(f"b.{k} IS NOT DISTINCT FROM t.{k}" for k in self.keys)
        first = f"row_number() OVER (PARTITION BY {keys} ORDER BY {NUMBER}) = 1"
        make(
            self.con,
            _FIRST,
            f"SELECT * FROM {_TAKEN} AS t WHERE {self._on_time(moment)} "
            f"AND NOT EXISTS (FROM {_BEFORE} AS b WHERE {same}) QUALIFY {first}",
        )
        make(
            self.con,
            RESULT,
            f"SELECT {columns_in(self._shown)} FROM {_FIRST} ORDER BY {NUMBER}",
        )
        return Advance(
            self.stateful.result or f"SELECT * FROM {RESULT}",
            f"SELECT {names}, false AS {GONE} FROM {_FIRST} WHERE NOT {due} "
            f"UNION ALL SELECT {names}, true AS {GONE} FROM {_BEFORE} WHERE {due}",
            {
                self.stateful.inputs[0].name: f"SELECT {columns_in(self.types)} FROM {_TAKEN} "
                f"WHERE NOT {self._on_time(moment)}"
            },
        )

    def _take(self, moment: Moment) -> None:
        """Number the new rows, and find their keys."""
        if self._taken:
            return
        values = [
            f"CAST({quote(column)} AS {to_duckdb(field.type)}) AS {field.name}"
            for field, column in zip(self.columns.fields, self._keys, strict=False)
        ]
        if self.closes:
            time = quote(self.stateful.time)
            values.append(f"{time} + {self.stateful.kept_us + 1} AS {CLOSES}")
        numbered = f"{moment.epoch << 32} + row_number() OVER () AS {NUMBER}"
        make(
            self.con,
            _TAKEN,
            f"SELECT *, {', '.join(values)}, {numbered} FROM ({self.select})",
        )
        self._taken = True

    def _on_time(self, moment: Moment) -> str:
        """SQL that is true of a row that is not late; one without event time never is."""
        if not self.closes or moment.before is None:
            return "true"
        return f"coalesce({quote(self.stateful.time)} >= {moment.before}, true)"
