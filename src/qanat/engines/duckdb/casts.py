"""Casts of doubles that give what a cast of the number's text gives.

DuckDB casts a double by its binary value, so that 1.005 becomes 1.00 in DECIMAL(10, 2), and halves
to the even neighbour: 2.5 becomes 2, where '2.5' and the decimal 2.5 become 3. A column that was
inferred from text must not show by its cents that it is a DOUBLE. So a cast to DECIMAL takes the
double's shortest text, as Spark's does, and one to an integer type rounds halves away from zero
(beyond 15 digits it takes the text, too). Casts of lists do the same with their elements.

An author's text is changed only at its casts, because an expression that is written anew would
lose its name. Whether an operand is a double only DuckDB knows: `typeof(x)` is a constant to it,
so that the branch for other types costs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import duckdb
from duckdb import DuckDBPyConnection, DuckDBPyRelation

from qanat.frozen import Frozen
from qanat.text import quote

_DECIMAL = "DECIMAL|NUMERIC|DEC"
_SHORT = "U?TINYINT|U?SMALLINT|U?INTEGER|INT(?:1|2|4|16|32)?|UINT(?:8|16|32)|SHORT|SIGNED|INTEGRAL"
_LONG = "U?BIGINT|U?HUGEINT|U?INT(?:64|128)|INT8|LONG|OID|BIGNUM|VARINT"
_TYPE = f"{_DECIMAL}|{_SHORT}|{_LONG}"
_MAY_CAST = re.compile(rf"(?:\bAS\b|::)\s*(?:{_TYPE})\b", re.IGNORECASE)
_TOKEN = re.compile(
    r"""(?P<gap>\s+|--[^\n]*|/\*.*?\*/)
    |(?P<text>[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    |(?P<word>"(?:[^"]|"")*"|[^\W\d]\w*)
    |(?P<number>\d[\w.]*|\.\d\w*)
    |(?P<mark>::|.)""",
    re.DOTALL | re.VERBOSE,
)
_PAIRS = {"(": ")", "[": "]", "{": "}"}
# Words before a bracket that is not of a call.
_KEYWORD = re.compile(
    "SELECT|DISTINCT|WHERE|AND|OR|NOT|IN|IS|I?LIKE|BETWEEN|ON|USING|WHEN|THEN|ELSE|CASE|BY|AS|FROM"
    "|JOIN|HAVING|QUALIFY|LIMIT|OFFSET|VALUES|UNION|EXCEPT|INTERSECT|ALL|ANY",
    re.IGNORECASE,
)
_REFUSED = (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException)
_LONG_TEXT = 1000
"""Characters of an operand that is not written down several times."""
_IS_DOUBLE = "typeof({0}) IN ('DOUBLE{1}', 'FLOAT{1}')"


class _Token(Frozen):
    kind: str
    text: str
    start: int
    end: int

    @property
    def upper(self) -> str:
        """The token, to compare it with keywords."""
        return self.text.upper()


class _Found(Frozen):
    """A cast: the places of the whole and of its operand, and what it casts to.

    Args:
        first, last: its tokens.
        operand: the first and last token of the operand.
        type_: the name of the type as written.
        tries: True for TRY_CAST.
    """

    first: int
    last: int
    operand: tuple[int, int]
    type_: str
    tries: bool


def exact_casts(sql: str) -> str:
    """SQL with its casts to DECIMAL and integers as described above.

    It may be SQL that DuckDB refuses, where a cast stands in a form that allows no other.

    >>> exact_casts("SELECT a::INT AS a")
    "SELECT CASE WHEN typeof(a) IN ('DOUBLE', 'FLOAT') THEN \
CAST(round(TRY_CAST(a AS DOUBLE)) AS INT) ELSE CAST(a AS INT) END AS a"
    """
    tokens, found = _casts(sql)
    return _written(sql, tokens, found, 0, len(sql)) if found else sql


def _casts(sql: str) -> tuple[list[_Token], list[_Found]]:
    if not _MAY_CAST.search(sql):
        return [], []
    tokens = [
        _Token(str(m.lastgroup if m.lastgroup != "tag" else "text"), m[0], m.start(), m.end())
        for m in _TOKEN.finditer(sql)
        if m["gap"] is None
    ]
    partners = _partners(tokens)
    return tokens, [c for at in range(len(tokens)) if (c := _cast_at(tokens, partners, at))]


def compiled(
    con: DuckDBPyConnection, sql: str, over: Callable[[str], str]
) -> tuple[str, DuckDBPyRelation]:
    """Compile a query with exact casts; its columns keep the names that they have without.

    Args:
        sql: the query.
        over: makes a SELECT of a query that can be computed.

    Returns:
        The SELECT, and a relation that has its columns.

    Raises:
        duckdb.Error: the query is wrong as its author wrote it.
    """

    def described(select: str) -> tuple[str, DuckDBPyRelation]:
        return select, con.sql(f"SELECT * FROM ({select}) LIMIT 0")

    exact = exact_casts(sql)
    if exact == sql:
        return described(over(sql))
    try:
        select, relation = described(over(exact))
    except _REFUSED:
        # The message must show the author's text, if the fault is there at all.
        described(over(sql))
        select, relation = described(over(_accepted(sql, lambda text: described(over(text)))))
    if any("typeof(" in name for name in relation.columns):
        names = ", ".join(quote(name) for name in described(over(sql))[1].columns)
        return described(f"SELECT * FROM ({select}) AS __qanat_named({names})")
    return select, relation


def _accepted(sql: str, compiles: Callable[[str], object]) -> str:
    """SQL with those casts exact that can be: `WITHIN GROUP (…)::INT` allows no other form."""
    tokens, found = _casts(sql)
    kept: list[_Found] = []
    for cast in found:
        try:
            compiles(_written(sql, tokens, [*kept, cast], 0, len(sql)))
        except _REFUSED:
            continue
        kept.append(cast)
    return _written(sql, tokens, kept, 0, len(sql))


def _partners(tokens: list[_Token]) -> dict[int, int]:
    """For each bracket, and for CASE and END, the token that closes or opens it."""
    partners: dict[int, int] = {}
    stack: list[int] = []
    for at, token in enumerate(tokens):
        name = token.text if token.kind == "mark" else token.upper
        if name in _PAIRS or name == "CASE":
            stack.append(at)
        elif (name in _PAIRS.values() or name == "END") and stack:
            partners[at] = stack.pop()
            partners[partners[at]] = at
    return partners


def _cast_at(tokens: list[_Token], partners: dict[int, int], at: int) -> _Found | None:
    token = tokens[at]
    if token.text == "::":
        last = _type_end(tokens, partners, at + 1)
        first = _operand(tokens, partners, at - 1)
        if last is None or first is None:
            return None
        return _Found(first, last, (first, at - 1), _type(tokens, at + 1, last), False)
    if token.upper not in ("CAST", "TRY_CAST") or at + 1 not in partners:
        return None
    close = partners[at + 1]
    as_ = next(
        (k for k in range(close - 1, at + 1, -1) if tokens[k].upper == "AS"
         and not any(k in range(o, partners[o]) for o in range(at + 2, k) if o in partners)),
        None,
    )  # fmt: skip
    if as_ is None or _type_end(tokens, partners, as_ + 1) != close - 1:
        return None
    type_ = _type(tokens, as_ + 1, close - 1)
    return _Found(at, close, (at + 2, as_ - 1), type_, token.upper == "TRY_CAST")


def _type(tokens: list[_Token], first: int, last: int) -> str:
    return "".join(t.text for t in tokens[first : last + 1])


def _type_end(tokens: list[_Token], partners: dict[int, int], at: int) -> int | None:
    """The last token of a type, or of lists of it, if casts have to be exact for it."""
    if at >= len(tokens) or not re.fullmatch(_TYPE, tokens[at].upper):
        return None
    texts = [token.text for token in tokens]
    if texts[at + 1 : at + 2] == ["("]:
        at = partners.get(at + 1, at)
    while texts[at + 1 : at + 3] == ["[", "]"]:
        at += 2
    return None if texts[at + 1 : at + 2] == ["["] else at


def _operand(tokens: list[_Token], partners: dict[int, int], at: int) -> int | None:
    """The first token of the operand of `::` that ends at a token; None if it cannot be a double.

    `::` binds closest: its operand is a name, a call, a subscript or something in brackets.
    """
    end = at
    while at >= 0:
        token, before = tokens[at], tokens[at - 1] if at else None
        if token.kind in ("text", "number"):
            return at if tokens[at + 1].text == "::" and at < end else None
        if token.text in (")", "]"):
            at = partners.get(at, -1)
            before = tokens[at - 1] if at > 0 else None
            if at < 0 or (before is not None and before.upper == "IN"):
                return None
            if before is None or not _ends_value(before, token.text == ")"):
                return at
            at -= 2 if before.upper in ("OVER", "FILTER") else 1
            continue
        if token.upper == "END" and at in partners:
            return partners[at]
        if token.kind != "word":
            return None
        over = before is not None and before.upper == "OVER"  # the name of a window
        if before is None or not (over or before.text in (".", "::")):
            return at
        at -= 2
    return None


def _ends_value(token: _Token, call: bool) -> bool:
    """True if a value, or the name of a function, ends before a bracket."""
    if token.kind == "word":
        return not _KEYWORD.fullmatch(token.text)
    return token.text in (")", "]") and not call


def _written(sql: str, tokens: list[_Token], found: list[_Found], start: int, end: int) -> str:
    """A part of the text with its casts rewritten, the outermost first."""
    parts = []
    inside = [c for c in found if start <= tokens[c.first].start and tokens[c.last].end <= end]
    for cast in sorted(inside, key=lambda c: (tokens[c.first].start, -tokens[c.last].end)):
        first, last = tokens[cast.first].start, tokens[cast.last].end
        if first < start:
            continue  # within the one before
        others = [c for c in found if c is not cast]
        a, b = (tokens[at] for at in cast.operand)
        operand = _written(sql, tokens, others, a.start, b.end)
        # What an exact cast gives is no double.
        done = any((c.first, c.last) == cast.operand for c in others)
        written = sql[first : a.start] + operand + sql[b.end : last]
        if not done and len(operand) > _LONG_TEXT:
            # Each further level would make the text five times as long.
            written = f"list_transform([{operand}], lambda x: {_exact(cast, 'x')})[1]"
        elif not done:
            written = _exact(cast, operand)
        parts += [sql[start:first], written]
        start = last
    return "".join([*parts, sql[start:end]])


def _exact(cast: _Found, operand: str) -> str:
    word = "TRY_CAST" if cast.tries else "CAST"
    plain = f"{word}({operand} AS {cast.type_})"
    lists = cast.type_.count("[")
    exact = _of_double(word, cast.type_.rstrip("[]"), "x" if lists else operand)
    for depth in range(lists):
        listed = "x" if depth + 1 < lists else operand
        exact = f"list_transform({listed}, lambda x: {exact})"
    return f"CASE WHEN {_IS_DOUBLE.format(operand, '[]' * lists)} THEN {exact} ELSE {plain} END"


def _of_double(word: str, type_: str, operand: str) -> str:
    by_text = f"{word}(CAST({operand} AS VARCHAR) AS {type_})"
    if re.match(_DECIMAL, type_.upper()):
        return by_text
    # Sixty times as fast as the text. TRY_CAST lets DuckDB compile it for operands that are none.
    double = f"TRY_CAST({operand} AS DOUBLE)"
    rounded = f"{word}(round({double}) AS {type_})"
    if re.fullmatch(_SHORT, type_.upper()):
        return rounded
    return f"CASE WHEN abs({double}) < 1e15 THEN {rounded} ELSE {by_text} END"
