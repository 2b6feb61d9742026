"""Expectations against the rows that tables hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from qanat.model.pipeline import Action
from qanat.report.html import heading, page, table
from qanat.report.keys import VERSION_KEY
from qanat.report.shape import Key, Shape
from qanat.run.results import RuleCheck
from qanat.text import PLAIN, Cell, Layout, Value, count, grid

CHECK = Shape(
    "Check",
    RuleCheck,
    ("dataset", "rule", "text", "action", "rows", "violations"),
    "One expectation against the rows its table holds.",
)
TEST = Shape(
    "TestDocument",
    Sequence[RuleCheck],
    (
        VERSION_KEY,
        Key("passed", of=bool, make=lambda checks: not broken(checks)),
        Key("checks", of=list[RuleCheck], make=list),
    ),
    "`passed` is false when an expectation other than `warn` is violated.",
)
PARTS = (CHECK,)

_HEADERS = ("Expectation", "Result", "Violations", "Rows", "Action", "Condition")


def broken(checks: Iterable[RuleCheck]) -> list[RuleCheck]:
    """The violated expectations, without those that only warn."""
    return [c for c in checks if c.violations and c.action != Action.WARN]


def checks_text(checks: Sequence[RuleCheck], layout: Layout = PLAIN) -> str:
    """A table of all expectations, and how many are violated."""
    if not checks:
        return _verdict(checks)
    return "\n".join([*grid(_HEADERS, [_row(c) for c in checks], layout), "", _verdict(checks)])


def checks_html(checks: Sequence[RuleCheck]) -> str:
    """The same for a notebook."""
    head = heading(_verdict(checks), "bad" if broken(checks) else "ok")
    return page(head, table(_HEADERS, [_row(c) for c in checks])) if checks else page(head)


def _row(check: RuleCheck) -> list[Value]:
    kept = check.action == Action.WARN
    colour = "green" if not check.violations else "yellow" if kept else "red"
    status = Cell("violated" if check.violations else "holds", colour)
    name = f"{check.dataset}.{check.rule}"
    return [name, status, check.violations, check.rows, check.action, check.text]


def _verdict(checks: Sequence[RuleCheck]) -> str:
    if not checks:
        return "No stored table has an expectation."
    wrong = len(broken(checks))
    warns = sum(1 for c in checks if c.violations) - wrong
    parts = [f"{count(len(checks), 'expectation')} checked"]
    parts += [f"{wrong:,} violated"] if wrong else [] if warns else ["none violated"]
    only = f"{warns:,} that only warn{'s' if warns == 1 else ''}"
    parts += [f"besides {only}" if wrong else f"violated: {only}"] if warns else []
    return f"{', '.join(parts)}."
