"""`qanat test`: every expectation against the rows that the tables hold, and unit tests."""

from __future__ import annotations

import click

from qanat.cli import screen
from qanat.cli.options import ListsCommand, ProjectRef, output, project_ref, selection
from qanat.report.checks import checks_text
from qanat.report.documents import document
from qanat.report.failure import dumps


@click.command(
    "test", cls=ListsCommand, short_help="Check expectations on the stored tables; run unit tests."
)
@selection
@project_ref
@output
def command(select: tuple[str, ...], ref: ProjectRef, json: bool) -> int:
    """Check every expectation on the rows that the stored tables hold; write nothing.

    Useful after a rule was added or changed: rows written before have not met it.

    And run the unit tests in tests/*.yml: rows that are given, and rows that a dataset is to make
    of them. They need no table. Exit code 1 when an expectation other than `warn` is violated, or
    a unit test fails.
    """
    with ref.open() as project:
        checks = project.test(select)
    if json:
        screen.write(dumps(document("test", checks)))
    else:
        screen.write(checks_text(checks, screen.layout()))
    return 0 if checks.passed else 1
