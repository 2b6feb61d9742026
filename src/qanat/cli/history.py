"""`qanat history`: past updates, their epochs, and what one of them told."""

from __future__ import annotations

import click

from qanat.cli import screen
from qanat.cli.options import ProjectRef, limit, output, project_ref
from qanat.report.aim import aimed
from qanat.report.documents import document
from qanat.report.events import events_text
from qanat.report.failure import dumps
from qanat.report.history import history_text


@click.command("history", short_help="List past updates and their epochs.")
@click.argument("dataset", required=False)
@click.option("--update", metavar="ID", help="What this update told; `last` is the newest.")
@limit
@project_ref
@output
def command(
    dataset: str | None, update: str | None, limit: int, ref: ProjectRef, json: bool
) -> int:
    """List past updates, newest first, with the epochs of each.

    With DATASET: only updates that worked on it, and only its epochs.

    With --update: all that one update told, in its order: starts, ends, rows, broken rules,
    errors, warnings. --limit does not apply.
    """
    with ref.open() as project:
        if update is not None:
            told = project.events(update, dataset)
            text = aimed(events_text(told, screen.layout()), ref.options)
            screen.write(dumps(document("events", told)) if json else text)
            return 0
        entries, environment = project.history(dataset, limit), project.environment
    if json:
        screen.write(dumps(document("history", entries)))
    elif entries:
        screen.write(history_text(entries, screen.layout()))
    else:
        text = f"No update has run yet in environment {environment}; `qanat run` makes the first."
        screen.write(aimed(text, ref.options))
    return 0
