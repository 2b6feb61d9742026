"""A query's columns made those of its table."""

from __future__ import annotations

from duckdb.sqltypes import DuckDBPyType

from qanat.engines.duckdb.files.widen import convert, holds
from qanat.engines.duckdb.typenames import from_duckdb, is_finer, stored, to_duckdb
from qanat.frozen import Frozen
from qanat.model.query import Computation
from qanat.model.schema import DataType, Schema
from qanat.model.work import Output
from qanat.planning.fit import Column, Target, fit as fit_columns
from qanat.text import literal, quote

__all__ = ["Fitted", "Result", "fit", "from_duckdb", "stored", "to_duckdb"]


class Result(Frozen):
    """The rows of a query, not yet computed.

    Args:
        select: SELECT text of the visible columns, and of the `hidden` ones.
        hidden: any of `__qanat_file`, `__qanat_row`, `__qanat_rid`; with the last one the
            SELECT is re-readable: it gives the same rows each time.
    """

    select: str
    names: list[str]
    types: list[DuckDBPyType]
    hidden: tuple[str, ...] = ()


class Conversion(Frozen):
    """A column of the query that becomes one of another type.

    Args:
        column: its name as SQL.
        text: the conversion as people write it.
        fails: SQL that is true where the value does not fit.
    """

    column: str
    text: str
    fails: str


class Fitted(Frozen):
    """The table's columns after this epoch, and how each is computed from the query's.

    Args:
        expressions: with the names that the columns get.
        casts: the conversions among them.
    """

    schema: Schema
    expressions: tuple[str, ...]
    casts: tuple[Conversion, ...] = ()

    @property
    def projection(self) -> str:
        """A SELECT list in the table's order."""
        return ", ".join(self.expressions)


def fit(
    names: list[str], types: list[DuckDBPyType], output: Output, query: Computation, dataset: str
) -> Fitted:
    """Match the columns of a query to those of its table (see `qanat.planning.fit`)."""
    columns = [
        Column(name, stored(type_), str(type_), nothing="null" in type_.id)
        for name, type_ in zip(names, types, strict=True)
    ]
    targets = fit_columns(columns, output, query.location, dataset)
    conversions = (_conversion(t.column, t.field.type) for t in targets if t.column is not None)
    return Fitted(
        Schema(tuple(t.field for t in targets)),
        tuple(_expression(t) for t in targets),
        tuple(c for c in conversions if c is not None),
    )


def _expression(target: Target) -> str:
    wanted, as_ = to_duckdb(target.field.type), quote(target.field.name)
    if target.column is None:
        return f"NULL::{wanted} AS {as_}"
    source = _source(target.column, target.field.type)
    if target.key:
        return f"nullif({source}, '') AS {as_}"
    return source if source == as_ else f"{source} AS {as_}"


def _conversion(column: Column, wanted: DataType) -> Conversion | None:
    """What may fail of a column on its way into the table; None if nothing can."""
    source, (value, checked) = quote(column.name), _value(column, wanted)
    if value == source:
        return None
    # TRY does not take the check that fails by `error`.
    fails = f"TRY(hash({value})) IS NULL"
    if checked:
        fails = f"{source} IS NOT NULL AND ({value}) IS NULL"
    return Conversion(source, f"CAST({source} AS {to_duckdb(wanted)})", fails)


def _source(column: Column, wanted: DataType) -> str:
    """A column of the query in the type of the table; it fails rather than change a value."""
    source, (value, checked) = quote(column.name), _value(column, wanted)
    if not checked:
        return value
    before = literal(f"column {column.name!r}: ")
    behind = f" does not fit {wanted}"
    if is_finer(column.raw):
        behind += ", which has microseconds"
    told = f"error({before} || CAST({source} AS VARCHAR) || {literal(behind)})"
    return f"CASE WHEN {source} IS NULL OR {value} IS NOT NULL THEN {value} ELSE {told} END"


def _value(column: Column, wanted: DataType) -> tuple[str, bool]:
    """A column in the type of the table; and True if it is NULL where a value does not fit."""
    # DuckDB's two names of one type.
    raw = column.raw.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")
    source, target = quote(column.name), to_duckdb(wanted)
    if raw == target:
        return source, False
    fits = column.type is not None and holds(wanted, column.type) and not is_finer(column.raw)
    if column.nothing or column.type is None or fits:
        return f"CAST({source} AS {target})", False
    return convert(source, raw, column.type, wanted)
