"""Which extra of Qanat brings an optional package."""

from __future__ import annotations

_EXTRAS = {
    "adbc_driver_manager": "postgres",
    "adbc_driver_postgresql": "postgres",
    "ibis": "ibis",
    "lz4": "lz4",
    "obstore": "cloud",
    "pandas": "pandas",
    "polars": "polars",
    "psycopg": "postgres",
    "pyarrow": "arrow",
    "pyiceberg": "iceberg",
}


def install(package: str) -> str | None:
    """The command that installs an optional package; None for a package that no extra brings.

    Args:
        package: name that is imported; a module of the package will do.

    >>> install("pyarrow.parquet")
    "pip install 'qanat[arrow]'"
    """
    extra = _EXTRAS.get(package.partition(".")[0])
    return None if extra is None else f"pip install 'qanat[{extra}]'"
