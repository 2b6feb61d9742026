"""Declares the statements of a `.sql` file: CREATE … with its clauses, CREATE FLOW, SET."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlglot import Token, TokenType

from qanat.declare.columns import Columns, parse_columns
from qanat.declare.cursor import Cursor, SqlText
from qanat.declare.query import parse_query
from qanat.declare.registry import Registry, strip_prefix
from qanat.errors import OptionError, QanatError, SqlSyntaxError, UnsupportedError, nearest
from qanat.errors.root import Location
from qanat.model.pipeline import Dataset, DatasetKind, Drift, Flow

_CLAUSES = ("USING", "PARTITIONED BY", "CLUSTER BY", "COMMENT", "TBLPROPERTIES")
REFUSED = {
    "LOCATION": "tables live below the spec's storage",
    "PATH": "tables live below the spec's storage",
    "OPTIONS": "give options to read_files(…)",
    "SCHEDULE": "let cron, or an orchestrator, start `qanat run`",
    "TRIGGER": "let cron, or an orchestrator, start `qanat run`",
    "REFRESH": "let cron, or an orchestrator, start `qanat run`",
    "DEFAULT": "text is compared byte by byte",
    "COLLATE": "text is compared byte by byte",
}
"""Clauses of other systems that are not supported, each with a hint."""

DRIFT = "qanat.schema_drift"
_OURS: Mapping[str, tuple[str, ...] | None] = {DRIFT: tuple(d.value for d in Drift)}


@dataclass(slots=True)
class Properties:
    """The contents of the clauses."""

    partition_by: tuple[str, ...] = ()
    cluster_by: tuple[str, ...] = ()
    comment: str | None = None
    properties: tuple[tuple[str, str], ...] = ()


def parse_properties(cursor: Cursor, kind: DatasetKind, registry: Registry) -> Properties:
    """Parse clauses up to AS or the end of the statement.

    Args:
        cursor: stands before the first clause.
        kind: the dataset's kind; a temporary view allows fewer clauses.
        registry: knows the project's table format, and which ones there are.

    Raises:
        SqlSyntaxError: a clause is unknown, or is given twice.
        UnsupportedError: Qanat does not support a clause, or tables have another format.
        OptionError: a table property is unknown, or has a wrong value.
    """
    found = Properties()
    seen: set[str] = set()
    while cursor.word is not None and not cursor.sees("AS"):
        at = cursor.here
        word = cursor.word
        if word.upper in REFUSED:
            raise UnsupportedError(
                f"{word.upper} is not supported", location=at, hint=REFUSED[word.upper]
            )
        if cursor.sees("WITH ROW FILTER") or cursor.sees("ROW FILTER"):
            raise UnsupportedError(
                "ROW FILTER is not supported", location=at, hint="filter in the query"
            )
        clause = cursor.expect(*_CLAUSES, "AS")
        if clause in seen:
            raise SqlSyntaxError(f"{clause} is given twice", location=at)
        seen.add(clause)
        _clause(cursor, clause, at, found, registry)
        if kind is DatasetKind.TEMPORARY_VIEW and clause not in ("COMMENT", "TBLPROPERTIES"):
            raise UnsupportedError(
                f"{clause} on a temporary view is not supported",
                location=at,
                hint="a temporary view is not stored",
            )
    return found


def _clause(
    cursor: Cursor, clause: str, at: Location, found: Properties, registry: Registry
) -> None:
    if clause == "USING":
        where = cursor.here
        written = cursor.name(registry.project.table_format.upper()).text
        check_table_format(written, registry, where)
    elif clause == "PARTITIONED BY":
        found.partition_by = cursor.names("a column")
    elif clause == "CLUSTER BY":
        if cursor.sees("AUTO"):
            raise UnsupportedError(
                "CLUSTER BY AUTO is not supported", location=at, hint="name the columns"
            )
        found.cluster_by = () if cursor.take("NONE") else cursor.names("a column")
    elif clause == "COMMENT":
        found.comment = cursor.string("the comment in quotes")
    else:
        found.properties = _table_properties(cursor)


def _table_properties(cursor: Cursor) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    cursor.expect("(")
    while True:
        at = cursor.here
        key = _key(cursor)
        if not cursor.take("="):
            cursor.expect("=", ",", ")")
        word = cursor.word
        if word is None or word.text in ("(", ")", ","):
            raise cursor.unexpected("a value")
        cursor.index += 1
        if key in found:
            raise OptionError(f"table property {key!r} is given twice", location=at)
        check_property(key, word.text, at)
        found[key] = word.text
        if not cursor.take(","):
            break
    cursor.expect(")", ",")
    return tuple(found.items())


def _key(cursor: Cursor) -> str:
    word = cursor.word
    if word is not None and word.quoted:
        cursor.index += 1
        return word.text
    return ".".join(cursor.dotted("'key' = 'value'"))


def check_property(key: str, value: str, location: Location) -> None:
    """Check a table property that begins with `qanat.`; others are only stored with the table.

    Raises:
        OptionError: Qanat has no such property, or it cannot have that value.
    """
    if not key.startswith("qanat."):
        return
    if key not in _OURS:
        raise OptionError(
            f"no table property {key!r}", location=location, nearest=nearest(key, _OURS)
        )
    values = _OURS[key]
    if values is not None and value not in values:
        raise OptionError(
            f"table property {key!r} does not fit",
            location=location,
            wanted=" or ".join(values),
            got=repr(value),
            nearest=nearest(value, values),
        )


def check_table_format(name: str, registry: Registry, location: Location) -> None:
    """Refuse any table format but the project's own: all its tables are stored alike.

    Raises:
        UnsupportedError: the format is another one, or there is none of that name.
    """
    own, spec = registry.project.table_format, registry.project.spec.name
    if name.casefold() == own.casefold():
        return
    known = next((f for f in registry.formats if f.casefold() == name.casefold()), None)
    if known is None:
        raise UnsupportedError(
            f"there is no table format {name!r}",
            location=location,
            wanted=own,
            nearest=nearest(name.casefold(), registry.formats),
            hint="create_sink() writes files in other formats",
        )
    raise UnsupportedError(
        f"all tables of this project have the format {own}",
        location=location,
        got=name,
        hint=f"leave it out, or set `table_format: {known}` in {spec} for all of them",
    )


_OBJECTS = ("STREAMING TABLE", "MATERIALIZED VIEW", "TEMPORARY VIEW", "FLOW")
_STATEMENTS = ("CREATE", "SET")

_HARMLESS = re.compile(r"spark\.sql\.(shuffle\.partitions|adaptive\.[\w.]+)", re.IGNORECASE)
"""Settings that change Spark's speed and never its results; they are ignored."""

_LATER = "it comes in a later release; until then keep changes in a streaming table"


def declare_sql(text: str, file: str, registry: Registry) -> None:
    """Add the declarations and problems of a `.sql` file to the registry.

    Args:
        text: the file's content.
        file: its name in messages.
        registry: gains the declarations and problems.
    """
    whole = SqlText.of_file(text, file)
    configuration = dict(registry.project.configuration)
    with registry.collecting():
        for tokens in _split(whole.tokens(registry.project.dialect)):
            with registry.collecting():
                _statement(whole, tokens, configuration, registry)


def _split(tokens: list[Token]) -> Iterator[list[Token]]:
    """The tokens of each statement."""
    start = 0
    for index, token in enumerate(tokens):
        if token.token_type is TokenType.SEMICOLON:
            if index > start:
                yield tokens[start:index]
            start = index + 1
    if len(tokens) > start:
        yield tokens[start:]


def _statement(
    whole: SqlText, tokens: list[Token], configuration: dict[str, str], registry: Registry
) -> None:
    source = whole
    start, end = tokens[0].start, tokens[-1].end + 1
    if "${" in whole.text[start:end]:
        source = whole.slice(start, end).expand(configuration)
        tokens = source.tokens(registry.project.dialect)
        missing = source.missing_key(tokens, configuration)
        if missing is not None:
            raise missing
    cursor = Cursor(source, tokens)
    if cursor.take("SET"):
        _set(cursor, configuration)
    elif cursor.take("CREATE"):
        _create(cursor, registry)
    elif cursor.sees("APPLY CHANGES") or cursor.sees("AUTO CDC"):
        raise UnsupportedError("AUTO CDC is not supported yet", location=cursor.here, hint=_LATER)
    else:
        raise _not_a_declaration(cursor)


def _not_a_declaration(cursor: Cursor) -> QanatError:
    word = cursor.word
    known = {
        "SELECT": "put it behind CREATE MATERIALIZED VIEW name AS",
        "WITH": "put it behind CREATE MATERIALIZED VIEW name AS",
        "FROM": "put it behind CREATE MATERIALIZED VIEW name AS",
        "VALUES": "put it behind CREATE MATERIALIZED VIEW name AS",
        "INSERT": "write CREATE FLOW name AS INSERT INTO table BY NAME SELECT …",
        "DROP": "remove its declaration instead",
        "ALTER": "change its declaration instead",
        "DELETE": "say in the query, or with an expectation, which rows to leave out",
        "UPDATE": "say in the query what to compute",
        "MERGE": "AUTO CDC comes in a later release",
        "USE": "name the catalog and schema in the spec",
    }
    if word is not None and word.upper in known:
        return SqlSyntaxError(
            f"{word.upper} is not a declaration", location=cursor.here, hint=known[word.upper]
        )
    return cursor.unexpected(*_STATEMENTS)


def _set(cursor: Cursor, configuration: dict[str, str]) -> None:
    """Parse `SET key = value`, which sets `${key}` for the rest of the file."""
    at = cursor.here
    start = cursor.word
    if start is None:
        raise cursor.unexpected("SET key = value")
    end = cursor.skip_to("=")
    key = cursor.source.text[start.start : end].strip().strip("`")
    cursor.expect("=")
    value = cursor.word
    if value is None:
        raise cursor.unexpected("a value")
    if key.casefold().startswith("spark.") and not _HARMLESS.fullmatch(key):
        raise UnsupportedError(
            f"SET {key} is not supported",
            location=at,
            hint="leave it out; put settings of the engine into the spec",
        )
    text = value.text if value.quoted else cursor.source.text[value.start : cursor.end]
    configuration[key] = text


def _create(cursor: Cursor, registry: Registry) -> None:
    refresh = cursor.take("OR REFRESH") or cursor.take("OR REPLACE")
    if not refresh and cursor.sees("OR"):
        raise cursor.unexpected("OR REFRESH", "OR REPLACE")
    if cursor.sees("PRIVATE"):
        raise UnsupportedError(
            "PRIVATE is not supported",
            location=cursor.here,
            hint="CREATE TEMPORARY VIEW is not stored",
        )
    if cursor.take("FLOW"):
        _flow(cursor, registry)
        return
    for words, kind in _KINDS.items():
        if cursor.take(words):
            _dataset(cursor, kind, registry)
            return
    raise _unknown_object(cursor)


_KINDS = {
    "STREAMING TABLE": DatasetKind.STREAMING_TABLE,
    "STREAMING LIVE TABLE": DatasetKind.STREAMING_TABLE,
    "MATERIALIZED VIEW": DatasetKind.MATERIALIZED_VIEW,
    "LIVE TABLE": DatasetKind.MATERIALIZED_VIEW,
    "TEMPORARY VIEW": DatasetKind.TEMPORARY_VIEW,
    "TEMPORARY LIVE VIEW": DatasetKind.TEMPORARY_VIEW,
    "TEMP VIEW": DatasetKind.TEMPORARY_VIEW,
    "TEMPORARY STREAMING LIVE VIEW": DatasetKind.TEMPORARY_VIEW,
}


def _unknown_object(cursor: Cursor) -> QanatError:
    word = cursor.word
    hints = {
        "TABLE": "CREATE STREAMING TABLE takes each input row once, "
        "CREATE MATERIALIZED VIEW has the query's result",
        "VIEW": "CREATE TEMPORARY VIEW is not stored, CREATE MATERIALIZED VIEW is",
        "FUNCTION": "write the expression in the query",
        "MACRO": "write the expression in the query",
        "SCHEMA": "name the schema in the spec",
        "DATABASE": "name the schema in the spec",
        "SINK": "declare sinks in Python: create_sink(name, format, options)",
    }
    if word is not None and word.upper in hints:
        return UnsupportedError(
            f"CREATE {word.upper} is not supported", location=cursor.here, hint=hints[word.upper]
        )
    return cursor.unexpected(*_OBJECTS)


def _dataset(cursor: Cursor, kind: DatasetKind, registry: Registry) -> None:
    project = registry.project
    cursor.take("IF NOT EXISTS")
    location = cursor.here
    name = strip_prefix(cursor.dotted("the dataset's name"), project)
    columns = Columns()
    if cursor.sees("("):
        columns = parse_columns(cursor, project)
    registry.problems += columns.problems
    properties = parse_properties(cursor, kind, registry)
    dataset = Dataset(
        name,
        kind,
        location,
        schema=columns.schema,
        expectations=tuple(columns.expectations),
        partition_by=properties.partition_by,
        cluster_by=properties.cluster_by,
        comment=properties.comment,
        properties=properties.properties,
    )
    # Declare it before its query is parsed: else every reader of a dataset with a wrong query
    # would be a second problem.
    registry.add(dataset)
    if cursor.word is None:
        if kind is not DatasetKind.STREAMING_TABLE:
            raise cursor.unexpected("AS SELECT …")
        return
    cursor.expect("AS")
    _query(cursor, registry, name, name, location)


def _flow(cursor: Cursor, registry: Registry) -> None:
    location = cursor.here
    name = strip_prefix(cursor.dotted("the flow's name"), registry.project)
    if cursor.take("COMMENT"):
        cursor.string("the comment in quotes")
    cursor.expect("AS")
    if cursor.sees("AUTO CDC") or cursor.sees("APPLY CHANGES"):
        raise UnsupportedError("AUTO CDC is not supported yet", location=cursor.here, hint=_LATER)
    cursor.expect("INSERT INTO")
    once = cursor.take("ONCE")
    target = strip_prefix(cursor.dotted("the table to insert into"), registry.project)
    if cursor.sees("REPLACE"):
        raise UnsupportedError(
            "INSERT INTO … REPLACE WHERE is not supported",
            location=cursor.here,
            hint="a materialized view is recomputed from its inputs",
        )
    if not cursor.take("BY NAME"):
        error = cursor.unexpected("BY NAME")
        error.hint = "columns are matched by name: INSERT INTO table BY NAME SELECT …"
        raise error
    _query(cursor, registry, name, target, location, once=once)


def _query(
    cursor: Cursor,
    registry: Registry,
    name: str,
    target: str,
    location: Location,
    *,
    once: bool = False,
) -> None:
    word = cursor.word
    if word is None:
        raise cursor.unexpected("SELECT …")
    tokens = cursor.tokens[word.token :]
    query = parse_query(cursor.source, tokens, name, registry.project, registry.connectors)
    registry.add_flow(Flow(name, target, query, location, once=once))
