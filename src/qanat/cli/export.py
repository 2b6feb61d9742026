"""`qanat export`: what a project declares, in the form of other tools."""

from __future__ import annotations

import json

import click

from qanat.cli import screen
from qanat.cli.completion import dataset_names
from qanat.cli.options import ProjectRef, project_ref
from qanat.cli.program import Group


@click.group("export", cls=Group, short_help="Write what is declared in the form of other tools.")
def command() -> None:
    """Write what the project declares in the form of other tools."""


@command.command("contract", short_help="Write a data contract for a dataset.")
@click.argument("dataset", shell_complete=dataset_names)
@click.option("--version", "version", default="1.0.0", help="Of the contract.  [default: 1.0.0]")
@project_ref
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def contract(dataset: str, version: str, ref: ProjectRef, debug: bool) -> int:
    """Write a contract of the Open Data Contract Standard for a dataset as it is declared.

    Columns, keys and checks go into it. Written into the project's folder `contracts`, it is kept
    from then on: qanat export contract orders > contracts/orders.odcs.yaml
    """
    del debug
    with ref.open() as project:
        text = project.export_contract(dataset, version)
    screen.write(text.rstrip("\n"))
    return 0


@command.command("openlineage", short_help="Write documents of OpenLineage for a catalog.")
@click.argument("update", required=False)
@click.option("--namespace", default="qanat", help="Of the jobs.  [default: qanat]")
@project_ref
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def openlineage(update: str | None, namespace: str, ref: ProjectRef, debug: bool) -> int:
    """Write what an update did as documents of OpenLineage, one JSON object on each line.

    UPDATE is an identifier as `qanat history` prints it, or `last`. Without it, the datasets of
    the project and the jobs that make them are written, as events that need no run.
    """
    del debug
    with ref.open() as project:
        for document in project.export_openlineage(update, namespace=namespace):
            screen.write(json.dumps(document))
    return 0
