"""Declares the statements of a `.sql` file: CREATE … with its clauses, CREATE FLOW, SET."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sqlglot import Token, TokenType

from qanat.declare.auto_cdc import parse_auto_cdc
from qanat.declare.columns import Columns, parse_columns
from qanat.declare.cursor import Cursor, SqlText
from qanat.declare.merge_into import parse_merge_into
from qanat.declare.properties import parse_properties
from qanat.declare.query import parse_query
from qanat.declare.registry import Registry, strip_prefix
from qanat.errors import (
    Location,
    QanatError,
    SqlSyntaxError,
    UnsupportedError,
)
from qanat.model.name import fold
from qanat.model.pipeline import Dataset, DatasetKind, Flow

_OBJECTS = ("STREAMING TABLE", "MATERIALIZED VIEW", "TEMPORARY VIEW", "FLOW")
_STATEMENTS = ("CREATE", "SET", "APPLY CHANGES INTO")

_HARMLESS = re.compile(r"spark\.sql\.(shuffle\.partitions|adaptive\.[\w.]+)", re.IGNORECASE)
"""Settings that change Spark's speed and never its results; they are ignored."""

_MERGE = ("MERGE INTO", "MERGE WITH SCHEMA EVOLUTION INTO")
"""Both mean the same: whether new columns may come, the drift policy says."""

_CDC = ("AUTO CDC", "APPLY CHANGES")
"""Both mean the same; the second is the older one."""


def declare_sql(text: str, file: str, registry: Registry) -> None:
    """Add the declarations and problems of a `.sql` file to the registry.

    Args:
        text: the file's content.
        file: its name in messages.
        registry: gains the declarations and problems.
    """
    whole = SqlText.of_file(text, file)
    configuration = dict(registry.project.configuration)
    with registry.problems.collecting():
        with registry.nameless(text):
            tokens_of_all = whole.tokens(registry.project.dialect)
        for tokens in _split(tokens_of_all):
            with registry.problems.collecting():
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
    sql = whole
    start, end = tokens[0].start, tokens[-1].end + 1
    if "${" in whole.text[start:end]:
        with registry.nameless(sql.text[start:end]):
            sql = whole.slice(start, end).expand(configuration)
            tokens = sql.tokens(registry.project.dialect)
            missing = sql.missing_key(tokens, configuration)
            if missing is not None:
                raise missing
    cursor = Cursor(sql, tokens)
    if cursor.take("SET"):
        _set(cursor, configuration)
    elif cursor.take("CREATE"):
        _create(cursor, registry)
    elif cursor.sees("APPLY CHANGES"):
        _changes(cursor, registry)
    else:
        _refuse_command(cursor)
        with registry.nameless(cursor.text):
            raise cursor.unexpected(*_STATEMENTS)


def _refuse_command(cursor: Cursor) -> None:
    """Refuse a statement of SQL that declares nothing."""
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
        "MERGE": "write CREATE FLOW name AS MERGE INTO table USING STREAM source ON …",
        "AUTO": "write CREATE FLOW name AS AUTO CDC INTO table FROM STREAM changes …",
        "USE": "name the catalog and schema in the spec",
        "OPTIMIZE": "leave it out: updates look after files, and qanat maintain does it now",
        "VACUUM": "leave it out: updates look after files, and qanat maintain does it now",
    }
    if word is not None and word.upper in known:
        raise SqlSyntaxError(
            f"{word.upper} is not a declaration", location=cursor.here, hint=known[word.upper]
        )


def _set(cursor: Cursor, configuration: dict[str, str]) -> None:
    """Parse `SET key = value`, which sets `${key}` for the rest of the file."""
    at = cursor.here
    start = cursor.word
    if start is None:
        raise cursor.unexpected("SET key = value")
    end = cursor.skip_to("=")
    key = cursor.sql.text[start.start : end].strip().strip("`")
    cursor.expect("=")
    value = cursor.word
    if value is None:
        raise cursor.unexpected("a value")
    if fold(key).startswith("qanat."):
        raise UnsupportedError(
            f"SET {key} is not supported",
            location=at,
            hint=f"TBLPROPERTIES ('{key}' = …) is for one table, the spec's configuration for all",
        )
    if key.lower().startswith("spark.") and not _HARMLESS.fullmatch(key):
        raise UnsupportedError(
            f"SET {key} is not supported",
            location=at,
            hint="leave it out; put settings of the engine into the spec",
        )
    text = value.text if value.quoted else cursor.sql.text[value.start : cursor.end]
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
    with registry.nameless(cursor.text):
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
    with registry.nameless(cursor.text):
        name = strip_prefix(cursor.dotted("the dataset's name"), project)
    columns = Columns()
    with registry.named(Dataset(name, kind, location)):
        if cursor.sees("("):
            columns = parse_columns(cursor, registry)
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
        keys=properties.keys,
    )
    # Declare it before its query is parsed: else every reader of a dataset with a wrong query
    # would be a second problem.
    registry.add(dataset)
    if cursor.word is None:
        if kind is not DatasetKind.STREAMING_TABLE:
            raise cursor.unexpected("AS SELECT …")
        return
    if cursor.expect("AS", "FLOW") == "FLOW":
        cursor.expect(*_CDC)
        once = cursor.take("ONCE")
        query, changes = parse_auto_cdc(cursor, name, registry)
        registry.add_flow(Flow(name, name, query, location, once, changes))
        return
    _query(cursor, registry, name, name, location)


def _flow(cursor: Cursor, registry: Registry) -> None:
    location = cursor.here
    name = strip_prefix(cursor.dotted("the flow's name"), registry.project)
    if cursor.take("COMMENT"):
        cursor.string("the comment in quotes")
    cursor.expect("AS")
    if any(cursor.sees(each) for each in _CDC):
        _changes(cursor, registry, name, location)
        return
    if any(cursor.take(each) for each in _MERGE):
        merged = parse_merge_into(cursor, name, registry)
        registry.add_flow(
            Flow(name, merged.target, merged.query, location, merged.once, merged.changes)
        )
        return
    cursor.expect("INSERT INTO", "MERGE INTO", *(f"{each} INTO" for each in _CDC))
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


def _changes(
    cursor: Cursor, registry: Registry, name: str | None = None, location: Location | None = None
) -> None:
    """Parse `AUTO CDC INTO …`. As a statement of its own it is a flow called like its target."""
    cursor.expect(*_CDC)
    once = cursor.take("ONCE")
    cursor.expect("INTO")
    # Also where INSERT INTO has it. A table may be called `once`.
    once = (not cursor.sees("ONCE FROM") and cursor.take("ONCE")) or once
    where = cursor.here
    target = strip_prefix(cursor.dotted("the table to change"), registry.project)
    query, changes = parse_auto_cdc(cursor, name or target, registry)
    flow = Flow(name or target, target, query, location or where, once, changes)
    registry.add_flow(flow)


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
    query = parse_query(cursor.sql, tokens, name, registry.project, registry.connectors)
    registry.add_flow(Flow(name, target, query, location, once=once))
