"""How bad a violation is, in tables of rules."""

from __future__ import annotations

from collections.abc import Iterable

from qanat.model.expectation import Severity
from qanat.model.staged import RuleCount
from qanat.text import Cell

_RANKS = {str(severity): rank for rank, severity in enumerate(Severity)}
_BAD = (Severity.HIGH, Severity.CRITICAL)


def worst_first(rules: Iterable[RuleCount]) -> list[RuleCount]:
    """Rules with violations by severity, then the rest in its order.

    Of one severity, those come first whose violations are beyond their tolerance.

    >>> low = RuleCount("t", "a", "warn", 9, severity="low")
    >>> high = RuleCount("t", "b", "warn", 1, severity="high")
    >>> [rule.rule for rule in worst_first([low, high])]
    ['b', 'a']
    """
    return sorted(rules, key=_urgency)


def _urgency(rule: RuleCount) -> tuple[int, bool]:
    rank = 1 + _RANKS.get(rule.severity, 0)
    return (-rank if rule.violations else 0), rule.violations > 0 and not rule.broken


def severity_cell(rule: RuleCount) -> Cell:
    """The severity of a rule; coloured where a violation of it is bad."""
    return Cell(rule.severity, "red" if rule.broken and rule.severity in _BAD else None)


def tells(rules: Iterable[RuleCount]) -> bool:
    """True if the severities say something: not all are what a rule has that declares none."""
    return any(rule.severity != Severity.MEDIUM for rule in rules)
