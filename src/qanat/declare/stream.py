"""The keyword STREAM, which sqlglot's DuckDB and Spark dialects do not know.

They parse `STREAM t` as a table named STREAM with the alias t. So the keyword is removed from the
tokens before they are parsed, and kept by the token that follows it. A table or column that is
really named stream is still one, unless a name follows it in FROM.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import Dialect, Token, TokenType

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


@dataclass(frozen=True, slots=True)
class Stream:
    """The extent of a STREAM keyword with the first token or the parentheses that follow it.

    Args:
        start, end: offsets in the text; `end` is exclusive.
    """

    start: int
    end: int


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
            found[tokens[i + 2].start] = Stream(token.start, tokens[close].end + 1)
        elif following.token_type in names or following.token_type in (
            TokenType.IDENTIFIER,
            TokenType.STRING,
        ):
            dropped.add(i)
            found[following.start] = Stream(token.start, following.end + 1)
    return [t for i, t in enumerate(tokens) if i not in dropped], found


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
