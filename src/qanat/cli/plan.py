"""`qanat plan`: what an update would do, and why."""

from __future__ import annotations

import click

from qanat.cli import failure, screen
from qanat.cli.options import (
    ListsCommand,
    ProjectRef,
    Refreshes,
    output,
    project_ref,
    refresh_options,
    selection,
)
from qanat.report.documents import document
from qanat.report.failure import dumps
from qanat.report.plan import plan_text
from qanat.run.decide import UpdatePlan


@click.command("plan", cls=ListsCommand, short_help="Show what an update would do, and why.")
@selection
@refresh_options
@project_ref
@output
def command(
    select: tuple[str, ...],
    refreshes: Refreshes,
    ref: ProjectRef,
    json: bool,
) -> int:
    """Show what an update would do, and why, without touching anything.

    Signs: + new, ~ changed, = unchanged, - no longer declared. Exit code 1: something stands in
    the way of a dataset; 2: a file of the project has to be changed.
    """
    with ref.open() as project:
        found = project.plan(select, **vars(refreshes))
    return show_plan(found, json, ref.options)


def show_plan(plan: UpdatePlan, json: bool, options: str) -> int:
    """Print a plan; the exit code is that of the errors that stand in its way.

    Args:
        options: to be repeated in the commands that it proposes, such as ` -C shop`.
    """
    text = dumps(document("plan", plan)) if json else plan_text(plan, screen.layout(), options)
    screen.write(text)
    return failure.exit_code(plan.errors)
