"""`qanat schedules`: when datasets are updated by themselves, and what came of it."""

from __future__ import annotations

import click

from qanat.cli import screen
from qanat.cli.options import ProjectRef, limit, output, project_ref
from qanat.cli.program import Group
from qanat.report.documents import document
from qanat.report.failure import dumps
from qanat.report.schedules import resumed_schedules_text, runs_text, schedules_text


@click.group(
    "schedules",
    cls=Group,
    short_help="See when datasets are updated; pause and resume schedules.",
)
def command() -> None:
    """See when datasets are updated by `qanat serve`, and what came of it.

    Schedules stand in the section `schedules` of the spec.
    """


@command.command("list", short_help="List the schedules, with their next and last runs.")
@project_ref
@output
def list_(ref: ProjectRef, json: bool) -> int:
    """List the schedules, with when they are due next and what came of the last run."""
    with ref.open() as project:
        found = project.schedules()
    text = schedules_text(found, screen.layout())
    screen.write(dumps(document("schedules", found)) if json else text)
    return 0


@command.command("runs", short_help="List due runs, newest first.")
@click.argument("schedule", required=False)
@limit
@project_ref
@output
def runs(schedule: str | None, limit: int, ref: ProjectRef, json: bool) -> int:
    """List due runs, the newest due time first. With SCHEDULE: only its own."""
    with ref.open() as project:
        found = project.due_runs(schedule, limit)
    screen.write(dumps(document("due_runs", found)) if json else runs_text(found, screen.layout()))
    return 0


@command.command("trigger", short_help="Let a schedule be due now.")
@click.argument("schedules", nargs=-1, required=True)
@project_ref
@output
def trigger(schedules: tuple[str, ...], ref: ProjectRef, json: bool) -> int:
    """Let SCHEDULES be due now, besides their due times; `qanat serve` starts the runs."""
    with ref.open() as project:
        found = project.trigger_schedules(*schedules)
    text = f"Runs as soon as there is room: {', '.join(run.schedule for run in found)}."
    screen.write(dumps(document("due_runs", found)) if json else text)
    return 0


@command.command("cancel", short_help="End the runs of a schedule.")
@click.argument("schedules", nargs=-1, required=True)
@project_ref
@output
def cancel(schedules: tuple[str, ...], ref: ProjectRef, json: bool) -> int:
    """End the runs of SCHEDULES that have not ended, within seconds. Nothing is half-written."""
    with ref.open() as project:
        found = project.cancel_schedules(*schedules)
    text = runs_text(found, screen.layout()) if found else "No run is to be cancelled."
    screen.write(dumps(document("due_runs", found)) if json else text)
    return 0


@command.command("pause", short_help="Let no run of a schedule start for now.")
@click.argument("schedules", nargs=-1, required=True)
@click.option("--reason", default="", metavar="TEXT", help="For those who find it paused.")
@project_ref
@output
def pause(schedules: tuple[str, ...], reason: str, ref: ProjectRef, json: bool) -> int:
    """Let no run of SCHEDULES start until `qanat schedules resume`; what runs comes to its end.

    The due times that come meanwhile are caught up with as the schedule says (`catchup`).
    """
    with ref.open() as project:
        found = project.pause_schedules(*schedules, reason=reason)
    text = schedules_text(found, screen.layout())
    screen.write(dumps(document("schedules", found)) if json else text)
    return 0


@command.command("resume", short_help="Let runs of a schedule start again.")
@click.argument("schedules", nargs=-1)
@project_ref
@output
def resume(schedules: tuple[str, ...], ref: ProjectRef, json: bool) -> int:
    """Let runs of SCHEDULES start again; without SCHEDULES: of all that are paused."""
    with ref.open() as project:
        resumed = project.resume_schedules(*schedules)
    text = resumed_schedules_text(resumed)
    screen.write(dumps(document("resumed", resumed)) if json else text)
    return 0
