"""Translates operators and special forms of expressions, node by node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from qanat.dialect.spark import casts
from qanat.dialect.spark.calls import translate_call
from qanat.dialect.spark.comparisons import comparable
from qanat.dialect.spark.forms import (
    literal,
    matches,
    modulo,
    not_decimal,
    number,
    substring,
    textual,
)
from qanat.dialect.spark.kinds import kind, with_kind
from qanat.dialect.spark.nested_forms import subscript
from qanat.dialect.spark.refused import Refused
from qanat.dialect.spark.template import fill, text

Handler = Callable[[Any], exp.Expr]
_DAYS = frozenset(["YEAR", "YEARS", "QUARTER", "MONTH", "MONTHS", "WEEK", "WEEKS", "DAY", "DAYS"])
_CLOCK = frozenset(["HOUR", "HOURS", "MINUTE", "MINUTES", "SECOND", "SECONDS"])


def _divided(node: exp.Div) -> exp.Expr:
    x, y = node.this, node.expression
    if "string" in (kind(x), kind(y)):
        raise Refused("arithmetic with a string", "cast it to a number")
    kinds = kind(x), kind(y)
    if "double" not in kinds:
        if "decimal" in kinds and None in kinds:
            # With a double beside the decimal both give a double. With any other type Spark gives
            # a decimal of another scale, so the unknown side is checked at run time.
            x, y = _double_beside_decimal(x, y)
        else:
            x, y = not_decimal([x]), not_decimal([y])
    if number(node.expression):
        return with_kind(fill("x / y", {"x": x, "y": y}), "double")
    return with_kind(
        fill(
            "CASE WHEN y = 0 AND w IS NOT NULL THEN"
            " error('[DIVIDE_BY_ZERO] Division by zero; use try_divide or nullif')"
            " ELSE x / nullif(z, 0) END",
            {"x": x, "w": node.this, "y": node.expression, "z": y},
        ),
        "double",
    )


def _double_beside_decimal(x: exp.Expr, y: exp.Expr) -> tuple[exp.Expr, exp.Expr]:
    def checked(side: exp.Expr) -> exp.Expr:
        if kind(side) == "decimal":
            return side
        return fill(
            "CASE WHEN typeof(x) NOT IN ('DOUBLE', 'FLOAT') THEN error('a division by or of a"
            " decimal: write the literal with an exponent, or cast to DOUBLE') ELSE x END",
            {"x": side},
        )

    return checked(x), checked(y)


def _div(node: exp.IntDiv) -> exp.Expr:
    x, y = node.this, node.expression
    for side in (x, y):
        if kind(side) in ("double", "decimal", "string"):
            raise Refused("div of other than whole numbers", "use floor(x / y)")
    guard = (
        "CASE WHEN typeof(x) IN ('DOUBLE', 'FLOAT', 'VARCHAR') OR typeof(x) LIKE 'DECIMAL%' THEN"
        " error('div of other than whole numbers: use floor(x / y)') ELSE x END"
    )
    x, y = (s if kind(s) else fill(guard, {"x": s}) for s in (x, y))
    return with_kind(fill("CAST(x // y AS BIGINT)", {"x": x, "y": y}), "bigint")


def _mod(node: exp.Mod) -> exp.Expr:
    _no_strings(node)
    return modulo([node.this, node.expression])


def _no_strings(node: exp.Binary) -> None:
    if "string" in (kind(node.this), kind(node.expression)):
        raise Refused("arithmetic with a string", "cast it to a number, or use concat")


def _interval(node: exp.Expr) -> exp.Interval | None:
    while isinstance(node, exp.Paren):
        node = node.this
    return node if isinstance(node, exp.Interval) else None


def _added(node: exp.Add | exp.Sub) -> exp.Expr:
    span = _interval(node.expression)
    if span is None and isinstance(node, exp.Add) and _interval(node.this) is not None:
        node = exp.Add(this=node.expression, expression=node.this)
        span = _interval(node.expression)
    if span is None:
        _no_strings(node)
        if isinstance(node, exp.Sub) and {kind(node.this), kind(node.expression)} <= {
            None,
            "date",
        }:
            if kind(node.this) == kind(node.expression) == "date":
                raise Refused("a date minus a date", "use datediff(end, start)")
            left = fill(
                "CASE WHEN typeof(x) = 'DATE' AND typeof(y) = 'DATE' THEN error('a date minus a"
                " date: use datediff(end, start)') ELSE x END",
                {"x": node.this, "y": node.expression},
            )
            return exp.Sub(this=left, expression=node.expression)
        return node
    if _interval(node.this) is not None:
        raise Refused("a sum of intervals", "add them to the date one after the other")
    sign = "+" if isinstance(node, exp.Add) else "-"
    unit = span.unit.name.upper() if span.unit is not None else ""
    start = node.this
    if kind(start) == "string":
        raise Refused("an interval added to a string", "write DATE '…' or TIMESTAMP '…'")
    if unit in _DAYS:
        moved = fill(f"cast_to_type(x {sign} i, x)", {"x": start, "i": span})
        return with_kind(moved, kind(start))
    if kind(start) in (None, "date"):
        start = fill(
            "CASE WHEN typeof(x) = 'DATE' THEN error('hours added to a date: cast it to"
            " TIMESTAMP first') ELSE x END",
            {"x": start},
        )
    return with_kind(fill(f"x {sign} i", {"x": start, "i": span}), "timestamp")


def _span(node: exp.Interval) -> exp.Expr:
    unit = node.unit.name.upper() if isinstance(node.unit, exp.Var) else ""
    if unit not in _DAYS | _CLOCK or not isinstance(node.this, exp.Literal | exp.Neg):
        raise Refused("an interval of this form", "write INTERVAL 'n' and one unit, DAY to YEAR")
    return node


def _compare(node: exp.Binary) -> exp.Expr:
    left, right = comparable(node.this, node.expression)
    node.set("this", left)
    node.set("expression", right)
    return node


def _between(node: exp.Between) -> exp.Expr:
    value, low = comparable(node.this, node.args["low"])
    _, high = comparable(node.this, node.args["high"])
    node.set("this", value)
    node.set("low", low)
    node.set("high", high)
    return node


def _in(node: exp.In) -> exp.Expr:
    if node.args.get("query") is not None or not node.expressions:
        return node
    value = node.this
    if isinstance(value, exp.Tuple):
        return node
    items = [comparable(value, item) for item in node.expressions]
    node.set("this", items[0][0])
    node.set("expressions", [item for _, item in items])
    return node


def _case(node: exp.Case) -> exp.Expr:
    value = node.this
    if value is None:
        return node
    for branch in node.args.get("ifs", ()):
        first, key = comparable(value, branch.this)
        node.set("this", first)
        branch.set("this", key)
    return node


def _like(node: exp.Like | exp.ILike) -> exp.Expr:
    if isinstance(node.expression, exp.Any | exp.All | exp.Tuple):
        raise Refused("LIKE ANY and LIKE ALL", "join several LIKE with OR or AND")
    pattern = node.expression
    if isinstance(node.parent, exp.Escape):
        return node
    if isinstance(pattern, exp.Literal) and "\\" not in pattern.name:
        return node
    return exp.Escape(this=node.copy(), expression=text("\\"))


def _piped(node: exp.DPipe) -> exp.Expr:
    joined = fill("x || y", {"x": textual(node.this), "y": textual(node.expression)})
    known = kind(node.this), kind(node.expression)
    return with_kind(joined, "string" if "string" in known else None)


def _rlike(node: exp.RegexpLike) -> exp.Expr:
    return with_kind(matches([node.this, node.expression]), "bool")


def _extract(node: exp.Extract) -> exp.Expr:
    part = node.this.name.lower()
    names = {"dow": "dayofweek", "doy": "dayofyear", "week": "weekofyear", "d": "day"}
    name = names.get(part, part)
    if name not in (
        "year", "quarter", "month", "weekofyear", "day", "dayofweek", "doy", "dayofyear",
        "hour", "minute",
    ):  # fmt: skip
        raise Refused(f"EXTRACT({part.upper()} …)", "use a function such as second()")
    return translate_call(name, [node.expression])


def _trim(node: exp.Trim) -> exp.Expr:
    name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position")), "trim")
    characters = node.expression
    # Without characters, TRIM removes spaces and no tabs, in both Spark and DuckDB.
    args = [node.this, *([characters] if characters is not None else [])]
    return with_kind(exp.Anonymous(this=name, expressions=args), "string")


def _substring(node: exp.Substring) -> exp.Expr:
    args = [node.this, node.args.get("start"), node.args.get("length")]
    return with_kind(substring([a for a in args if a is not None]), "string")


def _position(node: exp.StrPosition) -> exp.Expr:
    if node.args.get("position") is not None:
        raise Refused("position() from a start", "use substring() first")
    return translate_call("instr", [node.this, node.args["substr"]])


def _cast(node: exp.Cast) -> exp.Expr:
    return casts.cast(node.this, node.to, isinstance(node, exp.TryCast))


def _bracket(node: exp.Bracket) -> exp.Expr:
    if len(node.expressions) != 1:
        raise Refused("more than one index in […]")
    return subscript(node.this, node.expressions[0])


def _raw(node: exp.RawString) -> exp.Expr:
    return text(node.name)


def _column(node: exp.Column) -> exp.Expr:
    if isinstance(node.this, exp.Identifier) and not node.table and not node.this.quoted:
        name = node.name.lower()
        if name in ("current_date", "current_timestamp"):
            return translate_call(name, [])
        if name in ("current_user", "session_user", "user", "localtimestamp", "current_time"):
            raise Refused(f"Spark's {name}", "write the value as a literal")
    return node


def _same(node: exp.Expr) -> exp.Expr:
    return node


def _adjacent(node: exp.Concat) -> exp.Expr:
    return text("".join(literal(e, "a string") for e in node.expressions))


def _known_only(node: exp.IgnoreNulls) -> exp.Expr:
    """IGNORE NULLS of first and last, which Spark also writes as first(x, TRUE)."""
    name = node.this.meta.get("name")
    if name not in ("first", "first_value", "any_value", "last", "last_value"):
        raise Refused("IGNORE NULLS here", "carried over for first and last")
    value = node.this.expressions[0].expressions[0]
    return translate_call(name, [value, exp.true()])


HANDLERS: dict[type[exp.Expr], Handler] = {
    exp.Div: _divided, exp.IntDiv: _div, exp.Mod: _mod, exp.Add: _added, exp.Sub: _added,
    exp.Interval: _span, exp.EQ: _compare, exp.NEQ: _compare, exp.LT: _compare,
    exp.LTE: _compare, exp.GT: _compare, exp.GTE: _compare, exp.NullSafeEQ: _compare,
    exp.NullSafeNEQ: _compare, exp.Between: _between, exp.In: _in, exp.Case: _case,
    exp.Like: _like, exp.ILike: _like, exp.DPipe: _piped, exp.RegexpLike: _rlike,
    exp.Extract: _extract, exp.Trim: _trim, exp.Substring: _substring,
    exp.StrPosition: _position, exp.Cast: _cast, exp.TryCast: _cast, exp.Bracket: _bracket,
    exp.RawString: _raw, exp.Column: _column, exp.Concat: _adjacent,
    exp.IgnoreNulls: _known_only,
}  # fmt: skip

SAME: frozenset[type[exp.Expr]] = frozenset(
    [
        exp.Alias, exp.And, exp.Or, exp.Not, exp.Paren, exp.Literal, exp.Boolean, exp.Null,
        exp.Star, exp.Identifier, exp.Is, exp.If, exp.DataType, exp.DataTypeParam, exp.Mul,
        exp.Neg, exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor, exp.BitwiseNot,
        exp.Lambda, exp.Dot, exp.Exists,
        exp.Tuple, exp.Escape, exp.Distinct, exp.Var, exp.PropertyEQ,
    ]
)  # fmt: skip
