"""`qanat test`: every expectation against the rows that the tables hold, and unit tests."""

from __future__ import annotations

import click

from qanat.cli import screen
from qanat.cli.completion import dataset_names
from qanat.cli.options import ListsCommand, ProjectRef, output, project_ref, selection
from qanat.errors import CommandLineError
from qanat.project import Project
from qanat.report.checks import checks_text
from qanat.report.documents import document
from qanat.report.failure import dumps
from qanat.report.unit_tests import written_text


@click.command(
    "test", cls=ListsCommand, short_help="Check expectations on the stored tables; run unit tests."
)
@selection
@click.option(
    "--from",
    "source",
    metavar="DATASET",
    shell_complete=dataset_names,
    help="Write a unit test of DATASET from the rows of its inputs; personal data is masked.",
)
@click.option("--where", metavar="CONDITION", help="With --from: which rows of its first input.")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="With --from: how many of them, at most.",
)
@click.option(
    "--mask",
    metavar="COLUMN",
    multiple=True,
    help="With --from: mask this column, too, whatever its name says. May be repeated.",
)
@project_ref
@output
def command(
    select: tuple[str, ...],
    source: str | None,
    where: str | None,
    limit: int,
    mask: tuple[str, ...],
    ref: ProjectRef,
    json: bool,
) -> int:
    """Check every expectation on the rows that the stored tables hold; write nothing.

    Useful after a rule was added or changed: rows written before have not met it.

    And run the unit tests in tests/*.yml: rows that are given, and rows that a dataset is to make
    of them. They need no table. Exit code 1 when an expectation other than `warn` is violated, or
    a unit test fails.

    With --from, write a unit test instead: rows of the inputs that join to one another, with
    personal data masked, and what the dataset makes of them today.
    """
    if source is None and (where is not None or mask):
        raise CommandLineError("--where and --mask need --from", hint="qanat test --from DATASET")
    with ref.open() as project:
        if source is not None:
            return _record(project, source, where, limit, mask, json)
        checks = project.test(select)
    if json:
        screen.write(dumps(document("test", checks)))
    else:
        screen.write(checks_text(checks, screen.layout()))
    return 0 if checks.passed else 1


def _record(
    project: Project, source: str, where: str | None, limit: int, mask: tuple[str, ...], json: bool
) -> int:
    written = project.record_test(source, where=where, limit=limit, mask=mask)
    screen.write(dumps(document("recorded_test", written)) if json else written_text(written))
    return 0
