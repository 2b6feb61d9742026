"""Finds the keyword STREAM, which sqlglot's dialects do not know, and the options behind it.

They parse `STREAM t` as a table named STREAM with the alias t. So the keyword is removed from the
tokens before they are parsed, and kept by the token that follows it; likewise the options of a
stream, `STREAM t WITH (skip_change_commits)`. A table or column that is really named stream is
still one, unless a name follows it in FROM.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlglot import Dialect, Token, TokenType

from qanat.declare.watermarks import GivenWatermark, find_watermark
from qanat.frozen import Frozen

_OPENS = frozenset({TokenType.FROM, TokenType.JOIN})
_CLOSES = frozenset(
    {
        TokenType.SELECT,
        TokenType.WHERE,
        TokenType.GROUP_BY,
        TokenType.HAVING,
        TokenType.QUALIFY,
        TokenType.WINDOW,
        TokenType.ORDER_BY,
        TokenType.LIMIT,
        TokenType.VALUES,
    }
)


class GivenOption(Frozen):
    """An option of a stream as it is written, at an offset in the text."""

    name: str
    value: Any
    start: int


class Stream(Frozen):
    """The extent of a STREAM keyword with the first token or the parentheses that follow it.

    Args:
        start, end: offsets in the text; `end` is exclusive, and behind the options.
        options: what WITH says.
        wrong: the offset of the first word in WITH that is no option; None if all are.
        watermark: the clause WATERMARK; it may stand behind the alias, and so behind `end`.
    """

    start: int
    end: int
    options: tuple[GivenOption, ...] = ()
    wrong: int | None = None
    watermark: GivenWatermark | None = None


def find_streams(tokens: list[Token], dialect: str) -> tuple[list[Token], dict[int, Stream]]:
    """Remove STREAM, and the parentheses of `STREAM(…)`, from the tokens of a query.

    Returns:
        The other tokens, and each keyword by the offset of the token that follows it.
    """
    names = Dialect.get_or_raise(dialect).parser_class.TABLE_ALIAS_TOKENS
    dropped: set[int] = set()
    found: dict[int, Stream] = {}
    in_from = [False]
    for i, token in enumerate(tokens):
        kind = token.token_type
        if kind is TokenType.L_PAREN:
            in_from.append(False)
        elif kind is TokenType.R_PAREN and len(in_from) > 1:
            in_from.pop()
        elif kind in _OPENS:
            in_from[-1] = True
        elif kind in _CLOSES:
            in_from[-1] = False
        if not _is_keyword(tokens, i, in_from):
            continue
        following = tokens[i + 1]
        if following.token_type is TokenType.L_PAREN:
            close = closing(tokens, i + 1)
            if close is None or close == i + 2:
                continue
            dropped |= {i, i + 1, close}
            options, last = _options(tokens, close)
            dropped |= set(range(close + 1, last + 1))
            end = tokens[last].end + 1
            watermark = _watermark(tokens, last, names, dropped)
            found[tokens[i + 2].start] = Stream(token.start, end, *options, watermark)
        elif following.token_type in names or following.token_type in (
            TokenType.IDENTIFIER,
            TokenType.STRING,
        ):
            dropped.add(i)
            named = _end_of_name(tokens, i + 1)
            options, last = _options(tokens, named)
            dropped |= set(range(named + 1, last + 1))
            end = tokens[last].end + 1 if last > named else following.end + 1
            watermark = _watermark(tokens, last, names, dropped)
            found[following.start] = Stream(token.start, end, *options, watermark)
    return [t for i, t in enumerate(tokens) if i not in dropped], found


def _watermark(
    tokens: list[Token], last: int, names: Collection[TokenType], dropped: set[int]
) -> GivenWatermark | None:
    """The clause behind a stream, or behind its alias; its tokens are dropped."""
    at = last + 1
    found = find_watermark(tokens, at)
    if found is None:
        at += bool(tokens[at : at + 1]) and tokens[at].token_type is TokenType.ALIAS
        alias = tokens[at].token_type if at < len(tokens) else None
        if alias not in names and alias is not TokenType.IDENTIFIER:
            return None
        at += 1
        found = find_watermark(tokens, at)
    if found is None:
        return None
    dropped |= set(range(at, found[1] + 1))
    return found[0]


def _is_keyword(tokens: list[Token], i: int, in_from: list[bool]) -> bool:
    """True if the token at an index is the keyword STREAM.

    Args:
        tokens: the tokens of the query.
        i: the index.
        in_from: for each open parenthesis, True if the text is in a FROM clause there.
    """
    token = tokens[i]
    if token.token_type is TokenType.IDENTIFIER or token.text.upper() != "STREAM":
        return False
    if token.token_type is TokenType.STRING or not 0 < i < len(tokens) - 1:
        return False
    around = 0
    while i - 1 - around > 0 and tokens[i - 1 - around].token_type is TokenType.L_PAREN:
        around += 1
    before = tokens[i - 1 - around].token_type
    return before in _OPENS or (before is TokenType.COMMA and in_from[-1 - around])


def closing(tokens: list[Token], opening: int) -> int | None:
    """The index of the `)` that closes the `(` at `opening`; None if there is none."""
    depth = 0
    for i in range(opening, len(tokens)):
        depth += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(tokens[i].token_type, 0)
        if depth == 0:
            return i
    return None


def _end_of_name(tokens: list[Token], first: int) -> int:
    """The index of the last token of a name, or of a call, that begins at an index."""
    last = first
    while last + 2 < len(tokens) and tokens[last + 1].token_type is TokenType.DOT:
        last += 2
    if last + 1 < len(tokens) and tokens[last + 1].token_type is TokenType.L_PAREN:
        last = closing(tokens, last + 1) or last
    return last


def _options(
    tokens: list[Token], before: int
) -> tuple[tuple[tuple[GivenOption, ...], int | None], int]:
    """The options in `WITH (…)` behind a token with the first word that is none, and their end."""
    opening = before + 2
    if [t.token_type for t in tokens[before + 1 : before + 3]] != [
        TokenType.WITH,
        TokenType.L_PAREN,
    ]:
        return ((), None), before
    close = closing(tokens, opening)
    if close is None:
        return ((), None), before
    found: list[GivenOption] = []
    rest = tokens[opening + 1 : close]
    while rest:
        taken = _option(rest)
        if taken is None:
            return (tuple(found), rest[0].start), close
        found.append(taken[0])
        rest = rest[taken[1] :]
        if rest and rest[0].token_type is not TokenType.COMMA:
            return (tuple(found), rest[0].start), close
        rest = rest[1:]
    wrong = None if found else tokens[close].start
    return (tuple(found), wrong), close


def _option(tokens: list[Token]) -> tuple[GivenOption, int] | None:
    """The option at the beginning of some tokens, and of how many it is; None if there is none.

    It is written `name`, `name = value` or, as Databricks takes it too, `name value`.
    """
    name = tokens[0]
    if name.token_type is not TokenType.STRING and not name.text.isidentifier():
        return None
    values = tokens[2:3] if tokens[1:2] and tokens[1].token_type is TokenType.EQ else tokens[1:2]
    if len(tokens) == 1 or tokens[1].token_type is TokenType.COMMA:
        return GivenOption(name.text, True, name.start), 1
    for value in values:
        if value.token_type in (
            TokenType.STRING,
            TokenType.NUMBER,
            TokenType.TRUE,
            TokenType.FALSE,
        ):
            size = 1 + tokens.index(value)
            return GivenOption(name.text, value.text, name.start), size
    return None
