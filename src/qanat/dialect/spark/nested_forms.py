"""The forms that the rules of `nested.py` and `aggregates.py` call (see `forms.py`)."""

from __future__ import annotations

from sqlglot import exp

from qanat.dialect.spark.forms import Form, literal
from qanat.dialect.spark.kinds import kind
from qanat.dialect.spark.refused import Refused
from qanat.dialect.spark.template import fill
from qanat.model.name import Names, same


def array(args: list[exp.Expr]) -> exp.Expr:
    """array(…)."""
    return exp.Anonymous(this="list_value", expressions=args)


def mapping(args: list[exp.Expr]) -> exp.Expr:
    """map(key, value, …)."""
    if len(args) % 2:
        raise Refused("map() with a key without a value")
    keys = exp.Anonymous(this="list_value", expressions=args[::2])
    values = exp.Anonymous(this="list_value", expressions=args[1::2])
    return exp.Anonymous(this="map", expressions=[keys, values])


def struct(args: list[exp.Expr]) -> exp.Expr:
    """named_struct(name, value, …)."""
    if not args or len(args) % 2:
        raise Refused("named_struct() with a name without a value")
    names = [literal(a, "the name of a field") for a in args[::2]]
    return _packed(names, args[1::2])


def named(args: list[exp.Expr]) -> exp.Expr:
    """struct(…): a column's field has the column's name, any other col1, col2, …"""
    names, values = [], []
    for place, item in enumerate(args, 1):
        if isinstance(item, exp.Alias):
            names.append(item.alias)
            values.append(item.this)
        elif isinstance(item, exp.Column | exp.Dot) and not isinstance(item.this, exp.Star):
            names.append(item.name)
            values.append(item)
        elif item.is_star:
            raise Refused("a star in struct()", "name the columns")
        else:
            names.append(f"col{place}")
            values.append(item)
    return _packed(names, values)


def _packed(names: list[str], values: list[exp.Expr]) -> exp.Expr:
    if len(Names(names)) < len(names):
        raise Refused("a struct with two fields of one name", "give them different names")
    return exp.Anonymous(
        this="struct_pack",
        expressions=[
            exp.PropertyEQ(this=exp.to_identifier(n, quoted=True), expression=v)
            for n, v in zip(names, values, strict=True)
        ],
    )


def element(args: list[exp.Expr]) -> exp.Expr:
    """element_at(x, k): a map's value by key, or an array's element counted from 1."""
    x, k = args
    if kind(k) == "string":
        return fill("x[k]", {"x": x, "k": k})
    return fill(
        "CASE WHEN typeof(x) LIKE '%]' AND (TRY_CAST(k AS BIGINT) = 0 OR"
        " abs(TRY_CAST(k AS BIGINT)) > cardinality(x)) THEN error('[INVALID_ARRAY_INDEX] no"
        " element at this index; use try_element_at') ELSE x[k] END",
        {"x": x, "k": k},
    )


def subscript(x: exp.Expr, k: exp.Expr) -> exp.Expr:
    """x[k]: a map's value by key, or an array's element counted from 0."""
    if kind(k) == "string":
        return fill("x[k]", {"x": x, "k": k})
    if kind(k) not in ("int", "bigint"):
        raise Refused(
            "x[…] where it cannot be seen whether x is a map or an array",
            "use element_at(x, key), which counts the elements of an array from 1",
        )
    return fill(
        "x[CASE WHEN typeof(x) LIKE 'MAP(%' THEN k WHEN k < 0 OR k >= cardinality(x) THEN"
        " error('[INVALID_ARRAY_INDEX] no element at this index') ELSE k + 1 END]",
        {"x": x, "k": k},
    )


def elementwise(args: list[exp.Expr]) -> exp.Expr:
    """A lambda over the elements of an array; Spark counts its second parameter from 0."""
    (function,) = args
    if not isinstance(function, exp.Lambda):
        raise Refused("a function that is not a lambda", "write x -> …")
    if len(function.expressions) == 1:
        return function
    index = function.expressions[1].name
    function = function.copy()
    for node in list(function.this.find_all(exp.Identifier)):
        if same(node.name, index) and not isinstance(node.parent, exp.Dot):
            node.replace(
                exp.Paren(this=exp.Sub(this=node.copy(), expression=exp.Literal.number(1)))
            )
    return function


def any_of(args: list[exp.Expr]) -> exp.Expr:
    """exists(a, f): NULL if no result is TRUE and some are NULL."""
    return _quantified(args, "TRUE", "FALSE")


def all_of(args: list[exp.Expr]) -> exp.Expr:
    """forall(a, f): NULL if no result is FALSE and some are NULL."""
    return _quantified(args, "FALSE", "TRUE")


def _quantified(args: list[exp.Expr], decides: str, otherwise: str) -> exp.Expr:
    results = fill("list_transform(a, f)", {"a": args[0], "f": elementwise([args[1]])})
    return fill(
        f"CASE WHEN l IS NULL THEN NULL WHEN list_contains(l, {decides}) THEN {decides}"
        f" WHEN len(list_filter(l, lambda y__: y__ IS NULL)) > 0 THEN NULL ELSE {otherwise} END",
        {"l": results},
    )


def sequence(args: list[exp.Expr]) -> exp.Expr:
    """sequence(a, b) of whole numbers, also downwards."""
    if any(kind(a) in ("date", "timestamp") for a in args):
        raise Refused("sequence() of dates", "use transform(sequence(0, n), i -> date_add(d, i))")
    return fill(
        "cast_to_type(generate_series(CAST(a AS BIGINT), CAST(b AS BIGINT), CASE WHEN a <= b THEN"
        " CAST(1 AS BIGINT) ELSE CAST(-1 AS BIGINT) END), list_value(a))",
        {"a": args[0], "b": args[1]},
    )


def count(args: list[exp.Expr]) -> exp.Expr:
    """count(*), count(x), count(DISTINCT x, …): rows in which no argument is NULL."""
    distinct = isinstance(args[0], exp.Distinct) if args else False
    values = args[0].expressions if distinct else args
    if not values:
        raise Refused("count() of nothing", "use count(*)")
    if len(values) > 1:
        known = " AND ".join(f"x{i} IS NOT NULL" for i in range(len(values)))
        row = ", ".join(f"x{i}" for i in range(len(values)))
        values = [
            fill(
                f"CASE WHEN {known} THEN row({row}) END",
                {f"x{i}": v for i, v in enumerate(values)},
            )
        ]
    inner = [exp.Distinct(expressions=values)] if distinct else values
    call = exp.Anonymous(this="count", expressions=inner)
    return exp.Anonymous(this="AGGREGATE", expressions=[call])


def first_known(args: list[exp.Expr]) -> exp.Expr:
    """first(x, TRUE): NULLs are skipped."""
    call, value, known = args
    if not isinstance(known, exp.Boolean):
        raise Refused("this second argument of first() or last()", "write true or false")
    if not known.this:
        return exp.Anonymous(this="AGGREGATE", expressions=[call])
    where = exp.Where(this=fill("x IS NOT NULL", {"x": value}))
    kept = exp.Filter(this=call, expression=where)
    kept.meta["known"] = True
    return exp.Anonymous(this="AGGREGATE", expressions=[kept])


def exploded(args: list[exp.Expr]) -> exp.Expr:
    """explode(a): one row per element."""
    return exp.Anonymous(this="unnest", expressions=args)


def exploded_outer(args: list[exp.Expr]) -> exp.Expr:
    """explode_outer(a): one row per element, and one row with NULL for an empty array."""
    return fill("unnest(CASE WHEN len(a) > 0 THEN a ELSE [NULL] END)", {"a": args[0]})


FORMS: dict[str, Form] = {
    "ARRAY_": array,
    "MAP_": mapping,
    "STRUCT_": struct,
    "STRUCT_NAMED": named,
    "ELEMENT": element,
    "ELEMENTWISE": elementwise,
    "ANY_OF": any_of,
    "ALL_OF": all_of,
    "SEQUENCE_": sequence,
    "COUNT_": count,
    "FIRST_KNOWN": first_known,
    "EXPLODED": exploded,
    "EXPLODED_OUTER": exploded_outer,
}
