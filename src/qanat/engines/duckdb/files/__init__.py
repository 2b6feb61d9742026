"""Files of a batch as something DuckDB can read, with the rows that could not be parsed.

Read `bound` (the result), `drift` (which columns), then one module a format: `csv`, `json`,
`parquet`. Text formats go through `spool` once; Parquet is read in place.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from qanat.engines.duckdb.files.bound import BoundFiles, FileTable
from qanat.engines.duckdb.files.csv import bind_csv
from qanat.engines.duckdb.files.dialect import flag
from qanat.engines.duckdb.files.json import bind_json
from qanat.engines.duckdb.files.parquet import bind_parquet
from qanat.engines.duckdb.files.partitions import Partitions, find_partitions
from qanat.errors import OptionError, nearest
from qanat.model.batch import FilesBatch

__all__ = ["BoundFiles", "bind_files"]

_FORMATS = {
    "csv": bind_csv,
    "json": bind_json,
    "ndjson": bind_json,
    "parquet": bind_parquet,
}


def bind_files(
    con: duckdb.DuckDBPyConnection, name: str, batch: FilesBatch, scratch: Path
) -> BoundFiles:
    """Make the files of a batch readable by SELECTs on `con`.

    Args:
        con: the connection that will evaluate the result.
        name: unique among the batches of the connection, part of every name made for this one.
        scratch: an existing folder for spools; it must live as long as the result is read.

    Raises:
        OptionError: an unknown format, a bad option, or a column with a name of ours.
        SchemaDriftError: a column that the `freeze` policy does not let in.
        FileVanishedError: a file is gone.
        FileUnreadableError: a file is not what its format says.
        StorageFullError: the scratch folder is full.
    """
    bind = _FORMATS.get(batch.format)
    if bind is None:
        raise OptionError(
            f"format {batch.format!r} cannot be read",
            wanted=", ".join(_FORMATS),
            nearest=nearest(batch.format, _FORMATS),
        )
    hive = flag(dict(batch.options), "hive_partitioning", False)
    partitions = find_partitions(batch.files) if hive else Partitions()
    return bind(FileTable(con, name, batch.files, partitions), batch, scratch)
