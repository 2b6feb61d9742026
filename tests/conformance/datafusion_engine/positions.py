"""Carry the position of each row through an author's query."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import Any

from sqlglot import tokenize
from sqlglot.errors import SqlglotError

from qanat.model.name import same
from qanat.model.query import SqlQuery
from qanat.planning.levels import row_source
from tests.conformance.datafusion_engine.columns import quote

AT = "__qanat_at"
"""The column that says where a row came from: the file's number and the row's in the file."""


def carrying(query: SqlQuery, known: Container[str]) -> tuple[str, str] | None:
    """A query that gives `__qanat_at` in front, in that order, and the input that it is of.

    The author's text is edited, not written anew: sqlglot knows no dialect of DataFusion, and
    would say some things otherwise. None where the rows are not those of one input.

    Args:
        known: the inputs that have positions, each as a view `<name>__at`.
    """
    try:
        source, tokens = row_source(query), tokenize(query.sql, query.dialect)
    except SqlglotError:  # DataFusion understands more than the dialect that it is likest to
        return None
    if source is None or tokens[0].text.upper() != "SELECT":
        return None
    begin = _from(tokens)
    table = tokens[begin + 1]
    if table.text not in known:
        return None
    behind = [t for t in tokens[begin + 2 : begin + 4] if t.text.upper() != "AS"][:1]
    alias = behind[0] if behind and same(behind[0].text, source) else table
    named = query.sql[alias.start : alias.end + 1]
    at = f"{named}.{AT}"
    inserted = {tokens[0].end + 1: f" {at},"}
    for number in _stars(tokens[:begin], source):
        if tokens[number + 1].text.upper() in ("EXCEPT", "EXCLUDE"):
            inserted[tokens[number + 2].end + 1] = f"{AT}, "
        else:
            inserted[tokens[number].end + 1] = f" EXCEPT ({AT})"
    head = query.sql[: table.start]
    for offset, text in sorted(inserted.items(), reverse=True):
        head = head[:offset] + text + head[offset:]
    renamed = quote(f"{table.text}__at") + (f" AS {named}" if alias is table else "")
    return f"{head}{renamed}{query.sql[table.end + 1 :]}\nORDER BY {at}", table.text


def _outermost(tokens: Sequence[Any]) -> Iterator[int]:
    """The tokens that are in no parentheses: not those of subqueries, nor of functions."""
    depth = 0
    for number, token in enumerate(tokens):
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0:
            yield number


def _from(tokens: Sequence[Any]) -> int:
    """Where the FROM is; IS DISTINCT FROM is another."""
    return next(
        n
        for n in _outermost(tokens)
        if tokens[n].text.upper() == "FROM" and tokens[n - 1].text.upper() != "DISTINCT"
    )


def _stars(tokens: Sequence[Any], source: str) -> Iterator[int]:
    """The stars that mean all columns of the source, and no multiplication."""
    for number in _outermost(tokens):
        before = tokens[number - 1].text.upper()
        if tokens[number].text == "*" and (
            before in (",", "SELECT") or (before == "." and same(tokens[number - 2].text, source))
        ):
            yield number
