"""Where the clauses of a query stand in its author's text: sqlglot's trees do not tell."""

from __future__ import annotations

from collections.abc import Collection

from sqlglot import Dialect, Token, TokenType, exp

from qanat.model.query import SqlQuery
from qanat.planning.stateful import tree_of

_SET_OPERATIONS = {TokenType.UNION, TokenType.EXCEPT, TokenType.INTERSECT}
_OPENING = {TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE}
_CLOSING = {TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE}


class UnseparableError(Exception):
    """The query reads an input in a way that would show its hidden columns."""


class Clauses:
    """The text of a query as tokens.

    Args:
        tokens: all of them, in order.
    """

    def __init__(self, query: SqlQuery) -> None:
        self.tokens: list[Token] = Dialect.get_or_raise(query.dialect).tokenize(query.sql)
        self._tree = tree_of(query)

    def word(self, select: exp.Select, word: TokenType) -> int:
        """The token that begins the SELECT or FROM clause of a query."""
        found = self._next(self.beginning(select), {word, *_SET_OPERATIONS})
        if self.type_at(found) is not word:
            raise UnseparableError("a query without SELECT")
        return found

    def _next(self, start: int, words: Collection[TokenType]) -> int:
        """The next of some tokens that is not within brackets opened after `start`."""
        depth = 0
        for index in range(start, len(self.tokens)):
            kind = self.type_at(index)
            depth += (kind in _OPENING) - (kind in _CLOSING)
            if depth < 0:
                break
            if depth == 0 and kind in words and not self._excludes(index):
                return index
        raise UnseparableError("a query of another form")

    def _excludes(self, index: int) -> bool:
        """True for the EXCEPT of `* EXCEPT (…)`."""
        around = [self.type_at(at) for at in (index - 1, index, index + 1)]
        return around == [TokenType.STAR, TokenType.EXCEPT, TokenType.L_PAREN]

    def beginning(self, query: exp.Expr) -> int:
        """The first token of a query behind its WITH clause.

        It may be the whole, a CTE, a subquery in FROM or an arm of UNION ALL.
        """
        start, clause = self._first(query), query.args.get("with_")
        return self.closing(self._opening(clause.expressions[-1])) + 1 if clause else start

    def _first(self, query: exp.Expr) -> int:
        if query is self._tree:
            return 0
        around = query.parent
        if isinstance(around, exp.SetOperation):
            while isinstance(around.parent, exp.SetOperation):
                around = around.parent
            start = self.beginning(around)
            before_it = next(n for n, arm in enumerate(_arms(around)) if arm is query)
            for _ in range(before_it):
                start = self._next(start, _SET_OPERATIONS) + 1
            return start
        return self._opening(around) + 1

    def _opening(self, around: exp.Expr | None) -> int:
        """The bracket that opens a CTE, a subquery in FROM or a join, or an arm in brackets."""
        outer = around.find_ancestor(exp.Select) if around else None
        if isinstance(around, exp.CTE):
            named = around.args["alias"]
            before = self.token_at(named.this.meta["start"])
            if named.args.get("columns"):
                before = self.closing(before + 1) + 1
        elif not isinstance(around, exp.Subquery):
            raise UnseparableError("a subquery")
        elif isinstance(around.parent, exp.SetOperation):
            before = self.beginning(around)
        elif isinstance(around.parent, exp.From) and outer is not None:
            before = self.word(outer, TokenType.FROM)
        elif isinstance(around.parent, exp.Join) and (alias := around.args.get("alias")):
            return self._opened(self.token_at(alias.this.meta["start"]))
        else:
            raise UnseparableError("a subquery")
        while self.type_at(before) is not TokenType.L_PAREN:
            before += 1
        return before

    def _opened(self, alias: int) -> int:
        """The bracket that opens what stands before an alias."""
        depth = 0
        for index in range(alias - 1, -1, -1):
            depth += (self.type_at(index) in _CLOSING) - (self.type_at(index) in _OPENING)
            if depth == 0 and self.type_at(index) in _OPENING:
                return index
        raise UnseparableError("a subquery")

    def token_at(self, offset: int) -> int:
        """The token that begins at an offset in the text."""
        return next(i for i, t in enumerate(self.tokens) if t.start == offset)

    def type_at(self, index: int) -> TokenType | None:
        """The kind of a token; None if there are not so many."""
        found: Token | None = self.tokens[index] if 0 <= index < len(self.tokens) else None
        return found.token_type if found else None

    def closing(self, opening: int) -> int:
        """The token of the bracket that closes one."""
        depth = 0
        for index in range(opening, len(self.tokens)):
            depth += (self.type_at(index) in _OPENING) - (self.type_at(index) in _CLOSING)
            if depth == 0:
                return index
        raise UnseparableError("a bracket that is not closed")


def _arms(query: exp.Expr) -> list[exp.Expr]:
    """The arms of set operations in a row, from left to right."""
    if not isinstance(query, exp.SetOperation):
        return [query]
    return [*_arms(query.this), *_arms(query.expression)]
