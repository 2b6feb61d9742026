"""What SQL and Python share of AUTO CDC: its expressions, and which parts do not go together."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from qanat.declare.cursor import Cursor, Word
from qanat.declare.expression import Role, parse_expression
from qanat.errors import Location, SqlSyntaxError
from qanat.frozen import Frozen
from qanat.model.changes import AutoCdc, Expression, ScdType
from qanat.model.chosen import EVERY, Chosen
from qanat.model.name import Names

_Extent = tuple[int, int]
"""The indexes of an expression's first word and behind its last."""


class Spelling(Frozen):
    """What an author calls the parts of AUTO CDC: the clauses of SQL, or Python's arguments.

    Args:
        scd: the SCD type, with what stands before its number.
    """

    keys: str
    keeps: str
    truncates: str
    columns: str
    scd: str
    tracked: str


def parse_value(
    cursor: Cursor, extent: _Extent, dialect: str, part: str, kind: str = "value"
) -> Expression:
    """The expression of some words.

    Args:
        cursor: has the words.
        extent: the indexes of the first word and behind the last.
        dialect: the project's dialect.
        part: what the author calls it, for messages.
        kind: `value` or `condition`.

    Raises:
        SqlSyntaxError, UnsupportedError: they are no expression over one row.
    """
    start, end = extent
    if start == end:
        cursor.index = start
        raise cursor.unexpected(f"a {kind}")
    offsets = cursor.words[start].start, cursor.words[end - 1].end + 1
    role = Role(part, part, kind, "look it up in a temporary view, and read that")
    text = parse_expression(cursor.sql, cursor.tokens, offsets, dialect, role)
    return Expression(text, dialect, location=cursor.sql.at(offsets[0]))


def parse_sequence(
    cursor: Cursor, extent: _Extent, dialect: str, part: str
) -> tuple[Expression, ...]:
    """The values of `ts`, `(a, b)` or `STRUCT(a, b)`, which are compared one after the other.

    Args:
        cursor, extent, dialect, part: as in `parse_value`.

    Raises:
        SqlSyntaxError, UnsupportedError: one of them is no expression over one row.
    """
    start, end = extent
    words = cursor.words[start:end]
    listed = words[1:] if words and words[0].upper == "STRUCT" else words
    if not _enclosed(listed):
        loose = _commas(words)
        if loose:
            raise SqlSyntaxError(
                "several values without parentheses",
                location=cursor.sql.at(words[loose[0]].start),
                wanted="(a, b)",
            )
        return (parse_value(cursor, extent, dialect, part),)
    first = end - len(listed) + 1
    edges = [first, *(first + c + 1 for c in _commas(listed[1:-1])), end]
    parts = [_without_name(cursor.words, (a, b - 1)) for a, b in pairwise(edges)]
    return tuple(parse_value(cursor, each, dialect, part) for each in parts)


def _without_name(words: list[Word], extent: _Extent) -> _Extent:
    """A value of a struct without the name that it has there: `ts AS happened`."""
    start, end = extent
    return (start, end - 2) if end - start > 2 and words[end - 2].upper == "AS" else extent


def _enclosed(words: list[Word]) -> bool:
    """True if the first word is a `(` that the last one closes."""
    if not words or words[0].upper != "(":
        return False
    depth = 0
    for index, word in enumerate(words):
        depth += {"(": 1, ")": -1}.get(word.upper, 0)
        if depth == 0:
            return index == len(words) - 1
    return False


def _commas(words: list[Word]) -> list[int]:
    """The indexes of the commas outside brackets."""
    depth, found = 0, []
    for index, word in enumerate(words):
        if word.upper:
            depth += (word.upper in "([{") - (word.upper in ")]}")
        if depth == 0 and word.upper == ",":
            found.append(index)
    return found


def check_changes(
    changes: AutoCdc, spelling: Spelling, at: Mapping[str, Location], default: Location
) -> None:
    """Refuse what does not go together.

    Args:
        changes: what an author declares.
        spelling: what its parts are called there.
        at: the places of parts, by what they are called.
        default: the place of all others.

    Raises:
        SqlSyntaxError: a column is named twice or left out, or a part needs another SCD type.
    """
    lists = {
        spelling.keys: Chosen(changes.keys),
        spelling.columns: changes.columns,
        spelling.keeps: changes.keeps or EVERY,
        spelling.tracked: changes.tracked,
    }
    for part, chosen in lists.items():
        seen = Names()
        for name in chosen.names:
            where = at.get(part, default)
            if name in seen:
                raise SqlSyntaxError(f"{part} names {name!r} twice", location=where)
            seen.add(name)
            # A column that the table does not have is no key of it, and has no history.
            if not chosen.all_but and not changes.columns.among([name]):
                raise SqlSyntaxError(
                    f"{part} names {name!r}, which {spelling.columns} leaves out", location=where
                )
    if changes.scd is ScdType.TWO and changes.truncates is not None:
        raise SqlSyntaxError(
            f"{spelling.truncates} is for SCD type 1: a history is not emptied",
            location=at.get(spelling.truncates, default),
            hint=f"leave it out, or write {spelling.scd}1",
        )
    if changes.scd is ScdType.ONE and changes.tracked != EVERY:
        raise SqlSyntaxError(
            f"{spelling.tracked} is for SCD type 2: type 1 keeps no history",
            location=at.get(spelling.tracked, default),
            hint=f"leave it out, or write {spelling.scd}2",
        )
