"""`qanat diff`: what two tables have that the other has not."""

from __future__ import annotations

from pathlib import Path

import click

from qanat.cli import screen
from qanat.cli.completion import dataset_names
from qanat.cli.options import ProjectRef, output, project_ref
from qanat.report.diff import diff_page, diff_text
from qanat.report.documents import document
from qanat.report.failure import dumps
from qanat.report.page import write


@click.command("diff", short_help="Compare two tables, versions, environments or files by keys.")
@click.argument("left", shell_complete=dataset_names)
@click.argument("right", shell_complete=dataset_names)
@click.option(
    "-k",
    "--key",
    "keys",
    multiple=True,
    metavar="COLUMN",
    help="Match rows by this column. Repeatable.  [default: the declared keys, or a column found]",
)
@click.option(
    "--column", "columns", multiple=True, metavar="COLUMN", help="Compare only this one."
)
@click.option("--ignore", "ignored", multiple=True, metavar="COLUMN", help="Do not compare it.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0.0),
    default=0.0,
    metavar="N",
    help="Numbers with a fraction are equal up to this distance.",
)
@click.option(
    "--relative-tolerance",
    type=click.FloatRange(min=0.0),
    default=0.0,
    metavar="SHARE",
    help="… or up to this share of the larger one, such as 0.001.",
)
@click.option("--where", metavar="CONDITION", help="Only rows for which this is true.")
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(min=0),
    default=5,
    metavar="N",
    help="Rows to show of each kind of difference.  [default: 5]",
)
@click.option(
    "--html",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Write a page with the result to this file.",
)
@click.option("--fail-on-difference", is_flag=True, help="Exit with 1 if they differ.")
@project_ref
@output
def command(
    left: str,
    right: str,
    keys: tuple[str, ...],
    columns: tuple[str, ...],
    ignored: tuple[str, ...],
    tolerance: float,
    relative_tolerance: float,
    where: str | None,
    limit: int,
    html: Path | None,
    fail_on_difference: bool,
    ref: ProjectRef,
    json: bool,
) -> int:
    """Compare LEFT and RIGHT by keys; nothing is written to them.

    Each is a table (`orders`), a version of it (`orders@3`), that of another environment
    (`prod:orders`), a file (`orders.parquet`), a call that reads something else
    (`"read_postgres('orders', url => '…')"`) or a query.
    """
    with ref.open() as project:
        found = project.diff(
            left,
            right,
            keys=keys,
            columns=columns,
            ignore=ignored,
            tolerance=tolerance,
            relative_tolerance=relative_tolerance,
            where=where,
            samples=limit,
        )
    if html is not None:
        write(html, diff_page(found))
        screen.note(f"Wrote {html}.")
    screen.write(dumps(document("diff", found)) if json else diff_text(found, screen.layout()))
    return 1 if fail_on_difference and not found.same else 0
