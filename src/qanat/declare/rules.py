"""Parses rules: what stands behind EXPECT, up to the clauses that say what comes of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from sqlglot import Token, TokenType, exp

from qanat.declare.cursor import Cursor, SqlText
from qanat.declare.expression import Role, parse_condition, parse_expression
from qanat.declare.query import parse_query
from qanat.declare.registry import Registry, strip_prefix
from qanat.declare.types import parse_type
from qanat.errors import Location, OptionError, SqlSyntaxError, UnsupportedError
from qanat.model.rule import (
    Aggregate,
    Distribution,
    Fresh,
    HasColumns,
    Measure,
    Monotonic,
    Predicate,
    References,
    Rule,
    SameRows,
    Scope,
    Unique,
)
from qanat.model.schema import DataType
from qanat.model.span import UNITS, microseconds

_AGGREGATES = frozenset(
    name.upper()
    for kind in vars(exp).values()
    if isinstance(kind, type) and issubclass(kind, exp.AggFunc) and kind is not exp.AggFunc
    for name in kind.sql_names()
) | frozenset(
    ("ENTROPY", "FSUM", "GEOMEAN", "GEOMETRIC_MEAN", "HISTOGRAM", "KAHAN_SUM", "MAD", "MEAN")
)
"""Functions of many rows, by their names in upper case."""
_CLAUSES = ("FILTER", "WITHIN")
"""What may stand behind the arguments of one, and has brackets of its own."""


def parse_rule(cursor: Cursor, registry: Registry) -> Rule:
    """Parse the rule behind EXPECT and move the cursor behind it.

    Args:
        cursor: stands behind EXPECT.
        registry: for the dialect, the prefixes of names and what queries may read.

    Raises:
        SqlSyntaxError: the text has none of the forms.
        UnsupportedError: a predicate reads other rows.
    """
    form = next((phrase for phrase in FORMS if cursor.take(phrase)), None)
    if form is not None:
        return FORMS[form](cursor, registry)
    if not cursor.sees("("):
        raise cursor.unexpected("(condition)", *FORMS)
    start = cursor.index
    inner = cursor.inside()
    if not cursor.sees("REFERENCES"):
        return parse_predicate(cursor.sql, cursor.tokens, inner, registry.project.dialect)
    cursor.index = start
    columns = cursor.names("column")
    cursor.expect("REFERENCES")
    dataset, at, targets = _other(cursor, registry)
    if len(targets) != len(columns):
        raise SqlSyntaxError(
            f"{len(columns)} columns cannot reference {len(targets)}",
            location=at,
            wanted="as many columns on both sides of REFERENCES",
        )
    return References(columns, dataset, targets)


def begins_rule(cursor: Cursor) -> bool:
    """True if a text begins as a rule that is no bare condition."""
    keyed = any(w.upper == "REFERENCES" for w in cursor.words)
    return (cursor.sees("(") and keyed) or any(
        cursor.sees(form) or cursor.sees(form.removesuffix(" (")) for form in FORMS
    )


def parse_predicate(
    sql: SqlText, tokens: list[Token], extent: tuple[int, int], dialect: str
) -> Predicate:
    """The predicate in a part of a text.

    Args:
        sql: the text.
        tokens: its tokens.
        extent: the offsets of the part's first character and behind its last.
        dialect: the project's dialect.

    Raises:
        SqlSyntaxError: the part does not parse, or is no condition.
        UnsupportedError: it contains a subquery, an aggregate or a window.
    """
    return Predicate(parse_expression(sql, tokens, extent, dialect, _RULE), dialect)


_RULE = Role(
    "the expectation",
    "an expectation",
    "condition",
    "use (columns) REFERENCES dataset (columns), or join before",
    "compute it in the query, or have it about all rows together: EXPECT TABLE (condition)",
)
_OF_TABLE = Role("the condition", "a condition", "condition", "", of="aggregates of rows")


# -- the forms --------------------------------------------------------------------------------


def _unique(cursor: Cursor, registry: Registry) -> Rule:
    del registry
    return Unique(cursor.names("column"))


def _monotonic(*, descending: bool, strict: bool) -> Callable[[Cursor, Registry], Rule]:
    def parse(cursor: Cursor, registry: Registry) -> Rule:
        del registry
        return Monotonic(_column(cursor), descending, strict)

    return parse


def _aggregate(scope: Scope) -> Callable[[Cursor, Registry], Rule]:
    def parse(cursor: Cursor, registry: Registry) -> Rule:
        extent = cursor.inside()
        return parse_aggregate(cursor.sql, cursor.tokens, extent, registry, scope)

    return parse


def _fresh(cursor: Cursor, registry: Registry) -> Rule:
    del registry
    column = _column(cursor)
    cursor.expect("WITHIN")
    at, word = cursor.here, cursor.word
    cursor.take("INTERVAL")
    start = cursor.index
    while cursor.word is not None and _SPAN.fullmatch(cursor.word.text):
        cursor.index += 1
    text = " ".join(w.text for w in cursor.words[start : cursor.index])
    span = microseconds(text)
    if span is None or span <= 0:
        raise SqlSyntaxError(
            "FRESH needs a time, such as INTERVAL 2 HOURS",
            location=at,
            wanted=f"a number and {', '.join(UNITS[2:-1])} or {UNITS[-1]}",
            got=text or (word.text if word else None),
        )
    return Fresh(column, span / 1_000_000)


_SPAN = re.compile(
    r"\s*\d+(?:\.\d+)?\s*\w*\s*|(?:second|minute|hour|day|week|month|year)s?", re.IGNORECASE
)
"""A word of a time: a number, with its unit perhaps, or a unit."""


def _distribution(cursor: Cursor, registry: Registry) -> Rule:
    column = _column(cursor)
    cursor.expect("LIKE")
    dataset, at, targets = _other(cursor, registry)
    if len(targets) != 1:
        raise SqlSyntaxError("DISTRIBUTION compares one column with one", location=at)
    cursor.expect("WITHIN")
    at, word = cursor.here, cursor.word
    try:
        at_most = float(word.text if word else "")
    except ValueError:
        raise cursor.unexpected("a distance from 0 to 1, such as 0.1") from None
    if not 0 <= at_most <= 1:
        raise OptionError(
            "the distance of two distributions is from 0 to 1",
            location=at,
            got=word.text if word else None,
        )
    cursor.index += 1
    return Distribution(column, dataset, targets[0], at_most)


def _same_rows(cursor: Cursor, registry: Registry) -> Rule:
    dataset = strip_prefix(cursor.dotted("dataset"), registry.project)
    cursor.expect("KEYS")
    keys = cursor.names("a key column")
    return SameRows(dataset, keys, cursor.names("column") if cursor.take("COLUMNS") else ())


def _columns(cursor: Cursor, registry: Registry) -> Rule:
    fields: list[tuple[str, DataType | None]] = []
    cursor.expect("(")
    while True:
        name = cursor.name("column").text
        at, start = cursor.here, cursor.word
        kind = None
        if start is not None and not (cursor.sees(",") or cursor.sees(")")):
            end = cursor.skip_to(",", ")", angles=True)
            text = cursor.sql.text[start.start : end]
            kind = parse_type(text, registry.project.dialect, at)
        fields.append((name, kind))
        if not cursor.take(","):
            break
    cursor.expect(")", ",")
    return HasColumns(tuple(fields), cursor.take("IN ORDER"), cursor.take("ONLY"))


FORMS: Mapping[str, Callable[[Cursor, Registry], Rule]] = {
    "UNIQUE": _unique,
    "INCREASING": _monotonic(descending=False, strict=False),
    "STRICTLY INCREASING": _monotonic(descending=False, strict=True),
    "DECREASING": _monotonic(descending=True, strict=False),
    "STRICTLY DECREASING": _monotonic(descending=True, strict=True),
    "TABLE": _aggregate(Scope.TABLE),
    "EPOCH": _aggregate(Scope.EPOCH),
    "FRESH": _fresh,
    "DISTRIBUTION": _distribution,
    "SAME ROWS AS": _same_rows,
    "COLUMNS": _columns,
}
"""How rules begin that are neither a condition nor REFERENCES."""


def _column(cursor: Cursor) -> str:
    cursor.expect("(")
    name = cursor.name("column").text
    cursor.expect(")")
    return name


def _other(cursor: Cursor, registry: Registry) -> tuple[str, Location, tuple[str, ...]]:
    """A dataset of the project, where its columns are named, and these."""
    dataset = strip_prefix(cursor.dotted("dataset"), registry.project)
    at = cursor.here
    return dataset, at, cursor.names("column")


# -- conditions on aggregates ------------------------------------------------------------------


def parse_aggregate(
    sql: SqlText,
    tokens: list[Token],
    extent: tuple[int, int],
    registry: Registry,
    scope: Scope,
) -> Aggregate:
    """The condition on aggregates in a part of a text.

    Args:
        extent: the offsets of the part's first character and behind its last.

    Raises:
        SqlSyntaxError: the part does not parse, or has no aggregate.
        UnsupportedError: it has a window, or reads something that is no dataset.
    """
    project = registry.project
    text, inner = parse_condition(sql, tokens, extent, project.dialect, _OF_TABLE)
    edits: list[tuple[int, int, str]] = []
    reads: list[tuple[str, str]] = []
    for number, (first, last) in enumerate(_subqueries(inner)):
        # The names of inputs tell the dataset that they are of, for messages of the engine.
        owner = f"check_{inner[0].start}_{number}"
        query = parse_query(sql, inner[first : last + 1], owner, project, registry.connectors)
        for read in query.reads:
            if read.source.dataset is None or read.streaming:
                raise UnsupportedError(
                    "a rule reads tables of the project, as they are",
                    location=read.location,
                    got=f"STREAM {read.source.label}" if read.streaming else read.source.label,
                    hint="read it in a MATERIALIZED VIEW, and name that",
                )
            reads.append((read.name, read.source.dataset))
        edits.append((inner[first].start, inner[last].end + 1, query.sql))
    measures = tuple(
        Measure(sql.text[start:end], _edited(sql.text, start, end, edits))
        for start, end in _measured(inner)
    )
    if not any(True for _ in _aggregates(inner)):
        raise SqlSyntaxError(
            f"{scope.upper()} (…) is about all rows together, and this has no aggregate",
            location=sql.at(inner[0].start),
            wanted="a condition on count(*), sum(…), avg(…), min(…), max(…) or the like",
            got=text,
            hint="EXPECT (condition) is about each row",
        )
    start = inner[0].start
    whole = _edited(sql.text, start, start + len(text), edits)
    written = None if whole == text else text
    return Aggregate(whole, project.dialect, scope, tuple(reads), measures, written)


def _edited(text: str, start: int, end: int, edits: list[tuple[int, int, str]]) -> str:
    parts, at = [], start
    for first, last, new in edits:
        if start <= first and last <= end:
            parts += [text[at:first], new]
            at = last
    return "".join([*parts, text[at:end]])


def _subqueries(tokens: list[Token]) -> Iterator[tuple[int, int]]:
    """The first and last token within the brackets of each query that is not in another one."""
    words, at = _words(tokens), 0
    while at < len(words) - 1:
        if words[at] == "(" and words[at + 1] in ("SELECT", "WITH", "FROM"):
            end = _closing(words, at)
            yield at + 1, end - 1
            at = end
        at += 1


def _aggregates(tokens: list[Token]) -> Iterator[tuple[int, int]]:
    """The first and last token of each call of an aggregate that is in no query or other call."""
    words, at = _words(tokens), 0
    inside = {first - 1: last + 1 for first, last in _subqueries(tokens)}
    while at < len(words) - 1:
        if at in inside:
            at = inside[at]
        elif words[at] in _AGGREGATES and words[at + 1] == "(":
            end = _closing(words, at + 1)
            while words[end + 1 : end + 2] and words[end + 1].startswith(_CLAUSES):
                end = _closing(words, words.index("(", end + 1))
            yield at, end
            at = end
        at += 1


def _measured(tokens: list[Token]) -> Iterator[tuple[int, int]]:
    """The extents of what a condition measures: its aggregates, and its queries in brackets."""
    queries = ((first - 1, last + 1) for first, last in _subqueries(tokens))
    behind = -1
    for first, last in sorted((*_aggregates(tokens), *queries)):
        if first > behind:
            yield tokens[first].start, tokens[last].end + 1
            behind = last


def _words(tokens: list[Token]) -> list[str]:
    """The words in upper case, without what stands in quotes."""
    named = (TokenType.STRING, TokenType.IDENTIFIER)
    return ["" if t.token_type in named else t.text.upper() for t in tokens]


def _closing(words: list[str], opening: int) -> int:
    depth = 0
    for at in range(opening, len(words)):
        depth += {"(": 1, ")": -1}.get(words[at], 0)
        if depth == 0:
            return at
    return len(words) - 1
