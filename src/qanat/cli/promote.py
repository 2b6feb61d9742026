"""`qanat promote`: take over tables that another environment has computed."""

from __future__ import annotations

import click

from qanat.cli import screen
from qanat.cli.completion import dataset_names
from qanat.cli.options import Logs, ProjectRef, logs, output, project_ref, waits
from qanat.cli.run import watching
from qanat.report.documents import document
from qanat.report.failure import dumps
from qanat.report.promotion import promotion_text


@click.command("promote", short_help="Take over tables that another environment has computed.")
@click.argument("datasets", nargs=-1, required=True, shell_complete=dataset_names)
@click.option(
    "--from",
    "origin",
    required=True,
    metavar="NAME",
    help="The environment that has computed them.",
)
@click.option("--dry-run", is_flag=True, help="Only look; the rules are not checked.")
@click.option(
    "--only",
    is_flag=True,
    help="Leave alone what has read them as a stream, to start over later.",
)
@click.option(
    "--accept-loss",
    is_flag=True,
    help="Replace tables although files that their rows came from are gone.",
)
@waits
@project_ref
@logs
@output
def command(
    datasets: tuple[str, ...],
    origin: str,
    dry_run: bool,
    only: bool,
    accept_loss: bool,
    wait: float,
    ref: ProjectRef,
    logs: Logs,
    json: bool,
) -> int:
    """Take over DATASETS that another environment has computed, each in one commit.

    They become tables of the environment that --env names, in place of those that are there, once
    their rules are checked. The next update goes on where the other environment stopped. What that
    computed by another definition, or from other inputs, is refused.
    """
    with ref.open() as project, watching(logs, json) as observers:
        result = project.promote(
            *datasets,
            origin=origin,
            only=only,
            accept_loss=accept_loss,
            dry_run=dry_run,
            wait=wait,
            observers=observers,
        )
    if json:
        screen.write(dumps(document("promotion", result)))
    else:
        screen.write(promotion_text(result, screen.layout()))
    return 0
