"""Spans of time in queries, in microseconds."""

from __future__ import annotations

from sqlglot import exp

from qanat.model.span import microseconds


def interval_of(node: exp.Expr) -> int | None:
    """The microseconds of a literal: a text or INTERVAL; None if it is none of a fixed length."""
    if isinstance(node, exp.Paren | exp.Cast):
        return interval_of(node.this)
    if isinstance(node, exp.Neg):
        inner = interval_of(node.this)
        return None if inner is None else -inner
    if isinstance(node, exp.Interval):
        unit, value = node.args.get("unit"), node.this
        if not isinstance(value, exp.Expr) or value.find(exp.Column):
            return None
        amount = value.name if isinstance(value, exp.Literal) else value.sql()
        return microseconds(f"{amount} {unit.name if unit is not None else ''}")
    if isinstance(node, exp.Literal) and node.is_string:
        return microseconds(node.name)
    return None
