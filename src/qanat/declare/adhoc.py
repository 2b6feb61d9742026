"""A query that is asked once (`qanat query`), and not one that the project declares.

Besides what a declared query may say, a table may be read as it was at a version, in both
dialects: `FROM flights VERSION AS OF 3`, as Delta Lake and Spark have it, or
`FROM flights AT (VERSION => 3)`, as DuckDB has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from sqlglot import Token, TokenType

from qanat.declare.cursor import SqlText
from qanat.declare.query import parse_query
from qanat.errors import Location, QanatError, SqlSyntaxError, UnsupportedError
from qanat.frozen import Frozen
from qanat.model.adapter import Connectors
from qanat.model.pipeline import ProjectSpec
from qanat.model.query import Read, SourceRef, SqlQuery

PLACE = "query"
"""What errors call the text, in the place of a file."""
_COMMANDS = {
    "OPTIMIZE": "a query only reads; qanat maintain compacts tables and deletes old files",
    "VACUUM": "a query only reads; qanat maintain compacts tables and deletes old files",
    "DESCRIBE": "qanat show tells of tables, and qanat history of their versions",
    "SHOW": "qanat show tells of tables, and qanat history of their versions",
}
"""Statements of Databricks that are no queries, and the commands that do the same."""


class AskedTable(Frozen):
    """A table that a query reads, as it was at a version; None for the newest.

    Args:
        dataset: its name; empty if what is read is no dataset.
        source: what is read of it: its rows or its changes.
    """

    dataset: str
    version: int | None
    location: Location
    source: SourceRef


class AdhocQuery(Frozen):
    """A query, and by `Read.name` the tables that it reads."""

    query: SqlQuery
    tables: Mapping[str, AskedTable]


class _Clause(Frozen):
    """`VERSION AS OF 3` behind the name that begins at `name`; `end` is exclusive."""

    name: int
    start: int
    end: int
    version: int


def parse_adhoc(
    text: str,
    project: ProjectSpec,
    connectors: Connectors,
    owner: str = PLACE,
    outside: bool = False,
) -> AdhocQuery:
    """Parse a query over the datasets of a project; places of errors are lines of `query`.

    Args:
        owner: the new names of inputs contain it.
        outside: whether it may read what is no dataset, such as files or another database, and
            name values of the configuration (`${key}`): secrets should not be typed.

    Raises:
        OptionError: the configuration lacks a value.
        SqlSyntaxError: it does not parse, or is no query or more than one.
        UnsupportedError: it reads something else than datasets, or a stream.
    """
    sql = SqlText.of_file(text, PLACE)
    if outside:
        sql = sql.expand(project.configuration)
    tokens = _one(sql, sql.tokens(project.dialect))
    if outside and (missing := sql.missing_key(tokens, project.configuration)) is not None:
        raise missing
    clauses = list(_clauses(sql, tokens))
    for clause in clauses:
        # Blanks in its place keep the offset, and so the place, of everything behind it.
        hidden = "".join(c if c == "\n" else " " for c in sql.text[clause.start : clause.end])
        changed = sql.text[: clause.start] + hidden + sql.text[clause.end :]
        sql = replace(sql, text=changed)
    kept = [t for t in tokens if not any(c.start <= t.start < c.end for c in clauses)]
    try:
        query = parse_query(sql, kept, owner, project, connectors)
    except SqlSyntaxError as error:
        if error.message.startswith("not a query"):
            word = tokens[0].text.upper()
            default = "a query only reads; what changes tables is declared in the project"
            error.hint = _COMMANDS.get(word, default)
        raise
    at = {sql.at(c.name): c.version for c in clauses}
    tables = {r.name: _table(r, at.pop(r.location, None), outside) for r in query.reads}
    if at:
        raise SqlSyntaxError("this version belongs to no table", location=next(iter(at)))
    return AdhocQuery(query, tables)


def _one(sql: SqlText, tokens: list[Token]) -> list[Token]:
    """The tokens of the only statement, without the semicolon behind it."""
    while tokens and tokens[-1].token_type is TokenType.SEMICOLON:
        tokens = tokens[:-1]
    if not tokens:
        raise SqlSyntaxError("the query is empty", location=sql.at(0))
    for before, after in pairwise(tokens):
        if before.token_type is TokenType.SEMICOLON:
            raise SqlSyntaxError(
                "more than one statement",
                location=sql.at(after.start),
                wanted="one query",
            )
    return tokens


def _clauses(sql: SqlText, tokens: Sequence[Token]) -> Iterator[_Clause]:
    words = [t.text.upper() if t.token_type is not TokenType.STRING else "'" for t in tokens]
    for at in range(1, len(tokens)):
        number = _number_after(words, at)
        if number is None or not _is_name(tokens[at - 1]):
            continue
        last = number
        if words[at] == "AT":
            last += 1
        version = tokens[number].text if number < len(tokens) else ""
        if words[at].startswith("TIMESTAMP") or not version.isdecimal():
            raise _no_version(sql, tokens[at if not version else min(number, len(tokens) - 1)])
        if words[at] == "AT" and words[last : last + 1] != [")"]:
            raise SqlSyntaxError("')' is missing", location=sql.at(tokens[number].end))
        first = at - 1
        while first >= 2 and tokens[first - 1].token_type is TokenType.DOT:
            first -= 2
        yield _Clause(tokens[first].start, tokens[at].start, tokens[last].end + 1, int(version))


def _number_after(words: Sequence[str], at: int) -> int | None:
    """The index behind the words that announce a version; None if none are there."""
    # Spark's tokenizer makes one token of the three words, DuckDB's does not.
    for kind in ("VERSION", "TIMESTAMP"):
        if words[at] in (f"{kind} AS OF", f"FOR {kind} AS OF"):
            return at + 1
        if list(words[at : at + 3]) == [kind, "AS", "OF"]:
            return at + 3
        if list(words[at : at + 4]) == ["AT", "(", kind, "=>"]:
            return at + 4
    return None


def _is_name(token: Token) -> bool:
    return token.token_type is TokenType.IDENTIFIER or token.text.isidentifier()


def _no_version(sql: SqlText, token: Token) -> QanatError:
    return SqlSyntaxError(
        "a version is a whole number",
        location=sql.at(token.start),
        wanted="VERSION AS OF 3",
        got=token.text,
        hint="`qanat history` lists the versions of tables and their times",
    )


def _table(read: Read, version: int | None, outside: bool) -> AskedTable:
    if read.streaming:
        raise UnsupportedError(
            "STREAM has no meaning in a query that is asked once",
            location=read.location,
            hint="leave STREAM out: the table is read as it is now",
        )
    dataset = read.source.dataset
    if dataset is None and not outside:
        raise UnsupportedError(
            "a query reads the project's tables, and nothing beside them",
            location=read.location,
            hint="declare a streaming table or a view that reads it, and query that",
        )
    return AskedTable(dataset or "", version, read.location, read.source)
