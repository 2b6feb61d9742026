"""Makes SQL of what a frame's methods take: names, SQL text, or columns of sqlframe."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from qanat.errors import SqlSyntaxError, UnsupportedError

_AUTOMATIC = re.compile(r"[a-z0-9_]*?__.*__")
"""What sqlframe calls a column that has no alias, such as `sum__x__`."""


def written(term: exp.Expr) -> str:
    """An expression in Spark's dialect. All names are quoted, since any word may be one.

    >>> written(named("at"))
    '`at`'
    """
    return term.sql(dialect="spark", identify=True)


def named(name: str) -> exp.Expr:
    """The column that a method takes by name: `kind`, `window.start`, `a.*` or `*`."""
    if name == "*":
        return exp.Star()
    try:
        found = parse_one(name, dialect="spark")
    except SqlglotError:
        found = None
    if isinstance(found, exp.Column | exp.Dot):
        return found
    return exp.column(name.strip("`"), quoted=True)


def quoted(name: str) -> str:
    """A name in quotes."""
    return written(exp.to_identifier(name, quoted=True))


def condition(value: Any, what: str, alias: bool = False) -> exp.Expr:
    """A condition or value that a method takes as SQL text or as a column.

    Args:
        what: the method, for messages.
        alias: whether the text may give a name.

    Raises:
        SqlSyntaxError: the text does not parse.
        UnsupportedError: it is neither.
    """
    if isinstance(value, str):
        try:
            found = parse_one(value, dialect="spark")
        except SqlglotError as error:
            raise SqlSyntaxError(f"{what}: {value!r} is not SQL") from error
        if isinstance(found, exp.Query) or (isinstance(found, exp.Alias) and not alias):
            raise SqlSyntaxError(f"{what}: {value!r} is no expression")
        return found
    return unaliased(column(value, what))


def column(value: Any, what: str) -> exp.Expr:
    """A column that a method takes by name or as such, with the alias that its author gave it.

    Raises:
        UnsupportedError: it is neither.
    """
    if isinstance(value, str):
        return named(value)
    found = getattr(value, "expression", None)
    if not isinstance(found, exp.Expr):
        raise UnsupportedError(
            f"{what} takes no {type(value).__name__}",
            wanted='a name, SQL text, or a column such as F.col("x")',
        )
    return unaliased(found.copy()) if _AUTOMATIC.fullmatch(found.alias) else found.copy()


def unaliased(term: exp.Expr) -> exp.Expr:
    """An expression without its alias."""
    value = term.this if isinstance(term, exp.Alias) else term
    return value if isinstance(value, exp.Expr) else term


def listed(values: Iterable[Any]) -> list[Any]:
    """Arguments that may have been given as one list, as Spark's methods take them."""
    given = list(values)
    return list(given[0]) if len(given) == 1 and isinstance(given[0], list | tuple) else given
