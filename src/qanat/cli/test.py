"""`qanat test`: every expectation against the rows that the tables hold."""

from __future__ import annotations

import click

from qanat.cli import documents, screen
from qanat.cli.documents.project import check_document
from qanat.cli.grid import Cell, Value, grid
from qanat.cli.options import Place, output, place, selection
from qanat.model.expectation import Action
from qanat.observe.terminal.amounts import count
from qanat.run.expectations import check
from qanat.run.results import RuleCheck, Selection
from qanat.run.session import Session


@click.command("test", short_help="Check every expectation on the stored tables.")
@selection
@place
@output
def command(select: tuple[str, ...], place: Place, json: bool) -> int:
    """Check every expectation on the rows that the stored tables hold; write nothing.

    Useful after a rule was added or changed: rows written before have not met it. Exit code 1
    when an expectation other than `warn` is violated.
    """
    with Session.open(place.start, place.environment) as workspace:
        checks = check(workspace, Selection(select=select))
    broken = [c for c in checks if c.violations and c.action != Action.WARN]
    if json:
        screen.write(documents.dumps(check_document(checks, not broken)))
    elif checks:
        screen.write("\n".join([*_table(checks), "", _verdict(len(checks), len(broken))]))
    else:
        screen.write("No stored table has an expectation.")
    return 1 if broken else 0


def _table(checks: tuple[RuleCheck, ...]) -> list[str]:
    rows: list[list[Value]] = []
    for c in checks:
        colour = "green" if not c.violations else "yellow" if c.action == Action.WARN else "red"
        status = Cell("violated" if c.violations else "holds", colour)
        rows.append([f"{c.dataset}.{c.rule}", status, c.violations, c.rows, c.action, c.text])
    headers = ["Expectation", "Result", "Violations", "Rows", "Action", "Rule"]
    return grid(headers, rows, width=screen.width())


def _verdict(checked: int, broken: int) -> str:
    if not broken:
        return f"{count(checked, 'expectation')} checked, none violated (`warn` aside)."
    return f"{count(checked, 'expectation')} checked, {broken:,} violated."
