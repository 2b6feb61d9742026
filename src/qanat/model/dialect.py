"""The dialects of SQL that Qanat knows: what the same words mean in each.

Everything else about a dialect is sqlglot's, by the same name.
"""

from __future__ import annotations

from qanat.frozen import Frozen


class SqlDialect(Frozen):
    """What one dialect means by words that others read otherwise.

    Args:
        name: sqlglot's.
        decimal: precision and scale of DECIMAL without numbers; None if they are not known.
        paths: whether ``FROM csv.`data/*.csv` `` reads files.
        ibis: what Ibis calls it, where that is not its name.
    """

    name: str
    decimal: tuple[int, int] | None = None
    paths: bool = False
    ibis: str = ""


DUCKDB = SqlDialect("duckdb", decimal=(18, 3))
SPARK = SqlDialect("spark", decimal=(10, 0), paths=True, ibis="pyspark")
DIALECTS = (DUCKDB, SPARK)


def dialect_of(name: str) -> SqlDialect:
    """What is known of a dialect; an engine of another package may have one of its own.

    >>> dialect_of("spark").decimal
    (10, 0)
    >>> dialect_of("postgres")
    SqlDialect(name='postgres', decimal=None, paths=False, ibis='')
    """
    return next((d for d in DIALECTS if d.name == name), SqlDialect(name))
