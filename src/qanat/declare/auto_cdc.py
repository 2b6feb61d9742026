"""Parses `AUTO CDC`: the source of the changes, and the clauses that say what they mean.

    FROM {STREAM source | SNAPSHOT source}
    KEYS (column, …)
    [IGNORE NULL UPDATES [ON chosen]]
    [APPLY AS DELETE WHEN condition] [APPLY AS TRUNCATE WHEN condition]
    SEQUENCE BY value
    [COLUMNS chosen]
    [STORED AS SCD TYPE {1 | 2}] [TRACK HISTORY ON chosen]

`chosen` is `(column, …)` or `* EXCEPT (column, …)`. Clauses may be in any order. An expression
ends where the next clause begins. Of a snapshot only KEYS, COLUMNS, STORED AS and TRACK HISTORY ON
can be said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlglot import Token

from qanat.declare.changes import Spelling, check_changes, parse_sequence, parse_value
from qanat.declare.cursor import Cursor, SqlText
from qanat.declare.query import parse_query
from qanat.declare.registry import Registry
from qanat.errors import Location, QanatError, SqlSyntaxError, UnsupportedError, nearest
from qanat.model.changes import AutoCdc, ScdType
from qanat.model.chosen import EVERY, Chosen
from qanat.model.query import SqlQuery
from qanat.model.snapshots import Snapshots

_KEYS, _SEQUENCE = "KEYS", "SEQUENCE BY"
_DELETE, _TRUNCATE = "APPLY AS DELETE WHEN", "APPLY AS TRUNCATE WHEN"
_IGNORE, _COLUMNS, _STORED, _TRACK = (
    "IGNORE NULL UPDATES",
    "COLUMNS",
    "STORED AS",
    "TRACK HISTORY ON",
)
_CLAUSES = (_KEYS, _IGNORE, _DELETE, _TRUNCATE, _SEQUENCE, _COLUMNS, _STORED, _TRACK)
_OF_SNAPSHOTS = (_KEYS, _COLUMNS, _STORED, _TRACK)
_STARTS = (
    "KEYS (",
    "IGNORE NULL",
    "APPLY AS",
    "SEQUENCE BY",
    "SYSTEM SEQUENCE",
    "COLUMNS (",
    "COLUMNS *",
    "COLUMNS TO",
    "STORED AS",
    "TRACK HISTORY",
    "WHERE",
)
"""How clauses begin: enough of each not to take a column of that name for one."""

REFUSED = {
    "SYSTEM SEQUENCE BY": "SEQUENCE BY alone says in which order changes happened",
    "COLUMNS TO UPDATE": "IGNORE NULL UPDATES leaves columns as they were where a change has NULL",
    "STORED AS BITEMPORAL": "SCD TYPE 2 keeps versions by one time, that of SEQUENCE BY",
    "WHERE": "filter before: FROM (SELECT … FROM STREAM source WHERE …)",
}
"""Clauses of other systems that are not supported, each with a hint."""

_NO_CHANGES = "a snapshot has rows as they are, and no changes"
REFUSED_OF_SNAPSHOTS = {
    "WITH VERSION": "snapshots with versions of their own come from a function in Python:"
    " create_auto_cdc_from_snapshot_flow",
    _SEQUENCE: "snapshots come one after the other: the moment at which each is taken says when",
    _DELETE: f"{_NO_CHANGES}: a key that it lacks is deleted",
    _TRUNCATE: f"{_NO_CHANGES}: an empty one empties the table",
    _IGNORE: f"{_NO_CHANGES}: NULL is a value like others",
    "WHERE": "filter before: FROM SNAPSHOT (SELECT … FROM source WHERE …)",
}
"""Clauses that are not for snapshots, each with a hint."""

_QUERIES = ("SELECT", "WITH", "FROM", "VALUES")
_SPELLING = Spelling(_KEYS, _IGNORE, _TRUNCATE, _COLUMNS, "STORED AS SCD TYPE ", _TRACK)


def parse_auto_cdc(cursor: Cursor, owner: str, registry: Registry) -> tuple[SqlQuery, AutoCdc]:
    """Parse AUTO CDC from FROM to the end of the statement.

    Args:
        cursor: stands before FROM.
        owner: the name of the flow.
        registry: knows the dialect, the prefixes of names and what may be read.

    Returns:
        The query that gives the changes, and what they do.

    Raises:
        SqlSyntaxError: a clause is unknown, missing, given twice or does not fit the others.
        UnsupportedError: Qanat does not support a clause.
    """
    begin = cursor.here
    sql, source, whole = parse_source(cursor, _begins, snapshots=True)
    query = parse_query(sql, source, owner, registry.project, registry.connectors)
    at: dict[str, Location] = {}
    parts: dict[str, Any] = {"sequence": ()} if whole else {}
    clauses = _OF_SNAPSHOTS if whole else _CLAUSES
    while cursor.word is not None:
        where = cursor.here
        _refuse(cursor, at, whole)
        clause = cursor.expect(*_meant(cursor, tuple(c for c in clauses if c not in at)))
        at[clause] = where
        parts |= _clause(cursor, clause, registry.project.dialect)
    for clause, wanted in ((_KEYS, "KEYS (column, …)"), (_SEQUENCE, "SEQUENCE BY column")):
        if clause in clauses and clause not in at:
            raise SqlSyntaxError(f"{clause} is missing", location=begin, wanted=wanted)
    changes = Snapshots(**parts) if whole else AutoCdc(**parts)
    check_changes(changes, _SPELLING, at, begin)
    return query, changes


def _refuse(cursor: Cursor, at: dict[str, Location], whole: bool) -> None:
    """Refuse a clause that there is not, or that has been there already."""
    for refused, hint in (REFUSED_OF_SNAPSHOTS if whole else REFUSED).items():
        if cursor.sees(refused):
            raise UnsupportedError(f"{refused} is not supported", location=cursor.here, hint=hint)
    repeated = next((c for c in at if cursor.sees(c)), None)
    if repeated is not None:
        raise SqlSyntaxError(f"{repeated} is given twice", location=cursor.here)


def parse_source(
    cursor: Cursor, ends: Callable[[Cursor], bool], snapshots: bool = False
) -> tuple[SqlText, list[Token], bool]:
    """Move behind FROM and the source.

    Args:
        cursor: stands before FROM.
        ends: True if what stands at a cursor is no source any more.
        snapshots: whether SNAPSHOT may stand before the source.

    Returns:
        A text and those of its tokens that are a query of the source, and whether that is a
        snapshot. `FROM source` is such a query as it stands in the author's file.

    Raises:
        SqlSyntaxError: nothing is read.
    """
    start = cursor.index
    cursor.expect("FROM")
    sql, whole = _without_snapshot(cursor) if snapshots else (cursor.sql, False)
    cursor.take("STREAM")
    if cursor.word is None or ends(cursor):
        raise cursor.unexpected("STREAM table", "STREAM read_files(…)", "(SELECT … FROM STREAM …)")
    opened = cursor.index
    if cursor.sees("("):
        cursor.inside()
        plain = opened == start + 1 + whole
        if plain and cursor.words[opened + 1].upper in _QUERIES:
            # What is in the parentheses is the query.
            return sql, _tokens(cursor, opened + 1, cursor.index - 1), whole
    elif cursor.word.quoted:
        cursor.index += 1
    else:
        cursor.name("the source")
    while cursor.take("."):
        cursor.name("the source")
    if cursor.index > opened and cursor.sees("("):
        cursor.inside()
    if not cursor.sees("WITH VERSION") and cursor.take("WITH"):
        if not cursor.sees("("):
            raise cursor.unexpected("(")
        cursor.inside()
    if whole:
        first = _tokens(cursor, start, start + 1)
        return sql, [*first, *_tokens(cursor, opened, cursor.index)], True
    return sql, _tokens(cursor, start, cursor.index), False


def _without_snapshot(cursor: Cursor) -> tuple[SqlText, bool]:
    """Move behind SNAPSHOT, if it is there, and is not the name of a table.

    Returns:
        The text with spaces in its place, so that the rest is a query; and whether it was there.
    """
    word, index = cursor.word, cursor.index
    if word is None or not cursor.take("SNAPSHOT"):
        return cursor.sql, False
    if cursor.word is None or _begins(cursor) or cursor.sees("."):
        cursor.index = index
        return cursor.sql, False
    if cursor.sees("STREAM"):
        raise SqlSyntaxError(
            "a snapshot is not a stream",
            location=cursor.here,
            wanted="FROM SNAPSHOT source, all that it has",
        )
    text = cursor.sql.text
    blank = " " * (word.end + 1 - word.start)
    return replace(cursor.sql, text=text[: word.start] + blank + text[word.end + 1 :]), True


def _tokens(cursor: Cursor, start: int, end: int) -> list[Token]:
    """The tokens of some words."""
    return cursor.tokens[cursor.words[start].token : cursor.words[end - 1].token + 1]


def _clause(cursor: Cursor, clause: str, dialect: str) -> dict[str, Any]:
    """Parse what stands behind the words of a clause; returns arguments of `AutoCdc`."""
    if clause == _KEYS:
        return {"keys": _names(cursor, "a key column")}
    if clause == _IGNORE:
        return {"keeps": _chosen(cursor) if cursor.take("ON") else EVERY}
    if clause == _STORED:
        return {"scd": _scd(cursor)}
    if clause in (_COLUMNS, _TRACK):
        return {"columns" if clause == _COLUMNS else "tracked": _chosen(cursor)}
    extent = _extent(cursor)
    try:
        if clause == _SEQUENCE:
            return {"sequence": parse_sequence(cursor, extent, dialect, clause)}
        value = parse_value(cursor, extent, dialect, clause, "condition")
    except SqlSyntaxError as error:
        raise _misspelt(cursor, extent) or error from None
    return {"deletes" if clause == _DELETE else "truncates": value}


def _extent(cursor: Cursor) -> tuple[int, int]:
    """Move to the next clause; returns the indexes of the words before it, as in a slice."""
    start, depth = cursor.index, 0
    while cursor.word is not None and (depth or not _begins(cursor)):
        depth += {"(": 1, ")": -1}.get(cursor.word.upper, 0)
        cursor.index += 1
    return start, cursor.index


def _begins(cursor: Cursor) -> bool:
    """True if a clause begins here."""
    return any(cursor.sees(start) for start in _STARTS)


def _meant(cursor: Cursor, clauses: tuple[str, ...]) -> tuple[str, ...]:
    """Of some clauses, those that begin like the next word; all of them if none does."""
    word = cursor.word.upper if cursor.word else ""
    first = nearest(word, {c.split()[0] for c in clauses}) if len(word) > 2 else None
    return tuple(c for c in clauses if c.split()[0] == first) or clauses


def _misspelt(cursor: Cursor, extent: tuple[int, int]) -> QanatError | None:
    """The error for a clause of which an expression took the words, because one is wrong."""
    for index in range(extent[0] + 1, extent[1]):
        cursor.index = index
        meant = _meant(cursor, _CLAUSES)
        if meant != _CLAUSES:
            if cursor.take(_COLUMNS) or cursor.take(_KEYS):
                return cursor.unexpected("(column, …)", "* EXCEPT (column, …)")
            return cursor.unexpected(*meant)
    return None


def _names(cursor: Cursor, what: str) -> tuple[str, ...]:
    if not cursor.sees("("):
        raise cursor.unexpected("(column, …)")
    return _listed(cursor, what)


def _listed(cursor: Cursor, what: str) -> tuple[str, ...]:
    """Parse `(column, …)`; a field of a struct, as in messages of Debezium, is no column."""
    try:
        return cursor.names(what)
    except SqlSyntaxError as error:
        if cursor.sees("."):
            error.hint = (
                "only columns can be named; make it one before: FROM (SELECT after.id AS id, …"
                " FROM STREAM source)"
            )
        raise


def _chosen(cursor: Cursor) -> Chosen:
    """Parse `(column, …)` or `* EXCEPT (column, …)`."""
    if cursor.take("*"):
        cursor.expect("EXCEPT")
        return Chosen(_names(cursor, "a column"), all_but=True)
    if not cursor.sees("("):
        raise cursor.unexpected("(column, …)", "* EXCEPT (column, …)")
    names = _listed(cursor, "a column")
    if cursor.sees("EXCEPT") or cursor.sees("* EXCEPT"):
        raise SqlSyntaxError(
            "some columns are listed and others left out",
            location=cursor.here,
            wanted="(column, …) or * EXCEPT (column, …)",
        )
    return Chosen(names)


def _scd(cursor: Cursor) -> ScdType:
    cursor.expect("SCD TYPE")
    word = cursor.word
    if word is None or word.text not in tuple(ScdType):
        raise cursor.unexpected("1", "2")
    cursor.index += 1
    return ScdType(word.text)
