"""`qanat profile`: the columns of a table, of files or of a query, described."""

from __future__ import annotations

import click

from qanat.cli import screen
from qanat.cli.completion import dataset_names
from qanat.cli.options import ProjectRef, output, project_ref
from qanat.report.documents import document
from qanat.report.failure import dumps
from qanat.report.profile.text import profile_text


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
@project_ref
@output
def command(
    name: str,
    columns: tuple[str, ...],
    where: str | None,
    version: int | None,
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
    with ref.open() as project:
        found = project.profile(name, columns=columns, where=where, version=version)
    shown = profile_text(found, screen.layout())
    screen.write(dumps(document("profile", found)) if json else shown)
    return 0
