"""Joins of two frames."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from qanat.declare.spark.items import Item, Items, Star
from qanat.declare.spark.selected import Selected
from qanat.declare.spark.terms import condition, listed, written
from qanat.errors import UnsupportedError, nearest
from qanat.model.name import fold

_KINDS = {
    "inner": "INNER", "left": "LEFT", "leftouter": "LEFT", "right": "RIGHT", "rightouter": "RIGHT",
    "full": "FULL", "outer": "FULL", "fullouter": "FULL", "semi": "LEFT SEMI",
    "leftsemi": "LEFT SEMI", "anti": "LEFT ANTI", "leftanti": "LEFT ANTI",
}  # fmt: skip


def joined(left: Selected, right: Selected, on: Any, how: str) -> Selected:
    """A join of two queries.

    Columns of one name become one if they are named as such, as in Spark.

    Args:
        on: names of columns, or conditions as columns.
        how: as Spark calls the kind of join.

    Raises:
        UnsupportedError: it is no such join, or the sides have one name.
    """
    kind = _KINDS.get(how.lower().replace("_", ""))
    if kind is None:
        raise UnsupportedError(f"no join is called {how!r}", nearest=nearest(how, _KINDS))
    sides = [s if s.plain else s.nested() for s in (left, right)]
    a, b = (s.alias for s in sides)
    if fold(a) == fold(b):
        raise UnsupportedError(
            f"both sides of the join are called {a!r}",
            hint=f'give one another name: .alias("{a}2")',
        )
    terms = listed([on])
    names = [t for t in terms if isinstance(t, str)]
    if len(names) not in (0, len(terms)):
        raise UnsupportedError("join by names and conditions at once", hint="use conditions")
    parts: list[exp.Expr] = []
    for term in terms:
        if names:
            parts.append(exp.EQ(this=_of(a, term), expression=_of(b, term)))
        else:
            parts += _conjuncts(condition(term, "join"))
    head = f"{sides[0].source} {kind} JOIN {sides[1].source} ON {written(exp.and_(*parts))}"
    return Selected(
        head,
        items=_items(a, b, names, kind),
        streaming=left.streaming or right.streaming,
        times=(*left.times, *right.times),
    )


def _items(a: str, b: str, names: list[str], kind: str) -> Items:
    if kind in ("LEFT SEMI", "LEFT ANTI"):
        return Items((Star(a),))
    keys = []
    for name in names:
        value: exp.Expr = _of(b if kind == "RIGHT" else a, name)
        if kind == "FULL":
            value = exp.Coalesce(this=value, expressions=[_of(b, name)])
        keys.append(Item(name, value))
    return Items((*keys, Star(a, tuple(names)), Star(b, tuple(names))))


def _of(alias: str, name: str) -> exp.Column:
    return exp.column(name, table=alias, quoted=True)


def _conjuncts(term: exp.Expr) -> list[exp.Expr]:
    """The conditions that all hold where one does; `&` writes them in brackets."""
    while isinstance(term, exp.Paren):
        term = term.this
    if not isinstance(term, exp.And):
        return [term]
    return _conjuncts(term.left) + _conjuncts(term.right)
