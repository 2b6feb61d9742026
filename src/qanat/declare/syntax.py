"""Translates sqlglot's parse errors, with the right location and the nearest keyword."""

from __future__ import annotations

import re
from itertools import pairwise

from sqlglot import Token, TokenType
from sqlglot.errors import ParseError

from qanat.declare.cursor import SqlText
from qanat.declare.slips import is_template, late_clause, misplaced, template, unended
from qanat.errors import SqlSyntaxError, nearest

_WORDS = """
SELECT FROM WHERE GROUP HAVING ORDER LIMIT OFFSET DISTINCT JOIN LEFT RIGHT FULL INNER OUTER CROSS
NATURAL USING UNION INTERSECT EXCEPT QUALIFY WINDOW PARTITION BETWEEN LIKE ILIKE WITH RECURSIVE
CASE WHEN THEN ELSE END CAST EXISTS VALUES LATERAL PIVOT UNPIVOT AND NOT NULL INTERVAL OVER FILTER
EXCLUDE REPLACE STREAM BY ASC DESC NULLS FIRST LAST
"""
KEYWORDS = frozenset(_WORDS.split())

_CLOSE = 0.75


def syntax_error(error: ParseError, source: SqlText, tokens: list[Token]) -> SqlSyntaxError:
    """The `SqlSyntaxError` for a parse error of sqlglot.

    sqlglot takes a misspelt keyword for an alias and fails one or two tokens later, so the tokens
    before are compared with keywords, too.

    Args:
        error: sqlglot's error.
        source: the text that was parsed.
        tokens: its tokens.
    """
    known = _slip(source, tokens)
    if known is not None:
        return known
    fault = error.errors[0] if error.errors else {}
    index = _find(tokens, source.text, fault)
    for i in range(index, max(index - 3, -1), -1):
        text = tokens[i].text
        near = _near(text)
        if near and source.text[tokens[i].start : tokens[i].end + 1] == text:
            return SqlSyntaxError(
                f"unexpected {text!r}", location=source.at(tokens[i].start), nearest=near
            )
    token = tokens[index]
    written = source.text[token.start : token.end + 1]
    description = str(fault.get("description") or "")
    if description.startswith("Expecting") and index == len(tokens) - 1:
        missing = description.removeprefix("Expecting ")
        return SqlSyntaxError(
            f"{missing!r} is missing at the end of the query", location=source.at(token.end)
        )
    if description.startswith("Required keyword"):
        return SqlSyntaxError(
            f"something is missing after {written!r}", location=source.at(token.start)
        )
    return SqlSyntaxError(f"unexpected {written!r}", location=source.at(token.start))


def _slip(source: SqlText, tokens: list[Token]) -> SqlSyntaxError | None:
    selects = False
    for before, token in pairwise((None, *tokens)):
        if token is None:
            continue
        selects = selects or token.token_type is TokenType.SELECT
        following = source.text[token.end + 1 :].lstrip()
        word = re.match(r"\w+|.|$", following, re.DOTALL)
        if selects and late_clause(token.text, word[0] if word else ""):
            return misplaced(token.text, source.at(token.start))
        if is_template(source.text, token.start):
            return template(source.at(token.start))
        if before and token.token_type is TokenType.CREATE and token.line > before.line:
            return unended(source.at(token.start))
    return None


def _near(text: str) -> str | None:
    upper = text.upper()
    if upper in KEYWORDS or len(upper) < 3 or not upper.isalpha():
        return None
    near = nearest(upper, KEYWORDS)
    # A short alias resembles many keywords, so only words of nearly the same length and letters
    # count as misspelt.
    return near if near and abs(len(near) - len(upper)) <= 1 and _alike(near, upper) else None


def _alike(one: str, other: str) -> bool:
    return sorted(one) == sorted(other) or sum(c in other for c in one) / len(one) >= _CLOSE


def _find(tokens: list[Token], text: str, fault: dict[str, object]) -> int:
    line, column = fault.get("line"), fault.get("col")
    for i, token in enumerate(tokens):
        if (token.line, token.col) == (line, column):
            return i
    return len(tokens) - 1
