"""Make a query's columns those of the table they go into, as DuckDB computes them."""

from __future__ import annotations

from dataclasses import dataclass

from duckdb.sqltypes import DuckDBPyType

from qanat.engines.duckdb.types import from_duckdb, quote, to_duckdb
from qanat.model.query import Computation
from qanat.model.schema import DataType, Schema
from qanat.model.work import Output
from qanat.planning.fit import Column, Target, fit as fit_columns


@dataclass(frozen=True, slots=True)
class Result:
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


@dataclass(frozen=True, slots=True)
class Fitted:
    """The table's columns after this epoch, and how each is computed from the query's."""

    schema: Schema
    expressions: tuple[str, ...]

    @property
    def projection(self) -> str:
        """A SELECT list in the table's order."""
        return ", ".join(self.expressions)


def fit(
    names: list[str], types: list[DuckDBPyType], output: Output, query: Computation, dataset: str
) -> Fitted:
    """Match the columns of a query to those of its table (see `qanat.planning.fit`)."""
    columns = [
        Column(name, _stored(type_), str(type_), nothing="null" in type_.id)
        for name, type_ in zip(names, types, strict=True)
    ]
    targets = fit_columns(columns, output, query.location, dataset)
    return Fitted(Schema(tuple(t.field for t in targets)), tuple(_expression(t) for t in targets))


def _stored(type_: DuckDBPyType) -> DataType | None:
    try:
        return from_duckdb(type_)
    except ValueError:
        return None


def _expression(target: Target) -> str:
    wanted, as_ = to_duckdb(target.field.type), quote(target.field.name)
    if target.column is None:
        return f"NULL::{wanted} AS {as_}"
    # DuckDB's two names of one type.
    raw = target.column.raw.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")
    source = quote(target.column.name)
    if raw != wanted:
        source = f"CAST({source} AS {wanted})"
    if target.key:
        return f"nullif({source}, '') AS {as_}"
    return source if source == as_ else f"{source} AS {as_}"
