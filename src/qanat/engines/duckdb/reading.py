"""The rows of a query that no dataset declares, taken as they are computed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from duckdb import DuckDBPyConnection, DuckDBPyRelation
from duckdb.sqltypes import DuckDBPyType

from qanat.engines.duckdb.casts import compiled
from qanat.engines.duckdb.faults import explained
from qanat.engines.duckdb.inputs import Bindings
from qanat.engines.duckdb.types import stored
from qanat.model.query import SqlQuery
from qanat.model.schema import Field, Primitive, Schema
from qanat.model.work import Inputs
from qanat.text import literal, quote

_CHUNK = 4096
"""Rows that are Python values at a time."""


class DuckDBReading:
    """One query over bound inputs (see `qanat.ports.engine.Reading`).

    Args:
        con: of this query alone, open for as long as its rows are taken.
        scratch: for inputs that have to be copied.
        working: to be entered whenever the connection is used: between two chunks it rests, and
            the engine may close it.
    """

    def __init__(
        self,
        con: DuckDBPyConnection,
        scratch: Path,
        query: SqlQuery,
        inputs: Inputs,
        limit: int | None,
        working: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._working = working
        self._con = con
        self._query = query
        with explained(None):
            bindings = Bindings(con, scratch)
            bound = [bindings.bind(name, batch) for name, batch in inputs.items()]
            for name in inputs:
                bindings.define(name)
            self._columns = tuple(c for b in bound for c in con.sql(b.plain).columns)
        # Inside parentheses DuckDB takes nothing but a query, and gives columns of one name
        # different ones. The closing one has its own line: the text may end in a -- comment.
        most = "" if limit is None else f" LIMIT {int(limit)}"

        def over(sql: str) -> str:
            return f"FROM (\n{sql}\n){most}"

        with explained(query, self._columns):
            self._sql, relation = compiled(con, query.sql, over)
            columns = dict(zip(relation.columns, relation.types, strict=True))
        self.schema = Schema(
            tuple(Field(name, stored(t) or Primitive("string")) for name, t in columns.items())
        )
        self._shown, self._text_of = _as_values(columns)

    def _relation(self) -> DuckDBPyRelation:
        return self._con.sql(self._sql)

    def chunks(self) -> Iterator[Sequence[tuple[Any, ...]]]:
        """The rows as Python values, some thousand at a time."""
        # Of DuckDB's ways only this one gives rows as they are computed: a relation keeps none.
        with self._working(), explained(self._query, self._columns):
            self._con.execute(f"{self._shown}{self._sql}")
        while True:
            with self._working(), explained(self._query, self._columns):
                rows = self._con.fetchmany(_CHUNK)
            if not rows:
                return
            yield [self._exact(row) for row in rows] if self._text_of else rows

    def _exact(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        """A row with the texts behind it in the place of values that Python's types change."""
        values = list(row[: len(self.schema.fields)])
        for at, text in zip(self._text_of, row[len(values) :], strict=True):
            if text is not None:
                values[at] = text
        return tuple(values)

    @contextmanager
    def arrow(self) -> Iterator[DuckDBPyRelation]:
        """The rows as an object with `__arrow_c_stream__`."""
        # DuckDB computes while the stream is read, and raises its errors there.
        with self._working(), explained(self._query, self._columns):
            yield self._relation()

    def write(self, path: Path) -> int:
        """Write the rows to one Parquet file, which appears when it is whole."""
        with self._working(), explained(self._query, self._columns):
            target = literal(str(path))
            self._con.execute(
                f"COPY ({self._sql}\n) TO {target} (FORMAT parquet, USE_TMP_FILE true)"
            )
            found = self._con.fetchone()
        return int(found[0]) if found else 0


def _as_values(columns: Mapping[str, DuckDBPyType]) -> tuple[str, tuple[int, ...]]:
    """A SELECT list that makes columns Python values, if they need one.

    Returns:
        The list, or an empty text; and the columns, by their index, for which a text follows
        behind the others. It is NULL where the value itself can be taken.
    """
    shown, texts, text_of = [], [], []
    for at, (name, type_) in enumerate(columns.items()):
        column = quote(name)
        if stored(type_) is None:
            # INTERVAL, UNION, VARIANT, …: neither JSON nor CSV has values of such a type.
            shown.append(f"CAST({column} AS VARCHAR)")
            continue
        shown.append(column)
        if odd := _odd(type_, column):
            texts.append(f"CASE WHEN {odd} THEN CAST({column} AS VARCHAR) END")
            text_of.append(at)
    if not texts and shown == [quote(name) for name in columns]:
        return "", ()
    return f"SELECT {', '.join([*shown, *texts])} ", tuple(text_of)


def _odd(type_: DuckDBPyType, value: str, depth: int = 0) -> str | None:
    """A condition that is true for values that DuckDB changes when it makes them Python's.

    It gives years before 1 and after 9999 as text, but the last day that Python knows for
    infinity, and microseconds for nanoseconds.

    Args:
        value: an expression of this type.
        depth: how many lists are around it.
    """
    match type_.id:
        case "timestamp_ns" | "timestamptz_ns":
            moment = "TIMESTAMPTZ" if "tz" in type_.id else "TIMESTAMP"
            exact = f"isfinite(CAST({value} AS {moment})) AND epoch_ns({value}) % 1000 = 0"
            return f"NOT ({exact})"
        case "date" | "timestamp" | "timestamp_s" | "timestamp_ms" | "timestamp with time zone":
            moment = value if "zone" in type_.id or type_.id == "date" else f"{value}::TIMESTAMP"
            return f"NOT isfinite({moment})"
        case "list" | "array":
            items: dict[str, Any] = dict(type_.children)
            return _any(value, items["child"], depth)
        case "map":
            sides: list[tuple[str, Any]] = list(type_.children)
            return _or(_any(f"map_{name}s({value})", inner, depth) for name, inner in sides)
        case "struct":
            fields: list[tuple[str, Any]] = list(type_.children)
            return _or(_odd(t, f"({value}).{quote(name)}", depth) for name, t in fields)
    return None


def _any(values: str, type_: DuckDBPyType, depth: int) -> str | None:
    """A condition that is true for lists with such a value."""
    element = f"__qanat_{depth}"
    odd = _odd(type_, element, depth + 1)
    return f"len(list_filter({values}, lambda {element}: {odd})) > 0" if odd else None


def _or(conditions: Iterable[str | None]) -> str | None:
    """A condition that is true where one of them is."""
    return " OR ".join(f"coalesce({c}, false)" for c in conditions if c) or None
