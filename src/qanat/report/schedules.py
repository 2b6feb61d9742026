"""When datasets are updated by themselves, and the due runs of schedules."""

from __future__ import annotations

from collections.abc import Sequence

from qanat.model.schedule import DueRun, RunState
from qanat.report.html import heading, page, table
from qanat.report.keys import VERSION_KEY, elapsed, moment
from qanat.report.shape import Key, Shape
from qanat.run.scheduled import Scheduled
from qanat.text import PLAIN, Layout, Value, duration, grid, printable, utc


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else moment(seconds)


DUE_RUN = Shape(
    "DueRun",
    DueRun,
    (
        "schedule",
        Key("due", of=str, make=lambda run: moment(run.due)),
        *("state", "attempt"),
        Key("not_before", of=str | None, make=lambda run: _moment(run.not_before or None)),
        Key("started", of=str | None, make=lambda run: _moment(run.started)),
        Key("ended", of=str | None, make=lambda run: _moment(run.ended)),
        *("update", "error"),
    ),
    "One start of a schedule at one due time. `state`: `waiting` (for a retry, too: that comes not"
    " before `not_before`), `starting`, `running`, `succeeded`, `failed` or `skipped`.\n\n"
    "`update`: null if nothing was new.",
)
SCHEDULED = Shape(
    "Scheduled",
    Scheduled,
    (
        Key("schedule", "schedule.name"),
        Key("trigger", of=str, make=lambda each: str(each.schedule.trigger)),
        Key("select", of=list[str], make=lambda each: list(each.schedule.select)),
        Key("next", of=str | None, make=lambda each: _moment(each.next)),
        "last",
        Key("paused", of=str | None, make=lambda each: _moment(each.paused)),
        "reason",
    ),
    "A schedule. `next`: when it is due; null if it follows another one, or is paused since"
    " `paused`. `last`: its newest run that has begun.",
)
SCHEDULES = Shape(
    "SchedulesDocument",
    Sequence[Scheduled],
    (VERSION_KEY, Key("schedules", of=list[Scheduled], make=list)),
    "In the order of the spec.",
)
DUE_RUNS = Shape(
    "DueRunsDocument",
    Sequence[DueRun],
    (VERSION_KEY, Key("runs", of=list[DueRun], make=list)),
    "Newest due time first.",
)
PARTS = (SCHEDULED, DUE_RUN)

_HEADERS = ("Schedule", "Due", "Updates", "Next", "Last", "State", "Took")
_SPARE = ("Last", "Updates", "Took", "Due")
_RUN_HEADERS = ("Schedule", "Due", "State", "Attempt", "Started", "Took", "Update", "Error")
_RUN_SPARE = ("Started", "Update", "Attempt", "Took")
_COLOURS = {
    RunState.SUCCEEDED: "green",
    RunState.FAILED: "red",
    RunState.RUNNING: "yellow",
    RunState.STARTING: "yellow",
}
NO_SCHEDULES = "The spec has no schedules."
_KIND = len("succeeded")
_NO_RUNS = "No run has been due yet."


def schedules_text(found: Sequence[Scheduled], layout: Layout = PLAIN) -> str:
    """The schedules, with when they are due next and what came of the last run."""
    if not found:
        return NO_SCHEDULES
    lines = grid(_HEADERS, [_schedule(each) for each in found], layout, _SPARE)
    notes = [note for each in found if (note := _note(each))]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def schedules_html(found: Sequence[Scheduled]) -> str:
    """The same for a notebook."""
    rows = [_schedule(each) for each in found]
    return page(table(_HEADERS, rows) if rows else heading(NO_SCHEDULES, "plain"))


def runs_text(runs: Sequence[DueRun], layout: Layout = PLAIN) -> str:
    """Due runs, newest first."""
    if not runs:
        return _NO_RUNS
    return "\n".join(grid(_RUN_HEADERS, [_run(r) for r in runs], layout, _RUN_SPARE))


def runs_html(runs: Sequence[DueRun]) -> str:
    """The same for a notebook."""
    rows = [_run(run) for run in runs]
    return page(table(_RUN_HEADERS, rows) if rows else heading(_NO_RUNS, "plain"))


def resumed_schedules_text(names: Sequence[str]) -> str:
    """Which schedules go on.

    >>> resumed_schedules_text(["nightly"])
    'Runs of nightly start again.'
    """
    return f"Runs of {', '.join(names)} start again." if names else "No schedule is paused."


def told_text(kind: str, run: DueRun | None, text: str, layout: Layout = PLAIN) -> str:
    """One line of what a scheduler tells.

    >>> told_text("started", DueRun("nightly", 1_764_000_000.0), "")
    'started    nightly, due 2025-11-24 16:00:00 UTC'
    """
    colour = {"succeeded": "green", "failed": "red", "late": "red", "warning": "yellow"}
    # As wide as the longest, so that names of schedules stand below one another.
    shown = layout.paint(f"{kind:<{_KIND}}", colour.get(kind, ""))
    if run is None:
        return f"{shown}  {printable(text)}"
    about = f"{printable(run.schedule)}, due {utc(run.due)}"
    if (took := _took(run)) is not None:
        about += f", took {duration(took)}"
    if kind == "retried":
        text += f"; begins again after {utc(run.not_before)}"
    return f"{shown}  {about}" + (f": {printable(text)}" if text else "")


def _note(found: Scheduled) -> str:
    """What is out of the ordinary with a schedule; empty if nothing is."""
    name = printable(found.schedule.name)
    if found.paused is not None:
        why = f": {printable(found.reason)}" if found.reason else ""
        return f"{name} is paused since {utc(found.paused)}{why}"
    if found.overdue:
        return f"{name} is overdue: no scheduler works now (`qanat serve` starts one)"
    return ""


def _took(run: DueRun) -> float | None:
    return None if run.started is None else elapsed(run.started, run.ended)


def _schedule(found: Scheduled) -> list[Value]:
    schedule, last = found.schedule, found.last
    took = None if last is None else _took(last)
    due = "paused" if found.paused is not None else None
    if found.next is not None:
        due = utc(found.next)
    elif due is None:
        due = "–"
    return [
        schedule.name,
        str(schedule.trigger),
        ", ".join(schedule.select) or "everything",
        due,
        None if last is None else utc(last.due),
        None if last is None else last.state.value,
        None if took is None else duration(took),
    ]


def _run(run: DueRun) -> list[Value]:
    took = _took(run)
    return [
        run.schedule,
        utc(run.due),
        run.state.value,
        run.attempt,
        None if run.started is None else utc(run.started),
        None if took is None else duration(took),
        run.update,
        None if run.error is None else run.error.partition("\n")[0],
    ]
