"""`qanat report`: one update as an HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from qanat.cli import screen
from qanat.cli.options import ProjectRef, project_ref
from qanat.errors import CommandLineError
from qanat.report.page import write


@click.command("report", short_help="Write an update as an HTML page.")
@click.argument("update", default="last")
@click.option(
    "--html",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    default=Path("report.html"),
    metavar="FILE",
    help="Where to write the page.  [default: report.html]",
)
@click.option("--values", is_flag=True, help="Show values of rows in quarantine and of profiles.")
@project_ref
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def command(update: str, html: Path, values: bool, ref: ProjectRef, debug: bool) -> int:
    """Write UPDATE (`last`, or an identifier of `qanat history`) as one HTML page.

    It needs no server and no network: datasets, rules with their trends, anomalies on their
    history, rows in quarantine with their reasons and origins, errors, lineage. The values of such
    rows, which may be personal data, are left out unless asked for.
    """
    del debug  # `qanat.cli.failure` looks for it
    if not html.parent.is_dir():
        raise CommandLineError(f"--html: there is no folder {html.parent}")
    with ref.open() as project:
        page = project.report(update, values=values).html()
    write(html, page)
    screen.note(f"Wrote {html}.")
    return 0
