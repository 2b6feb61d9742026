"""What is known of one expectation: by `qanat test`, and by the last update."""

from __future__ import annotations

from qanat.frozen import Frozen
from qanat.model.staged import RuleCount


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


class LastCheck(Frozen):
    """An expectation as it is declared, and what it found last.

    Args:
        text: the rule as its author wrote it.
        tolerance: how many violations are tolerated, as text; None: none.
        last: what came of it in the newest epoch that looked; None if none has.
        at: when that epoch ended, seconds since 1970 (UTC).
    """

    rule: str
    text: str
    action: str
    severity: str
    tolerance: str | None
    last: RuleCount | None = None
    at: float | None = None
