"""Which extra of Qanat brings an optional package, and the error where it is not installed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from qanat.errors.adapter import MissingExtraError
from qanat.errors.root import Location

_EXTRAS = {
    "adbc_driver_manager": "postgres",
    "adbc_driver_postgresql": "postgres",
    "confluent_kafka": "kafka",
    "fastavro": "avro",
    "google": "protobuf",
    "grpc_tools": "protobuf",
    "ibis": "ibis",
    "lz4": "lz4",
    "jsonschema": "contracts",
    "obstore": "cloud",
    "open_data_contract_standard": "contracts",
    "pandas": "pandas",
    "polars": "polars",
    "prometheus_client": "metrics",
    "psycopg": "postgres",
    "ptars": "protobuf",
    "pyarrow": "arrow",
    "pyiceberg": "iceberg",
    "sqlframe": "spark-frames",
}


def install(package: str, extra: str | None = None) -> str | None:
    """The command that installs an optional package; None for a package that no extra brings.

    Args:
        package: name that is imported; a module of the package will do.
        extra: that brings it where it is used; default: the smallest one that does.

    >>> install("pyarrow.parquet")
    "pip install 'qanat[arrow]'"
    """
    extra = extra or _EXTRAS.get(package.partition(".")[0])
    return None if extra is None else f"pip install 'qanat[{extra}]'"


@contextmanager
def needing(
    what: str, extra: str | None = None, location: Location | None = None
) -> Iterator[None]:
    """Say which extra brings a package that an import inside the block does not find.

    Args:
        what: needs the package; the message begins with it.
        extra: that brings all that it needs; default: the one that brings the package.
        location: of what needs it.

    Raises:
        MissingExtraError: a package is not installed.

    >>> with needing("this", "postgres"):
    ...     raise ModuleNotFoundError("No module named 'psycopg'", name="psycopg")
    Traceback (most recent call last):
    qanat.errors.adapter.MissingExtraError: this needs the package psycopg, which is not installed
      hint: pip install 'qanat[postgres]'
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        way_out = install(package, extra)
        if package == "qanat" or way_out is None:
            raise
        raise MissingExtraError(
            f"{what} needs the package {package}, which is not installed",
            location=location,
            hint=way_out,
        ) from error


def check_installed(
    what: str, packages: Iterable[str], extra: str | None = None, location: Location | None = None
) -> None:
    """As `needing`, without importing anything.

    Raises:
        MissingExtraError: one of the packages is not installed.
    """
    for package in packages:
        with needing(what, extra, location):
            if find_spec(package) is None:
                raise ModuleNotFoundError(name=package)
