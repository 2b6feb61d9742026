"""`qanat contract`: what becomes of data contracts."""

from __future__ import annotations

from pathlib import Path

import click

from qanat.cli import screen
from qanat.cli.options import ProjectRef, project_ref
from qanat.cli.program import Group
from qanat.report.contract import contract_diff_text

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("contract", cls=Group, short_help="Compare two versions of a data contract.")
def command() -> None:
    """Look at data contracts."""


@command.command("diff", short_help="Show what breaks those who rely on the old version.")
@click.argument("old", type=_FILE)
@click.argument("new", type=_FILE)
@project_ref
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def diff(old: Path, new: Path, ref: ProjectRef, debug: bool) -> int:
    """Compare two versions of a contract of the Open Data Contract Standard.

    A change breaks those who rely on the old version if a column, a type, a key or a rule that it
    promises is gone or lets more rows pass. The exit code is 1 if one does.
    """
    del debug
    with ref.open() as project:
        found = project.compare_contracts(old, new)
    screen.write(contract_diff_text(found, screen.layout()))
    return int(found.breaks)
