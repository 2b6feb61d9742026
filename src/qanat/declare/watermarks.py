"""Finds the clause `WATERMARK column DELAY OF INTERVAL …` behind a stream.

It stands behind the name or the alias of the stream. sqlglot's dialects do not know it, so it is
removed from the tokens before they are parsed, as STREAM is.
"""

from __future__ import annotations

from sqlglot import Token, TokenType

from qanat.declare.cursor import SqlText
from qanat.errors import OptionError, SqlSyntaxError, UnsupportedError, nearest
from qanat.frozen import Frozen
from qanat.model.query import EventTime
from qanat.model.span import UNITS, microseconds

EXAMPLE = "WATERMARK ts DELAY OF INTERVAL 5 MINUTES"
_ENDS = frozenset({TokenType.R_PAREN, TokenType.COMMA, TokenType.JOIN, TokenType.WHERE,
                   TokenType.GROUP_BY, TokenType.ON, TokenType.SEMICOLON})  # fmt: skip
_WORD = "WATERMARK"


class GivenWatermark(Frozen):
    """The clause as it is written.

    Args:
        start, end: offsets in the text; `end` is exclusive.
        words: the tokens between WATERMARK and DELAY.
        delay: those from DELAY on; empty if it is missing.
    """

    start: int
    end: int
    words: tuple[Token, ...]
    delay: tuple[Token, ...]

    @property
    def says_delay(self) -> bool:
        """True if DELAY OF and a value are there, so that it can be nothing but the clause."""
        return len(self.delay) >= 3 and _is_word(self.delay[1], "OF")


def find_watermark(tokens: list[Token], at: int) -> tuple[GivenWatermark, int] | None:
    """The clause at an index, with the index of its last token; None if there is none.

    A table may be called `watermark`: without a column behind it, it is an alias.
    """
    if at + 1 >= len(tokens) or not _is_word(tokens[at], _WORD):
        return None
    if tokens[at + 1].token_type in _ENDS or _is_word(tokens[at + 1], "AS"):
        return None
    index, words = at + 1, []
    depth = 0
    while index < len(tokens) and not (depth == 0 and _is_word(tokens[index], "DELAY")):
        depth += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(tokens[index].token_type, 0)
        if depth < 0 or (depth == 0 and tokens[index].token_type in _ENDS):
            break
        words.append(tokens[index])
        index += 1
    if depth != 0 or index >= len(tokens) or not _is_word(tokens[index], "DELAY"):
        # What it is, is told by the error about the missing delay.
        last = at + len(words)
        return GivenWatermark(tokens[at].start, tokens[last].end + 1, tuple(words), ()), last
    last = index
    if last + 1 < len(tokens) and _is_word(tokens[last + 1], "OF"):
        last += 1
    if last + 1 < len(tokens) and _is_word(tokens[last + 1], "INTERVAL"):
        last += 1
    first = last + 1
    if first < len(tokens) and tokens[first].token_type is TokenType.DASH:
        first += 1
    last = min(first, len(tokens) - 1)
    value = tokens[last]
    text = value.token_type is TokenType.STRING and not value.text.strip().isdigit()
    if not text and last + 1 < len(tokens) and tokens[last + 1].text.isidentifier():
        last += 1
    given = tokens[index : last + 1]
    return GivenWatermark(tokens[at].start, tokens[last].end + 1, tuple(words), tuple(given)), last


def event_time(sql: SqlText, given: GivenWatermark) -> EventTime:
    """What the clause says.

    Raises:
        SqlSyntaxError, OptionError, UnsupportedError: it cannot be understood.
    """
    at = sql.at(given.start)
    if not given.says_delay:
        raise SqlSyntaxError("WATERMARK needs a delay", location=at, wanted=EXAMPLE)
    if len(given.words) != 1:
        raise UnsupportedError(
            "a watermark is of a column",
            location=sql.at(given.words[0].start) if given.words else at,
            wanted=EXAMPLE,
            hint="compute the column in a TEMPORARY VIEW over the stream, and read that:"
            " STREAM view WATERMARK ts DELAY OF …",
        )
    delay = given.delay[2:]
    where = sql.at(delay[0].start)
    text = sql.text[delay[0].start : delay[-1].end + 1]
    found = microseconds(text)
    if found is None:
        unit = delay[-1].text.upper()
        raise OptionError(
            f"{text} is no delay of a fixed length",
            location=where,
            wanted=f"INTERVAL with one of {', '.join(UNITS)}",
            nearest=nearest(unit, UNITS),
        )
    if found < 0:
        raise OptionError(
            "a delay is not negative", location=where, wanted=EXAMPLE, got=text.strip()
        )
    return EventTime(given.words[0].text, found, at)


def find_windows(tokens: list[Token]) -> tuple[list[Token], list[tuple[int, int, str]]]:
    """Have `window(…)` parse as a call: WINDOW is a keyword of both dialects.

    Returns:
        The tokens, and the edits that give the function another name in the executable text.
    """
    found, edits = list(tokens), []
    for i, token in enumerate(tokens[:-1]):
        opens = tokens[i + 1].token_type is TokenType.L_PAREN
        if opens and _is_word(token, "WINDOW") and token.token_type is TokenType.WINDOW:
            found[i] = Token(
                TokenType.VAR, token.text, token.line, token.col, token.start, token.end
            )
            edits.append((token.start, token.end + 1, "event_window"))
    return found, edits


def _is_word(token: Token, word: str) -> bool:
    quoted = token.token_type in (TokenType.IDENTIFIER, TokenType.STRING)
    return not quoted and token.text.upper() == word
