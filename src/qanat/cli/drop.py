"""`qanat drop`: remove a dataset that is no longer declared."""

from __future__ import annotations

import click

from qanat.cli import screen
from qanat.cli.asking import confirmed
from qanat.cli.completion import dataset_names
from qanat.cli.options import Logs, ProjectRef, logs, output, project_ref, waits
from qanat.cli.run import watching
from qanat.report.documents import document
from qanat.report.failure import dumps
from qanat.report.move import move_text
from qanat.run.drop import consequences, dropping
from qanat.text import printable


@click.command("drop", short_help="Remove a dataset that is no longer declared.")
@click.argument("name", shell_complete=dataset_names)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@waits
@project_ref
@logs
@output
def command(name: str, yes: bool, wait: float, ref: ProjectRef, logs: Logs, json: bool) -> int:
    """Remove a dataset that is no longer declared, with its table, quarantine and positions.

    Of an environment that reads from another (`from:`), also a table that is declared: that of the
    other environment is read again.

    What a sink has sent stays where it is, and so do past updates in the history. Declared again,
    the dataset starts from nothing, and its readers read it from the start.
    """
    with ref.open() as project:
        found = dropping(project.session, name)
        if not (yes or confirmed(printable(consequences(found)), json)):
            screen.note("Nothing is dropped.")
            return 1
        # Only now: progress is painted over what stands on the screen.
        with watching(logs, json) as observers:
            result = project.drop(name, observers, wait)
    screen.write(dumps(document("move", result)) if json else move_text(result))
    return 0
