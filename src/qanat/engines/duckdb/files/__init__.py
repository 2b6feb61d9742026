"""Files of a batch as something DuckDB can read, with the rows that could not be parsed.

Read `bound` (the result), `drift` (which columns), `partitions` and `folders` (columns from folder
names), then one module a format. `parquet` is read in place (`widen` converts values). Text goes
through `spool` once (`cast` makes values of text, `misfit` tells which do not fit): `csv` by
`dialect` and `heads`, `json` by `lines` and `structure`. Where DuckDB stumbles, `salvage` reads
again with `records`, which loses nothing. `failure` names the file that is to blame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TypeAlias

import duckdb

from qanat.engines.duckdb.files.bound import BoundFiles, FileTable
from qanat.engines.duckdb.files.dialect import flag
from qanat.engines.duckdb.files.partitions import Partitions, find_partitions
from qanat.errors import OptionError, nearest
from qanat.model.batch import FilesBatch, LocalFile

__all__ = ["BoundFiles", "bind_files"]

Bind: TypeAlias = Callable[[FileTable, FilesBatch, Path], BoundFiles]

# Imported when a batch of the format comes: with them comes PyArrow, which costs 75 ms that an
# update of tables alone need not spend.
_FORMATS = {
    "csv": ("qanat.engines.duckdb.files.csv", "bind_csv"),
    "json": ("qanat.engines.duckdb.files.json", "bind_json"),
    "ndjson": ("qanat.engines.duckdb.files.json", "bind_json"),
    "parquet": ("qanat.engines.duckdb.files.parquet", "bind_parquet"),
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
    found = _FORMATS.get(batch.format)
    if found is None:
        raise OptionError(
            f"format {batch.format!r} cannot be read",
            wanted=", ".join(_FORMATS),
            nearest=nearest(batch.format, _FORMATS),
        )
    batch = replace(
        batch, files=tuple(_plain(f, i, name, scratch) for i, f in enumerate(batch.files))
    )
    hive = flag(dict(batch.options), "hive_partitioning", False)
    partitions = find_partitions(batch.files) if hive else Partitions()
    bind: Bind = getattr(import_module(found[0]), found[1])
    return bind(FileTable(con, name, batch.files, partitions), batch, scratch)


def _plain(file: LocalFile, index: int, name: str, scratch: Path) -> LocalFile:
    """The file under a name that DuckDB does not take for a pattern."""
    if not any(c in file.local for c in "*?["):
        return file
    path = Path(file.local)
    link = scratch / f"{name}_link{index}{''.join(path.suffixes[-2:])}"
    link.unlink(missing_ok=True)
    link.symlink_to(path)
    return replace(file, local=str(link))
