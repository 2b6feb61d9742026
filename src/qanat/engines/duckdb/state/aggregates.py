"""Aggregates in parts: what is kept of a group, so that later rows can be added to it.

DuckDB gives the state of most of its aggregates as a value (`EXPORT_STATE`), combines several and
computes the result of one; so results are exactly those of a query over all rows at once, sums of
doubles apart, whose last bits depend on the order of the additions. Which row an aggregate like
`first` takes, the number of the row says. Of all other aggregates (with DISTINCT or an order,
`mode`, quantiles, `list`) the values are kept that they are of.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import duckdb
from duckdb import DuckDBPyConnection
from duckdb.sqltypes import DuckDBPyType

from qanat.engines.duckdb.typenames import from_duckdb, to_duckdb
from qanat.model.schema import Array, DataType, Field, Primitive, Struct
from qanat.model.stateful import Aggregate
from qanat.text import literal, quote

NUMBER = "__qanat_number"
"""The column that numbers rows through all epochs, in their order."""

_REFUSED = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.InvalidInputException,
    duckdb.NotImplementedException,
    duckdb.ParserException,
)
_LONG = Primitive("long")
_ONE_ROW = re.compile(
    r"(?P<name>first|last|any_value|arg_min|arg_max|min_by|max_by)\("
    r'(?P<value>"\w+")(?:, (?P<by>"\w+"))?\)(?: FILTER\(WHERE (?P<only>.*)\))?',
    re.IGNORECASE,
)


class Part(ABC):
    """What is kept of one aggregate.

    Attributes:
        type: of the column of the state.
        sql_type: the same as DuckDB writes it.
    """

    type: DataType

    @property
    def sql_type(self) -> str:
        """The type of the column of the state in SQL."""
        return to_duckdb(self.type)

    @abstractmethod
    def of_rows(self) -> str:
        """SQL of what is kept of rows: an aggregate over the columns of the input."""

    @abstractmethod
    def of_parts(self, column: str) -> str:
        """SQL of what is kept of several parts together: an aggregate over a column of parts."""

    @abstractmethod
    def result(self, column: str) -> str:
        """SQL of the aggregate's value: an expression over a column of parts."""


class Same(Part):
    """An aggregate whose values are combined by itself, such as `max`."""

    def __init__(self, aggregate: Aggregate, value: DuckDBPyType) -> None:
        self._call, self._raw = aggregate.call, spelled(value)
        self._name = aggregate.call.partition("(")[0]
        self.type = from_duckdb(value)

    def of_rows(self) -> str:
        """SQL of what is kept of rows: an aggregate over the columns of the input."""
        return f"CAST({self._call} AS {self.sql_type})"

    def of_parts(self, column: str) -> str:
        """SQL of what is kept of several parts together: an aggregate over a column of parts."""
        return f"CAST({self._name}(CAST({column} AS {self._raw})) AS {self.sql_type})"

    def result(self, column: str) -> str:
        """SQL of the aggregate's value: an expression over a column of parts."""
        return f"CAST({column} AS {self._raw})"


class Exported(Part):
    """An aggregate whose state DuckDB gives and takes."""

    def __init__(self, aggregate: Aggregate, state: DuckDBPyType, types: list[str]) -> None:
        self._call, self._state = aggregate.call, spelled(state)
        self.type = from_duckdb(state)
        name = re.match(r"\w+", aggregate.call)
        signature = ", ".join(map(literal, types))
        self._name = f"{literal(name[0].lower() if name else '')}, [{signature}]"

    def of_rows(self) -> str:
        """SQL of what is kept of rows: an aggregate over the columns of the input."""
        return self._kept(f"{self._call} EXPORT_STATE")

    def of_parts(self, column: str) -> str:
        """SQL of what is kept of several parts together: an aggregate over a column of parts."""
        return self._kept(f"combine_aggr({self._restored(column)})")

    def result(self, column: str) -> str:
        """SQL of the aggregate's value: an expression over a column of parts."""
        return f"finalize({self._restored(column)})"

    def _kept(self, state: str) -> str:
        # DuckDB 2.0 leaves out a cast of a state to the type that it has inside already.
        return f"struct_extract(CAST(struct_pack(v := {state}) AS STRUCT(v {self.sql_type})), 'v')"

    def _restored(self, column: str) -> str:
        return f"to_aggregate_state(CAST({column} AS {self._state}), {self._name})"


class OneRow(Part):
    """An aggregate whose value is that of one row: the first one by a value, or by its number."""

    def __init__(self, found: re.Match[str], types: Mapping[str, DuckDBPyType]) -> None:
        name, value, by, only = found["name"].lower(), found["value"], found["by"], found["only"]
        last = name in ("last", "arg_max", "max_by")
        self._best = "arg_max" if last else "arg_min"
        self._raw = types[value.strip('"')]
        fields = [Field("n", _LONG), Field("v", from_duckdb(self._raw))]
        number, rows = quote(NUMBER), [only] if only else []
        self._order = "struct_pack(n := {0}.n)"
        parts = f"n := {number}, v := CAST({value} AS {to_duckdb(fields[1].type)})"
        if by:
            raw = types[by.strip('"')]
            fields.insert(0, Field("b", from_duckdb(raw)))
            # Of several with the same value it is the first one.
            number = f"-{number}" if last else number
            parts = f"b := CAST({by} AS {to_duckdb(fields[0].type)}), {parts}"
            parts = parts.replace(f"n := {quote(NUMBER)}", f"n := {number}")
            self._order = "struct_pack(b := {0}.b, n := {0}.n)"
            rows += [f"{value} IS NOT NULL", f"{by} IS NOT NULL"]
        elif name == "any_value":
            rows.append(f"{value} IS NOT NULL")
        self._parts = parts
        self._only = f" FILTER (WHERE {' AND '.join(f'({r})' for r in rows)})" if rows else ""
        self.type = Struct(tuple(fields))

    def of_rows(self) -> str:
        """SQL of what is kept of rows: an aggregate over the columns of the input."""
        row = f"struct_pack({self._parts})"
        return f"{self._best}({row}, {self._order.format(row)}){self._only}"

    def of_parts(self, column: str) -> str:
        """SQL of what is kept of several parts together: an aggregate over a column of parts."""
        return f"{self._best}({column}, {self._order.format(column)})"

    def result(self, column: str) -> str:
        """SQL of the aggregate's value: an expression over a column of parts."""
        return f"CAST({column}.v AS {spelled(self._raw)})"


class Values(Part):
    """An aggregate of which all values are kept: those that differ, or all in their order."""

    def __init__(self, aggregate: Aggregate, types: Mapping[str, DuckDBPyType]) -> None:
        self._call, self._distinct = aggregate.call, aggregate.distinct
        numbers = () if aggregate.distinct else (NUMBER,)
        names = tuple(dict.fromkeys((*numbers, *aggregate.columns)))
        fields = tuple(Field(n, from_duckdb(types[n])) for n in names)
        self.type = Array(Struct(fields))
        self._row = "struct_pack({})".format(
            ", ".join(
                f"{quote(f.name)} := CAST({quote(f.name)} AS {to_duckdb(f.type)})" for f in fields
            )
        )
        raw = ", ".join(f"{quote(n)} {spelled(types[n])}" for n in names)
        self._raw = f"STRUCT({raw})[]"

    def of_rows(self) -> str:
        """SQL of what is kept of rows: an aggregate over the columns of the input."""
        return f"list({'DISTINCT ' * self._distinct}{self._row})"

    def of_parts(self, column: str) -> str:
        """SQL of what is kept of several parts together: an aggregate over a column of parts."""
        together = f"flatten(list({column}))"
        return f"list_distinct({together})" if self._distinct else together

    def result(self, column: str) -> str:
        """SQL of the aggregate's value: an expression over a column of parts."""
        values = f"CAST(list_sort({column}) AS {self._raw})"
        return f"(SELECT {self._call} FROM (SELECT unnest({values}, max_depth := 2)))"


_MOST = 1024
_known: dict[tuple[Aggregate, tuple[str, ...]], Part] = {}
"""By aggregate and the types of its columns: to find it out takes longer than many an epoch."""


def part_of(
    con: DuckDBPyConnection, aggregate: Aggregate, rows: str, types: Mapping[str, DuckDBPyType]
) -> Part:
    """What is kept of an aggregate.

    Args:
        rows: the relation that it is of, with a column `NUMBER`.
        types: those of its columns.

    Raises:
        ValueError: a table cannot hold the values that would have to be kept.
        duckdb.Error: the aggregate is wrong.
    """
    key = aggregate, tuple(str(types[c]) for c in aggregate.columns)
    if key not in _known:
        if len(_known) >= _MOST:
            _known.clear()
        _known[key] = _part(con, aggregate, rows, types)
    return _known[key]


def _part(
    con: DuckDBPyConnection, aggregate: Aggregate, rows: str, types: Mapping[str, DuckDBPyType]
) -> Part:
    value = con.sql(f"SELECT {aggregate.call} FROM {rows} LIMIT 0").types[0]
    found = _ONE_ROW.fullmatch(aggregate.call)
    if found is not None and (found["by"] is None) == (found["name"].lower() in _ALONE):
        return OneRow(found, types)
    if aggregate.arguments == 1 and aggregate.call.partition("(")[0].upper() in _SAME:
        return Same(aggregate, value)
    exported = _exported(con, aggregate, rows, types, value)
    return Values(aggregate, types) if exported is None else exported


_SAME = ("MIN", "MAX", "BOOL_AND", "BOOL_OR", "BIT_AND", "BIT_OR", "BIT_XOR")
_NUMBERS = ("struct", "bigint", "hugeint", "double")
_ALONE = ("first", "last", "any_value")


def _exported(
    con: DuckDBPyConnection,
    aggregate: Aggregate,
    rows: str,
    types: Mapping[str, DuckDBPyType],
    value: DuckDBPyType,
) -> Exported | None:
    """The aggregate with the state that DuckDB gives; None if it gives none, or a list."""
    if aggregate.arguments is None:
        return None
    arguments = [spelled(types[c]) for c in aggregate.columns[: aggregate.arguments]]
    # Statistics take numbers of any type as doubles, and their states only those.
    for signature in (arguments, ["DOUBLE"] * len(arguments)):
        try:
            state = con.sql(f"SELECT {aggregate.call} EXPORT_STATE FROM {rows} LIMIT 0").types[0]
            if state.id not in _NUMBERS:
                return None
            part = Exported(aggregate, state, signature)
            null = f"CAST(NULL AS {part.sql_type}) AS s"
            taken = f"SELECT {part.result('s')}, {part.of_parts('s')} FROM (SELECT {null})"
            if con.sql(f"{taken} GROUP BY s LIMIT 0").types[0] == value:
                return part
        except (*_REFUSED, ValueError):
            continue
    return None


def spelled(type_: DuckDBPyType) -> str:
    """A type as SQL, with those inside an aggregate's state."""
    parts: dict[str, Any]
    match type_.id:
        case "struct":
            parts = dict(type_.children)
            fields = ", ".join(f"{quote(n)} {spelled(t)}" for n, t in parts.items())
            return f"STRUCT({fields})"
        case "list":
            parts = dict(type_.children)
            return f"{spelled(parts['child'])}[]"
        case "decimal":
            digits: dict[str, Any] = dict(type_.children)
            return f"DECIMAL({digits['precision']}, {digits['scale']})"
        case "map" | "enum" | "array" | "union":
            return str(type_)
        case name:
            return name.strip('"').upper()
