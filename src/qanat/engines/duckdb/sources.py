"""Which source file a row comes from, as files of tables tell it: by a number.

Where an epoch reads a single file, or rows of a table that all come from one, the names of the
files that it stages say it, and no row has to. Else each row has the number in a column of its own
(`SOURCE`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from duckdb import DuckDBPyConnection

from qanat.digest import number
from qanat.engines.duckdb.files.bound import RID, ROW_BITS, SOURCE
from qanat.model.work import FilesBatch, Output, TableBatch, Work
from qanat.text import literal, quote

_NAMED = re.compile(r"-src([0-9a-f]{16})[-.]")


def only_file(work: Work) -> int | None:
    """The number of the one file that rows of an epoch can come from; None if of several."""
    batches = [batch for name, batch in work.inputs.items() if name in work.sourced]
    found: set[int | None] = {None}
    if len(batches) == 1 and isinstance(batches[0], FilesBatch):
        found = set(numbers(batches[0]))
    elif len(batches) == 1 and isinstance(batches[0], TableBatch):
        found = {by_name(f) for f in batches[0].files}
    return found.pop() if len(found) == 1 else None


def named(output: Output, source: int) -> Output:
    """Where files are staged whose names say which source file their rows come from."""
    return replace(output, prefix=f"{output.prefix}-src{source % 2**64:016x}")


def by_name(file: str) -> int | None:
    """The number of the source file that the rows of a file come from, if its name says it.

    >>> by_name("t/epoch-1-0-0-src00000000000000ff-0.parquet"), by_name("t/epoch-1-0-0-0.parquet")
    (255, None)
    """
    found = _NAMED.search(Path(file).name)
    if found is None:
        return None
    value = int(found[1], 16)
    return value - 2**64 if value >= 2**63 else value


def numbers(batch: FilesBatch) -> list[int]:
    """The numbers of the files of a batch."""
    return [number(f.path.removeprefix(batch.root)) for f in batch.files]


def of_rows(con: DuckDBPyConnection, name: str, batch: FilesBatch) -> str:
    """SQL of the number of a row's file, of a batch that is bound."""
    if len(batch.files) == 1:
        return f"{numbers(batch)[0]}::BIGINT"
    return f"{_variable(con, name, numbers(batch), 'BIGINT')}[({RID} >> {ROW_BITS}) + 1]"


def of_paths(con: DuckDBPyConnection, name: str, batch: FilesBatch, path: str) -> str:
    """SQL of the number of a file of a batch, of SQL of its path."""
    if len(batch.files) == 1:
        return f"{numbers(batch)[0]}::BIGINT"
    paths = _variable(con, f"{name}_paths", [f.path for f in batch.files], "VARCHAR")
    found = _variable(con, name, numbers(batch), "BIGINT")
    return f"{found}[list_position({paths}, {path})]"


def of_table(
    con: DuckDBPyConnection, name: str, batch: TableBatch, column: bool, file: str
) -> str | None:
    """SQL of the number of the source file of a row of a table `f`; None if none is told.

    Args:
        column: whether files have it in a column.
        file: SQL of the 1-based number of the row's file in the batch.
    """
    told = [by_name(f) for f in batch.files]
    if batch.sources:
        known = (batch.sources.get(f) for f in batch.files)
        told = [
            number(k) if t is None and k is not None else t
            for t, k in zip(told, known, strict=True)
        ]
    own = f"f.{SOURCE}" if column else "NULL::BIGINT"
    if told.count(None) == len(told):
        return own if column else None
    if len(told) == 1:
        return f"{told[0]}::BIGINT"
    return f"coalesce({own}, {_variable(con, name, told, 'BIGINT')}[{file}])"


def _variable(con: DuckDBPyConnection, name: str, values: Sequence[object], type_: str) -> str:
    variable = f"qanat_source_{name}"
    con.execute(f"SET VARIABLE {quote(variable)} = CAST(? AS {type_}[])", [list(values)])
    return f"getvariable({literal(variable)})"
