"""`qanat export`: what a project declares, in the form of other tools."""

from __future__ import annotations

import click

from qanat.cli import screen
from qanat.cli.completion import dataset_names
from qanat.cli.options import ProjectRef, project_ref, selection
from qanat.cli.program import Group
from qanat.report.documents import document
from qanat.report.failure import dumps


@click.group(
    "export", cls=Group, short_help="Write a data contract, or a file of an orchestrator."
)
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


@command.command("manifest", short_help="Write what an orchestrator needs to know, as JSON.")
@selection
@project_ref
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def manifest(select: tuple[str, ...], ref: ProjectRef, debug: bool) -> int:
    """Write the datasets, what they read, and their expectations, as a JSON document.

    An orchestrator that has this file need not have the project's files to know its tasks:
    qanat export manifest > dags/shop.json
    """
    del debug
    with ref.open() as project:
        found = project.manifest(select)
    screen.write(dumps(document("manifest", found)))
    return 0
