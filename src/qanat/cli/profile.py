"""`qanat profile`: the columns of a table described by numbers."""

from __future__ import annotations

import click

from qanat.cli import documents, screen
from qanat.cli.documents.table import table_document
from qanat.cli.options import Place, output, place
from qanat.cli.show import row_lines
from qanat.observe.terminal.amounts import count
from qanat.observe.terminal.characters import printable
from qanat.run.profile import profile
from qanat.run.session import Session


@click.command("profile", short_help="Describe the columns of a table by numbers.")
@click.argument("dataset")
@place
@output
def command(dataset: str, place: Place, json: bool) -> int:
    """Describe every column of a table: type, missing values, distinct values, range, mean.

    Reads the whole table.
    """
    with Session.open(place.start, place.environment) as workspace:
        view = profile(workspace, dataset)
    if json:
        screen.write(documents.dumps(table_document(view)))
        return 0
    parts = [f"version {view.version}"]
    if view.total is not None:
        parts.append(count(view.total, "row"))
    title = screen.paint(printable(view.dataset), bold=True)
    screen.write("\n".join([f"{title}: {', '.join(parts)}", "", *row_lines(view)]))
    return 0
