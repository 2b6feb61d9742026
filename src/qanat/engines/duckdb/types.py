"""A query's columns made those of its table."""

from __future__ import annotations

from collections.abc import Sequence

from duckdb.sqltypes import DuckDBPyType

from qanat.engines.duckdb.files.widen import as_wider, convert, holds
from qanat.engines.duckdb.typenames import from_duckdb, is_finer, stored, to_duckdb
from qanat.frozen import Frozen
from qanat.model.name import Named, Names
from qanat.model.query import Computation
from qanat.model.schema import DataType, Field, Schema, grown
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
    """A value on its way from the query into the table that may not fit, or not be computed.

    Args:
        columns: those of the query that it is made of, as SQL.
        text: the conversion as people write it.
        fails: SQL that is true where the value does not fit.
    """

    columns: tuple[str, ...]
    text: str
    fails: str


class Fitted(Frozen):
    """The table's columns after this epoch, and how each is computed from the query's.

    Args:
        expressions: with the names that the columns get.
        casts: the conversions among them.
        widens: whether columns that the table has get wider types.
        lacks: columns of the table that the query does not give.
    """

    schema: Schema
    expressions: tuple[str, ...]
    casts: tuple[Conversion, ...] = ()
    widens: bool = False
    lacks: tuple[str, ...] = ()

    @property
    def projection(self) -> str:
        """A SELECT list in the table's order."""
        return ", ".join(self.expressions)


def columns_of(names: Sequence[str], types: Sequence[DuckDBPyType]) -> list[Column]:
    """The columns of a relation."""
    return [
        Column(name, stored(type_), str(type_), nothing="null" in type_.id)
        for name, type_ in zip(names, types, strict=True)
    ]


def fit(
    names: list[str],
    types: list[DuckDBPyType],
    output: Output,
    query: Computation,
    dataset: str,
    widened: Named[DataType] | None = None,
) -> Fitted:
    """Match the columns of a query to those of its table (see `qanat.planning.fit`)."""
    targets = fit_columns(
        columns_of(names, types), output, query.location, dataset, widened or None
    )
    conversions = (_conversion(t) for t in targets)
    before = Named((f.name, f) for f in output.schema.fields)
    return Fitted(
        Schema(tuple(t.field for t in targets)),
        tuple(_expression(t) for t in targets),
        tuple(c for c in conversions if c is not None),
        any(_is_wider(t.field, before.get(t.field.name)) for t in targets),
        tuple(t.field.name for t in targets if t.column is None),
    )


def _is_wider(field: Field, before: Field | None) -> bool:
    return before is not None and field.type != grown(before.type, field.type)


def misfit(column: Column, wanted: DataType) -> str | None:
    """SQL that is true where a value would not be the same in a type; None if all are."""
    value, checked = _value(column, wanted, widened=True)
    return f"{quote(column.name)} IS NOT NULL AND ({value}) IS NULL" if checked else None


def _expression(target: Target) -> str:
    wanted, as_ = to_duckdb(target.field.type), quote(target.field.name)
    if target.column is None:
        return f"NULL::{wanted} AS {as_}"
    source = _source(target.column, target.field.type, target.widened)
    if target.key:
        return f"nullif({source}, '') AS {as_}"
    return source if source == as_ else f"{source} AS {as_}"


def _conversion(target: Target) -> Conversion | None:
    """What may fail of a column on its way into the table; None if nothing can."""
    column, wanted = target.column, target.field.type
    if column is None:
        return None
    source, (value, checked) = quote(column.name), _value(column, wanted, target.widened)
    if value == source:
        return None
    # TRY does not take the check that fails by `error`.
    fails = f"TRY(hash({value})) IS NULL"
    if checked:
        fails = f"{source} IS NOT NULL AND ({value}) IS NULL"
    return Conversion((source,), f"CAST({source} AS {to_duckdb(wanted)})", fails)


def _source(column: Column, wanted: DataType, widened: bool) -> str:
    """A column of the query in the type of the table; it fails rather than change a value."""
    source, (value, checked) = quote(column.name), _value(column, wanted, widened)
    if not checked:
        return value
    before = literal(f"column {column.name!r}: ")
    behind = f" does not fit {wanted}"
    if is_finer(column.raw):
        behind += ", which has microseconds"
    told = f"error({before} || CAST({source} AS VARCHAR) || {literal(behind)})"
    return f"CASE WHEN {source} IS NULL OR {value} IS NOT NULL THEN {value} ELSE {told} END"


def _value(column: Column, wanted: DataType, widened: bool) -> tuple[str, bool]:
    """A column in the type of the table; and True if it is NULL where a value does not fit.

    Args:
        widened: whether that type was chosen for the values, and not by an author.
    """
    # DuckDB's two names of one type.
    raw = column.raw.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")
    source, target = quote(column.name), to_duckdb(wanted)
    if raw == target:
        return source, False
    if widened and column.type is not None and not column.nothing:
        return as_wider(source, raw, column.type, wanted)
    fits = column.type is not None and holds(wanted, column.type) and not is_finer(column.raw)
    if column.nothing or column.type is None or fits:
        return f"CAST({source} AS {target})", False
    return convert(source, raw, column.type, wanted)


def may_be_numbered(names: Sequence[str]) -> bool:
    """True if DuckDB may have made one of these names (`a_1`) of a second column `a`."""
    taken = Names(names)
    return any(n.isdigit() and stem in taken for stem, _, n in (m.rpartition("_") for m in names))
