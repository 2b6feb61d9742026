"""The Arrow types of columns."""

from __future__ import annotations

from qanat.connectors.postgres.drivers import pa
from qanat.model.schema import Array, DataType, Decimal, Primitive

_ARROW: dict[str, pa.DataType] = {
    "string": pa.string(),
    "long": pa.int64(),
    "integer": pa.int32(),
    "short": pa.int16(),
    "byte": pa.int8(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "timestamp_ntz": pa.timestamp("us"),
}


def arrow_type(type_: DataType) -> pa.DataType:
    """The Arrow type of a column that PostgreSQL can have.

    >>> str(arrow_type(Decimal(10, 2)))
    'decimal128(10, 2)'
    """
    match type_:
        case Decimal(precision, scale):
            return pa.decimal128(precision, scale)
        case Array(element):
            return pa.list_(arrow_type(element))
        case Primitive(name):
            return _ARROW[name]
    raise TypeError(f"PostgreSQL has no column of the type {type_}")
