"""`qanat show`: all tables, or the rows and columns of one."""

from __future__ import annotations

import click

from qanat.cli import screen
from qanat.cli.completion import dataset_names
from qanat.cli.options import ProjectRef, limit, output, project_ref
from qanat.report.documents import document
from qanat.report.failure import dumps
from qanat.report.overview import overview_text
from qanat.report.state import state_text
from qanat.report.table import schema_text, table_text


@click.command("show", short_help="Look at all tables, or at the rows and columns of one.")
@click.argument("dataset", required=False, shell_complete=dataset_names)
@limit
@click.option("--where", metavar="SQL", help="Only rows for which this condition is true.")
@click.option("--version", type=int, metavar="N", help="The table as it was at this version.")
@click.option("--schema", "columns", is_flag=True, help="Columns and checks instead of rows.")
@click.option("--state", is_flag=True, help="What its flows keep from one epoch to the next.")
@project_ref
@output
def command(
    dataset: str | None,
    limit: int,
    where: str | None,
    version: int | None,
    columns: bool,
    state: bool,
    ref: ProjectRef,
    json: bool,
) -> int:
    """Look at all tables, or at the rows and columns of one.

    Without DATASET, all tables and sinks, with their rows and last update.

    DATASET may also be a quarantine table, `<dataset>__quarantine`. A missing value is shown as
    NULL, the text "NULL" and an empty text in quotes.
    """
    if dataset is None:
        given = (where, version, columns or None, state or None)
        if any(each is not None for each in given):
            raise click.UsageError("--where, --version, --schema and --state need a DATASET.")
        with ref.open() as project:
            found = project.overview()
        shown = overview_text(found, screen.layout())
        screen.write(dumps(document("datasets", found)) if json else shown)
        return 0
    if state:
        with ref.open() as project:
            kept = project.state(dataset)
        shown = state_text(kept, screen.layout())
        screen.write(dumps(document("state", kept)) if json else shown)
        return 0
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
