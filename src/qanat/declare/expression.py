"""Checks that a part of a text is an expression over one row."""

from __future__ import annotations

from sqlglot import Dialect, Token, exp
from sqlglot.errors import ParseError

from qanat.declare.cursor import SqlText
from qanat.declare.syntax import syntax_error
from qanat.errors import Location, SqlSyntaxError, UnsupportedError
from qanat.frozen import Frozen


class Role(Frozen):
    """What an expression is for, in the words of messages.

    Args:
        subject: what it is called: `the expectation`.
        one: the same with the indefinite article, if it has an article.
        kind: `condition` or `value`.
        lookup: what to do instead of a subquery.
        together: what to do instead of an aggregate.
        of: what it is computed from.
    """

    subject: str
    one: str
    kind: str
    lookup: str
    together: str = "compute it in the query"
    of: str = "a row"


def parse_expression(
    sql: SqlText, tokens: list[Token], extent: tuple[int, int], dialect: str, role: Role
) -> str:
    """The text of an expression that can be computed from one row.

    Args:
        sql: the text that contains it.
        tokens: the tokens of that text.
        extent: the offsets of the expression's first character and behind its last.
        dialect: the project's dialect.
        role: what it is for.

    Raises:
        SqlSyntaxError: it does not parse, or is no expression.
        UnsupportedError: it contains a subquery, an aggregate or a window.
    """
    text, tree, at = _parsed(sql, tokens, extent, dialect, role)
    if tree.find(exp.Query):
        reason, hint = "a subquery", role.lookup
    elif tree.find(exp.AggFunc, exp.Window):
        reason, hint = "an aggregate or window function", role.together
    else:
        return text
    raise UnsupportedError(
        f"{role.one} with {reason} is not supported",
        location=at,
        wanted=f"a {role.kind} on one row",
        hint=hint,
    )


def parse_condition(
    sql: SqlText, tokens: list[Token], extent: tuple[int, int], dialect: str, role: Role
) -> tuple[str, list[Token]]:
    """The text of a condition on many rows, which may have aggregates and subqueries; its tokens.

    Args: as of `parse_expression`.

    Raises:
        SqlSyntaxError: it does not parse, or is no condition.
        UnsupportedError: it has a window function, which is about single rows.
    """
    start, end = extent
    text, tree, at = _parsed(sql, tokens, extent, dialect, role)
    if any(w.find_ancestor(exp.Query) is None for w in tree.find_all(exp.Window)):
        raise UnsupportedError(
            f"{role.one} on a table with a window function is not supported",
            location=at,
            hint="compute it in the query, or in a subquery",
        )
    return text, [t for t in tokens if start <= t.start < end]


def _parsed(
    sql: SqlText, tokens: list[Token], extent: tuple[int, int], dialect: str, role: Role
) -> tuple[str, exp.Expr, Location]:
    start, end = extent
    inner = [t for t in tokens if start <= t.start < end]
    if not inner:
        raise SqlSyntaxError(
            f"{role.subject} is empty",
            location=sql.at(start),
            wanted=f"a {role.kind} on {role.of}",
        )
    at = sql.at(inner[0].start)
    # Without what follows the last token: the expression goes into parentheses, which a comment
    # at its end would swallow.
    text = sql.text[inner[0].start : inner[-1].end + 1]
    parser = Dialect.get_or_raise(dialect).parser()
    try:
        tree = parser.parse_into(exp.Condition, list(inner), sql.text)[0]
    except ParseError as error:
        raise syntax_error(error, sql, inner) from error
    except RecursionError as error:
        raise SqlSyntaxError(f"{role.subject} is nested too deeply", location=at) from error
    if tree is None or isinstance(tree, exp.Alias):
        raise SqlSyntaxError(f"{text!r} is not a {role.kind}", location=at)
    return text, tree, at
