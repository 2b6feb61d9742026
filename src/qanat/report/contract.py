"""Two versions of a data contract, compared."""

from __future__ import annotations

from qanat.model.contract import ContractDiff
from qanat.text import PLAIN, Cell, Layout, Value, count, grid, printable


def contract_diff_text(found: ContractDiff, layout: Layout = PLAIN) -> str:
    """What has changed, what breaks first."""
    if not found.changes:
        return f"{found.old} and {found.new} promise the same."
    rows: list[list[Value]] = [
        [
            Cell("breaking", "red") if each.breaking else Cell("compatible", "green"),
            printable(each.dataset),
            printable(each.what),
        ]
        for each in found.changes
    ]
    lines = grid(("Change", "Dataset", "What"), rows, layout)
    breaking = sum(each.breaking for each in found.changes)
    verdict = f"{found.old} to {found.new}: {count(breaking, 'breaking change')}"
    if breaking and not found.raised:
        verdict += "; the first number of the version should grow with one"
    return "\n".join([*lines, "", f"{verdict}."])
