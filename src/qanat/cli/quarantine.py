"""`qanat quarantine`: rows that broke a rule, why, and what to do once the rule is fixed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from qanat.cli import documents, screen
from qanat.cli.documents.table import quarantine_document, replay_document, table_document
from qanat.cli.grid import Cell, Value, grid
from qanat.cli.group import Group
from qanat.cli.options import Logs, Place, limit, logs, output, place
from qanat.cli.run import watching
from qanat.cli.show import value_cell
from qanat.observe.terminal.amounts import count
from qanat.observe.terminal.characters import printable
from qanat.run.quarantine import replay, rows, summary
from qanat.run.results import TableView
from qanat.run.session import Session

EXPLAINING = "_quarantine_"
"""How the columns begin that say why a row is in quarantine."""


@click.group("quarantine", cls=Group, short_help="Look at rows in quarantine, and replay them.")
def command() -> None:
    """Look at rows in quarantine, and replay them.

    A row that breaks an expectation with the action `quarantine` waits in the table
    `<dataset>__quarantine` with all the rules it broke.
    """


@command.command("list", short_help="Count the rows in quarantine, by dataset and rule.")
@place
@output
def list_(place: Place, json: bool) -> int:
    """Count the rows in quarantine, by dataset and rule. A row may break several rules."""
    with Session.open(place.start, place.environment) as workspace:
        summaries = summary(workspace)
    if json:
        screen.write(documents.dumps(quarantine_document(summaries)))
        return 0
    lines: list[list[Value]] = []
    for s in summaries:
        rules: list[tuple[str, int | None]] = list(s.rules.items()) or [("", None)]
        for at, (rule, number) in enumerate(rules):
            first = at == 0
            total = s.rows if first else Cell("", right=True)
            lines.append([s.dataset if first else "", total, rule, number])
    if not lines:
        screen.write("No row is in quarantine.")
        return 0
    screen.write(
        "\n".join(grid(["Dataset", "Rows", "Rule", "Violations"], lines, width=screen.width()))
    )
    return 0


@command.command("show", short_help="Show rows in quarantine and why they are there.")
@click.argument("dataset")
@limit
@click.option("--rule", metavar="NAME", help="Only rows that broke this rule.")
@place
@output
def show(dataset: str, limit: int, rule: str | None, place: Place, json: bool) -> int:
    """Show rows in quarantine: each with where it came from and every rule it broke."""
    with Session.open(place.start, place.environment) as workspace:
        view = rows(workspace, dataset, limit=limit, rule=rule)
    if json:
        screen.write(documents.dumps(table_document(view)))
        return 0
    if not view.rows:
        broke = f" for breaking {printable(rule)}" if rule else ""
        screen.write(f"No row of {printable(dataset)} is in quarantine{broke}.")
        return 0
    names = view.schema.names
    for number, values in enumerate(view.rows, 1):
        row = dict(zip(names, values, strict=True))
        screen.write("\n".join(_row(number, row, workspace)) + "\n")
    screen.write(_shown(view))
    return 0


def _row(number: int, row: Mapping[str, Any], workspace: Session) -> list[str]:
    """One row: its source, the rules it broke, then its values."""
    lines = [screen.paint(f"{number}. {_source(row, workspace)}", bold=True)]
    for rule, text in dict(row.get("_quarantine_rules") or {}).items():
        broke = screen.paint(f"✗ {printable(str(rule))}", fg="red")
        lines.append(f"   {broke}: {printable(str(text))}")
    raw = row.get("_quarantine_raw")
    if raw is not None:
        lines.append(f"   text: {printable(str(raw))}")
    values = [
        f"{printable(name)}={printable(value_cell(value).text)}"
        for name, value in row.items()
        if not name.startswith(EXPLAINING) and (raw is None or value is not None)
    ]
    if values:
        lines.append("   " + screen.paint(", ".join(values), dim=True))
    return lines


def _source(row: Mapping[str, Any], workspace: Session) -> str:
    """Where a row came from: `file:line` of a source, or the row of a table's file."""
    source = row.get("_quarantine_source") or {}
    file, line = source.get("file"), source.get("row")
    if file is None:
        flow, epoch = row.get("_quarantine_flow"), row.get("_quarantine_epoch")
        return printable(f"flow {flow}, epoch {epoch}")
    path = Path(str(file))
    tables, root = workspace.project.tables, workspace.project.root
    if path.is_relative_to(tables):
        table, *_, name = path.relative_to(tables).parts
        return printable(f"{table}, row {line} of {name}")
    shown = path.relative_to(root) if path.is_relative_to(root) else file
    return printable(str(shown)) + (f":{line}" if line is not None else "")


def _shown(view: TableView) -> str:
    shown = len(view.rows)
    if view.total is None or view.total == shown:
        return count(shown, "row") + " in quarantine"
    return f"{shown:,} of {count(view.total, 'row')} in quarantine"


@command.command("replay", short_help="Check the rows again and move those that now pass.")
@click.argument("dataset", required=False)
@place
@logs
@output
def replay_(dataset: str | None, place: Place, logs: Logs, json: bool) -> int:
    """Check rows in quarantine against the rules as they are now; move those that pass.

    Without DATASET: of all datasets. A row is moved once, however often this is called.
    """
    with (
        Session.open(place.start, place.environment) as workspace,
        watching(logs, json) as observers,
    ):
        results = replay(workspace, dataset, observers)
    if json:
        screen.write(documents.dumps(replay_document(results)))
        return 0
    if not any(r.examined for r in results):
        screen.write("No streaming table has a row in quarantine: there is nothing to replay.")
        return 0
    lines: list[list[Value]] = [
        [r.dataset, r.examined, r.replayed, r.remaining, r.version] for r in results
    ]
    headers = ["Dataset", "Examined", "Replayed", "Still in quarantine", "Version"]
    screen.write("\n".join(grid(headers, lines, width=screen.width())))
    return 0
