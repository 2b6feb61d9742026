"""`qanat profile`: the columns of a table, of files or of a query, described."""

from __future__ import annotations

from pathlib import Path

import click

from qanat.cli import screen
from qanat.cli.completion import dataset_names
from qanat.cli.options import ProjectRef, output, project_ref
from qanat.report.documents import document
from qanat.report.failure import dumps
from qanat.report.page import write
from qanat.report.profile.history import profiles_text
from qanat.report.profile.page import profile_page
from qanat.report.profile.text import profile_text

_ALONE = "--update and --history show what was kept: they go with no other option but --html."


@click.command("profile", short_help="Describe the columns of a table, of files or of a query.")
@click.argument("name", shell_complete=dataset_names)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="COLUMN",
    help="Describe only this one. Repeatable; up to three are shown with all bins and values.",
)
@click.option("--where", metavar="CONDITION", help="Only rows for which this is true.")
@click.option("--version", type=int, metavar="N", help="The table as it was at this version.")
@click.option(
    "--update",
    metavar="ID",
    help="The profile that this update has kept (qanat.profile = 'true'); last: the newest.",
)
@click.option("--history", is_flag=True, help="The profiles that updates have kept, compared.")
@click.option(
    "--html",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Write a page with plots to this file.",
)
@project_ref
@output
def command(
    name: str,
    columns: tuple[str, ...],
    where: str | None,
    version: int | None,
    update: str | None,
    history: bool,
    html: Path | None,
    ref: ProjectRef,
    json: bool,
) -> int:
    """Describe every column of NAME: NULLs, distinct values, range, quantiles, histogram, frequent
    values, patterns; columns that go together, and those that tell rows apart.

    NAME is a table (`orders`, also `orders__quarantine`), a version of it (`orders@3`), that of
    another environment (`prod:orders`), a file or a glob (`"data/*.parquet"`), a call that reads
    something else (`"read_postgres('orders', url => '…')"`) or a query. All of its rows are read,
    in bounded memory; nothing is written.
    """
    given = (columns or None, where, version, *((update, html) if history else ()))
    if (history or update is not None) and any(each is not None for each in given):
        raise click.UsageError(_ALONE)
    if history:
        with ref.open() as project:
            kept = project.profiles(name)
        shown = profiles_text(kept, screen.layout())
        screen.write(dumps(document("profiles", kept)) if json else shown)
        return 0
    with ref.open() as project:
        found = project.profile(name, columns=columns, where=where, version=version, update=update)
    if html is not None:
        write(html, profile_page(found))
        screen.note(f"Wrote {html}.")
    shown = profile_text(found, screen.layout())
    screen.write(dumps(document("profile", found)) if json else shown)
    return 0
