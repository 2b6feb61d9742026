"""Where in the author's text something stands that DuckDB complains of."""

from __future__ import annotations

from sqlglot import Dialect, Token, TokenType
from sqlglot.errors import SqlglotError

from qanat.model.location import Location
from qanat.model.query import Computation, SqlQuery


def locate(
    query: Computation, snippet: str, *, bare: bool = False, last: bool = False
) -> Location | None:
    """The first occurrence of some SQL in a query, comments and strings aside.

    Args:
        snippet: a name or a longer piece of SQL; spaces and case do not matter.
        bare: only where no `table.` stands before it.
        last: where its last word stands, not its first.
    """
    # The text that a Python function returned has no lines in the file that it is in.
    if not isinstance(query, SqlQuery) or query.location.file.endswith(".py"):
        return None
    wanted = _tokens(snippet, query.dialect)
    tokens = _tokens(query.text, query.dialect)
    for start in range(len(tokens) - len(wanted) + 1 if wanted else 0):
        found = tokens[start : start + len(wanted)]
        if not all(_same(a, b) for a, b in zip(found, wanted, strict=True)):
            continue
        if bare and start and tokens[start - 1].token_type is TokenType.DOT:
            continue
        return query.at(found[-1 if last else 0].start)
    return None


def _tokens(text: str, dialect: str) -> list[Token]:
    try:
        return Dialect.get_or_raise(dialect).tokenize(text)
    except SqlglotError:
        return []


def _same(mine: Token, wanted: Token) -> bool:
    strings = (mine.token_type is TokenType.STRING, wanted.token_type is TokenType.STRING)
    return strings[0] == strings[1] and mine.text.casefold() == wanted.text.casefold()
