"""How bad a violation is, in tables of rules."""

from __future__ import annotations

from collections.abc import Iterable

from qanat.model.expectation import Severity
from qanat.model.staged import RuleCount
from qanat.text import Cell

_RANKS = {str(severity): rank for rank, severity in enumerate(Severity)}
_BAD = (Severity.HIGH, Severity.CRITICAL)


def worst_first(rules: Iterable[RuleCount]) -> list[RuleCount]:
    """Rules in an order of urgency: violated ones by severity, then the rest as it was.

    >>> low = RuleCount("t", "a", "warn", 9, severity="low")
    >>> high = RuleCount("t", "b", "warn", 1, severity="high")
    >>> [rule.rule for rule in worst_first([low, high])]
    ['b', 'a']
    """
    return sorted(rules, key=lambda r: (not r.broken, -_RANKS.get(r.severity, 0) * r.broken))


def severity_cell(rule: RuleCount) -> Cell:
    """The severity of a rule; coloured where a violation of it is bad."""
    return Cell(rule.severity, "red" if rule.broken and rule.severity in _BAD else None)


def tells(rules: Iterable[RuleCount]) -> bool:
    """True if the severities say something: not all are what a rule has that declares none."""
    return any(rule.severity != Severity.MEDIUM for rule in rules)
