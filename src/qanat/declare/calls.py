"""Table functions that read from outside the query: `read_files`, `read_csv`, `read_table`, …"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from qanat.declare.options import check_format, check_option
from qanat.errors import OptionError, UnsupportedError, nearest
from qanat.model.location import Location
from qanat.model.query import DatasetRead, DeltaRead, FilesRead, Source

Place = Callable[[exp.Expression], Location]

READERS: dict[str, str | None] = {
    "read_files": None,
    "read_csv": "csv",
    "read_csv_auto": "csv",
    "read_json": "json",
    "read_json_auto": "json",
    "read_ndjson": "ndjson",
    "read_ndjson_auto": "ndjson",
    "read_parquet": "parquet",
    "parquet_scan": "parquet",
}
"""The functions that read files, and the format that each implies."""

TABLES = ("read_table", "delta_scan")

LATER = ("read_kafka", "read_kinesis", "read_pubsub", "read_pulsar")

REFUSED = (
    *LATER,
    "read_text",
    "read_blob",
    "read_xlsx",
    "read_json_objects",
    "read_json_objects_auto",
    "read_ndjson_objects",
    "glob",
    "sniff_csv",
    "iceberg_scan",
    "postgres_scan",
    "postgres_query",
    "mysql_scan",
    "mysql_query",
    "sqlite_scan",
    "st_read",
    "query",
    "query_table",
    "cloud_files",
    "table_changes",
)
"""Functions whose input Qanat cannot track: an update would not see that it changed."""

PREFIXES: dict[str, str] = {
    "csv": "csv",
    "json": "json",
    "parquet": "parquet",
    "orc": "orc",
    "delta": "delta",
    "text": "text",
    "binaryfile": "binaryfile",
    "avro": "avro",
}
"""The formats of Spark's syntax ``format.`path` ``."""


def function_name(node: exp.Expr) -> str:
    """The name of a function in SQL, in lower case; empty if the node is no function."""
    if isinstance(node, exp.Anonymous):
        return str(node.this).lower()
    return node.sql_name().lower() if isinstance(node, exp.Func) else ""


def read_call(
    name: str, arguments: list[Any], dialect: str, location: Location, place: Place
) -> Source:
    """The source that a call of a table function reads.

    Args:
        name: the function, in lower case: one of `READERS`, `TABLES` or `REFUSED`.
        arguments: sqlglot's nodes of the arguments.
        dialect: the project's dialect.
        location: the call's place, for errors.
        place: gives the location of an argument.

    Raises:
        OptionError: an argument is unknown, missing, or no literal.
        UnsupportedError: Qanat cannot track what the function reads.
    """
    if name in LATER:
        raise UnsupportedError(
            f"{name}() comes in a later release",
            location=location,
            hint="until then let something else write files, and read those with read_files",
        )
    if name in REFUSED:
        raise UnsupportedError(
            f"{name}() cannot be read incrementally",
            location=location,
            hint="use read_files('path', format => '…'), read_table('name') or delta_scan('path')",
        )
    path, named = _arguments(name, arguments, location, place)
    if name == "delta_scan":
        _only(name, named, ())
        return DeltaRead(path)
    if name == "read_table":
        _only(name, named, ("project",))
        return DeltaRead(path, str(named["project"][0])) if named else DatasetRead(path)
    options = dict(check_option(key, value, where) for key, (value, where) in named.items())
    written = options.pop("format", READERS[name])
    if "schema" in options:
        options["dialect"] = dialect  # the types in `schema` are parsed in this dialect
    format_ = check_format(written, location) if written else None
    return FilesRead(path, spark_json(format_, options, dialect), tuple(options.items()))


def spark_json(format_: str | None, options: dict[str, Any], dialect: str) -> str | None:
    """The format of JSON files: Spark's `json` means one value per line unless `multiLine`."""
    if format_ == "json" and dialect == "spark" and not options.get("multi_line"):
        return "ndjson"
    return format_


def _arguments(
    name: str, arguments: list[Any], location: Location, place: Place
) -> tuple[str, dict[str, tuple[Any, Location]]]:
    path: str | None = None
    named: dict[str, tuple[Any, Location]] = {}
    for argument in arguments:
        where = place(argument)
        if isinstance(argument, exp.Kwarg | exp.PropertyEQ | exp.EQ):
            key = argument.this.name
            if key.casefold() in {k.casefold() for k in named}:
                raise OptionError(f"{name}: {key!r} is given twice", location=where)
            named[key] = (_literal(argument.expression, name, key, where), where)
        elif path is None:
            value = _literal(argument, name, "the path", where)
            if not isinstance(value, str) or not value.strip():
                raise OptionError(
                    f"{name}: the path must be text", location=where, got=argument.sql()
                )
            path = value
        else:
            raise OptionError(
                f"{name} takes one path",
                location=where,
                got=argument.sql(),
                hint="name the other arguments: key => value; use a glob for several files",
            )
    if path is None:
        raise OptionError(f"{name} needs a path", location=location, wanted=f"{name}('path', …)")
    return path, named


def _literal(node: exp.Expression, function: str, what: str, location: Location) -> Any:
    """The Python value of a literal; a struct such as `{'a': 'INT'}` becomes the text `"a" INT`.

    Raises:
        OptionError: the node is no literal.
    """
    if isinstance(node, exp.Literal):
        if node.is_string:
            return node.name
        return float(node.name) if not node.name.isdigit() else int(node.name)
    if isinstance(node, exp.Boolean):
        return bool(node.this)
    if isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal):
        return -_literal(node.this, function, what, location)
    if isinstance(node, exp.Struct):
        pairs = [(p.this.name, p.expression) for p in node.expressions if p.expression]
        if all(isinstance(e, exp.Literal) for _, e in pairs):
            return ", ".join(f'"{key}" {e.name}' for key, e in pairs)
    several = isinstance(node, exp.Array)
    raise OptionError(
        f"{function}: {what} must be a literal",
        location=location,
        got=node.sql(),
        hint="use a glob for several files, or several flows into one table"
        if several
        else "use ${key} for a value from the spec's configuration",
    )


def _only(function: str, named: dict[str, tuple[Any, Location]], known: tuple[str, ...]) -> None:
    for key, (_, where) in named.items():
        if key not in known:
            raise OptionError(
                f"{function} has no option {key!r}", location=where, nearest=nearest(key, known)
            )
