"""Where a keyword or function of a query stands in the author's file.

The tree is parsed from the executable SQL, in which inputs have other names, so its offsets are
not those of the author's text. Keywords and functions are the same in both, in the same order.
"""

from __future__ import annotations

from sqlglot import Dialect, Token, exp
from sqlglot.errors import TokenError

from qanat.errors import Location
from qanat.model.query import SqlQuery


def keyword_location(query: SqlQuery, word: str, near: exp.Expr | None = None) -> Location:
    """The location of a keyword or function in the author's text, else of the whole query.

    Args:
        query: the query that contains it.
        word: the keyword or function name, compared without case (`GROUP BY`, `sum`).
        near: chooses among several occurrences: the last one at or before the first name inside
            this node is taken; None takes the first.
    """
    try:
        executable = _occurrences(query.sql, query.dialect, word)
        written = _occurrences(query.text, query.dialect, word)
    except TokenError:
        return query.location
    start = _first_offset(near) if near is not None else None
    before = [t for t in executable if start is None or t.start <= start]
    which = len(before) - 1 if start is not None and before else 0
    # The two texts may differ in count: the arguments of read_files stand only in the author's.
    if not written or which >= len(written):
        return query.location
    return query.at(written[which].start)


def _first_offset(node: exp.Expr) -> int | None:
    """The offset of the first name inside a node, in the executable SQL; None without a name."""
    starts = [int(n.meta["start"]) for n in node.walk() if "start" in n.meta]
    return min(starts, default=None)


def _occurrences(sql: str, dialect: str, word: str) -> list[Token]:
    wanted = word.lower().split()
    tokens = Dialect.get_or_raise(dialect).tokenize(sql)
    return [t for t in tokens if t.text.lower().split() == wanted]
