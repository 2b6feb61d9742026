"""Where a part of a query stands in the author's file.

The tree is of the executable SQL, in which inputs have other names: offsets in it are not those
of the author's text. Keywords and functions are the same in both, in the same order.
"""

from __future__ import annotations

from sqlglot import Dialect, Token, exp
from sqlglot.errors import TokenError

from qanat.model.location import Location
from qanat.model.query import SqlQuery


def place(query: SqlQuery, word: str, near: exp.Expr | None = None) -> Location:
    """The place of a keyword or function in the author's text; of the query if it is not there.

    Args:
        word: as it is written, compared without case (`GROUP BY`, `sum`).
        near: which one is meant: the last at or before the first name inside this node.
    """
    try:
        mine = _occurrences(query.sql, query.dialect, word)
        theirs = _occurrences(query.text, query.dialect, word)
    except TokenError:
        return query.location
    start = _first_offset(near) if near is not None else None
    before = [t for t in mine if start is None or t.start <= start]
    which = len(before) - 1 if start is not None and before else 0
    # Names inside the arguments of read_files are no occurrences of the query itself.
    if not theirs or which >= len(theirs):
        return query.location
    return query.at(theirs[which].start)


def _first_offset(node: exp.Expr) -> int | None:
    """The offset in the executable SQL of the first name inside a node."""
    starts = [int(n.meta["start"]) for n in node.walk() if "start" in n.meta]
    return min(starts, default=None)


def _occurrences(sql: str, dialect: str, word: str) -> list[Token]:
    wanted = word.casefold().split()
    tokens = Dialect.get_or_raise(dialect).tokenize(sql)
    return [t for t in tokens if t.text.casefold().split() == wanted]
