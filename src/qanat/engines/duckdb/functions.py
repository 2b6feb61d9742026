"""Run queries that are Python functions over data frames."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from duckdb import DuckDBPyConnection, Error as DuckDBError

from qanat.engines.duckdb.apart import call_apart
from qanat.errors import MissingExtraError, QueryError, install
from qanat.model.query import FunctionQuery
from qanat.text import literal, quote


def run_function(
    con: DuckDBPyConnection,
    query: FunctionQuery,
    relations: tuple[str, ...],
    path: Path,
    stopping: threading.Event,
) -> None:
    """Call the function with its inputs and write what it returns to a Parquet file.

    Args:
        relations: SELECT text for each parameter, in order.
        path: file to write.
        stopping: the function is given up once this is set.

    Raises:
        AdapterError: the function was given up.
        MissingExtraError: the annotation wants a library that is not installed.
        QueryError: the function returned something that is no table.
        BaseException: whatever the function raised.
    """
    arguments = [
        _frame(con.sql(relation), kind, query)
        for relation, kind in zip(relations, query.takes, strict=True)
    ]
    table = call_apart(lambda: _arrow(query.function(*arguments), query), stopping)
    raised: list[BaseException] = []
    if hasattr(table, "read_next_batch"):
        batches = _remembering(table, raised)
        table = _require("pyarrow", query).RecordBatchReader.from_batches(table.schema, batches)
    name = f"__qanat_result_{path.stem}"
    con.register(name, table)
    try:
        con.execute(f"COPY (FROM {quote(name)}) TO {literal(str(path))} (FORMAT parquet)")
    except DuckDBError as error:
        if raised:
            raise raised[0] from error
        raise
    finally:
        con.unregister(name)


def _remembering(batches: Iterable[Any], raised: list[BaseException]) -> Iterator[Any]:
    """Batches as they come; what making them raises is kept: DuckDB passes on only its text."""
    try:
        yield from batches
    except BaseException as error:
        raised.append(error)
        raise


# What DuckDB imports to hand a frame out; it takes Polars frames to and from PyArrow tables.
_NEEDED = {
    "arrow": ("pyarrow",),
    "pandas": ("pandas",),
    "polars": ("polars", "pyarrow"),
    "polars.lazy": ("polars", "pyarrow"),
}


def _frame(relation: Any, kind: str, query: FunctionQuery) -> Any:
    for package in _NEEDED[kind]:
        _require(package, query)
    match kind:
        case "polars":
            return relation.pl()
        case "polars.lazy":
            return relation.pl().lazy()
        case "pandas":
            return relation.df()
    return relation.to_arrow_table()


def _require(package: str, query: FunctionQuery) -> Any:
    try:
        return import_module(package)
    except ImportError as error:
        raise MissingExtraError(
            f"{query.function.__name__} works with {package}, which is not installed",
            location=query.location,
            hint=install(package),
        ) from error


def _arrow(result: Any, query: FunctionQuery) -> Any:
    """What DuckDB can read: anything with an Arrow C stream, or rows as dictionaries."""
    if type(result).__module__.partition(".")[0] == "polars":
        _require("pyarrow", query)
        result = result.collect() if hasattr(result, "collect") else result
    if hasattr(result, "__arrow_c_stream__"):
        return result
    if isinstance(result, list) and result and all(isinstance(r, dict) for r in result):
        return _require("pyarrow", query).Table.from_pylist(result)
    raise QueryError(
        f"{query.function.__name__} returned no table",
        location=query.location,
        wanted="an Arrow table, a Polars or pandas data frame, or a list of dictionaries",
        got=type(result).__name__,
    )
