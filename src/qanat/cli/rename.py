"""`qanat rename`: let what a dataset, flow or source has be another name's."""

from __future__ import annotations

import click

from qanat.cli import screen
from qanat.cli.completion import dataset_names
from qanat.cli.options import Logs, ProjectRef, logs, output, project_ref, waits
from qanat.cli.run import watching
from qanat.report.documents import document
from qanat.report.failure import dumps
from qanat.report.move import move_text


@click.command("rename", short_help="Give a dataset, flow or source another name.")
@click.argument("old", shell_complete=dataset_names)
@click.argument("new", shell_complete=dataset_names)
@waits
@project_ref
@logs
@output
def command(old: str, new: str, wait: float, ref: ProjectRef, logs: Logs, json: bool) -> int:
    """Let what a dataset, flow or source has be another name's.

    Change the name in the project's files first; this moves table, quarantine, positions, history
    and what others have read. OLD is the name as it was last run, of a source its path or table.
    """
    with ref.open() as project, watching(logs, json) as observers:
        result = project.rename(old, new, observers, wait)
    screen.write(dumps(document("move", result)) if json else move_text(result))
    return 0
