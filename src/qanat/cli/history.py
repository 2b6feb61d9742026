"""`qanat history`: past updates and their epochs."""

from __future__ import annotations

import click

from qanat.cli import screen
from qanat.cli.options import Place, limit, output, place
from qanat.report.documents import document
from qanat.report.failure import dumps
from qanat.report.history import history_text


@click.command("history", short_help="List past updates and their epochs.")
@click.argument("dataset", required=False)
@limit
@place
@output
def command(dataset: str | None, limit: int, place: Place, json: bool) -> int:
    """List past updates, newest first, with the epochs of each.

    With DATASET: only updates that worked on it, and only its epochs.
    """
    with place.open() as project:
        entries, environment = project.history(dataset, limit), project.environment
    if json:
        screen.write(dumps(document("history", entries)))
    elif entries:
        screen.write(history_text(entries, screen.layout()))
    else:
        screen.write(
            f"No update has run yet in environment {environment}; `qanat run` makes the first."
        )
    return 0
