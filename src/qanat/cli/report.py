"""`qanat report`: one update as an HTML page, or as a document."""

from __future__ import annotations

from pathlib import Path

import click

from qanat.cli import screen
from qanat.cli.options import ProjectRef, output, project_ref
from qanat.errors import CommandLineError
from qanat.report.documents import document
from qanat.report.failure import dumps
from qanat.report.page import write


@click.command("report", short_help="Write an update as an HTML page.")
@click.argument("update", default="last")
@click.option(
    "--html",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Where to write the page.  [default: report.html, or none with --output json]",
)
@click.option("--values", is_flag=True, help="Show values of rows in quarantine and of profiles.")
@project_ref
@output
def command(update: str, html: Path | None, values: bool, ref: ProjectRef, json: bool) -> int:
    """Write UPDATE (`last`, or an identifier of `qanat history`) as one HTML page.

    It needs no server and no network: datasets, rules with their trends, anomalies on their
    history, rows in quarantine with their reasons and origins, errors, lineage. The values of such
    rows, which may be personal data, are left out unless asked for.
    """
    if html is None and not json:
        html = Path("report.html")
    if html is not None and not html.parent.is_dir():
        raise CommandLineError(f"--html: there is no folder {html.parent}")
    with ref.open() as project:
        found = project.report(update, values=values)
    if html is not None:
        write(html, found.html())
        screen.note(f"Wrote {html}.")
    if json:
        screen.write(dumps(document("report", found)))
    return 0
