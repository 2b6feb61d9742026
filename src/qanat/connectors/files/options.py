"""The options of `read_files`, with their values."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from qanat.connectors.files.content import UTF_8, encoding_named
from qanat.errors import OptionError
from qanat.frozen import Frozen
from qanat.model.envelope import OPTION as ENVELOPE, envelope_of
from qanat.model.query import SourceRef
from qanat.model.upkeep import parse_duration

_OWN = frozenset(
    {
        "allow_overwrites",
        "dialect",
        "encoding",
        "format",
        "max_bytes_per_trigger",
        "max_files_per_trigger",
        "min_file_age",
        "modified_after",
        "modified_before",
        "on_overwrite",
        "path_glob_filter",
        "recursive",
        "schema",
    }
)


class Overwrite(StrEnum):
    """What is done with a file that was read and comes back with new content."""

    ERROR = "error"
    APPEND = "append"
    """Its rows are added to those of before."""
    REPLACE = "replace"
    """Its rows take the place of those of before."""


class ReadOptions(Frozen):
    """The options of one read, with their values.

    Args:
        format: as the author said, None to go by the file names.
        modified_after_ns, modified_before_ns: nanoseconds since 1970 (UTC), exclusive.
        on_overwrite: what is done with a file that comes back with new content.
        min_age: seconds for which a file must not have changed before a stream takes it.
        max_files, max_bytes: how much one epoch takes at most (at least one file).
        schema: the declared columns as text.
        dialect: the SQL dialect that `schema` is written in.
        compression: as the author said, None to go by name and content (`auto`).
        encoding: of text, as Python's codecs call it.
        engine: what the engine must obey, by canonical name.
    """

    format: str | None
    recursive: bool
    path_glob_filter: str | None
    modified_after_ns: int | None
    modified_before_ns: int | None
    min_age: float
    max_files: int | None
    max_bytes: int | None
    on_overwrite: Overwrite
    schema: str | None
    dialect: str
    compression: str | None
    encoding: str
    engine: tuple[tuple[str, Any], ...]


def read_options(ref: SourceRef) -> ReadOptions:
    """The options of a reference, whose names and types its declaration has checked.

    Raises:
        OptionError: a value does not fit.

    >>> read_options(SourceRef("files", "in/*.csv", (("recursive", True),))).recursive
    True
    """
    given = dict(ref.options)
    compression = str(given.pop("compression", "auto")).lower()
    dialect = str(given.get("dialect", "duckdb")).lower()
    format = given.get("format")
    if format == "json" and dialect == "spark" and not given.get("multi_line"):
        format = "ndjson"  # Spark's json is one value a line unless multiLine says otherwise
    return ReadOptions(
        format=format,
        recursive=bool(given.get("recursive", False)),
        path_glob_filter=given.get("path_glob_filter"),
        modified_after_ns=_moment("modified_after", given.get("modified_after")),
        modified_before_ns=_moment("modified_before", given.get("modified_before")),
        min_age=parse_duration(given.get("min_file_age", "0 seconds")),
        max_files=given.get("max_files_per_trigger"),
        max_bytes=given.get("max_bytes_per_trigger"),
        on_overwrite=_on_overwrite(given.get("on_overwrite"), given.get("allow_overwrites")),
        schema=given.get("schema"),
        dialect=dialect,
        compression=None if compression == "auto" else compression,
        encoding=encoding_named(str(given.get("encoding", UTF_8))),
        engine=tuple((k, v) for k, v in given.items() if k not in _OWN),
    )


def check_enveloped(ref: SourceRef, format: str) -> None:
    """Refuse an envelope around what is no JSON.

    Raises:
        OptionError: the files have another format.
    """
    if envelope_of(ref) is not None and format not in ("json", "ndjson"):
        raise OptionError(
            f"the option {ENVELOPE.name!r} is for messages in JSON",
            wanted="format => 'json' or 'ndjson'",
            got=format,
        )


def _on_overwrite(policy: Any, appends: Any) -> Overwrite:
    """What is done with a file that comes back, by the option and by its older spelling."""
    if policy is None:
        return Overwrite.APPEND if appends else Overwrite.ERROR
    found = Overwrite(policy)
    if appends is not None and bool(appends) is not (found is Overwrite.APPEND):
        said = str(bool(appends)).lower()
        raise OptionError(
            "the options on_overwrite and allow_overwrites contradict each other",
            wanted=f"on_overwrite => '{found}' alone",
            got=f"on_overwrite => '{found}' and allow_overwrites => {said}",
        )
    return found


def _moment(name: str, value: Any) -> int | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise OptionError(
            f"the option {name!r} is not a point in time",
            wanted="such as '2026-05-17' or '2026-05-17T08:30:00Z' (UTC unless it says else)",
            got=repr(value),
        ) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000_000) * 1000
