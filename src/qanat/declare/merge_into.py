"""Parses `MERGE INTO`: the table, the source of rows, which of them match, and what they become.

    [ONCE] table [[AS] alias]
    USING {STREAM source | (SELECT … FROM STREAM …)} [[AS] alias]
    ON condition
    WHEN MATCHED [AND condition] THEN {UPDATE SET {* | column = value, …} | DELETE | DO NOTHING}
    WHEN NOT MATCHED [BY TARGET] [AND condition]
        THEN {INSERT {* | (column, …) VALUES (value, …)} | DO NOTHING}
    WHEN NOT MATCHED BY SOURCE [AND condition]
        THEN {UPDATE SET column = value, … | DELETE | DO NOTHING}

The last parts as often as wanted; with one BY SOURCE, the source is read without STREAM. An
expression ends where the next word of the statement stands, outside brackets and CASE.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from qanat.declare.auto_cdc import parse_source
from qanat.declare.changes import parse_value
from qanat.declare.cursor import Cursor
from qanat.declare.query import parse_query
from qanat.declare.registry import Registry, strip_prefix
from qanat.errors import Location, SqlSyntaxError
from qanat.frozen import Frozen
from qanat.model.changes import Expression
from qanat.model.merge_into import Clause, Does, MergeInto
from qanat.model.name import Names, same
from qanat.model.query import SqlQuery

NAMELESS = "__qanat_source"
"""What a source is called to which its author has given no name."""

_MATCHED, _MISSED, _MISSING = "WHEN MATCHED", "WHEN NOT MATCHED", "WHEN NOT MATCHED BY SOURCE"
_TARGET = f"{_MISSED} BY TARGET"


class Merged(Frozen):
    """What a statement declares."""

    target: str
    once: bool
    query: SqlQuery
    changes: MergeInto


def parse_merge_into(cursor: Cursor, flow: str | None, registry: Registry) -> Merged:
    """Parse MERGE INTO from behind these words to the end of the statement.

    Args:
        cursor: stands behind INTO.
        flow: the name of the flow; None: it is called like its target.
        registry: knows the dialect, the prefixes of names and what may be read.

    Raises:
        SqlSyntaxError: a part is unknown, missing, or can never count.
    """
    begin, dialect = cursor.here, registry.project.dialect
    once = not cursor.sees("ONCE USING") and cursor.take("ONCE")
    parts = cursor.dotted("the table to change")
    target = strip_prefix(parts, registry.project)
    table = _alias(cursor, "USING") or parts[-1]
    cursor = _from(cursor, dialect)
    start = cursor.index
    sql, tokens, _ = parse_source(cursor, _ends_source)
    query = parse_query(sql, tokens, flow or target, registry.project, registry.connectors)
    named = query.reads[0].source.dataset if len(query.reads) == 1 else None
    whole = cursor.words[start + 1].upper == "("
    default = NAMELESS if named is None or whole else named.rpartition(".")[2]
    source = _alias(cursor, "ON") or default
    if same(source, table):
        raise SqlSyntaxError(
            f"the table and the source are both called {table!r}",
            location=begin,
            hint="give one of them an alias: MERGE INTO table AS t USING STREAM source AS s",
        )
    cursor.expect("ON")
    condition = _expression(cursor, dialect, "ON", "condition", "WHEN")
    clauses = tuple(_clauses(cursor, table, dialect))
    _check(clauses, begin)
    return Merged(target, once, query, MergeInto(condition, clauses, source, table))


def _alias(cursor: Cursor, end: str) -> str | None:
    """Parse `[AS] alias`, if it is there."""
    if cursor.take("AS"):
        return cursor.name("an alias").text
    if cursor.word is None or cursor.sees(end):
        return None
    behind = cursor.words[cursor.index + 1 : cursor.index + 2]
    if behind and behind[0].upper == end:
        return cursor.name(end).text
    raise cursor.unexpected(end)


def _from(cursor: Cursor, dialect: str) -> Cursor:
    """The same words with FROM in the place of USING, so that a query begins there."""
    if not cursor.sees("USING"):
        raise cursor.unexpected("USING")
    word = cursor.words[cursor.index]
    # Both are five characters, so that all stays where it was.
    text = f"{cursor.sql.text[: word.start]}FROM {cursor.sql.text[word.end + 1 :]}"
    sql = replace(cursor.sql, text=text)
    first, last = cursor.words[0].start, cursor.end
    tokens = [t for t in sql.tokens(dialect) if first <= t.start < last]
    made = Cursor(sql, tokens)
    made.index = cursor.index
    return made


def _ends_source(cursor: Cursor) -> bool:
    return any(cursor.sees(word) for word in ("ON", "WHEN", "AS"))


def _clauses(cursor: Cursor, table: str, dialect: str) -> Iterator[Clause]:
    if cursor.word is None:
        raise cursor.unexpected(_MATCHED, _MISSED)
    while cursor.word is not None:
        at = cursor.here
        when = cursor.expect(_TARGET, _MISSING, _MATCHED, _MISSED)
        matched = when == _MATCHED
        condition = None
        if cursor.take("AND"):
            condition = _expression(cursor, dialect, f"{when} AND", "condition", "THEN")
        cursor.expect("THEN")
        missing = when == _MISSING
        found = _action(cursor, matched or missing, table, dialect, at, not missing)
        yield replace(found, matched=matched, missing=missing, condition=condition)


def _action(
    cursor: Cursor, matched: bool, table: str, dialect: str, at: Location, given: bool
) -> Clause:
    """Parse what becomes of rows.

    Args:
        matched: whether there is a row of the table; `given`: whether there is one of the source.
    """
    if cursor.take("DO NOTHING"):
        return Clause(matched, Does.NOTHING, at)
    if not matched:
        cursor.expect("INSERT")
        if cursor.take("*"):
            return Clause(matched, Does.INSERT, at, every=True)
        return Clause(matched, Does.INSERT, at, sets=_values(cursor, table, dialect))
    if cursor.expect("UPDATE SET", "DELETE") == "DELETE":
        return Clause(matched, Does.DELETE, at)
    if given and cursor.take("*"):
        return Clause(matched, Does.UPDATE, at, every=True)
    sets = []
    while True:
        name = _column(cursor, table)
        if not cursor.take("="):
            raise cursor.unexpected("=")
        sets.append((name, _expression(cursor, dialect, f"SET {name}", "value", ",", "WHEN")))
        if not cursor.take(","):
            break
    return Clause(matched, Does.UPDATE, at, sets=_once(sets, "SET", at))


def _values(cursor: Cursor, table: str, dialect: str) -> tuple[tuple[str, Expression], ...]:
    at = cursor.here
    if not cursor.sees("("):
        raise cursor.unexpected("*", "(column, …) VALUES (value, …)")
    cursor.expect("(")
    names = [_column(cursor, table)]
    while cursor.take(","):
        names.append(_column(cursor, table))
    cursor.expect(")")
    cursor.expect("VALUES")
    cursor.expect("(")
    values = []
    while True:
        values.append(_expression(cursor, dialect, "VALUES", "value", ",", ")"))
        if not cursor.take(","):
            break
    cursor.expect(")")
    if len(names) != len(values):
        raise SqlSyntaxError(
            "INSERT does not have as many values as columns",
            location=at,
            wanted=f"{len(names)}, for {', '.join(names)}",
            got=str(len(values)),
        )
    return _once(list(zip(names, values, strict=True)), "INSERT", at)


def _once(
    sets: list[tuple[str, Expression]], what: str, at: Location
) -> tuple[tuple[str, Expression], ...]:
    seen = Names()
    for name, _ in sets:
        if name in seen:
            raise SqlSyntaxError(f"{what} names column {name!r} twice", location=at)
        seen.add(name)
    return tuple(sets)


def _column(cursor: Cursor, table: str) -> str:
    """Parse the name of a column of the table, perhaps with the table's before it."""
    at = cursor.here
    *before, name = cursor.dotted("a column")
    if before and not (len(before) == 1 and same(before[0], table)):
        raise SqlSyntaxError(
            "only columns of the table get values", location=at, wanted=f"{table}.{name}"
        )
    return name


def _expression(cursor: Cursor, dialect: str, part: str, kind: str, *ends: str) -> Expression:
    """Parse an expression, up to one of some words outside brackets and CASE."""
    start, depth = cursor.index, 0
    while cursor.word is not None:
        word = cursor.word.upper
        if depth == 0 and word in ends:
            break
        depth += (word in ("(", "[", "{", "CASE")) - (word in (")", "]", "}", "END"))
        cursor.index += 1
    return parse_value(cursor, (start, cursor.index), dialect, part, kind)


def _check(clauses: tuple[Clause, ...], begin: Location) -> None:
    """Refuse clauses that never count, and a statement that does nothing."""
    closed: dict[tuple[bool, bool], Clause] = {}
    for each in clauses:
        before = closed.get((each.matched, each.missing))
        if before is not None:
            raise SqlSyntaxError(
                "this clause never counts: one before it is about all such rows",
                location=each.location,
                hint=f"give the one at {before.location} a condition (AND …), or put it last",
            )
        if each.condition is None:
            closed[each.matched, each.missing] = each
    if all(each.does is Does.NOTHING for each in clauses):
        raise SqlSyntaxError("MERGE INTO does nothing", location=begin)
