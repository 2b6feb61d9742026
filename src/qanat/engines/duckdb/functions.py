"""Run queries that are Python functions over data frames."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from duckdb import DuckDBPyConnection, Error as DuckDBError

from qanat.engines.duckdb.apart import call_apart
from qanat.errors import QueryError, SchemaMismatchError, needing
from qanat.model.name import Names
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
        SchemaMismatchError: it returned two columns of one name.
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


# What is imported to hand a frame out.
_NEEDED = {
    "arrow": ("pyarrow",),
    "pandas": ("pandas", "pyarrow"),
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
            # NumPy has no decimals, dates, maps or NULLs: DuckDB's `df` would make others of them.
            types = import_module("pandas").ArrowDtype
            return relation.to_arrow_table().to_pandas(types_mapper=types)
    return relation.to_arrow_table()


def _require(package: str, query: FunctionQuery) -> Any:
    with needing(f"{query.function.__name__}()", location=query.location):
        return import_module(package)


def _arrow(result: Any, query: FunctionQuery) -> Any:
    """What DuckDB reads: an Arrow table, or a reader of its rows.

    Takes anything with an Arrow C stream, and rows as dictionaries.
    """
    arrow = _require("pyarrow", query)
    library = type(result).__module__.partition(".")[0]
    if library == "polars" and hasattr(result, "collect"):
        result = result.collect()
    if library == "pandas" and hasattr(result, "columns"):
        result = _of_pandas(arrow, result, query)
    if isinstance(result, list) and result and all(isinstance(r, dict) for r in result):
        result = arrow.Table.from_pylist(result)
    if isinstance(result, arrow.Table):
        _check_names(result.schema.names, query)
        return result
    if hasattr(result, "__arrow_c_stream__"):
        reader = result
        if not isinstance(result, arrow.RecordBatchReader):
            # A reader of PyArrow's own passes on what Python raises while it reads.
            try:
                reader = arrow.RecordBatchReader.from_stream(result)
            except arrow.ArrowInvalid as error:
                # A single column, such as a pandas Series, has such a stream, too.
                raise _no_table(result, query) from error
        _check_names(reader.schema.names, query)
        return reader
    raise _no_table(result, query)


def _no_table(result: Any, query: FunctionQuery) -> QueryError:
    return QueryError(
        f"{query.function.__name__} returned no table",
        location=query.location,
        wanted="an Arrow table, a Polars or pandas data frame, or a list of dictionaries",
        got=type(result).__name__,
        hint="a column alone is no table: return frame[['name']], with two brackets"
        if type(result).__name__ in ("Series", "ChunkedArray")
        else None,
    )


def _of_pandas(arrow: Any, frame: Any, query: FunctionQuery) -> Any:
    """A pandas frame as an Arrow table: its columns, and the levels of its index that have names.

    DuckDB's own reader of frames guesses types from a sample and renames columns.
    """
    levels = [i for i, name in enumerate(frame.index.names) if name is not None]
    kept = [str(frame.index.names[i]) for i in levels]
    _check_names([*kept, *map(str, frame.columns)], query)
    if levels:
        # `groupby` puts its keys there.
        frame = frame.reset_index(level=levels)
    try:
        return arrow.Table.from_pandas(frame, preserve_index=False)
    except (arrow.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise QueryError(
            f"{query.function.__name__} returned a frame with values that have no common type",
            location=query.location,
            got=" ".join(str(a) for a in error.args),
            hint="give each column one type, for example with .astype(…)",
        ) from error


def _check_names(names: Sequence[str], query: FunctionQuery) -> None:
    seen = Names()
    for name in names:
        if name in seen:
            raise SchemaMismatchError(
                f"{query.function.__name__} returned two columns named {name!r}",
                location=query.location,
                got=", ".join(names),
                hint="rename one of them; names are compared without case",
            )
        seen.add(name)
