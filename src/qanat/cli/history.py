"""`qanat history`: past updates, their epochs, what one of them told, and metrics."""

from __future__ import annotations

import click

from qanat.cli import screen
from qanat.cli.options import ProjectRef, limit, output, project_ref
from qanat.errors import CommandLineError
from qanat.report.aim import aimed
from qanat.report.documents import document
from qanat.report.events import events_text
from qanat.report.failure import dumps
from qanat.report.history import history_text
from qanat.report.metrics import metrics_text


@click.command("history", short_help="List past updates and their epochs.")
@click.argument("dataset", required=False)
@click.option("--update", metavar="ID", help="What this update told; `last` is the newest.")
@click.option("--metrics", is_flag=True, help="What each update brought into DATASET.")
@limit
@project_ref
@output
def command(
    dataset: str | None,
    update: str | None,
    metrics: bool,
    limit: int,
    ref: ProjectRef,
    json: bool,
) -> int:
    """List past updates, newest first, with the epochs of each.

    With DATASET: only updates that worked on it, and only its epochs.

    With --update: all that one update told, in its order: starts, ends, rows, broken rules,
    errors, warnings. --limit does not apply.

    With --metrics: rows, shares of quarantined and dropped rows, broken rules, and of the columns
    how many values are NULL and between which bounds the others lie.
    """
    if metrics and (dataset is None or update is not None):
        raise CommandLineError(
            "--metrics is about one dataset",
            wanted="DATASET, and no --update",
            hint="qanat show lists the datasets",
        )
    with ref.open() as project:
        if metrics and dataset is not None:
            found = project.metrics(dataset, limit)
            grid = metrics_text(found, screen.layout())
            screen.write(dumps(document("metrics", found)) if json else grid)
            return 0
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
