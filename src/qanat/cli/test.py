"""`qanat test`: every expectation against the rows that the tables hold."""

from __future__ import annotations

import click

from qanat.cli import screen
from qanat.cli.options import ListsCommand, ProjectRef, output, project_ref, selection
from qanat.report.checks import checks_text
from qanat.report.documents import document
from qanat.report.failure import dumps


@click.command(
    "test", cls=ListsCommand, short_help="Check every expectation on the stored tables."
)
@selection
@project_ref
@output
def command(select: tuple[str, ...], ref: ProjectRef, json: bool) -> int:
    """Check every expectation on the rows that the stored tables hold; write nothing.

    Useful after a rule was added or changed: rows written before have not met it. Exit code 1
    when an expectation other than `warn` is violated.
    """
    with ref.open() as project:
        checks = project.test(select)
    if json:
        screen.write(dumps(document("test", checks)))
    else:
        screen.write(checks_text(checks, screen.layout()))
    return 0 if checks.passed else 1
