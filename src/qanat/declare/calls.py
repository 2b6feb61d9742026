"""Table functions that read from outside the query: `read_files`, `read_table`, and others.

The connectors define the functions and their options.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlglot import exp

from qanat.errors import Location, OptionError, Problems, UnsupportedError
from qanat.model.adapter import Connector, Connectors, TableFunction
from qanat.model.name import same
from qanat.model.query import SourceRef

Place = Callable[[exp.Expression], Location]

NOT_BUILT = ("read_kinesis", "read_pubsub", "read_pulsar")
"""Functions of Databricks for which there is no connector yet; one of another package wins."""

REFUSED = (
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
)
"""Functions whose input Qanat cannot track: an update would not see that it changed."""


def function_name(node: exp.Expr) -> str:
    """The name of a function in SQL, in lower case; empty if the node is no function."""
    if isinstance(node, exp.Anonymous):
        return str(node.this).lower()
    return node.sql_name().lower() if isinstance(node, exp.Func) else ""


def reads_outside(name: str, connectors: Connectors) -> bool:
    """True if a function, by its name in lower case, is one that `read_call` knows."""
    return name in (*REFUSED, *NOT_BUILT) or connectors.reading(name) is not None


def read_call(
    name: str,
    arguments: list[Any],
    dialect: str,
    connectors: Connectors,
    location: Location,
    place: Place,
) -> SourceRef:
    """The source that a call of a table function reads.

    Args:
        name: the function, in lower case.
        arguments: sqlglot's nodes of the arguments.
        dialect: the project's dialect.
        connectors: the connectors, which define the functions.
        location: the call's place, for errors.
        place: gives the location of an argument.

    Raises:
        OptionError: an argument is unknown, missing, or no literal.
        UnsupportedError: Qanat cannot track what the function reads.
    """
    known = connectors.having(name)
    if not known:
        raise _refused(name, connectors, location)
    problems = Problems()
    subject, named = _arguments(name, known[0].functions[name], arguments, place, problems)
    # Where several connectors have a function, the options tell which one is meant.
    fits = (c for c in known if all(c.options.has(key) for key in named))
    connector = next(fits, known[-1])
    argument, places = known[0].functions[name].argument, connector.functions[name].places
    if subject is None and not places:
        raise OptionError(
            f"{name} needs a {argument}", location=location, wanted=f"{name}('{argument}', …)"
        )
    given = dict(connector.functions[name].options)
    for key, (value, where) in named.items():
        with problems.collecting():
            canonical, checked = connector.options.check(key, value, where)
            given[canonical] = checked
    problems.require()
    connector.options.check_all(given.items(), location)
    if subject is None:
        subject = next(str(given[option]) for option in places if option in given)
    return connector.refer(subject, given | _written_in(dialect, connector, given))


def with_options(
    source: SourceRef, given: Mapping[str, tuple[Any, Location]], connectors: Connectors
) -> SourceRef:
    """A source with some options more, as its stream has them.

    Args:
        given: as they are written: by name, the value and its place.

    Raises:
        OptionError: one does not exist, does not fit or is given twice.
    """
    if not given:
        return source
    connector = connectors.by_name[source.connector]
    problems = Problems()
    options = dict(source.options)
    for key, (value, where) in given.items():
        with problems.collecting():
            name, checked = connector.options.check(key, value, where)
            if name in options:
                raise OptionError(f"the option {name!r} is given twice", location=where)
            options[name] = checked
    problems.require()
    return connector.refer(source.place, options)


def read_named(
    place: str, format: str | None, dialect: str, connectors: Connectors, location: Location
) -> SourceRef:
    """The source that a string in FROM, or Spark's ``format.`place` ``, means.

    Args:
        format: as Spark writes it; None for a plain string, which names files.

    Raises:
        UnsupportedError: no connector reads that format by its name alone.
    """
    found = (
        connectors.reading("read_files") if format is None else connectors.reading_format(format)
    )
    if found is None:
        raise UnsupportedError(
            f"cannot read {format} files",
            location=location,
            hint="read_files reads csv, json, ndjson, parquet and orc",
        )
    given = {} if format is None else dict(found.formats[format])
    return found.refer(place, given | _written_in(dialect, found, given))


def _written_in(dialect: str, connector: Connector, given: dict[str, Any]) -> dict[str, str]:
    """The dialect of the call, for connectors whose options mean other things in another."""
    # Left out where it changes nothing, so that plain calls have the options that are written.
    home = connector.dialect
    wanted = home is not None and ("schema" in given or dialect != home)
    return {"dialect": dialect} if wanted else {}


def _refused(name: str, connectors: Connectors, location: Location) -> UnsupportedError:
    if name in NOT_BUILT:
        return UnsupportedError(
            f"{name}() is not built yet",
            location=location,
            hint="let something else write files, and read those with read_files; or install a"
            " package whose connector has this function",
        )
    instead = connectors.instead_of(name)
    if instead is not None:
        hint = f"use {instead.call}"
    else:
        hint = "use read_files('path', format => '…'), read_table('name') or delta_scan('path')"
    return UnsupportedError(f"{name}() cannot be read incrementally", location=location, hint=hint)


def _arguments(
    name: str,
    reader: TableFunction,
    arguments: list[Any],
    place: Place,
    problems: Problems,
) -> tuple[str | None, dict[str, tuple[Any, Location]]]:
    subject = reader.argument
    if reader.places and (plain := next((a for a in arguments if not _is_named(a)), None)):
        raise OptionError(
            f"{name} takes named arguments only",
            location=place(plain),
            wanted=f"{name}({reader.places[0]} => {plain.sql()}, …)",
        )
    found: str | None = None
    named: dict[str, tuple[Any, Location]] = {}
    more = list(reader.more)
    for argument in arguments:
        where = place(argument)
        if _is_named(argument):
            key = argument.this.name
            if any(same(key, k) for k in named):
                raise OptionError(f"{name}: {key!r} is given twice", location=where)
            with problems.collecting():
                named[key] = (_literal(argument.expression, name, key, where), where)
        elif found is None:
            value = _literal(argument, name, f"the {subject}", where)
            if not isinstance(value, str) or not value.strip():
                raise OptionError(
                    f"{name}: the {subject} must be text", location=where, got=argument.sql()
                )
            found = value
        elif more:
            key = more.pop(0)
            with problems.collecting():
                named[key] = (_literal(argument, name, key, where), where)
        else:
            raise OptionError(
                f"{name} takes one {subject}",
                location=where,
                got=argument.sql(),
                hint="name the other arguments: key => value; use a glob for several files",
            )
    return found, named


def _is_named(argument: Any) -> bool:
    return isinstance(argument, exp.Kwarg | exp.PropertyEQ | exp.EQ)


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
