"""Translates function calls by the tables of rules; refuses those without a rule."""

from __future__ import annotations

import re
from collections import defaultdict

from sqlglot import exp

from qanat.dialect.spark import (
    aggregates,
    comparisons,
    conditions,
    dates,
    forms,
    nested,
    nested_forms,
    numbers,
    strings,
)
from qanat.dialect.spark.kinds import with_kind
from qanat.dialect.spark.names import KNOWN, WAYS_OUT
from qanat.dialect.spark.refused import Refused
from qanat.dialect.spark.template import fill
from qanat.errors import FunctionNotFoundError, nearest
from qanat.frozen import Frozen

_FORMS = {**forms.FORMS, **comparisons.FORMS, **nested_forms.FORMS}
_WINDOWS = ("event_window", "session_window", "window_time")
"""Windows of event time, which an operator with a state computes; `event_window` is `window`, as
declarations call it: see `qanat.declare.watermarks`."""
_SIGNATURE = re.compile(r"(\w+)\(([^)]*)\)(?:: (\w+))?")


class Rule(Frozen):
    """One signature of a Spark function, and the DuckDB template with the same result.

    Args:
        parameters: the names that the template uses.
        variadic: True if the one parameter takes all arguments.
        kind: the kind of the result (see `kinds`); None if it depends on the arguments.
        template: DuckDB's SQL.
    """

    parameters: tuple[str, ...]
    variadic: bool
    kind: str | None
    template: str

    def fits(self, count: int) -> bool:
        """True if the signature takes `count` arguments."""
        return self.variadic or count == len(self.parameters)


def _rules() -> dict[str, list[Rule]]:
    found: dict[str, list[Rule]] = defaultdict(list)
    for table in (numbers, strings, dates, nested, aggregates, conditions):
        for signature, template in table.RULES:
            match = _SIGNATURE.fullmatch(signature)
            if match is None:
                raise ValueError(signature)
            names = tuple(n.strip() for n in match[2].split(",") if n.strip())
            variadic = bool(names) and names[0].startswith("*")
            names = tuple(n.lstrip("*") for n in names)
            found[match[1]].append(Rule(names, variadic, match[3], template))
    return dict(found)


RULES = _rules()
AGGREGATES = frozenset(s.partition("(")[0] for s, _ in aggregates.RULES)


def translate_call(name: str, args: list[exp.Expr]) -> exp.Expr:
    """A call of a Spark function as DuckDB's SQL.

    Args:
        name: the function's name as the author wrote it.
        args: the arguments, already translated.

    Raises:
        Refused: Spark has no such function, or DuckDB has nothing that gives the same.
    """
    folded = name.lower()
    if folded in _WINDOWS:
        return exp.Anonymous(this=folded, expressions=args)
    rules = RULES.get(folded)
    if rules is None:
        if folded in KNOWN:
            raise Refused(
                f"{folded}()",
                WAYS_OUT.get(folded, "compute it another way, or run the project on Spark"),
            )
        raise Refused(
            f"no function {name!r}",
            nearest=nearest(folded, KNOWN),
            family=FunctionNotFoundError,
        )
    distinct = bool(args) and isinstance(args[0], exp.Distinct)
    if distinct and folded not in AGGREGATES:
        raise Refused(f"DISTINCT in {folded}()")
    values = list(args[0].expressions) if distinct else args
    rule = next((r for r in rules if r.fits(len(values))), None)
    if rule is None:
        wanted = " or ".join(f"{folded}({', '.join(r.parameters)})" for r in rules)
        raise Refused(f"{folded}() with {len(values)} arguments", f"carried over: {wanted}")
    result = with_kind(_applied(rule, values, distinct), rule.kind)
    result.meta["name"] = folded
    return result


def _applied(rule: Rule, values: list[exp.Expr], distinct: bool) -> exp.Expr:
    if rule.variadic:
        given: list[exp.Expr] = [exp.Distinct(expressions=values)] if distinct else values
        name = rule.template.partition("(")[0]
        form = _FORMS.get(name)
        return form(given) if form else exp.Anonymous(this=name, expressions=given)
    tree = fill(rule.template, dict(zip(rule.parameters, values, strict=True)))
    if distinct:
        for mark in tree.find_all(exp.Anonymous):
            if mark.name == "AGGREGATE":
                call = mark.expressions[0]
                inner = call.this if isinstance(call, exp.Filter) else call
                if isinstance(inner.expressions[0], exp.Distinct):
                    continue
                inner.set("expressions", [exp.Distinct(expressions=list(inner.expressions))])
    return _formed(tree)


def _formed(tree: exp.Expr) -> exp.Expr:
    """The tree with every call of a form replaced by the form's result, inner calls first."""
    holder = exp.Paren(this=tree)
    for node in reversed(list(tree.find_all(exp.Anonymous))):
        form = _FORMS.get(node.name) if node.name.isupper() else None
        if form is not None:
            node.replace(form([a.copy() for a in node.expressions]))
    inner: exp.Expr = holder.this
    inner.pop()
    return inner
