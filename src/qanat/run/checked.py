"""What `qanat test` finds of one expectation."""

from __future__ import annotations

from qanat.frozen import Frozen


class RuleCheck(Frozen):
    """One expectation against a stored table, as `qanat test` finds it.

    Args:
        text: the rule in SQL.
        rows: rows of the table that it is about.
        violations: those that violate it; of a rule about the table, 1 if it is violated.
        value: of a rule about the table, what was measured.
        tolerated: whether that many violations are within its tolerance.
    """

    dataset: str
    rule: str
    text: str
    action: str
    rows: int
    violations: int
    value: str | None = None
    tolerated: bool = False
    severity: str = "medium"
    dimension: str | None = None
    owner: str | None = None
    comment: str | None = None
    tags: tuple[str, ...] = ()
    origin: str | None = None
