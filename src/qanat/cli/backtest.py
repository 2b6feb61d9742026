"""`qanat backtest`: what checks would have done with past updates."""

from __future__ import annotations

import click

from qanat.cli import screen
from qanat.cli.completion import dataset_names
from qanat.cli.options import ProjectRef, output, project_ref
from qanat.model.backtest import BACKTESTED
from qanat.report.backtest import backtests_text
from qanat.report.documents import document
from qanat.report.failure import dumps


@click.command("backtest", short_help="Try checks on the rows of past updates.")
@click.argument("datasets", nargs=-1, shell_complete=dataset_names)
@click.option(
    "--updates",
    metavar="N",
    type=click.IntRange(min=1),
    default=BACKTESTED,
    show_default=True,
    help="The newest updates, at most.",
)
@click.option("--changed", is_flag=True, help="Only checks that are new or declared otherwise.")
@project_ref
@output
def command(
    datasets: tuple[str, ...], updates: int, changed: bool, ref: ProjectRef, json: bool
) -> int:
    """Try checks on the rows of past updates: what would they have done? Nothing is written.

    With DATASETS: only theirs. An update is an epoch here, one commit of the table. Its rows are
    read where the table's log still has them, with those that wait in quarantine.
    """
    with ref.open() as project:
        found = project.backtest(datasets, updates=updates, changed=changed)
    if json:
        screen.write(dumps(document("backtest", found)))
    else:
        screen.write(backtests_text(found, screen.layout()))
    return 0
