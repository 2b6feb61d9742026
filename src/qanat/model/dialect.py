"""The dialects of SQL that Qanat knows: what the same words mean in each.

Everything else about a dialect is sqlglot's, by the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from qanat.frozen import Frozen
from qanat.model import inference
from qanat.model.inference import Inference
from qanat.model.schema import Array, DataType, Decimal, MapType, Struct


class SqlDialect(Frozen):
    """What one dialect means by words that others read otherwise.

    Args:
        name: sqlglot's.
        decimal: precision and scale of DECIMAL without numbers; None if they are not known.
        paths: whether ``FROM csv.`data/*.csv` `` reads files.
        ibis: what Ibis calls it, where that is not its name.
        types: names of types that have others in tables.
        angles: whether nested types are written with angle brackets, as `ARRAY<BIGINT>`.
        inference: which types columns of files get that nobody declared.
    """

    name: str
    decimal: tuple[int, int] | None = None
    paths: bool = False
    ibis: str = ""
    types: Mapping[str, str] = field(default_factory=dict)
    angles: bool = False
    inference: Inference = inference.OWN


DUCKDB = SqlDialect(
    "duckdb",
    decimal=(18, 3),
    types={
        "string": "VARCHAR",
        "binary": "BLOB",
        "timestamp": "TIMESTAMPTZ",
        "timestamp_ntz": "TIMESTAMP",
    },
)
SPARK = SqlDialect(
    "spark",
    decimal=(10, 0),
    paths=True,
    ibis="pyspark",
    angles=True,
    inference=inference.SPARK,
)
DIALECTS = (DUCKDB, SPARK)


def dialect_of(name: str) -> SqlDialect:
    """What is known of a dialect; an engine of another package may have one of its own.

    >>> dialect_of("spark").decimal
    (10, 0)
    >>> dialect_of("postgres").name
    'postgres'
    """
    return next((d for d in DIALECTS if d.name == name), SqlDialect(name))


def sql_type(type: DataType, dialect: str) -> str:
    """A type as an author writes it in a dialect.

    >>> from qanat.model.schema import Primitive
    >>> at = Array(Primitive("timestamp"))
    >>> sql_type(at, "duckdb"), sql_type(at, "spark")
    ('TIMESTAMPTZ[]', 'ARRAY<TIMESTAMP>')
    """
    known = dialect_of(dialect)
    match type:
        case Array(element):
            inner = sql_type(element, dialect)
            return f"ARRAY<{inner}>" if known.angles else f"{inner}[]"
        case MapType(key, value):
            pair = f"{sql_type(key, dialect)}, {sql_type(value, dialect)}"
            return f"MAP<{pair}>" if known.angles else f"MAP({pair})"
        case Struct(fields):
            colon = ":" if known.angles else ""
            parts = ", ".join(f"{f.name}{colon} {sql_type(f.type, dialect)}" for f in fields)
            return f"STRUCT<{parts}>" if known.angles else f"STRUCT({parts})"
        case Decimal(precision, scale):
            return f"DECIMAL({precision}, {scale})"
    name = str(type)
    return known.types.get(name, name.upper())
