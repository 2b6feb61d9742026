"""What an author expects of data: a check, wherever it was written.

SQL constraints, Python decorators and contract files all end as an `Expectation` on a `Dataset`;
nothing that comes later asks where one was declared. Its `rule` says what is checked; the other
fields say which rows it is about, what NULL means, how much is tolerated, what becomes of a
violation, and whose it is.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from qanat.errors import Location
from qanat.frozen import Frozen
from qanat.model.rule import Level, Predicate, Rule


class Action(StrEnum):
    """What a violated expectation does."""

    WARN = "warn"
    """Keep the row, count the violation."""
    DROP = "drop"
    """Leave the row out, count the violation."""
    QUARANTINE = "quarantine"
    """Move the row to `<dataset>__quarantine`."""
    FAIL = "fail"
    """Publish nothing of this epoch and fail the dataset."""

    @property
    def moves(self) -> bool:
        """True if rows that break the rule do not go into the table."""
        return self in (Action.DROP, Action.QUARANTINE)


class Nulls(StrEnum):
    """What it means if a condition is NULL, so that nobody can say whether it holds."""

    VIOLATE = "violate"
    """It is a violation."""
    PASS = "pass"  # noqa: S105
    """It passes."""


class Severity(StrEnum):
    """How bad a violation is, for those who are told; it changes nothing of what happens."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Dimension(StrEnum):
    """What a check measures of the quality of data: the dimensions of the Open Data Contract
    Standard."""

    ACCURACY = "accuracy"
    COMPLETENESS = "completeness"
    CONFORMITY = "conformity"
    CONSISTENCY = "consistency"
    COVERAGE = "coverage"
    TIMELINESS = "timeliness"
    UNIQUENESS = "uniqueness"


DIMENSION_SYNONYMS = {"validity": Dimension.CONFORMITY}
"""Other words for dimensions that authors may write."""


class Tolerance(Frozen):
    """How many rows may break a rule before anything comes of it.

    Args:
        rows: a number of them; None for no limit of that kind.
        share: of the rows that the rule is about, from 0 to 1; None for no limit of that kind.

    >>> Tolerance(rows=10).allows(10, 20), Tolerance(rows=10).allows(11, 1000)
    (True, False)
    >>> str(Tolerance(share=0.05)), str(Tolerance(rows=1000))
    ('5 %', '1000 rows')
    """

    rows: int | None = None
    share: float | None = None

    def allows(self, violations: int, of: int) -> bool:
        """True if so many of so many rows may break the rule."""
        if self.rows is not None and violations > self.rows:
            return False
        # Both sides are rounded once, so that 29 of 100 are 29 %; a product would be less.
        return self.share is None or violations <= 0 or violations / of <= self.share

    def __str__(self) -> str:
        if self.share is not None:
            return f"{self.share * 100:g} %"
        return f"{self.rows or 0} {'row' if self.rows == 1 else 'rows'}"


class Expectation(Frozen):
    """A named rule on a dataset with an action.

    Args:
        where: the rows that it is about; others pass, and do not count in shares.
        nulls: what it means if the rule's condition is NULL.
        tolerance: up to it, `warn` tells nothing and `fail` fails nothing; with `drop` and
            `quarantine`, rows are set aside all the same, and beyond it the dataset fails.
        severity: for those who are told.
        dimension: of data quality that it measures.
        owner: who is to be asked, as a name or an address.
        comment: what the author says of it.
        origin: where it was declared if not on the dataset, such as a contract or a file of rules.

    >>> grown_up = Predicate("age >= 18", "duckdb")
    >>> nordic = Predicate("country IN ('NO', 'SE')", "duckdb")
    >>> five = Tolerance(share=0.05)
    >>> here = Location("a.sql")
    >>> Expectation("grown_up", grown_up, Action.WARN, here, nordic, tolerance=five).text
    "age >= 18 WHERE (country IN ('NO', 'SE')) TOLERATE 5 %"
    """

    name: str
    rule: Rule
    action: Action
    location: Location
    where: Predicate | None = None
    nulls: Nulls = Nulls.VIOLATE
    tolerance: Tolerance | None = None
    severity: Severity = Severity.MEDIUM
    dimension: Dimension | None = None
    owner: str | None = None
    comment: str | None = None
    tags: tuple[str, ...] = ()
    origin: str | None = None

    @property
    def text(self) -> str:
        """What is checked, as SQL has it: the rule, its rows, and what is tolerated."""
        parts = [str(self.rule)]
        if self.where is not None:
            parts.append(f"WHERE ({self.where})")
        if self.nulls is Nulls.PASS:
            parts.append("NULLS PASS")
        if self.tolerance is not None:
            parts.append(f"TOLERATE {self.tolerance}")
        return " ".join(parts)

    @property
    def broken_text(self) -> str:
        """What a row that breaks it should have kept, without what is tolerated of all rows."""
        return replace(self, tolerance=None).text

    def allows(self, violations: int, rows: int) -> bool:
        """True if so many violations in so many rows are tolerated; without a tolerance, none."""
        if self.tolerance is None:
            return not violations
        return self.tolerance.allows(violations, rows)


def misfit(rule: Rule, action: Action) -> str | None:
    """Why a rule cannot have an action, as a sentence; None if it can.

    >>> from qanat.model.rule import Fresh, Unique
    >>> misfit(Fresh("at", 60), Action.DROP)
    'FRESH (at) WITHIN 1 MINUTE is about the table: no single row breaks it that could be dropped'
    >>> misfit(Unique(("id",)), Action.DROP) is None
    True
    """
    if rule.level.of_rows or not action.moves:
        return None
    done = {Action.DROP: "dropped", Action.QUARANTINE: "quarantined"}[action]
    what = "the columns" if rule.level is Level.SCHEMA else "the table"
    return f"{rule} is about {what}: no single row breaks it that could be {done}"
