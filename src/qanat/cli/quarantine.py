"""`qanat quarantine`: rows that broke a rule, why, and what to do once the rule is fixed."""

from __future__ import annotations

from pathlib import Path

import click

from qanat.cli import screen
from qanat.cli.completion import dataset_names
from qanat.cli.options import Logs, ProjectRef, limit, logs, output, project_ref, waits
from qanat.cli.program import Group
from qanat.cli.run import watching
from qanat.report.documents import document
from qanat.report.failure import dumps
from qanat.report.quarantine import replay_text, rows_text, summary_text
from qanat.text import printable


@click.group("quarantine", cls=Group, short_help="Look at rows in quarantine, and replay them.")
def command() -> None:
    """Look at rows in quarantine, and replay them.

    A row that breaks an expectation with the action `quarantine` waits in the table
    `<dataset>__quarantine` with all the rules it broke.
    """


@command.command("list", short_help="Count the rows in quarantine, by dataset and rule.")
@project_ref
@output
def list_(ref: ProjectRef, json: bool) -> int:
    """Count the rows in quarantine, by dataset and rule. A row may break several rules."""
    with ref.open() as project:
        summaries = project.quarantines()
    if json:
        screen.write(dumps(document("quarantine", summaries)))
    else:
        screen.write(summary_text(summaries, screen.layout()))
    return 0


@command.command("show", short_help="Show rows in quarantine and why they are there.")
@click.argument("dataset", shell_complete=dataset_names)
@limit
@click.option("--rule", metavar="NAME", help="Only rows that broke this rule.")
@project_ref
@output
def show(dataset: str, limit: int, rule: str | None, ref: ProjectRef, json: bool) -> int:
    """Show rows in quarantine: each with where it came from and every rule it broke."""
    with ref.open() as project:
        view = project.quarantine(dataset).rows(limit, rule)
        tables, root = Path(project.session.project.tables), project.root
    if json:
        screen.write(dumps(document("table", view)))
    elif view.rows:
        screen.write(rows_text(view, tables, root, screen.layout()))
    else:
        broke = f" for breaking {printable(rule)}" if rule else ""
        screen.write(f"No row of {printable(dataset)} is in quarantine{broke}.")
    return 0


@command.command("replay", short_help="Check the rows again and move those that now pass.")
@click.argument("dataset", required=False, shell_complete=dataset_names)
@waits
@project_ref
@logs
@output
def replay_(dataset: str | None, wait: float, ref: ProjectRef, logs: Logs, json: bool) -> int:
    """Check rows in quarantine against the rules as they are now; move those that pass.

    Without DATASET: of all datasets. A row is moved once, however often this is called.
    """
    with ref.open() as project, watching(logs, json) as observers:
        results = project.replay(dataset, wait=wait, observers=observers)
    if json:
        screen.write(dumps(document("replay", results)))
    else:
        screen.write(replay_text(results, screen.layout()))
    return 0
