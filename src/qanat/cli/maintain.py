"""`qanat maintain`: fewer and larger files, and nothing that nobody needs."""

from __future__ import annotations

import click

from qanat.cli import screen
from qanat.cli.completion import dataset_names
from qanat.cli.options import Logs, ProjectRef, logs, output, project_ref, waits
from qanat.cli.run import watching
from qanat.report.documents import document
from qanat.report.failure import dumps
from qanat.report.upkeep import maintenance_text


@click.command("maintain", short_help="Compact tables, and delete old files and log entries.")
@click.argument("datasets", nargs=-1, shell_complete=dataset_names)
@click.option("--dry-run", is_flag=True, help="Only look; nothing is written.")
@waits
@project_ref
@logs
@output
def command(
    datasets: tuple[str, ...],
    dry_run: bool,
    wait: float,
    ref: ProjectRef,
    logs: Logs,
    json: bool,
) -> int:
    """Write small files of tables again as larger ones, and delete old files and log entries.

    Of DATASETS (default: all), with their quarantines. No row changes, and what a stream of the
    project has still to read stays. Updates do the same by themselves where it pays.
    """
    with ref.open() as project, watching(logs, json) as observers:
        result = project.maintain(*datasets, dry_run=dry_run, wait=wait, observers=observers)
    if json:
        screen.write(dumps(document("maintenance", result)))
    else:
        screen.write(maintenance_text(result, screen.layout()))
    return 0
