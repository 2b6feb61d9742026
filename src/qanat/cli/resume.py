"""`qanat resume`: let updates work on a paused dataset again."""

from __future__ import annotations

import click

from qanat.cli import screen
from qanat.cli.completion import dataset_names
from qanat.cli.options import ProjectRef, output, project_ref
from qanat.report.documents import document
from qanat.report.failure import dumps
from qanat.report.pauses import resumed_text


@click.command("resume", short_help="Let updates work on a paused dataset again.")
@click.argument("datasets", nargs=-1, shell_complete=dataset_names)
@project_ref
@output
def command(datasets: tuple[str, ...], ref: ProjectRef, json: bool) -> int:
    """Let updates work again on DATASETS that are paused; without DATASETS: on all.

    The next update takes what has come meanwhile; a continuous one, at once.
    """
    with ref.open() as project:
        resumed = project.resume(*datasets)
    screen.write(dumps(document("resumed", resumed)) if json else resumed_text(resumed))
    return 0
