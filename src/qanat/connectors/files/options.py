"""The options of one read of files: which this connector obeys, and which an engine must."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from qanat.errors import OptionError
from qanat.model.source import SourceRef
from qanat.text.quantities import SIZE, parse_size

_OWN = frozenset(
    {
        "allow_overwrites",
        "dialect",
        "format",
        "max_bytes_per_trigger",
        "max_files_per_trigger",
        "modified_after",
        "modified_before",
        "path_glob_filter",
        "recursive",
        "schema",
    }
)


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """The options of one read, with their values.

    Args:
        format: as the author said, None to go by the file names.
        modified_after_ns, modified_before_ns: nanoseconds since 1970 (UTC), exclusive.
        max_files, max_bytes: how much one epoch takes at most (at least one file).
        schema: the declared columns as text.
        dialect: the SQL dialect that `schema` is written in.
        compression: as the author said, None to go by the file name (`auto`).
        engine: what the engine must obey, by canonical name.
    """

    format: str | None
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


def read_options(ref: SourceRef) -> ReadOptions:
    """The options of a reference, whose names and types its declaration has checked.

    Raises:
        OptionError: a value does not fit.

    >>> read_options(SourceRef("files", "in/*.csv", (("recursive", True),))).recursive
    True
    """
    given = dict(ref.options)
    compression = str(given.pop("compression", "auto")).casefold()
    dialect = str(given.get("dialect", "duckdb")).casefold()
    format = given.get("format")
    if format == "json" and dialect == "spark" and not given.get("multi_line"):
        format = "ndjson"  # Spark's json is one value a line unless multiLine says otherwise
    return ReadOptions(
        format=format,
        recursive=bool(given.get("recursive", False)),
        path_glob_filter=given.get("path_glob_filter"),
        modified_after_ns=_moment("modified_after", given.get("modified_after")),
        modified_before_ns=_moment("modified_before", given.get("modified_before")),
        max_files=_count("max_files_per_trigger", given.get("max_files_per_trigger")),
        max_bytes=_bytes("max_bytes_per_trigger", given.get("max_bytes_per_trigger")),
        allow_overwrites=bool(given.get("allow_overwrites", False)),
        schema=given.get("schema"),
        dialect=dialect,
        compression=None if compression == "auto" else compression,
        engine=tuple((k, v) for k, v in given.items() if k not in _OWN),
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
