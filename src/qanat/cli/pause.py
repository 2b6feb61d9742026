"""`qanat pause`: let no update work on a dataset for now."""

from __future__ import annotations

import click

from qanat.cli import screen
from qanat.cli.completion import dataset_names
from qanat.cli.options import ProjectRef, output, project_ref
from qanat.report.documents import document
from qanat.report.failure import dumps
from qanat.report.pauses import pauses_text


@click.command("pause", short_help="Let no update work on a dataset for now.")
@click.argument("datasets", nargs=-1, shell_complete=dataset_names)
@click.option("--reason", default="", metavar="TEXT", help="For those who find it paused.")
@project_ref
@output
def command(datasets: tuple[str, ...], reason: str, ref: ProjectRef, json: bool) -> int:
    """Let no update work on DATASETS until `qanat resume`; without DATASETS: list what is paused.

    Nothing is lost: what comes meanwhile is taken afterwards. An epoch that has begun comes to its
    end, and what reads a paused dataset goes on with the rows that are there. A dataset pauses by
    itself once too many of its rows went to quarantine (qanat.quarantine_window).
    """
    with ref.open() as project:
        found = project.pause(*datasets, reason=reason)
    if json:
        screen.write(dumps(document("pauses", found)))
    else:
        screen.write(pauses_text(found, screen.layout(), ref.options))
    return 0
