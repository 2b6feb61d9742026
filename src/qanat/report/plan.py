"""What an update would do, and why."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator
from itertools import compress

from qanat.model.backtest import Backtest
from qanat.model.name import Named
from qanat.report.aim import aimed
from qanat.report.backtest import outcome, replay_of
from qanat.report.html import Part, heading, page, preformatted, table
from qanat.report.keys import PROBLEMS_KEY, VERSION_KEY
from qanat.report.shape import Key, Shape
from qanat.run.decide import Decision, DefinitionStatus, Step, UpdatePlan
from qanat.run.facts import Borrowed, Waiting
from qanat.text import PLAIN, Cell, Layout, Value, cells, count, printable, size

WAITING = Shape(
    "Waiting",
    Waiting,
    ("source", *(Key(name, f"amount.{name}") for name in ("files", "bytes", "rows"))),
    "Unread input of one source: whole files, or rows of a table (null where unknown).",
)
BORROWED = Shape(
    "Borrowed",
    Borrowed,
    ("dataset", "environment", Key("table_version", "version"), "project"),
    "A table that is read where it is, in the environment that `from` names, or in another\n"
    "project, whose folder `project` is then; `table_version` is its newest.",
)
DATASET = Shape(
    "PlannedDataset",
    Decision,
    (
        *("dataset", "kind", Key("change", "definition"), "step", "reason"),
        *("waiting", "difference", "consequence"),
        Key("reads_from", "borrowed"),
        "error",
        PROBLEMS_KEY,
    ),
    "One dataset of a plan.\n\n"
    "`change`: `new`, `changed`, `unchanged` or `removed`. `step`: `create`, `append`,\n"
    "`recompute`, `full refresh`, `skip`, `none` or `fail` (something stands in its way).\n"
    "`difference` is a unified diff of the canonical query and rules, `consequence` what a\n"
    "change means for rows already written, or the way out; both are empty where nothing\n"
    "changed. `reads_from` has what it reads from tables of other environments or projects.\n"
    "`error` is what stands in its way, if `step` is `fail`; `problems` has all.",
)
PLAN = Shape(
    "PlanDocument",
    UpdatePlan,
    (VERSION_KEY, "environment", "datasets", "backtests"),
    "The datasets in the order an update would take them; `backtests` say what checks that are\n"
    "new or changed would have done with past updates.",
)
PARTS = (DATASET, WAITING, BORROWED)

_SIGNS = {
    DefinitionStatus.NEW: ("+", "green"),
    DefinitionStatus.CHANGED: ("~", "yellow"),
    DefinitionStatus.UNCHANGED: ("=", "bright_black"),
    DefinitionStatus.REMOVED: ("-", "red"),
}
_DIFFERENCE = {"+": "green", "-": "red", "@": "cyan"}
_HEADERS = ("", "Dataset", "Step", "Why", "Reads", "Waiting", "Consequence")
_IDLE = (Step.NONE, Step.SKIP)


def blocked(plan: UpdatePlan) -> bool:
    """True if something stands in the way of a dataset."""
    return bool(plan.errors)


def plan_text(plan: UpdatePlan, layout: Layout = PLAIN, options: str = "") -> str:
    """A plan, a dataset after the other, and its sum.

    Args:
        options: of the user's command, for those that the plan proposes; as `aimed` takes them.
    """
    widest = max((cells(printable(d.dataset)) for d in plan.datasets), default=0)
    tried = Named((b.dataset, b) for b in plan.backtests)
    lines = []
    for each in plan.datasets:
        lines += _dataset(each, widest, layout, options)
        lines += [f"    {printable(line)}" for line in _tried(tried.get(each.dataset), options)]
    return "\n".join([*lines, *([""] if lines else []), _summary(plan)])


def plan_html(plan: UpdatePlan) -> str:
    """A plan for a notebook."""
    parts: list[Part] = [heading(_summary(plan), "bad" if blocked(plan) else "plain")]
    if plan.datasets:
        # What is empty for every dataset is left out.
        columns = [True] * 4 + [any(d.borrowed for d in plan.datasets)]
        columns.append(any(d.waiting for d in plan.datasets))
        columns.append(any(d.consequence for d in plan.datasets))
        rows = [list(compress(_row(d), columns)) for d in plan.datasets]
        parts.append(table(list(compress(_HEADERS, columns)), rows))
    tried = Named((b.dataset, b) for b in plan.backtests)
    for dataset in plan.datasets:
        if dataset.difference:
            lines = [(text, _DIFFERENCE.get(text[:1])) for text in _changed(dataset)]
            lines += [(text, None) for text in _tried(tried.get(dataset.dataset), "")]
            parts += [heading(dataset.dataset, "plain"), preformatted(lines)]
    return page(*parts)


def _row(decision: Decision) -> list[Value]:
    sign, colour = _SIGNS[decision.definition]
    step = Cell(_step(decision), "red" if decision.step is Step.FAIL else None)
    waiting = "; ".join(_waiting(w) for w in decision.waiting)
    return [
        Cell(sign, colour),
        decision.dataset,
        step,
        decision.reason,
        "; ".join(map(_borrowed, decision.borrowed)),
        waiting,
        decision.consequence,
    ]


def _dataset(decision: Decision, widest: int, layout: Layout, options: str) -> list[str]:
    sign, colour = _SIGNS[decision.definition]
    name = printable(decision.dataset)
    head = f"{sign} {name}{' ' * (widest - cells(name))}"
    lines = [layout.paint(head, colour) + f"  {_step(decision)}: {printable(decision.reason)}"]
    lines += [f"    reads {_borrowed(b)}" for b in decision.borrowed]
    lines += [f"    waiting: {_waiting(w)}" for w in decision.waiting]
    for text in _changed(decision):
        colour = _DIFFERENCE.get(text[:1], "")
        lines.append("    " + layout.paint(printable(text), colour))
    if decision.consequence:
        consequence = printable(aimed(decision.consequence, options))
        lines.append("    " + layout.paint(f"! {consequence}", "yellow"))
    return lines


def _tried(backtest: Backtest | None, options: str) -> Iterator[str]:
    """What checks that are new or changed would have done with past updates."""
    if backtest is None:
        return
    replay = aimed(replay_of(backtest), options)
    for check in backtest.checks:
        yield f"check {check.expectation.name} {outcome(check, replay)}"
    if left := sum(each.epochs for each in backtest.unseen):
        reason = backtest.unseen[0].reason
        command = aimed(f"qanat backtest {shlex.quote(backtest.dataset)}", options)
        yield f"{count(left, 'update')} not looked at: {reason}; for more: {command}"


def _changed(decision: Decision) -> list[str]:
    """The difference without the names of files that a unified diff begins with."""
    return [t for t in decision.difference.splitlines() if not t.startswith(("---", "+++"))]


def _step(decision: Decision) -> str:
    return "nothing to do" if decision.step in _IDLE else decision.step.value


def _waiting(waiting: Waiting) -> str:
    parts = [count(waiting.amount.files, "file")] if waiting.amount.files else []
    if waiting.amount.rows is not None:
        parts.append(count(waiting.amount.rows, "row"))
    if waiting.amount.bytes or waiting.amount.rows is None:
        parts.append(size(waiting.amount.bytes))
    return f"{', '.join(parts)} in {printable(waiting.source)}"


def _borrowed(borrowed: Borrowed) -> str:
    name, environment = printable(borrowed.dataset), printable(borrowed.environment)
    if borrowed.project:
        environment = f"{environment} of the project in {printable(borrowed.project)}"
    return f"{name} from {environment} (version {borrowed.version})"


def _summary(plan: UpdatePlan) -> str:
    changes = Counter(d.definition for d in plan.datasets)
    busy = sum(d.step.works for d in plan.datasets)
    failing = sum(d.step is Step.FAIL for d in plan.datasets)
    parts = ", ".join(f"{changes[c]:,} {c.value}" for c in DefinitionStatus if changes[c])
    if not plan.datasets:
        return "Nothing is declared and nothing is selected."
    declared = sum(d.step is not Step.NONE for d in plan.datasets)
    some = f"{busy:,} of {declared:,} datasets" if busy < declared else count(busy, "dataset")
    work = f"An update would work on {some}" if busy else "Nothing to do"
    if failing:
        work += f", and {count(failing, 'dataset')} would fail"
    return f"{work} (definitions: {parts}; environment {printable(plan.environment)})."
