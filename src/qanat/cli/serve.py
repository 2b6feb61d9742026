"""`qanat serve`: update datasets when their schedules are due."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import click

from qanat.cli import screen
from qanat.cli.continuous import listening
from qanat.cli.options import ProjectRef, output, positive, project_ref
from qanat.model.schedule import RunState
from qanat.project.schedules import WORKERS
from qanat.project.serving import Told
from qanat.report.documents import SHAPES
from qanat.report.keys import moment
from qanat.report.schedules import NO_SCHEDULES, told_text
from qanat.run.scheduled import Scheduled
from qanat.text import count, utc


@click.command("serve", short_help="Update datasets when their schedules are due.")
@click.option(
    "--once",
    is_flag=True,
    help="Start what is due now, wait for it, and end: for cron and CI.",
)
@click.option(
    "--workers",
    type=int,
    default=WORKERS,
    callback=positive,
    metavar="N",
    help=f"How many runs work at a time.  [default: {WORKERS}]",
)
@project_ref
@output
def command(once: bool, workers: int, ref: ProjectRef, json: bool) -> int:
    """Update datasets when the schedules of the spec are due, until Ctrl-C or SIGTERM.

    Each run is a process of its own, whose log is in _qanat/logs below the storage. Several
    schedulers may serve a project; each due run is started by one of them. SIGHUP reads the
    project's files again. --output json writes one line for each thing that happens.

    Exit code of --once: 1 if a run failed or waits for a retry, else 0.
    """
    with ref.open() as project, listening() as signals:
        tell = _as_json if json else _as_text
        if not project.session.project.schedules:
            tell(Told("warning", text=NO_SCHEDULES))
        elif not once and not json:
            _as_text(Told("serving", text=_greeting(project.schedules())))
        runs = project.serve(
            once=once, workers=workers, stop=signals.stop, reload=signals.reload, tell=tell
        )
    bad = [r for r in runs if r.state in (RunState.FAILED, RunState.WAITING)]
    # A run that has succeeded after a retry has not failed.
    good = {(r.schedule, r.due) for r in runs if r.state is RunState.SUCCEEDED}
    return int(once and any((r.schedule, r.due) not in good for r in bad))


def _greeting(schedules: Sequence[Scheduled]) -> str:
    text = f"{count(len(schedules), 'schedule')}; Ctrl-C stops"
    due = [(each.next, each.schedule.name) for each in schedules if each.next is not None]
    if not due:
        return text
    moment, name = min(due)
    return f"{text}; due next: {name}, {utc(moment) if moment > time.time() else 'now'}"


def _as_text(told: Told) -> None:
    line = told_text(told.kind, told.run, told.text, screen.layout())
    screen.write(f"{utc(time.time())}  {line}")
    if told.log is not None and told.kind in ("failed", "retried"):
        screen.write(f"  log: {told.log}")
    sys.stdout.flush()


def _as_json(told: Told) -> None:
    facts: dict[str, Any] = {"ts": moment(time.time()), "event": told.kind}
    if told.run is not None:
        facts["run"] = SHAPES.plain(told.run)
    facts |= {"text": told.text} if told.text else {}
    facts |= {"log": str(told.log)} if told.log else {}
    screen.write(json.dumps(facts))
    sys.stdout.flush()
