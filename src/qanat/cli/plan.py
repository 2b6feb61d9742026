"""`qanat plan`: what an update would do, and why."""

from __future__ import annotations

import click

from qanat.cli import screen
from qanat.cli.options import ProjectRef, full, output, project_ref, refreshes, selection
from qanat.report.documents import document
from qanat.report.failure import dumps
from qanat.report.plan import blocked, plan_text
from qanat.run.decide import UpdatePlan


@click.command("plan", short_help="Show what an update would do, and why.")
@selection
@refreshes
@project_ref
@output
def command(
    select: tuple[str, ...],
    refresh: tuple[str, ...],
    full_refresh: tuple[str, ...],
    ref: ProjectRef,
    json: bool,
) -> int:
    """Show what an update would do, and why, without touching anything.

    Signs: + new, ~ changed, = unchanged, - no longer declared. Exit code 1: something stands in
    the way of a dataset.
    """
    with ref.open() as project:
        found = project.plan(select, refresh=refresh, full_refresh=full(full_refresh))
    return show_plan(found, json)


def show_plan(plan: UpdatePlan, json: bool) -> int:
    """Print a plan; the exit code: 1 if a dataset would fail."""
    screen.write(dumps(document("plan", plan)) if json else plan_text(plan, screen.layout()))
    return int(blocked(plan))
