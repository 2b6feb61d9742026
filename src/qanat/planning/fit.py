"""Make a query's columns those of the table they go into, the same way for every engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from qanat.errors import (
    ColumnNotFoundError,
    Location,
    SchemaMismatchError,
    TypeNameError,
    full_refresh,
    nearest,
)
from qanat.frozen import Frozen
from qanat.model.name import Named, Names
from qanat.model.schema import (
    DIGITS,
    STRING,
    WIDER,
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
from qanat.planning.wider import wider

NUL = "\0"


class Column(Frozen):
    """A column that a query gives.

    Args:
        type: in which a table stores it; None if tables have no place for it.
        raw: the engine's own name of the type, for messages.
        nothing: whether it is a bare NULL, which is of any type.
    """

    name: str
    type: DataType | None
    raw: str
    nothing: bool = False


class Target(Frozen):
    """A column of the table.

    Args:
        column: the query's that it is made from; None if it has none: then it is NULL.
        key: whether its text becomes the name of a folder, which cannot tell '' from NULL: to
            readers both are NULL, so that rules have to see NULL too.
        widened: whether the column has got its type because others did not hold all values.
    """

    field: Field
    column: Column | None
    key: bool = False
    widened: bool = False


def fit(
    columns: Iterable[Column],
    output: Output,
    location: Location,
    dataset: str,
    widened: Named[DataType] | None = None,
) -> tuple[Target, ...]:
    """The columns of the table after this epoch, and what they are made from.

    They are matched by name and without case. Columns that the table lacks join it at the end, as
    they are declared; columns that the query lacks become NULL; types may widen on the way in,
    never narrow.

    Args:
        location: of the query.
        widened: columns of the table with the types that they get, in which all values were tried.

    Raises:
        SchemaMismatchError: a declared column is missing, an undeclared one is there, or a
            type does not fit.
        ColumnNotFoundError: the table is partitioned by a column that is not there.
        TypeNameError: a column's type cannot be stored.

    >>> from pathlib import Path
    >>> output = Output(Path("t"), "p", schema=Schema((Field("Id", Primitive("long")),)))
    >>> given = [Column("x", STRING, "VARCHAR"), Column("id", Primitive("integer"), "INTEGER")]
    >>> [(str(t.field), t.column.name) for t in fit(given, output, Location("t.sql"), "t")]
    [('Id bigint', 'id'), ('x string', 'x')]
    """
    found = _by_name(columns, location, dataset)
    if output.declared.fields:
        _check_declared(found, output.declared, location, dataset)
    fitted: list[tuple[Field, Column | None]] = []
    for field in _before(output):
        mine = found.pop(field.name, None)
        declared = output.declared.get(field.name)
        if mine is not None and mine.type is not None:
            if declared is None:
                field = replace(field, type=grown(field.type, mine.type))
            wider = widened is not None and field.name in widened
            if widened and wider:
                field = replace(field, type=widened[field.name])
            # A declared type casts in every epoch: the first one made the table's column from it.
            cast = declared is not None and declared.type == field.type
            if wider and not cast:
                pass
            elif not mine.nothing and not _fits(mine.type, field.type, declared=cast):
                raise SchemaMismatchError(
                    f"column {mine.name!r} of {dataset} does not fit its table",
                    location=location,
                    wanted=str(field.type),
                    got=str(mine.type),
                    hint=f"CAST it to {field.type} in the query, or start over:"
                    f" {full_refresh(dataset)}",
                )
        if declared:
            field = replace(field, comment=declared.comment)
        fitted.append((field, mine))
    fitted += [(Field(c.name, c.type), c) for c in found.values() if c.type is not None]
    _check_partitions(Schema(tuple(f for f, _ in fitted)), output, location, dataset)
    keys = Names(output.partition_by)
    return tuple(
        Target(
            field,
            column,
            field.type == STRING and field.name in keys,
            widened is not None and field.name in widened,
        )
        for field, column in fitted
    )


def too_narrow(columns: Iterable[Column], output: Output) -> Named[tuple[DataType, ...]]:
    """The columns of a table that do not take what a query gives, and the types they may get.

    Columns that are declared, and those for which there is no wider type, are left out.

    >>> from pathlib import Path
    >>> output = Output(Path("t"), "p", schema=Schema((Field("Id", Primitive("long")),)))
    >>> [(n, *map(str, t)) for n, t in too_narrow([Column("id", STRING, "")], output).items()]
    [('Id', 'string')]
    """
    coming = Named((c.name, c) for c in columns)
    found: Named[tuple[DataType, ...]] = Named()
    for field in output.schema.fields:
        mine = coming.get(field.name)
        if mine is None or mine.type is None or mine.nothing or output.declared.get(field.name):
            continue
        if _fits(mine.type, grown(field.type, mine.type), declared=False):
            continue
        if types := wider(field.type, mine.type):
            found[field.name] = types
    return found


def redeclared(table: Schema, declared: Schema) -> Named[DataType]:
    """The columns of a table that are declared with a wider type than they have.

    Whether all values are the same in it, who asks has to try: a BIGINT may be too large for a
    DECIMAL(10, 2).

    >>> table = Schema((Field("id", Primitive("integer")), Field("a", STRING)))
    >>> declared = Schema((Field("ID", Primitive("long")), Field("a", Primitive("long"))))
    >>> [(name, str(type_)) for name, type_ in redeclared(table, declared).items()]
    [('id', 'bigint')]
    """
    found: Named[DataType] = Named()
    for field in table.fields:
        wanted = declared.get(field.name)
        if wanted is None or wanted.type == field.type:
            continue
        whole = isinstance(field.type, Primitive) and field.type.name in DIGITS
        if wanted.type in wider(field.type, wanted.type) or (
            whole and isinstance(wanted.type, Decimal)
        ):
            found[field.name] = wanted.type
    return found


def quarantined(known: Schema, rows: Schema) -> tuple[tuple[Field, ...], tuple[str, ...]]:
    """The columns of a quarantine that takes rows, and those of the rows that do not fit theirs.

    As in the dataset's table, columns join at the end and structs gain fields; a column keeps its
    type otherwise, and a value of another one is in the row's raw text alone.

    Args:
        known: the columns that the quarantine has.
        rows: those of the rows.

    >>> known = Schema((Field("a", Primitive("long")),))
    >>> fields, misfits = quarantined(known, Schema((Field("A", STRING), Field("b", STRING))))
    >>> [str(f) for f in fields], misfits
    (['a bigint', 'b string'], ('A',))
    """
    coming = Named((f.name, f) for f in rows.fields)
    fields, misfits = [], []
    for field in known.fields:
        mine = coming.pop(field.name, None)
        if mine is not None:
            field = replace(field, type=grown(field.type, mine.type))
            if not _fits(mine.type, field.type, declared=False):
                misfits.append(mine.name)
        fields.append(field)
    return (*fields, *coming.values()), tuple(misfits)


def _before(output: Output) -> Iterator[Field]:
    """The columns that are known before the query's are: the table's, and those declared."""
    yield from output.schema.fields
    for field in output.declared.fields:
        if output.schema.get(field.name) is None:
            # A column that joins later is NULL in the rows before it.
            yield replace(field, nullable=True) if output.schema.fields else field


def _by_name(columns: Iterable[Column], location: Location, dataset: str) -> Named[Column]:
    found: Named[Column] = Named()
    for column in columns:
        if column.name in found:
            raise SchemaMismatchError(
                f"two columns of {dataset} are named {column.name!r}",
                location=location,
                hint="name them apart with AS, or leave one out with * EXCLUDE (…)",
            )
        if NUL in column.name or NUL in str(column.type):
            raise SchemaMismatchError(
                f"the name of a column of {dataset} has a NUL character, which no table can keep",
                location=location,
                got=repr(column.name),
                hint="leave it out of the query"
                if NUL not in column.name
                else f"name it otherwise: COLUMNS('^{column.name.replace(NUL, '.')}$') AS …",
            )
        if column.type is None:
            raise TypeNameError(
                f"column {column.name!r} of {dataset} has a type that tables cannot store",
                location=location,
                got=column.raw,
                hint="cast it, for example to VARCHAR",
            )
        found[column.name] = column
    return found


def _check_declared(
    found: Named[Column], declared: Schema, location: Location, dataset: str
) -> None:
    names = [c.name for c in found.values()]
    for field in declared.fields:
        if field.name not in found:
            raise SchemaMismatchError(
                f"{dataset} declares a column {field.name!r} that its query does not give",
                location=location,
                wanted=", ".join(declared.names),
                got=", ".join(names),
                nearest=nearest(field.name, names),
            )
    extra = [n for n in names if declared.get(n) is None]
    if extra:
        raise SchemaMismatchError(
            f"the query of {dataset} gives a column {extra[0]!r} that is not declared",
            location=location,
            wanted=", ".join(declared.names),
            got=", ".join(names),
            nearest=nearest(extra[0], declared.names),
        )


def _check_partitions(schema: Schema, output: Output, location: Location, dataset: str) -> None:
    for column in output.partition_by:
        if schema.get(column) is None:
            raise ColumnNotFoundError(
                f"{dataset} is partitioned by {column!r}, which its query does not give",
                location=location,
                wanted=", ".join(schema.names),
                nearest=nearest(column, schema.names),
            )
    if output.partition_by and len(output.partition_by) >= len(schema.fields):
        raise SchemaMismatchError(
            f"all columns of {dataset} are partition columns", location=location
        )


def _fits(have: DataType, want: DataType, declared: bool) -> bool:
    """True if every value of one type is a value of another (a declared type may cast)."""
    if have == want:
        return True
    match have, want:
        case Primitive(a), Primitive(b):
            return declared or a in WIDER.get(b, ())
        case Primitive(a), Decimal(precision, scale) if a in DIGITS:
            return declared or precision - scale >= DIGITS[a]
        case Decimal(p, s), Decimal(precision, scale):
            return declared or (scale >= s and precision - scale >= p - s)
        case Array(a, _), Array(b, _):
            return _fits(a, b, declared)
        case MapType(a, b, _), MapType(c, d, _):
            return _fits(a, c, declared) and _fits(b, d, declared)
        case Struct(mine), Struct(theirs):
            # Cast by name: a field that is not there is NULL.
            known = Named((f.name, f.type) for f in theirs)
            return all(f.name in known and _fits(f.type, known[f.name], declared) for f in mine)
    # What the author wrote down wins: CAST, and a value that does not fit fails the epoch.
    return declared
