"""`qanat plan`: what an update would do, and why."""

from __future__ import annotations

from collections import Counter

import click

from qanat.cli import documents, screen
from qanat.cli.documents.plan import plan_document
from qanat.cli.options import EVERYTHING, Place, output, place, refreshes, selection
from qanat.model.decision import Decision, Declared, Step, UpdatePlan, Waiting
from qanat.observe.terminal.amounts import count, size
from qanat.observe.terminal.characters import cells, printable
from qanat.run.plan import plan
from qanat.run.results import Selection
from qanat.run.session import Session

SIGNS = {
    Declared.NEW: ("+", "green"),
    Declared.CHANGED: ("~", "yellow"),
    Declared.UNCHANGED: ("=", "bright_black"),
    Declared.REMOVED: ("-", "red"),
}
_DIFFERENCE = {"+": "green", "-": "red", "@": "cyan"}


@click.command("plan", short_help="Show what an update would do, and why.")
@selection
@refreshes
@place
@output
def command(
    select: tuple[str, ...],
    refresh: tuple[str, ...],
    full_refresh: tuple[str, ...],
    place: Place,
    json: bool,
) -> int:
    """Show what an update would do, and why, without touching anything.

    Signs: + new, ~ changed, = unchanged, - no longer declared. Exit code 1: something stands in
    the way of a dataset.
    """
    with Session.open(place.start, place.environment) as workspace:
        return show_plan(plan(workspace, selection_of(select, refresh, full_refresh)), json)


def selection_of(
    select: tuple[str, ...], refresh: tuple[str, ...], full_refresh: tuple[str, ...]
) -> Selection:
    """What the options of the command line select."""
    return Selection(
        select=select,
        refresh=refresh,
        full_refresh=tuple(name for name in full_refresh if name != EVERYTHING),
        full_refresh_all=EVERYTHING in full_refresh,
    )


def show_plan(result: UpdatePlan, json: bool) -> int:
    """Print a plan; the exit code: 1 if a dataset would fail."""
    code = int(any(d.step is Step.FAIL for d in result.datasets))
    if json:
        screen.write(documents.dumps(plan_document(result)))
        return code
    widest = max((cells(printable(d.dataset)) for d in result.datasets), default=0)
    lines = [line for d in result.datasets for line in _dataset(d, widest)]
    screen.write("\n".join([*lines, *([""] if lines else []), _summary(result)]))
    return code


def _dataset(plan: Decision, widest: int) -> list[str]:
    sign, colour = SIGNS[plan.change]
    name = printable(plan.dataset)
    step = "nothing to do" if plan.step in (Step.NONE, Step.SKIP) else plan.step.value
    head = f"{sign} {name}{' ' * (widest - cells(name))}"
    lines = [screen.paint(head, fg=colour) + f"  {step}: {printable(plan.reason)}"]
    lines += [f"    waiting: {_waiting(w)}" for w in plan.waiting]
    for text in plan.difference.splitlines():
        if not text.startswith(("---", "+++")):
            lines.append("    " + screen.paint(printable(text), fg=_DIFFERENCE.get(text[:1])))
    if plan.consequence:
        lines.append("    " + screen.paint(f"! {printable(plan.consequence)}", fg="yellow"))
    return lines


def _waiting(waiting: Waiting) -> str:
    parts = [count(waiting.amount.files, "file")] if waiting.amount.files else []
    if waiting.amount.rows is not None:
        parts.append(count(waiting.amount.rows, "row"))
    parts.append(size(waiting.amount.bytes))
    return f"{', '.join(parts)} in {printable(waiting.source)}"


def _summary(result: UpdatePlan) -> str:
    changes = Counter(d.change for d in result.datasets)
    busy = sum(d.step.works for d in result.datasets)
    failing = sum(d.step is Step.FAIL for d in result.datasets)
    parts = ", ".join(f"{changes[c]:,} {c.value}" for c in Declared if changes[c])
    if not result.datasets:
        return "Nothing is declared and nothing is selected."
    work = f"An update would work on {count(busy, 'dataset')}" if busy else "Nothing to do"
    if failing:
        work += f", and {count(failing, 'dataset')} would fail"
    return f"{work} ({parts}; environment {printable(result.environment)})."
