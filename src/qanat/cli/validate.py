"""`qanat validate`: everything that can be known without running, all errors at once."""

from __future__ import annotations

import click

from qanat.cli import failure, screen
from qanat.cli.options import ProjectRef, output, project_ref
from qanat.report.documents import document
from qanat.report.failure import dumps
from qanat.report.validation import validation_text


@click.command("validate", short_help="Check the whole project without running it.")
@project_ref
@output
def command(ref: ProjectRef, json: bool) -> int:
    """Check the whole project without running it.

    Reads the spec and all transformation files, resolves every name, column, type and function,
    and reports all problems at once. Writes nothing.
    """
    with ref.open() as project:
        result = project.validate()
    if json:
        screen.write(dumps(document("validation", result)))
    elif result.problems:
        screen.note(failure.describe_all(result.problems, ref.start, ref.options))
    else:
        screen.write(validation_text(result))
    return failure.exit_code(result.problems)
