"""Expectations against the rows that tables hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from qanat.model.expectation import Action
from qanat.model.unit_test import UnitResult
from qanat.report.html import Part, heading, page, table
from qanat.report.keys import VERSION_KEY
from qanat.report.shape import Key, Shape
from qanat.report.unit_tests import PARTS as UNIT_PARTS, units_html, units_text
from qanat.run.checked import RuleCheck
from qanat.text import PLAIN, Cell, Layout, Value, count, grid, printable

CHECK = Shape(
    "Check",
    RuleCheck,
    (
        *("dataset", "rule", "text", "action", "rows", "violations", "value", "tolerated"),
        *("severity", "dimension", "owner", "comment", "tags", "origin"),
    ),
    "One expectation against the rows its table holds. `rows` are those that it is about; of a\n"
    "rule about the table, `value` is what was measured, and `violations` 1 if it is violated.\n"
    "`tolerated`: that many violations are within its tolerance. `origin` is where it was\n"
    "declared, if not on the dataset.",
)
TEST = Shape(
    "TestDocument",
    Sequence[RuleCheck],
    (
        VERSION_KEY,
        Key("passed", of=bool, make=lambda checks: not broken(checks) and not failed(checks)),
        Key("checks", of=list[RuleCheck], make=list),
        Key("unit_tests", of=list[UnitResult], make=lambda checks: list(units_of(checks))),
    ),
    "`passed` is false when an expectation other than `warn` is violated, or a unit test fails.",
)
PARTS = (CHECK, *UNIT_PARTS)

_HEADERS = ("Expectation", "Result", "Violations", "Rows", "Action", "Condition")
_ALL = 120
"""Columns of a terminal in which most conditions can be read in the table."""


def violated(check: RuleCheck) -> bool:
    """True if more rows violate an expectation than it tolerates."""
    return check.violations > 0 and not check.tolerated


def broken(checks: Iterable[RuleCheck]) -> list[RuleCheck]:
    """The violated expectations, without those that only warn."""
    return [c for c in checks if violated(c) and c.action != Action.WARN]


def units_of(checks: Iterable[RuleCheck]) -> Sequence[UnitResult]:
    """The unit tests that ran with the checks."""
    units: Sequence[UnitResult] = getattr(checks, "units", ())
    return units


def failed(checks: Iterable[RuleCheck]) -> list[UnitResult]:
    """The unit tests that failed."""
    return [unit for unit in units_of(checks) if not unit.passed]


def checks_text(checks: Sequence[RuleCheck], layout: Layout = PLAIN) -> str:
    """A table of all expectations, and how many are violated."""
    units = units_of(checks)
    lines = [*grid(_HEADERS, [_row(c) for c in checks], layout), ""] if checks else []
    if layout.width is not None and layout.width < _ALL:
        # The condition, and with it what was measured, has no room in the table.
        lines += [line for c in checks if violated(c) for line in _beneath(c)]
    if checks or not units:
        lines.append(_verdict(checks))
    if units:
        lines += ["", *units_text(units, layout)] if lines else units_text(units, layout)
    return "\n".join(lines)


def checks_html(checks: Sequence[RuleCheck]) -> str:
    """The same for a notebook."""
    parts: list[Part] = [heading(_verdict(checks), "bad" if broken(checks) else "ok")]
    if checks:
        parts.append(table(_HEADERS, [_row(c) for c in checks]))
    return page(*parts, *units_html(units_of(checks)))


def _row(check: RuleCheck) -> list[Value]:
    kept = check.action == Action.WARN
    colour = "green" if not violated(check) else "yellow" if kept else "red"
    word = "violated" if violated(check) else "tolerated" if check.violations else "holds"
    name, of_rows = f"{check.dataset}.{check.rule}", check.value is None
    violations = check.violations if of_rows else None
    shown: list[Value] = [name, Cell(word, colour), violations, check.rows if of_rows else None]
    return [*shown, check.action, _condition(check)]


def _beneath(check: RuleCheck) -> list[str]:
    return [f"{check.dataset}.{check.rule}:", f"  {_condition(check)}", ""]


def _condition(check: RuleCheck) -> str:
    """What a rule asks for and, if it is about the table, what was measured."""
    return printable(check.text if check.value is None else f"{check.text}: {check.value}")


def _verdict(checks: Sequence[RuleCheck]) -> str:
    if not checks:
        return "No stored table has an expectation."
    wrong = len(broken(checks))
    warns = sum(map(violated, checks)) - wrong
    parts = [f"{count(len(checks), 'expectation')} checked"]
    parts += [f"{wrong:,} violated"] if wrong else [] if warns else ["none violated"]
    only = f"{warns:,} that only warn{'s' if warns == 1 else ''}"
    parts += [f"besides {only}" if wrong else f"violated: {only}"] if warns else []
    return f"{', '.join(parts)}."
