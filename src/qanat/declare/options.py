"""The options of `read_files`: names, other spellings, meanings and types."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from qanat.errors import OptionError, nearest
from qanat.model.location import Location


@dataclass(frozen=True, slots=True)
class Option:
    """One option.

    Args:
        name: the canonical name, in `FilesRead.options`.
        meaning: one line for the reference.
        spellings: other names; case and underscores do not count in any name.
        type: the Python type of the value.
    """

    name: str
    meaning: str
    spellings: tuple[str, ...] = ()
    type: type = str


FORMATS = ("csv", "json", "ndjson", "parquet", "orc")

OPTIONS: tuple[Option, ...] = (
    Option("format", "csv, json, ndjson, parquet or orc; by the file name if left out"),
    Option("header", "whether the first line has the column names", type=bool),
    Option("delimiter", "what separates fields", ("delim", "sep", "separator")),
    Option("quote", "the character around fields that contain a delimiter"),
    Option("escape", "the character before a quote inside a quoted field"),
    Option("comment", "lines that begin with this character are left out"),
    Option("encoding", "of the text, such as utf-8 or latin-1", ("charset",)),
    Option("null_value", "the text that means NULL", ("nullstr",)),
    Option("date_format", "how dates are written, such as %d/%m/%Y"),
    Option("timestamp_format", "how timestamps are written"),
    Option("skip", "lines to leave out at the start of each file", ("skip_rows",), type=int),
    Option("compression", "none, gzip or zstd; by the file name if left out"),
    Option("multi_line", "JSON: values may span lines; CSV: fields may", type=bool),
    Option("schema", "the columns, as in CREATE TABLE: 'id BIGINT, at TIMESTAMP'", ("columns",)),
    Option(
        "infer_schema",
        "whether to infer types; false reads every column as text",
        ("infer_column_types",),
        type=bool,
    ),
    Option("all_varchar", "read every column as text", type=bool),
    Option("hive_partitioning", "take columns from folders such as year=2013", type=bool),
    Option("recursive", "look into sub-folders", ("recursive_file_lookup",), type=bool),
    Option("path_glob_filter", "only files whose name matches", ("file_name_pattern",)),
    Option("modified_after", "only files changed after this time (ISO 8601)"),
    Option("modified_before", "only files changed before this time (ISO 8601)"),
    Option(
        "allow_overwrites",
        "read a file again when it comes back with new content; else that is an error",
        type=bool,
    ),
    Option("max_files_per_trigger", "at most so many files in one epoch", type=int),
    Option("max_bytes_per_trigger", "about so many bytes in one epoch, such as 1GB"),
)
"""All options."""

REFUSED = {
    "ignore_errors": "malformed rows always go to quarantine, with file and line",
    "store_rejects": "malformed rows always go to quarantine, with file and line",
    "mode": "malformed rows always go to quarantine, with file and line",
    "bad_records_path": "malformed rows always go to quarantine, with file and line",
    "filename": "select _metadata.file_path",
    "union_by_name": "leave it out: columns of different files are always matched by name",
    "schema_hints": "name all columns: schema => '…', or cast in the query",
    "partition_columns": "hive_partitioning => true takes all of them",
    "include_existing_files": "files that are already there are always read",
    "schema_evolution_mode": "set the table property 'qanat.schema_drift'",
    "rescued_data_column": "set the table property 'qanat.schema_drift' = 'rescue'",
}
"""Options of other systems that are not supported, each with a hint."""


def _fold(name: str) -> str:
    return re.sub(r"[_\W]", "", name).casefold()


_BY_NAME = {_fold(spelling): o for o in OPTIONS for spelling in (o.name, *o.spellings)}
_REFUSED = {_fold(name): reason for name, reason in REFUSED.items()}


def check_option(name: str, value: Any, location: Location) -> tuple[str, Any]:
    """The canonical name of an option, and its value in the option's type.

    Args:
        name: the option as the author wrote it.
        value: the value as the author wrote it.
        location: the option's place, for errors.

    Raises:
        OptionError: there is no such option, or the value does not have its type.

    >>> check_option("maxFilesPerTrigger", 10, Location("a.sql"))
    ('max_files_per_trigger', 10)
    """
    folded = _fold(name)
    if folded in _REFUSED:
        raise OptionError(
            f"read_files has no option {name!r}", location=location, hint=_REFUSED[folded]
        )
    option = _BY_NAME.get(folded)
    if option is None:
        raise OptionError(
            f"read_files has no option {name!r}",
            location=location,
            nearest=nearest(name, [o.name for o in OPTIONS]),
        )
    text = str(value).strip().casefold()
    if option.type is bool and text in ("true", "false"):
        return option.name, text == "true"
    if option.type is int and re.fullmatch(r"\d+", text):
        return option.name, int(text)
    if option.type is str and not isinstance(value, bool):
        return option.name, str(value)
    wanted = {bool: "true or false", int: "a whole number", str: "text"}[option.type]
    raise OptionError(
        f"option {option.name!r} does not fit", location=location, wanted=wanted, got=repr(value)
    )


def check_format(name: str, location: Location) -> str:
    """The canonical name of a file format.

    Raises:
        OptionError: there is no such format.
    """
    folded = name.casefold()
    folded = {"jsonl": "ndjson", "json_lines": "ndjson", "jsonlines": "ndjson"}.get(folded, folded)
    if folded not in FORMATS:
        raise OptionError(
            f"cannot read files of format {name!r}",
            location=location,
            wanted=" or ".join(FORMATS),
            nearest=nearest(name, FORMATS),
        )
    return folded
