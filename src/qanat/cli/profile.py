"""`qanat profile`: the columns of a table described by numbers."""

from __future__ import annotations

import click

from qanat.cli import screen
from qanat.cli.completion import dataset_names
from qanat.cli.options import ProjectRef, output, project_ref
from qanat.report.documents import document
from qanat.report.failure import dumps
from qanat.report.table import profile_text


@click.command("profile", short_help="Describe the columns of a table by numbers.")
@click.argument("dataset", shell_complete=dataset_names)
@project_ref
@output
def command(dataset: str, ref: ProjectRef, json: bool) -> int:
    """Describe every column of a table: type, missing values, distinct values, range, mean.

    Reads the whole table.
    """
    with ref.open() as project:
        view = project.profile(dataset)
    if json:
        screen.write(dumps(document("table", view)))
    else:
        screen.write(profile_text(view, screen.layout()))
    return 0
