"""All the names in a query that mean nothing: DuckDB tells the first, and stops.

Each name that it does not know is replaced by something that fits anywhere, and DuckDB is asked
again. What it says of the changed query counts only if it is about another such name: anything
else may be due to the change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from sqlglot import Dialect, Token, TokenType
from sqlglot.errors import SqlglotError

from qanat.engines.duckdb.refusals import subject
from qanat.errors import (
    ColumnNotFoundError,
    FunctionNotFoundError,
    Problems,
    QanatError,
    TypeNameError,
)
from qanat.model.name import same
from qanat.model.query import SqlQuery
from qanat.model.work import Work

T = TypeVar("T")

_MOST = 20
"""Names that one query is asked for; more are seldom mistakes of their own."""
_ANY: Mapping[type[QanatError], str] = {
    ColumnNotFoundError: "NULL",
    FunctionNotFoundError: "coalesce",
    TypeNameError: "VARCHAR",
}
"""What may stand in the place of a name that is not known."""


def all_told(work: Work, ask: Callable[[Work], T]) -> T:
    """What `ask` gives; if it refuses names of the query, an error with all of them.

    Args:
        ask: raises one error for the first mistake in a query.

    Raises:
        ProblemsError: several names mean nothing.
        QanatError: as `ask` raises it.
    """
    try:
        return ask(work)
    except (ColumnNotFoundError, FunctionNotFoundError, TypeNameError) as error:
        found = Problems([error, *_others(work, ask, error)])
        found.require()
        raise


def _others(work: Work, ask: Callable[[Work], object], error: QanatError) -> Iterator[QanatError]:
    known = {str(error)}
    for _ in range(_MOST):
        changed = _without(work.query, error) if isinstance(work.query, SqlQuery) else None
        if changed is None:
            return
        work = replace(work, query=changed)
        try:
            ask(work)
            return
        except QanatError as another:
            error = another
        if type(error) not in _ANY or str(error) in known:
            return
        known.add(str(error))
        yield error


def _without(query: SqlQuery, error: QanatError) -> SqlQuery | None:
    """The query without a name; None if the name is not found in it."""
    name = subject(error)
    tokens = _tokens(query)
    edits = [
        _extent(tokens, n, error)
        for n, token in enumerate(tokens)
        if token.token_type is not TokenType.STRING and same(token.text, name)
    ]
    sql = query.sql
    for start, end in reversed(edits):
        sql = sql[:start] + _ANY[type(error)] + sql[end:]
    return replace(query, sql=sql) if sql != query.sql else None


def _extent(tokens: list[Token], index: int, error: QanatError) -> tuple[int, int]:
    """The offsets of a name, with what qualifies it if it is a column's."""
    start = index
    while (
        isinstance(error, ColumnNotFoundError)
        and start > 1
        and tokens[start - 1].token_type is TokenType.DOT
    ):
        start -= 2
    return tokens[start].start, tokens[index].end + 1


def _tokens(query: SqlQuery) -> list[Token]:
    with suppress(SqlglotError):
        return Dialect.get_or_raise(query.dialect).tokenize(query.sql)
    return []
