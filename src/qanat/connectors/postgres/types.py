"""How each type of PostgreSQL is read so that no value changes.

Most types have an exact counterpart. Those that do not (uuid, interval, json, inet, enums,
ranges, …) are read as the text that PostgreSQL itself writes, so that casting it back gives the
same value. ADBC reads some values wrongly without a word: it takes arrays of several dimensions
for flat ones, `oid` for signed, and infinite dates for dates of long ago; so what is sent to the
server asks for what is safe, and `spool` looks at what comes back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from qanat.connectors.postgres.relation import MARK
from qanat.errors import ColumnNotFoundError, OptionError, TypeNameError, nearest
from qanat.frozen import Frozen
from qanat.model.name import Named, Names
from qanat.model.schema import STRING, Array, DataType, Decimal, Primitive
from qanat.text import literal, quote

_EXACT = {
    "int2": "short",
    "int4": "integer",
    "int8": "long",
    "float4": "float",
    "float8": "double",
    "bool": "boolean",
    "text": "string",
    "varchar": "string",
    "bpchar": "string",
    "bytea": "binary",
    "date": "date",
    "timestamp": "timestamp_ntz",
    "timestamptz": "timestamp",
}
_MOST_DIGITS = 38

# What `schema` may say. Values are read as text and must be exactly of the type.
_NAMED = {
    "string": "string",
    "text": "string",
    "varchar": "string",
    "bigint": "long",
    "long": "long",
    "int": "integer",
    "integer": "integer",
    "smallint": "short",
    "short": "short",
    "double": "double",
}
_DECLARED = re.compile(
    r'\s*(?P<name>"(?:[^"]|"")+"|`[^`]+`|[^\s",`()]+)\s+(?P<type>[A-Za-z]+)'
    r"\s*(?:\(\s*(?P<precision>\d+)\s*(?:,\s*(?P<scale>\d+)\s*)?\))?\s*(?:,|$)"
)


class ServerType(Frozen):
    """A type as the server describes it.

    Args:
        name: in `pg_type`: `int4`, `_numeric`.
        modifier: the type modifier (precision and scale of a numeric); -1 for none.
        element: the name of the element's type where it is an array.
    """

    name: str
    modifier: int = -1
    element: str | None = None


class Column(Frozen):
    """A column of a relation, and how it is read.

    Args:
        select: SQL over the relation `q` that gives the value in a form that ADBC reads without
            loss.
        type: what it is then (`spool` turns text into decimals).
    """

    name: str
    select: str
    type: DataType


def column(name: str, type_: ServerType, declared: DataType | None = None) -> Column:
    """How a column is read.

    Args:
        declared: its type as the author declared it.

    >>> column("id", ServerType("int4"))
    Column(name='id', select='q."id"', type=Primitive(name='integer'))
    >>> column("price", ServerType("numeric", 655366)).type
    Decimal(precision=10, scale=2)
    >>> column("at", ServerType("interval")).select
    'q."at"::text'
    """
    own = f"q.{quote(name)}"
    if declared is not None:
        return Column(name, f"{own}::text", declared)
    if type_.element is not None:
        return _array(name, type_, type_.element)
    cast, found = _scalar(type_.name, type_.modifier)
    return Column(name, f"{own}{cast}", found)


def _scalar(name: str, modifier: int) -> tuple[str, DataType]:
    if name in _EXACT:
        return "", Primitive(_EXACT[name])
    if name == "numeric":
        return "::text", _decimal(modifier)
    if name == "oid":
        return "::int8", Primitive("long")
    if name == "money":
        # The text of `money` follows the server's locale and cannot be parsed; numeric is exact.
        return "::numeric::text", STRING
    return "::text", STRING


def _array(name: str, type_: ServerType, element: str) -> Column:
    own = f"q.{quote(name)}"
    cast, found = _scalar(element, type_.modifier)
    cast = "".join(f"{part}[]" for part in re.findall(r"::\w+", cast))
    sent = cast.rpartition("::")[2] or f"{element}[]"
    # The text depends on the value: else PostgreSQL would cast a constant while it plans, and
    # fail for every row.
    message = literal(f"{MARK}the column {name} has an array of several dimensions: ")
    refused = f"({message} || array_ndims({own}))::{sent}"
    select = f"CASE WHEN array_ndims({own}) > 1 THEN {refused} ELSE {own}{cast} END"
    return Column(name, select, Array(found))


def _decimal(modifier: int) -> DataType:
    """The type of a numeric; text where it has no precision, or more digits than fit.

    >>> _decimal(-1)
    Primitive(name='string')
    """
    if modifier < 0:
        return STRING
    precision = (modifier - 4) >> 16 & 0xFFFF
    scale = (modifier - 4) & 0x7FF
    scale = (scale ^ 0x400) - 0x400  # eleven bits with a sign
    if scale < 0:
        precision, scale = precision - scale, 0
    precision = max(precision, scale)
    return Decimal(precision, scale) if precision <= _MOST_DIGITS else STRING


def declared(text: str) -> Named[DataType]:
    """The types that the option `schema` gives to columns.

    >>> declared("amount DECIMAL(18, 2), valid_to STRING")["amount"]
    Decimal(precision=18, scale=2)

    Raises:
        OptionError: it is not a list of columns.
        TypeNameError: a type is none that text can be turned into exactly.
    """
    found: Named[DataType] = Named()
    position = 0
    while position < len(text):
        match = _DECLARED.match(text, position)
        if match is None:
            raise OptionError(
                "the option 'schema' of read_postgres is not a list of columns",
                wanted="amount DECIMAL(18,2), valid_to STRING",
                got=repr(text[position : position + 40]),
            )
        name = match["name"]
        plain = name[1:-1].replace('""', '"') if name[0] in '"`' else name
        found[plain] = _named(match)
        position = match.end()
    return found


def _named(match: re.Match[str]) -> DataType:
    name = match["type"].lower()
    if name in ("decimal", "numeric", "dec") and match["precision"]:
        precision, scale = int(match["precision"]), int(match["scale"] or 0)
        if 0 < precision <= _MOST_DIGITS and scale <= precision:
            return Decimal(precision, scale)
    elif name in _NAMED:
        return Primitive(_NAMED[name])
    known = [*_NAMED, "decimal(p,s)"]
    raise TypeNameError(
        f"the option 'schema' of read_postgres cannot give the type {match['type']!r}",
        wanted=", ".join(known),
        nearest=nearest(name, _NAMED),
    )


def described(types: Mapping[str, ServerType], schema: Named[DataType]) -> tuple[Column, ...]:
    """How each column of a relation is read.

    Args:
        types: by name, in order.
        schema: as `declared` gives it.

    Raises:
        ColumnNotFoundError: `schema` names a column that is not there.
    """
    there = Names(types)
    for name in schema:
        if name not in there:
            raise ColumnNotFoundError(
                f"the option 'schema' of read_postgres names the column {name!r}, which is not"
                " there",
                nearest=nearest(name, types),
            )
    return tuple(column(n, t, schema.get(n)) for n, t in types.items())


def null(type_: DataType) -> str:
    """NULL in a form that ADBC gives as a type, or as text that `spool` turns into it."""
    if isinstance(type_, Array):
        return f"{null(type_.element)}[]"
    name = next((k for k, v in _EXACT.items() if Primitive(v) == type_), "text")
    return f"NULL::{name}"
