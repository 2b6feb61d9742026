"""Make a query's columns those of the table they go into."""

from __future__ import annotations

from dataclasses import dataclass, replace

from duckdb.sqltypes import DuckDBPyType

from qanat.engines.duckdb.types import from_duckdb, quote, to_duckdb
from qanat.errors import ColumnNotFoundError, SchemaMismatchError, TypeNameError, nearest
from qanat.model.query import Computation
from qanat.model.schema import (
    STRING,
    Array,
    DataType,
    Decimal,
    Field,
    MapType,
    Primitive,
    Schema,
    Struct,
    grown,
)
from qanat.model.work import Output

_INTEGERS = ("byte", "short", "integer", "long")
_DIGITS = {"byte": 3, "short": 5, "integer": 10, "long": 19}


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
    """Match the columns of a query to those of its table, by name and without case.

    Columns that the table lacks join it at the end; columns that the query lacks become NULL;
    types may widen on the way in, never narrow.

    Raises:
        SchemaMismatchError: a declared column is missing, an undeclared one is there, or a
            type does not fit.
        TypeNameError: a column's type cannot be stored.
    """
    found = _columns(names, types, query, dataset)
    if output.declared.fields:
        _check_declared(found, output.declared, query, dataset)
    wanted = output.schema if output.schema.fields else output.declared
    fields: list[Field] = []
    expressions: list[str] = []
    for field in wanted.fields:
        mine = found.pop(field.name.casefold(), None)
        declared = output.declared.get(field.name)
        if declared is None and mine is not None:
            field = replace(field, type=grown(field.type, mine[1]))
        if declared and declared.comment:
            fields.append(replace(field, comment=declared.comment))
        else:
            fields.append(field)
        if mine is None:
            expressions.append(f"NULL::{to_duckdb(field.type)} AS {quote(field.name)}")
            continue
        name, type_, raw = mine
        if not _fits(type_, field.type, raw, declared=field is declared):
            raise SchemaMismatchError(
                f"column {name!r} of {dataset} does not fit its table",
                location=query.location,
                wanted=str(field.type),
                got=str(type_),
                hint=f"CAST it in the query, or rebuild with `qanat run --full-refresh {dataset}`",
            )
        expressions.append(_expression(name, raw, field.type, field.name, output))
    for name, type_, raw in found.values():
        # A column that joins later is NULL in the rows before it.
        fields.append(Field(name, type_))
        expressions.append(_expression(name, raw, type_, name, output))
    schema = Schema(tuple(fields))
    _check_partitions(schema, output, query, dataset)
    return Fitted(schema, tuple(expressions))


def _columns(
    names: list[str], types: list[DuckDBPyType], query: Computation, dataset: str
) -> dict[str, tuple[str, DataType, DuckDBPyType]]:
    found: dict[str, tuple[str, DataType, DuckDBPyType]] = {}
    for name, raw in zip(names, types, strict=True):
        folded = name.casefold()
        if folded in found:
            raise SchemaMismatchError(
                f"two columns of {dataset} are named {name!r}",
                location=query.location,
                hint="name them apart with AS, or leave one out with * EXCLUDE (…)",
            )
        try:
            found[folded] = (name, from_duckdb(raw), raw)
        except ValueError as error:
            raise TypeNameError(
                f"column {name!r} of {dataset} has a type that tables cannot store",
                location=query.location,
                got=str(raw),
                hint="cast it, for example to VARCHAR",
            ) from error
    return found


def _check_declared(
    found: dict[str, tuple[str, DataType, DuckDBPyType]],
    declared: Schema,
    query: Computation,
    dataset: str,
) -> None:
    names = [n for n, _, _ in found.values()]
    for field in declared.fields:
        if field.name.casefold() not in found:
            raise SchemaMismatchError(
                f"{dataset} declares a column {field.name!r} that its query does not give",
                location=query.location,
                wanted=", ".join(declared.names),
                got=", ".join(names),
                nearest=nearest(field.name, names),
            )
    extra = [n for n in names if declared.get(n) is None]
    if extra:
        raise SchemaMismatchError(
            f"the query of {dataset} gives a column {extra[0]!r} that is not declared",
            location=query.location,
            wanted=", ".join(declared.names),
            got=", ".join(names),
            nearest=nearest(extra[0], declared.names),
        )


def _check_partitions(schema: Schema, output: Output, query: Computation, dataset: str) -> None:
    for column in output.partition_by:
        if schema.get(column) is None:
            raise ColumnNotFoundError(
                f"{dataset} is partitioned by {column!r}, which its query does not give",
                location=query.location,
                wanted=", ".join(schema.names),
                nearest=nearest(column, schema.names),
            )
    if output.partition_by and len(output.partition_by) >= len(schema.fields):
        raise SchemaMismatchError(
            f"all columns of {dataset} are partition columns", location=query.location
        )


def _expression(name: str, raw: DuckDBPyType, type_: DataType, as_: str, output: Output) -> str:
    target = to_duckdb(type_)
    same = str(raw) == target or (target == "TIMESTAMPTZ" and raw.id == "timestamp with time zone")
    source = quote(name) if same else f"CAST({quote(name)} AS {target})"
    if type_ == STRING and as_.casefold() in {c.casefold() for c in output.partition_by}:
        # To Delta both are one partition. Rules shall see what readers will see.
        return f"nullif({source}, '') AS {quote(as_)}"
    return source if same and name == as_ else f"{source} AS {quote(as_)}"


def _fits(have: DataType, want: DataType, raw: DuckDBPyType, declared: bool) -> bool:
    """Whether every value of one type is a value of another (a declared type may cast)."""
    if have == want or "null" in raw.id:
        return True
    match have, want:
        case Primitive(a), Primitive(b) if a in _INTEGERS and b in _INTEGERS:
            return declared or _INTEGERS.index(a) <= _INTEGERS.index(b)
        case Primitive(a), Primitive("double") if a in ("byte", "short", "integer", "float"):
            return True
        case Primitive("byte" | "short"), Primitive("float"):
            return True
        case Primitive("date"), Primitive("timestamp" | "timestamp_ntz"):
            return True
        case Primitive(a), Decimal(precision, scale) if a in _INTEGERS:
            return declared or precision - scale >= _DIGITS[a]
        case Decimal(p, s), Decimal(precision, scale):
            return declared or (scale >= s and precision - scale >= p - s)
        case Array(a, _), Array(b, _):
            return _fits(a, b, raw, declared)
        case MapType(a, b, _), MapType(c, d, _):
            return _fits(a, c, raw, declared) and _fits(b, d, raw, declared)
        case Struct(mine), Struct(theirs):
            # Cast by name: a field that is not there is NULL.
            known = {f.name.casefold(): f.type for f in theirs}
            return all(
                f.name.casefold() in known
                and _fits(f.type, known[f.name.casefold()], raw, declared)
                for f in mine
            )
    # What the author wrote down wins: CAST, and a value that does not fit fails the epoch.
    return declared
