"""Write the rows of a SELECT as staged files: Parquet with statistics, synced to disk.

COPY returns the bounds of each column as text. A bound may be loose, but never wrong: where
DuckDB's text cannot be trusted to be one, there is none.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal as Number
from operator import attrgetter
from pathlib import Path
from typing import Any

from duckdb import DuckDBPyConnection

from qanat.disk import remove, sync
from qanat.engines.duckdb.jsonable import jsonable
from qanat.engines.duckdb.places import PLACE, numbered, stored
from qanat.errors import AdapterError, InvariantError, StorageFullError, disk_full
from qanat.model.schema import DataType, Decimal, Primitive, Schema
from qanat.model.staged import ColumnStatistics, DataFile, StagedTable
from qanat.model.work import Output
from qanat.text import literal, quote

# Years before 1 or after 9999 are beyond what Python's dates hold.
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?")
CHANGE_DATA = "_change_data"
"""The folder of a table with files for readers of changes."""
_LAST_CHARACTER = "\U0010ffff"

Bounds = tuple[Any, ...]


def column_statistics(
    returned: Mapping[str, Mapping[str, str]], schema: Schema, partition_by: tuple[str, ...]
) -> dict[str, ColumnStatistics]:
    """What is known of each stored column that has an order.

    Args:
        returned: by quoted column name, as COPY returns them.
    """
    found: dict[str, ColumnStatistics] = {}
    for field in schema.fields:
        if field.name in partition_by or not _has_order(field.type):
            continue
        entry = returned.get(quote(field.name), {})
        nulls = int(entry["null_count"]) if "null_count" in entry else None
        low, high = _bounds(field.type, entry) or (None, None)
        found[field.name] = ColumnStatistics(nulls, low, high)
    return found


def _has_order(type_: DataType) -> bool:
    return isinstance(type_, Decimal) or (
        isinstance(type_, Primitive) and type_ != Primitive("binary")
    )


def _bounds(type_: DataType, entry: Mapping[str, str]) -> Bounds | None:
    if type_ == Primitive("string"):
        return _texts(entry)
    if "min" not in entry or "max" not in entry:
        return None
    if "false" in (entry.get("min_is_exact"), entry.get("max_is_exact")):
        return None
    if type_ in _FLOATING and entry.get("has_nan") != "false":
        return None
    parse = Number if isinstance(type_, Decimal) else _PARSERS.get(str(type_))
    bounds = tuple(parse(entry[end]) for end in ("min", "max")) if parse else (None,)
    return None if None in bounds else bounds


def _single(text: str) -> float:
    """The value that 32 bits hold: 0.1 as text is less than the 0.1 of a FLOAT column."""
    return float(struct.unpack("<f", struct.pack("<f", float(text)))[0])


def _texts(entry: Mapping[str, str]) -> Bounds | None:
    """DuckDB has no bounds for texts of some hundred bytes, and cuts others."""
    if "min" not in entry and entry.get("null_count") == entry.get("num_values"):
        return None
    high = entry.get("max", "")
    if "max" not in entry or entry.get("max_is_exact") == "false":
        high += _LAST_CHARACTER
    return entry.get("min", ""), high


def _date(text: str) -> date | None:
    return date.fromisoformat(text) if _DATE.fullmatch(text) else None


def _local(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if _TIMESTAMP.fullmatch(text) else None


def _moment(text: str) -> datetime | None:
    found = _local(text.removesuffix("+00"))
    return None if found is None else found.replace(tzinfo=UTC)


def _boolean(text: str) -> bool:
    return text in ("1", "true")


_FLOATING = (Primitive("float"), Primitive("double"))
_PARSERS: dict[str, Callable[[str], Any]] = {
    **{str(Primitive(name)): int for name in ("byte", "short", "integer", "long")},
    "float": _single,
    "double": float,
    "boolean": _boolean,
    "date": _date,
    "timestamp": _moment,
    "timestamp_ntz": _local,
}
"""By type: what makes a value of DuckDB's text; None where it is none that Python holds."""
_MOMENTS = frozenset({"date", "timestamp", "timestamp_ntz"})


_PARQUET: dict[str, str] = {"none": "uncompressed", "lz4": "lz4_raw"}
_DICTIONARIES = "DICTIONARY_SIZE_LIMIT 4096"
"""How many different values DuckDB puts into a dictionary, of a column in a group of rows.

By default it tries so many that a seventh of writing goes there where columns have more (for
lineitem of TPC-H 3.9 instead of 3.3 s), and files are hardly smaller (206 instead of 215 MB)."""
_SUFFIXES = {"gzip": ".gz", "zstd": ".zst"}
_KEYWORDS = {
    "delimiter": "DELIMITER",
    "quote": "QUOTE",
    "escape": "ESCAPE",
    "null_value": "NULLSTR",
    "date_format": "DATEFORMAT",
    "timestamp_format": "TIMESTAMPFORMAT",
}


def copy_text(select: str, schema: Schema, output: Output) -> str:
    """A COPY of a SELECT, whose columns are `schema`, into new files of `output`.

    A sink has checked the options.
    """
    if output.partition_by:
        by = ", ".join(quote(c) for c in output.partition_by)
        return (
            f"COPY ({select}) TO {literal(str(output.folder))} "
            f"(FORMAT parquet, RETURN_STATS, PARTITION_BY ({by}), "
            f"FILENAME_PATTERN {literal(output.prefix + '-{i}')}, "
            f"OVERWRITE_OR_IGNORE, {_DICTIONARIES})"
        )
    options = dict(output.options)
    if "quote" in options:
        # A quote in a value is doubled, whatever it is; DuckDB would put `"` before it.
        options.setdefault("escape", options["quote"])
    compression = options.get("compression", "")
    # A reader tells compressed text by the name; Parquet says inside how it is compressed.
    suffix = "" if output.format == "parquet" else _SUFFIXES.get(compression, "")
    path = output.folder / f"{output.prefix}-0.{output.format}{suffix}"
    # Only Parquet has statistics to return.
    returned = "RETURN_STATS" if output.format == "parquet" else "RETURN_FILES"
    # No temporary name: a staged file is not read before it is whole.
    parts = [f"FORMAT {output.format}", returned, "USE_TMP_FILE false"]
    if output.format == "parquet":
        parts.append(_DICTIONARIES)
    if compression:
        codecs = _PARQUET if output.format == "parquet" else {}
        parts.append(f"COMPRESSION {codecs.get(compression, compression)}")
    if output.format == "csv":
        parts.append(f"HEADER {options.get('header', 'true')}")
        if options.get("null_value") and len(schema.fields) == 1:
            # An only value that is empty would be a blank line, which no reader sees.
            parts.append("FORCE_QUOTE *")
    parts += [f"{word} {literal(options[n])}" for n, word in _KEYWORDS.items() if n in options]
    return f"COPY ({select}) TO {literal(str(path))} ({', '.join(parts)})"


def _partitioned(select: str, output: Output) -> str:
    """A SELECT whose rows DuckDB 2.0 puts into partitioned files in the order they come in.

    Threads that write partitions mix their rows up. Numbered rows come one after another, for no
    more CPU time. A join may give them in another order each time.
    """
    if output.placed_ms is not None:
        return numbered(select, output.placed_ms)
    place = f"SELECT *, row_number() OVER () AS {PLACE} FROM ({select})"
    return f"SELECT * EXCLUDE ({PLACE}) FROM ({place}) WHERE {PLACE} > 0"


def write(
    con: DuckDBPyConnection, select: str, schema: Schema, output: Output, placed: bool = False
) -> StagedTable:
    """Run a SELECT whose columns are `schema` into new files of `output`, durably.

    No file is left behind on an error, nor for an empty result.

    Args:
        placed: whether rows have their place in a column, and keep it.

    Raises:
        StorageFullError: the disk is full.
        AdapterError: the folder cannot be written.
        duckdb.Error: the query fails.
    """
    try:
        output.folder.mkdir(parents=True, exist_ok=True)
        if output.format == "json":
            select = jsonable(select, schema)
        if placed:
            select = stored(select)
        elif output.partition_by:
            select = _partitioned(select, output)
        found = con.execute(copy_text(select, schema, output)).fetchall()
        if output.format == "parquet":
            described = [_parquet_file(row, schema, output) for row in found]
            described.sort(key=attrgetter("path"))
        else:
            described = [_text_file(output, int(rows), name) for rows, (name,) in found]
        files = tuple(f for f in described if _kept(output.folder / f.path, f.rows))
        _sync([output.folder / f.path for f in files], output.folder)
    except OSError as error:
        discard(output)
        raise _storage_error(error, output.folder) from error
    except BaseException:
        discard(output)
        raise
    return StagedTable(schema, files)


def write_beside(
    con: DuckDBPyConnection,
    select: str,
    schema: Schema,
    output: Output,
    folder: str,
    partition_by: tuple[str, ...] = (),
) -> tuple[DataFile, ...]:
    """Stage rows in a folder of a table that its readers do not look into, as `write` does.

    Args:
        output: of the table.
        folder: the name of the folder in it.
    """
    beside = Output(output.folder / folder, output.prefix, partition_by=partition_by)
    found = write(con, select, schema, beside).files
    return tuple(replace(f, path=f"{folder}/{f.path}") for f in found)


def check_rewritten(rows: int, wanted: int) -> None:
    """Refuse files that were written again, and have lost rows of a table or doubled them.

    Raises:
        InvariantError: there are other than `wanted` rows.
    """
    if rows != wanted:
        raise InvariantError(
            "rows of a table were lost or doubled while files of it were written again",
            wanted=str(wanted),
            got=str(rows),
            hint="nothing was published; this is a defect of Qanat",
        )


def discard(output: Output) -> None:
    """Remove all files that this attempt has staged.

    Raises:
        OSError: a file could not be removed.
    """
    staged = list(output.folder.rglob(f"{output.prefix}*"))
    try:
        remove(*staged)
    except OSError:
        # The caller's own error matters more than a folder that could not be synced.
        if any(path.exists() for path in staged):
            raise


def _kept(path: Path, rows: int) -> bool:
    # A file without rows says nothing that the log does not say.
    if rows == 0:
        path.unlink(missing_ok=True)
    return rows > 0


def _text_file(output: Output, rows: int, name: str) -> DataFile:
    path = Path(name)
    relative = path.relative_to(output.folder).as_posix()
    return DataFile(relative, path.stat().st_size, rows)


def _parquet_file(row: tuple[Any, ...], schema: Schema, output: Output) -> DataFile:
    path, rows, size, _footer, statistics, partitions, *_ = row
    relative = Path(str(path)).relative_to(output.folder).as_posix()
    values = dict(partitions or {})
    _check_partitions(values, schema)
    return DataFile(
        relative,
        int(size),
        int(rows),
        values,
        column_statistics(statistics or {}, schema, output.partition_by),
    )


def _check_partitions(values: Mapping[str, str | None], schema: Schema) -> None:
    """Refuse moments that table formats cannot name: no reader could open the table any more."""
    for name, text in values.items():
        field = schema.get(name)
        if text is None or field is None or str(field.type) not in _MOMENTS:
            continue
        if _PARSERS[str(field.type)](text) is None:
            raise AdapterError(
                f"a table cannot be partitioned by {name!r} where it is {text}",
                wanted="a point in time of the years 1 to 9999",
                hint="leave out such rows, or partition by another column",
            )


def _sync(paths: list[Path], folder: Path) -> None:
    """fsync files, then the folders that name them: after this a power cut keeps them."""
    for path in paths:
        sync(path)
    folders = {folder}
    for path in paths:
        parent = path.parent
        while parent != folder:
            folders.add(parent)
            parent = parent.parent
    for each in sorted(folders, reverse=True):
        sync(each)


def _storage_error(error: OSError, folder: Path) -> AdapterError:
    if disk_full(error):
        return StorageFullError(
            f"no space left in {folder}",
            got=str(error),
            hint="free space and run again; nothing was published",
        )
    return AdapterError(f"cannot write to {folder}", got=str(error))
