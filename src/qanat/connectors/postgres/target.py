"""Which column of a table takes which column of a dataset, so that no value changes."""

from __future__ import annotations

from collections.abc import Sequence

from qanat.errors import SchemaMismatchError, nearest
from qanat.frozen import Frozen
from qanat.model.name import Names, same
from qanat.model.schema import DIGITS, STRING, Array, DataType, Decimal, Field, Primitive, Schema
from qanat.text import quote

# What a new table has for each type.
_NEW = {
    "string": "text",
    "long": "bigint",
    "integer": "integer",
    "short": "smallint",
    "byte": "smallint",
    "float": "real",
    "double": "double precision",
    "boolean": "boolean",
    "binary": "bytea",
    "date": "date",
    "timestamp": "timestamp with time zone",
    "timestamp_ntz": "timestamp without time zone",
}
_WIRE: dict[str, DataType] = {
    "int2": Primitive("short"),
    "int4": Primitive("integer"),
    "int8": Primitive("long"),
    "float4": Primitive("float"),
    "float8": Primitive("double"),
    "bool": Primitive("boolean"),
    "bytea": Primitive("binary"),
    "date": Primitive("date"),
    "timestamp": Primitive("timestamp_ntz"),
    "timestamptz": Primitive("timestamp"),
}
# Types whose binary form is that of text: COPY takes text for them as it is.
_TEXTS = frozenset({"text", "varchar", "bpchar", "json", "xml", "citext", "name"})
# Types that parse a text without rounding it, or refuse it.
_PARSED = frozenset(
    {"jsonb", "uuid", "inet", "cidr", "macaddr", "macaddr8", "time", "timetz", "interval", "bit"}
    | {"varbit", "hstore", "ltree", "tsvector", "int4range", "int8range", "numrange", "daterange"}
    | {"tsrange", "tstzrange", "point", "box", "polygon", "path", "circle", "lseg", "line"}
)
_TAKEN_BY: dict[str, tuple[str, ...]] = {
    "byte": ("int2", "int4", "int8"),
    "short": ("int2", "int4", "int8"),
    "integer": ("int4", "int8"),
    "long": ("int8",),
    "float": ("float4", "float8"),
    "double": ("float8",),
    "boolean": ("bool",),
    "binary": ("bytea",),
    "date": ("date",),
    "timestamp": ("timestamptz",),
    "timestamp_ntz": ("timestamp",),
}


class TargetColumn(Frozen):
    """A column of a table, as the server describes it.

    Args:
        type: its type's name in `pg_type`; `written` as people write it.
        modifier: the type modifier; -1 for none.
        element: the name of the element's type where it is an array.
        enum: whether it is an enum.
        needed: whether each row must give it a value: NOT NULL and no default.
        generated: whether the server computes it, and takes no value.
    """

    name: str
    type: str
    written: str
    modifier: int = -1
    element: str | None = None
    enum: bool = False
    needed: bool = False
    generated: bool = False


class Transfer(Frozen):
    """One column on its way.

    Args:
        source: its name in the dataset; `target` in the table.
        wire: what COPY is given.
        cast: the type that the server turns it into; None if COPY takes it as it is.
    """

    source: str
    target: str
    wire: DataType
    cast: str | None = None


def definition(schema: Schema, table: str, keys: Sequence[str] = ()) -> str:
    """The columns of a new table, as SQL.

    Args:
        keys: columns that tell its rows apart.

    >>> definition(Schema((Field("id", Primitive("long"), nullable=False),)), "t")
    '"id" bigint NOT NULL'

    Raises:
        SchemaMismatchError: a column has a type that PostgreSQL does not have.
    """
    parts = []
    for field in schema.fields:
        type_ = new_type(field.type)
        if type_ is None:
            raise SchemaMismatchError(
                f"the column {field.name} cannot go into {table}: PostgreSQL has no such type",
                got=str(field.type),
                hint=f"send it as text: to_json({field.name}) in the flow's query",
            )
        parts.append(f"{quote(field.name)} {type_}{'' if field.nullable else ' NOT NULL'}")
    if keys:
        names = Names(schema.names)
        parts.append(f"PRIMARY KEY ({', '.join(quote(names.find(k) or k) for k in keys)})")
    return ", ".join(parts)


def new_type(type_: DataType) -> str | None:
    """The type that a new table has for a column, as SQL; None if there is none.

    >>> new_type(Array(Decimal(10, 2)))
    'numeric(10,2)[]'
    """
    match type_:
        case Primitive(name):
            return _NEW[name]
        case Decimal(precision, scale):
            return f"numeric({precision},{scale})"
        case Array(element) if not isinstance(element, Array):
            inner = new_type(element)
            return inner and f"{inner}[]"
    return None


def transfers(schema: Schema, columns: Sequence[TargetColumn], table: str) -> tuple[Transfer, ...]:
    """How each column of a dataset goes into an existing table.

    Raises:
        SchemaMismatchError: a column is missing, or would change values.
    """
    found = [_transfer(field, columns, table) for field in schema.fields]
    given = {t.target for t in found}
    for column in columns:
        if column.needed and column.name not in given:
            raise SchemaMismatchError(
                f"the column {column.name} of {table} needs a value that the dataset lacks",
                wanted=f"a column {column.name}, {column.written}",
                hint="add it to the flow's query, or give it a default: ALTER TABLE"
                f" {table} ALTER COLUMN {quote(column.name)} SET DEFAULT …",
            )
    return tuple(found)


def _transfer(field: Field, columns: Sequence[TargetColumn], table: str) -> Transfer:
    column = next((c for c in columns if c.name == field.name), None) or next(
        (c for c in columns if same(c.name, field.name)), None
    )
    if column is None:
        type_ = new_type(field.type)
        raise SchemaMismatchError(
            f"{table} has no column {field.name}",
            wanted=str(field),
            nearest=nearest(field.name, [c.name for c in columns]),
            hint=f"ALTER TABLE {table} ADD COLUMN {quote(field.name)} {type_}"
            if type_
            else "leave it out of the flow's query",
        )
    if column.generated:
        raise SchemaMismatchError(
            f"the column {column.name} of {table} is computed by the server",
            got=str(field),
            hint="leave it out of the flow's query",
        )
    fit = _fit(field.type, column)
    if fit is None:
        raise SchemaMismatchError(
            f"the column {field.name} does not fit {table}: values could change",
            wanted=f"{column.name} {column.written}",
            got=str(field),
            hint="cast it in the flow's query, or change the column's type"
            + (
                f": ALTER TABLE {table} ALTER COLUMN {quote(column.name)} TYPE {new}"
                if (new := new_type(field.type))
                else ""
            ),
        )
    wire, cast = fit
    return Transfer(field.name, column.name, wire, column.written if cast else None)


def _fit(type_: DataType, column: TargetColumn) -> tuple[DataType, bool] | None:
    """What COPY is given for a column, and whether the server must cast it; None: no."""
    if isinstance(type_, Array):
        if column.element is None:
            return None
        inner = TargetColumn("", column.element, "", column.modifier)
        found = _fit(type_.element, inner)
        return None if found is None or found[1] else (Array(found[0]), False)
    if type_ == STRING:
        if column.type in _TEXTS or column.enum:
            return STRING, False
        return (STRING, True) if column.type in _PARSED else None
    if column.type == "numeric":
        return _numeric(type_, column.modifier)
    if isinstance(type_, Primitive) and column.type in _TAKEN_BY.get(type_.name, ()):
        return _WIRE[column.type], False
    return None


def _numeric(type_: DataType, modifier: int) -> tuple[DataType, bool] | None:
    match type_:
        case Decimal(precision, scale):
            digits = Decimal(precision, scale)
        case Primitive(name) if name in DIGITS:
            digits = Decimal(DIGITS[name], 0)
        case _:
            return None
    if modifier >= 0:
        # COPY rounds to the column's scale without a word.
        whole, scale = (modifier - 4) >> 16 & 0xFFFF, (modifier - 4) & 0x7FF
        scale = (scale ^ 0x400) - 0x400
        if scale < digits.scale or whole - scale < digits.precision - digits.scale:
            return None
    return digits, False
