"""The check that an expectation could have been made of, however it was declared."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from qanat.declare.check.kinds import FORMATS
from qanat.declare.check.value import Check
from qanat.model.expectation import Action, Expectation, Nulls, Severity
from qanat.model.rule import (
    Aggregate,
    Distribution,
    Fresh,
    HasColumns,
    Monotonic,
    Predicate,
    References,
    Rule,
    SameRows,
    Scope,
    Unique,
)

_COUNT = re.compile(r"count\(\*\) (?:BETWEEN (\d+) AND (\d+)|(>=|<=|=) (\d+))", re.IGNORECASE)


def check_of(expectation: Expectation) -> Check:
    """A check that makes the same expectation, with all that is said of it."""
    base = _of_rule(expectation.rule)
    said: dict[str, Any] = {
        "name": expectation.name,
        "action": str(expectation.action) if expectation.action is not Action.WARN else None,
        "where": str(expectation.where) if expectation.where else None,
        "nulls": "pass" if expectation.nulls is Nulls.PASS else None,
        "tolerate": str(expectation.tolerance) if expectation.tolerance else None,
        "severity": _unless(expectation.severity, Severity.MEDIUM),
        "dimension": str(expectation.dimension) if expectation.dimension else None,
        "owner": expectation.owner,
        "comment": expectation.comment,
        "tags": list(expectation.tags) or None,
    }
    return base.having(**said)


def parts_of(expectation: Expectation) -> list[Check]:
    """The checks that an expectation consists of: of a condition with AND, one for each side.

    Comparisons of columns and with one value are among them, which `check_of` leaves to SQL, and
    what is asked of values that are not NULL.
    """
    rule = expectation.rule
    said = {
        "where": str(expectation.where) if expectation.where else None,
        "nulls": "pass" if expectation.nulls is Nulls.PASS else None,
        "tolerate": str(expectation.tolerance) if expectation.tolerance else None,
    }
    known = {key: value for key, value in said.items() if value is not None}
    return [each.having(**known) for each in (_parts(rule) or [_of_rule(rule)])]


def _parts(rule: Rule) -> list[Check]:
    if not isinstance(rule, Predicate):
        return []
    try:
        tree = parse_one(str(rule), dialect=rule.dialect, into=exp.Condition).unnest()
    except SqlglotError:
        return []
    parts = [part.unnest() for part in tree.flatten()] if isinstance(tree, exp.And) else [tree]
    found = []
    for part in parts:
        inner = _where_known(part)
        text = inner.sql(dialect=rule.dialect)
        one = next(_compared(inner), None) or _predicate(Predicate(text, rule.dialect))
        if inner is not part:
            one = one.having(nulls="pass")
        # What no kind says is known by the author's text.
        found.append(_of_rule(rule) if one.kind == "sql" and len(parts) == 1 else one)
    return found


def _where_known(tree: exp.Expr) -> exp.Expr:
    """What is asked of values: `a > 0` of `a IS NULL OR a > 0`."""
    if not isinstance(tree, exp.Or):
        return tree
    sides = [side.unnest() for side in tree.flatten()]
    rest = [s for s in sides if not (isinstance(s, exp.Is) and isinstance(s.expression, exp.Null))]
    return rest[0] if len(rest) == 1 else tree


def _compared(tree: exp.Expr) -> Iterator[Check]:
    operator = _OPERATORS.get(type(tree))
    mine, theirs = _column(tree.args.get("this")), _column(tree.args.get("expression"))
    if operator and mine and theirs:
        yield _made("compare", column=mine, operator=operator, other=theirs)
    elif isinstance(tree, exp.EQ) and (value := _literal(tree.expression)) is not None:
        inner = tree.this.this if isinstance(tree.this, exp.Length) else tree.this
        if name := _column(inner):
            kind = "between" if inner is tree.this else "length"
            yield Check(kind, (("column", name), ("min", value), ("max", value)))


_OPERATORS: Mapping[type, str] = {
    exp.LTE: "<=",
    exp.LT: "<",
    exp.GTE: ">=",
    exp.GT: ">",
    exp.EQ: "=",
}


def _unless(severity: Severity, usual: Severity) -> str | None:
    return None if severity is usual else str(severity)


def _made(kind: str, **arguments: Any) -> Check:
    return Check(kind, tuple((k, v) for k, v in arguments.items() if v not in (None, False, ())))


def _of_rule(rule: Rule) -> Check:
    make = _RULES.get(type(rule))
    return _made("sql", condition=str(rule)) if make is None else make(rule)


def _predicate(rule: Predicate) -> Check:
    text = str(rule)
    try:
        tree = parse_one(text, dialect=rule.dialect, into=exp.Condition)
    except SqlglotError:
        return _made("sql", condition=text)
    for read in (_not_null, _between, _listed, _matching):
        found = next(read(tree), None)
        if found is not None:
            return found
    return _made("sql", condition=text)


def _column(node: exp.Expr | None) -> str | None:
    return node.name if isinstance(node, exp.Column) and len(node.parts) == 1 else None


def _literal(node: exp.Expr | None) -> Any:
    """The value of a literal; None if it is none."""
    if isinstance(node, exp.Neg):
        value = _literal(node.this)
        return -value if isinstance(value, int | float) else None
    if not isinstance(node, exp.Literal):
        return None
    if node.is_string:
        return node.this
    return int(node.this) if node.this.isdigit() else float(node.this)


def _not_null(tree: exp.Expr) -> Iterator[Check]:
    parts = [*tree.flatten()] if isinstance(tree, exp.And) else [tree]
    names = []
    for part in parts:
        inner = part.this if isinstance(part, exp.Not) else None
        named = isinstance(inner, exp.Is) and isinstance(inner.expression, exp.Null)
        names.append(_column(inner.this) if inner is not None and named else None)
    if all(names):
        yield _made("not_null", columns=names)


def _between(tree: exp.Expr) -> Iterator[Check]:
    low = high = None
    strict = False
    what: exp.Expr | None = None
    if isinstance(tree, exp.Between):
        what, low, high = tree.this, _literal(tree.args["low"]), _literal(tree.args["high"])
        if low is None or high is None:
            return
    elif isinstance(tree, exp.GTE | exp.GT):
        what, low, strict = tree.this, _literal(tree.expression), isinstance(tree, exp.GT)
    elif isinstance(tree, exp.LTE | exp.LT):
        what, high, strict = tree.this, _literal(tree.expression), isinstance(tree, exp.LT)
    if low is None and high is None:
        return
    if isinstance(what, exp.Length) and not strict and (name := _column(what.this)):
        yield _made("length", column=name, min=low, max=high)
    elif name := _column(what):
        found = {"column": name, "min": low, "max": high, "strict": strict}
        yield Check(
            "between", tuple((k, v) for k, v in found.items() if v is not None and v is not False)
        )


def _listed(tree: exp.Expr) -> Iterator[Check]:
    negated = isinstance(tree, exp.Not)
    inner = tree.this if negated else tree
    if not isinstance(inner, exp.In) or inner.args.get("query"):
        return
    values = [_literal(each) for each in inner.expressions]
    name = _column(inner.this)
    if name and values and None not in values:
        yield _made("none_of" if negated else "one_of", column=name, values=values)


def _matching(tree: exp.Expr) -> Iterator[Check]:
    negated = isinstance(tree, exp.Not)
    inner = tree.this if negated else tree
    if not isinstance(inner, exp.RegexpLike):
        return
    name, pattern = _column(inner.this), _literal(inner.expression)
    if not name or not isinstance(pattern, str) or inner.args.get("flag"):
        return
    known = next((word for word, text in FORMATS.items() if text == pattern), None)
    if known and not negated:
        yield _made("format", column=name, name=known)
    else:
        yield _made("not_matches" if negated else "matches", column=name, pattern=pattern)


def _aggregate(rule: Aggregate) -> Check:
    text = rule.sql if rule.written is None else rule.written
    of = None if rule.scope is Scope.TABLE else str(rule.scope)
    found = _COUNT.fullmatch(text)
    if found is None:
        return _made("aggregate", condition=text, of=of)
    low, high = found[1], found[2]
    if found[4] is not None:
        low = found[4] if found[3] in (">=", "=") else None
        high = found[4] if found[3] in ("<=", "=") else None
    given = {"min": low and int(low), "max": high and int(high), "of": of}
    return Check("row_count", tuple((k, v) for k, v in given.items() if v is not None))


def _fresh(rule: Fresh) -> Check:
    return _made("fresh", column=rule.column, within=str(rule).split(" WITHIN ")[1].lower())


def _has_columns(rule: HasColumns) -> Check:
    columns = {name: None if kind is None else str(kind) for name, kind in rule.fields}
    return _made("columns", columns=columns, ordered=rule.ordered, only=rule.only)


def _distribution(rule: Distribution) -> Check:
    return Check(
        "distribution",
        (
            ("column", rule.column),
            ("dataset", rule.dataset),
            ("at_most", rule.at_most),
            ("reference", rule.target_column),
        ),
    )


_RULES: Mapping[type, Callable[[Any], Check]] = {
    Predicate: _predicate,
    Unique: lambda r: _made("unique", columns=list(r.columns)),
    References: lambda r: _made(
        "references",
        columns=list(r.columns),
        dataset=r.dataset,
        target=list(r.target_columns),
    ),
    Monotonic: lambda r: _made(
        "decreasing" if r.descending else "increasing", column=r.column, strict=r.strict
    ),
    Aggregate: _aggregate,
    Fresh: _fresh,
    Distribution: _distribution,
    SameRows: lambda r: _made(
        "same_rows", dataset=r.dataset, keys=list(r.keys), columns=list(r.columns)
    ),
    HasColumns: _has_columns,
}
"""By rule, the check that makes it."""
