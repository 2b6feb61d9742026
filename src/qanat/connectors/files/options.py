"""The options of `read_files`: which this connector obeys, and which an engine must.

Databricks writes options in camelCase, Python and DuckDB in snake_case; a name is compared
without case and underscores, and goes on to the engine in its one canonical form.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from qanat.errors import OptionError, nearest
from qanat.model.query import FilesRead
from qanat.text.quantities import SIZE, parse_size

# Canonical name → other names that mean the same.
_OWN: dict[str, tuple[str, ...]] = {
    "allow_overwrites": (),
    "columns": (),
    "dialect": (),
    "format": (),
    "max_bytes_per_trigger": (),
    "max_files_per_trigger": (),
    "modified_after": (),
    "modified_before": (),
    "path_glob_filter": ("file_name_pattern",),
    "recursive": ("recursive_file_lookup",),
    "schema": (),
}
_ENGINE: dict[str, tuple[str, ...]] = {
    "all_varchar": (),
    "comment": (),
    "compression": (),
    "date_format": (),
    "delimiter": ("delim", "sep", "separator"),
    "encoding": ("charset",),
    "escape": ("escape_char",),
    "header": (),
    "hive_partitioning": (),
    "infer_schema": ("infer_column_types", "auto_detect"),
    "multi_line": (),
    "null_value": ("nullstr",),
    "quote": ("quote_char",),
    "skip": ("skip_rows",),
    "timestamp_format": (),
}


def _key(name: str) -> str:
    return name.replace("_", "").casefold()


_CANONICAL: dict[str, str] = {
    _key(name): canonical
    for canonical, others in (_OWN | _ENGINE).items()
    for name in (canonical, *others)
}


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """The options of one read, checked.

    Args:
        modified_after_ns, modified_before_ns: nanoseconds since 1970 (UTC), exclusive.
        max_files, max_bytes: how much one epoch takes at most (at least one file).
        schema: the declared columns as text.
        dialect: the SQL dialect that `schema` is written in.
        compression: as the author said, None to go by the file name (`auto`).
        engine: what the engine must obey, by canonical name.
    """

    recursive: bool
    path_glob_filter: str | None
    modified_after_ns: int | None
    modified_before_ns: int | None
    max_files: int | None
    max_bytes: int | None
    allow_overwrites: bool
    schema: str | None
    dialect: str
    compression: str | None
    engine: tuple[tuple[str, Any], ...]


def read_options(read: FilesRead) -> ReadOptions:
    """Check the options of a read.

    Raises:
        OptionError: an option does not exist, is given twice, or its value does not fit.

    >>> read_options(FilesRead("in/*.csv", None, (("recursiveFileLookup", "true"),))).recursive
    True
    """
    given: dict[str, Any] = {}
    for name, value in read.options:
        canonical = _CANONICAL.get(_key(name))
        if canonical is None:
            raise OptionError(
                f"read_files has no option {name!r}", nearest=nearest(name, [*_OWN, *_ENGINE])
            )
        if canonical in given:
            raise OptionError(f"the option {canonical!r} of read_files is given twice")
        given[canonical] = value
    schema = given.get("schema", given.get("columns"))
    if schema is not None and not isinstance(schema, str):
        raise OptionError(
            "the option 'schema' is no text", wanted="'id BIGINT, name STRING'", got=repr(schema)
        )
    compression = str(given.pop("compression", "auto")).casefold()
    return ReadOptions(
        recursive=_boolean("recursive", given.get("recursive", False)),
        path_glob_filter=given.get("path_glob_filter"),
        modified_after_ns=_moment("modified_after", given.get("modified_after")),
        modified_before_ns=_moment("modified_before", given.get("modified_before")),
        max_files=_count("max_files_per_trigger", given.get("max_files_per_trigger")),
        max_bytes=_bytes("max_bytes_per_trigger", given.get("max_bytes_per_trigger")),
        allow_overwrites=_boolean("allow_overwrites", given.get("allow_overwrites", False)),
        schema=schema,
        dialect=str(given.get("dialect", "duckdb")).casefold(),
        compression=None if compression == "auto" else compression,
        engine=tuple((k, v) for k, v in given.items() if k in _ENGINE),
    )


def _boolean(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.casefold() in ("true", "false"):
        return value.casefold() == "true"
    raise OptionError(
        f"the option {name!r} is no boolean", wanted="true or false", got=repr(value)
    )


def _count(name: str, value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise OptionError(
            f"the option {name!r} is no count", wanted="a whole number above 0", got=repr(value)
        )
    return value


def _bytes(name: str, value: Any) -> int | None:
    if not isinstance(value, str):
        return _count(name, value)
    try:
        size = parse_size(value)
    except ValueError as error:
        raise _no_size(name, value) from error
    if size < 1:
        raise _no_size(name, value)
    return size


def _no_size(name: str, value: str) -> OptionError:
    return OptionError(f"the option {name!r} is no size", wanted=SIZE, got=value)


def _moment(name: str, value: Any) -> int | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise OptionError(
            f"the option {name!r} is no point in time",
            wanted="such as '2026-05-17' or '2026-05-17T08:30:00Z' (UTC unless it says else)",
            got=repr(value),
        ) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000_000) * 1000
