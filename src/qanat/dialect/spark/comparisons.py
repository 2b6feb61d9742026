"""Translates comparisons: both sides must have comparable types."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from qanat.dialect.spark.kinds import NUMBERS, kind
from qanat.dialect.spark.refused import Refused
from qanat.dialect.spark.template import fill

Form = Callable[[list[exp.Expr]], exp.Expr]


def compared(args: list[exp.Expr]) -> exp.Expr:
    """`x = y` with Spark's meaning."""
    left, right = comparable(args[0], args[1])
    return fill("x = y", {"x": left, "y": right})


def _extreme(name: str) -> Form:
    """greatest() and least(): DuckDB would cast a string literal beside a date to a date."""

    def form(args: list[exp.Expr]) -> exp.Expr:
        kinds = {kind(a) for a in args} - {None}
        if "string" in kinds and len(kinds) > 1:
            raise Refused(f"{name}() of a string and another type", "cast one of them")
        if "string" in kinds:
            args = [_only_text(a) if kind(a) is None else a for a in args]
        return exp.Anonymous(this=name, expressions=args)

    return form


def _only_text(node: exp.Expr) -> exp.Expr:
    return fill(
        "CASE WHEN typeof(x) NOT IN ('VARCHAR', '\"NULL\"') THEN error('values of different types"
        " compared: cast one of them') ELSE x END",
        {"x": node},
    )


def comparable(left: exp.Expr, right: exp.Expr) -> tuple[exp.Expr, exp.Expr]:
    """Both sides of a comparison, with a check where a type is unknown.

    Spark casts a string to the type of the number that it is compared with, and fails if it does
    not fit exactly; DuckDB rounds.

    Raises:
        Refused: one side is a string or boolean and the other is a number.
    """
    kinds = kind(left), kind(right)
    if "string" in kinds and (kinds[0] in NUMBERS or kinds[1] in NUMBERS):
        raise Refused("a string compared with a number", "cast one of them")
    if "bool" in kinds and (kinds[0] in NUMBERS or kinds[1] in NUMBERS):
        raise Refused("a number compared with a boolean", "cast one of them")
    if "string" in kinds or None not in kinds or _must_not_repeat(left) or _must_not_repeat(right):
        return _check_literal(left, right), _check_literal(right, left)
    return _check_type(left, right), _check_type(right, left)


def _check_literal(side: exp.Expr, other: exp.Expr) -> exp.Expr:
    """Check a literal such as '1.5' at run time if the other side may be a number."""
    is_text = isinstance(side, exp.Literal) and side.is_string
    if not is_text or kind(other) is not None or _must_not_repeat(other):
        return side
    try:
        float(side.name)
    except ValueError:
        return side
    if side.name.strip().lstrip("+-").isdigit():
        return side
    return fill(
        "CASE WHEN typeof(y) IN ('VARCHAR', 'DOUBLE', 'FLOAT') THEN x ELSE"
        " error('a number compared with a string: write the number without quotes') END",
        {"x": side, "y": other},
    )


def _check_type(side: exp.Expr, other: exp.Expr) -> exp.Expr:
    if kind(side) is not None:
        return side
    message = "error('values of different types compared: cast one of them')"
    if kind(other) in NUMBERS:
        return fill(f"CASE WHEN typeof(x) = 'VARCHAR' THEN {message} ELSE x END", {"x": side})
    if kind(other) == "bool":
        return fill(
            f"CASE WHEN typeof(x) NOT IN ('BOOLEAN', 'VARCHAR', '\"NULL\"') THEN {message}"
            " ELSE x END",
            {"x": side},
        )
    if kind(other) is None:
        # DuckDB evaluates `typeof` when it compiles the query, so it can still plan a hash join.
        return fill(
            "CASE WHEN typeof(x) IN ('VARCHAR', 'BOOLEAN')"
            " AND typeof(y) NOT IN (typeof(x), '\"NULL\"') THEN"
            f" {message} ELSE x END",
            {"x": side, "y": other},
        )
    return side


def _must_not_repeat(node: exp.Expr) -> bool:
    """True for a node that must not be repeated in the result: a subquery, window or tuple."""
    return bool(node.find(exp.Query, exp.Window)) or isinstance(node, exp.Tuple)


FORMS: dict[str, Form] = {
    "COMPARED": compared,
    "GREATEST": _extreme("greatest"),
    "LEAST": _extreme("least"),
}
