"""`qanat show`: rows and columns of a table."""

from __future__ import annotations

import click

from qanat.cli import screen
from qanat.cli.completion import dataset_names
from qanat.cli.options import ProjectRef, limit, output, project_ref
from qanat.report.documents import document
from qanat.report.failure import dumps
from qanat.report.table import schema_text, table_text


@click.command("show", short_help="Look at the rows and columns of a table.")
@click.argument("dataset", shell_complete=dataset_names)
@limit
@click.option("--where", metavar="SQL", help="Only rows for which this condition is true.")
@click.option("--version", type=int, metavar="N", help="The table as it was at this version.")
@click.option("--schema", "columns", is_flag=True, help="The columns instead of the rows.")
@project_ref
@output
def command(
    dataset: str,
    limit: int,
    where: str | None,
    version: int | None,
    columns: bool,
    ref: ProjectRef,
    json: bool,
) -> int:
    """Look at the rows and columns of a table.

    DATASET may also be a quarantine table, `<dataset>__quarantine`. A missing value is shown as
    NULL, the text "NULL" and an empty text in quotes.
    """
    with ref.open() as project:
        view = project.table(dataset, version).show(limit, where)
        dialect = project.session.project.dialect
    if json:
        screen.write(dumps(document("table", view)))
    elif columns:
        screen.write(schema_text(view, screen.layout(), dialect))
    else:
        screen.write(table_text(view, where, screen.layout()))
    return 0
