"""`qanat drop`: remove a dataset that is no longer declared."""

from __future__ import annotations

import sys

import click

from qanat.cli import screen
from qanat.cli.options import Logs, ProjectRef, logs, output, project_ref
from qanat.cli.run import watching
from qanat.errors import CommandLineError
from qanat.report.documents import document
from qanat.report.failure import dumps
from qanat.report.move import move_text
from qanat.run.drop import consequences, dropping
from qanat.text import printable


@click.command("drop", short_help="Remove a dataset that is no longer declared.")
@click.argument("name")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@project_ref
@logs
@output
def command(name: str, yes: bool, ref: ProjectRef, logs: Logs, json: bool) -> int:
    """Remove a dataset that is no longer declared, with its table, quarantine and positions.

    What a sink has sent stays where it is, and so do past updates in the history. Declared again,
    the dataset starts from nothing, and its readers read it from the start.
    """
    with ref.open() as project, watching(logs, json) as observers:
        found = dropping(project.session, name)
        if not yes:
            _ask(printable(consequences(found)), json)
        result = project.drop(name, observers)
    screen.write(dumps(document("move", result)) if json else move_text(result))
    return 0


def _ask(text: str, json: bool) -> None:
    """Let the user confirm.

    Raises:
        CommandLineError: nobody is there to be asked.
        click.Abort: the answer is no.
    """
    if json or not sys.stdin.isatty():
        raise CommandLineError(text, hint="this is no terminal to be asked at; say it with --yes")
    click.confirm(f"{text[:1].upper()}{text[1:]}. Go on?", abort=True, err=True)
