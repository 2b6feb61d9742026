"""`qanat lineage`: what a table or a column is made from."""

from __future__ import annotations

import click

from qanat.cli import screen
from qanat.cli.completion import dataset_names
from qanat.cli.options import ProjectRef, output, project_ref
from qanat.report.documents import document
from qanat.report.failure import dumps
from qanat.report.lineage import lineage_mermaid, lineage_text


@click.command("lineage", short_help="Show what a table or column is made from.")
@click.argument("target", required=False, shell_complete=dataset_names)
@click.option(
    "--format",
    type=click.Choice(["tree", "mermaid", "json"]),
    default="tree",
    help="A tree, a Mermaid diagram, or what --output json prints.  [default: tree]",
)
@project_ref
@output
def command(target: str | None, format: str, ref: ProjectRef, json: bool) -> int:
    """Show what TARGET, a table or `table.column`, is made from; without TARGET: every table."""
    with ref.open() as project:
        found = project.lineage(target)
    if json or format == "json":
        screen.write(dumps(document("lineage", found)))
    elif format == "mermaid":
        screen.write(lineage_mermaid(found))
    else:
        screen.write(lineage_text(found, screen.layout()))
    return 0
