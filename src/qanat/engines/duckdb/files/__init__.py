"""Makes the files of a batch readable for DuckDB, and sets apart the rows that cannot be parsed.

Read `bound` (the result, and which columns a batch has; `partitions`: which ones folders give),
then one module per format. `parquet` reads files in place (`typed` has their columns, `widen`
converts values). Text formats are copied to Parquet once, by `spool` (`cast` converts text to
values, with `digits` for numbers, `moments` for times and `plainly` for what needs no care;
`infer` chooses types that nobody declared, `many` reads few or thousands of columns): `csv`, and
`json` with `lines`, `sound` (what is an object) and `structure` (`wide`: objects with many keys);
CSV that a query only copies is read in place, too. What texts of JSON look like is `seen` first;
their `numbers` keep their digits, and `leaves` finds types for them; `twice` finds objects that
would lose a value. Rows of which `proven` sees that nothing is lost need none of this (`orders`:
of keys); messages of which `straight` sees it at once need no spool. `payloads`
reads messages of a queue, one value each. `messages` opens those of Debezium first, and `connect`
decodes values in them. `decoded` has those in Avro (`avro`, with `shapes`) and in `protobuf`,
which become Parquet (`maps`: with a key twice); `separated` those that are lines of CSV. How a CSV
file is written is told by `dialect` (the options), `sniff` and `heads`; `groups` has those that
are read together, and `trust` tells which of them DuckDB would not read as Python's `csv` does.
These, and files in which DuckDB fails, are read by `records` and `documents`, which lose no row,
and copied by `salvage`; `counted` finds the lines of rows that DuckDB has only counted. `drift`
has the types that columns get for values that do not fit those of earlier files (`nested`: leaf by
leaf). `folders` has the columns that come from the names of folders. `again` parses single rows
anew, by the texts that a quarantine has kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TypeAlias

import duckdb

from qanat.engines.duckdb.files.bound import BoundFiles, FileTable, OnePass
from qanat.engines.duckdb.files.dialect import flag
from qanat.engines.duckdb.files.folders import wider_folders
from qanat.engines.duckdb.files.partitions import Partitions, find_partitions
from qanat.errors import OptionError, nearest
from qanat.model.name import Named
from qanat.model.pipeline import Drift
from qanat.model.schema import STRING, DataType, Decimal, Field, Primitive, Schema
from qanat.model.work import FilesBatch, LocalFile

__all__ = ["BoundFiles", "OnePass", "bind_files", "pass_files"]

Bind: TypeAlias = Callable[[FileTable, FilesBatch, Path], BoundFiles]

# Imported when the first batch of a format is bound: an update that reads only tables needs none.
_FORMATS = {
    "csv": ("qanat.engines.duckdb.files.csv", "bind_csv"),
    "json": ("qanat.engines.duckdb.files.json", "bind_json"),
    "ndjson": ("qanat.engines.duckdb.files.json", "bind_json"),
    "parquet": ("qanat.engines.duckdb.files.parquet", "bind_parquet"),
    "payloads": ("qanat.engines.duckdb.files.payloads", "bind_payloads"),
}
_ONCE = {"csv": "pass_csv", "payloads": "pass_payloads"}
"""Functions that read files of a format in one pass."""
_PARTS = frozenset({"payloads"})
"""Formats of which these look at every row, also for a query that leaves some out."""
_WIDENINGS = 8
"""How often the types of a batch are made wider: a leaf of a column can get fewer types."""


def bind_files(
    con: duckdb.DuckDBPyConnection,
    name: str,
    batch: FilesBatch,
    scratch: Path,
    widens: bool = False,
) -> BoundFiles:
    """Make the files of a batch readable by SELECTs on `con`.

    Args:
        con: the connection that will evaluate the result.
        name: unique among the batches of the connection; part of every name made for the batch.
        batch: the files, their options and what is known of their columns.
        scratch: an existing folder for spools; it must exist as long as the result is read.
        widens: whether columns that nobody declared may get wider types for values that do not
            fit, under the policy `evolve`.

    Raises:
        OptionError: a format is unknown, an option is wrong, or a column has a reserved name.
        SchemaDriftError: the files have a new column, and the policy is `freeze`.
        FileVanishedError: a file is gone.
        FileUnreadableError: a file's content is not of its format.
        StorageFullError: the scratch folder is full.
    """
    found = _FORMATS.get(batch.format)
    if found is None:
        raise OptionError(
            f"format {batch.format!r} cannot be read",
            wanted=", ".join(_FORMATS),
            nearest=nearest(batch.format, _FORMATS),
        )
    bind: Bind = getattr(import_module(found[0]), found[1])
    table, batch = prepared(con, name, batch, scratch)
    if not widens or batch.drift is not Drift.EVOLVE:
        return bind(table, batch, scratch)
    known = wider_folders(table, batch.known)
    widened = known != batch.known
    batch = replace(batch, known=known)
    bound = replace(bind(table, batch, scratch), widened=widened)
    had: dict[str, list[DataType]] = {}
    # A type for values that did not fit may be none for some that did: 1e5 is a DOUBLE, and no
    # DECIMAL. So it is asked again, until no column gets another type; what still does not fit
    # after so many times waits in quarantine.
    for _ in range(_WIDENINGS):
        if bound.wider is None:
            break
        types = Named(bound.wider())
        for declared in batch.declared.fields:
            types.pop(declared.name, None)
        fields = tuple(_wider(f, types, had.setdefault(f.name, [])) for f in bound.schema.fields)
        if fields == bound.schema.fields:
            break
        batch = replace(batch, known=Schema(fields))
        bound = replace(bind(*prepared(con, name, batch, scratch), scratch), widened=True)
    return bound


def _wider(field: Field, types: Named[DataType], had: list[DataType]) -> Field:
    """A column with the type that it gets; text, if it would get one again that it had.

    Args:
        had: the types that it had so far; the one that it has is added.
    """
    had.append(field.type)
    type_ = types.get(field.name, field.type)
    if type_ == field.type:
        return field
    if type_ in had:
        type_ = STRING if isinstance(type_, Primitive | Decimal) else field.type
    return replace(field, type=type_)


def pass_files(
    con: duckdb.DuckDBPyConnection, name: str, batch: FilesBatch, scratch: Path, whole: bool = True
) -> OnePass | None:
    """Make the files of a batch readable once, without a copy of their rows.

    None if their format needs no copy, or if the files have to be read with care: then
    `bind_files` finds every row. It takes the same arguments and raises the same errors.

    Args:
        whole: whether all columns of all rows will be read.
    """
    by = _ONCE.get(batch.format)
    if by is None or not (whole or batch.format in _PARTS):
        return None
    read = getattr(import_module(_FORMATS[batch.format][0]), by)
    found: OnePass | None = read(*prepared(con, name, batch, scratch), scratch)
    return found


def prepared(
    con: duckdb.DuckDBPyConnection, name: str, batch: FilesBatch, scratch: Path
) -> tuple[FileTable, FilesBatch]:
    """The files of a batch as its format's module takes them."""
    batch = replace(
        batch, files=tuple(_plain(f, i, name, scratch) for i, f in enumerate(batch.files))
    )
    hive = flag(dict(batch.options), "hive_partitioning", False)
    partitions = find_partitions(batch.files) if hive else Partitions()
    return FileTable(con, name, batch.files, partitions, batch.declared, batch.inference), batch


def _plain(file: LocalFile, index: int, name: str, scratch: Path) -> LocalFile:
    """The file, through a link if DuckDB would take its name for a glob pattern."""
    if not any(c in file.local for c in "*?["):
        return file
    path = Path(file.local)
    link = scratch / f"{name}_link{index}{''.join(path.suffixes[-2:])}"
    link.unlink(missing_ok=True)
    link.symlink_to(path)
    return replace(file, local=str(link))
