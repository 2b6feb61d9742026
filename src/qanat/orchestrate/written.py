"""A project as a file of an orchestrator: ordinary code that a team reads, keeps and changes.

The same project gives the same text, formatted as `ruff format` formats it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from keyword import iskeyword

from qanat.frozen import Frozen
from qanat.orchestrate.manifest import Manifest
from qanat.orchestrate.tasks import Task, tasks
from qanat.text import printable


class Export(Frozen):
    """What is written.

    Args:
        manifest: the project.
        root: its folder.
        environment: of the spec; None: its default.
        select: names or globs, if the manifest has only these.
        granularity: `dataset`, `group` or `project`.
        schedule: a cron expression; None: only by hand.
        retries: how often a task is tried again.
        qanat: the program that runs updates; None: that of the orchestrator's environment.
    """

    manifest: Manifest
    root: str
    environment: str | None = None
    select: tuple[str, ...] = ()
    granularity: str = "dataset"
    schedule: str | None = None
    retries: int = 2
    qanat: str | None = None

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks, each after those that it waits for."""
        return tasks(self.manifest, self.granularity)

    @property
    def variable(self) -> str:
        """The name of what the file defines."""
        (project,) = tasks(self.manifest, "project")
        return variables([project.identifier])[project.identifier]


_TAKEN = frozenset(
    (
        "__debug__",
        "DAG",
        "PARAMS",
        "PROJECT",
        "QanatOperator",
        "UTC",
        "datetime",
        "luigi",
        "pipeline_flow",
        "pipeline_tasks",
        "timedelta",
    )
)
"""Names that the files themselves use."""


def variables(identifiers: Sequence[str]) -> dict[str, str]:
    """By identifier, the name of its variable: another one if Python or the file has that name.

    >>> variables(["gold", "class", "class_"])
    {'gold': 'gold', 'class_': 'class_', 'class': 'class__'}
    """
    used = {i for i in identifiers if not (iskeyword(i) or i in _TAKEN)}
    made = {i: i for i in identifiers if i in used}
    for identifier in identifiers:
        name = identifier
        while iskeyword(name) or name in _TAKEN or name in used:
            name += "_"
        made.setdefault(identifier, name)
        used.add(made[identifier])
    return made


def written(orchestrator: str, export: Export) -> str:
    """The text of the file.

    Args:
        orchestrator: a key of `FILES`.

    Raises:
        OptionError: there is no such granularity.
        CycleError: groups wait for one another in a circle.
    """
    lines = FILES[orchestrator](export)
    return "\n".join([*_head(orchestrator, export), *lines]) + "\n"


def _head(orchestrator: str, export: Export) -> list[str]:
    # A name may be of any characters, as those that end a docstring.
    name = printable(export.manifest.project).replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return [
        f'"""Keeps the datasets of the project {name} up to date.',
        "",
        f"Written by `qanat export {orchestrator}`, and yours to change.",
        '"""',
        "",
    ]


def _text(value: str) -> str:
    """A text as Python has it, with the quotes that formatters choose."""
    plain = repr(value)
    if plain.startswith('"'):
        return plain
    body = plain[1:-1].replace("\\'", "'")
    if body.count('"') > body.count("'"):
        return plain
    return '"' + body.replace('"', '\\"') + '"'


def _list(values: Sequence[str]) -> str:
    return "[" + ", ".join(map(_text, values)) + "]"


def _airflow(export: Export) -> Iterator[str]:
    project = export.manifest.project
    yield from (
        "from datetime import UTC, datetime, timedelta",
        "",
        "from airflow.sdk import DAG",
        "",
        "from qanat.orchestrate.airflow import PARAMS, QanatOperator",
        "",
        f"PROJECT = {_text(export.root)}",
        "",
        "with DAG(",
        f"    {_text(export.variable)},",
        f"    schedule={_text(export.schedule) if export.schedule else None},",
        "    start_date=datetime(2026, 1, 1, tzinfo=UTC),",
        "    catchup=False,",
        "    params=PARAMS,",
        f'    default_args={{"retries": {export.retries}, "retry_delay": timedelta(minutes=1)}},',
        "):",
    )
    names = variables([task.identifier for task in export.tasks])
    where = [("environment", export.environment), ("qanat", export.qanat)]
    for task in export.tasks:
        yield f"    {names[task.identifier]} = QanatOperator("
        yield f"        task_id={_text(task.identifier)},"
        yield "        project=PROJECT,"
        yield f"        project_name={_text(project)},"
        yield from (f"        {key}={_text(value)}," for key, value in where if value)
        yield from _sequence("        select=", task.select)
        yield "    )"
    waits = [task for task in export.tasks if task.after]
    yield from [""] if waits else []
    for task in waits:
        before = [names[name] for name in task.after]
        shown = before[0] if len(before) == 1 else f"[{', '.join(before)}]"
        line = f"    {shown} >> {names[task.identifier]}"
        if len(line) > _WIDTH and len(before) > 1:
            yield from ("    [", *(f"        {name}," for name in before))
            line = f"    ] >> {names[task.identifier]}"
        yield line


_WIDTH = 88
"""The longest line of formatters that nobody has told another one."""


def _sequence(head: str, names: Sequence[str]) -> list[str]:
    line = f"{head}{_list(names)},"
    if len(line) <= _WIDTH:
        return [line]
    indent = " " * (len(head) - len(head.lstrip()) + 4)
    return [f"{head}[", *(f"{indent}{_text(n)}," for n in names), f"{indent[4:]}],"]


def _graph(export: Export) -> list[str]:
    """The tasks as comments, so that a newer file shows what has changed."""
    lines = ["# The tasks, and what each waits for:"]
    for task in export.tasks:
        others = f": {', '.join(task.after)}" if task.after else ""
        lines.append(f"# - {task.identifier}{others}")
    return lines


def _arguments(export: Export, *more: str) -> list[str]:
    given = [f"    {_text(export.root)},"]
    if export.environment:
        given.append(f"    environment={_text(export.environment)},")
    if export.qanat:
        given.append(f"    qanat={_text(export.qanat)},")
    given.append(f"    granularity={_text(export.granularity)},")
    if export.select:
        given += _sequence("    select=", export.select)
    return [*given, *more]


def _dagster(export: Export) -> Iterator[str]:
    name = export.variable
    scheduled = ("AssetSelection, ", ", ScheduleDefinition") if export.schedule else ("", "")
    yield f"from dagster import {scheduled[0]}Definitions, RetryPolicy{scheduled[1]}"
    yield from ("", "from qanat.orchestrate.dagster import pipeline_assets", "")
    yield from _graph(export)
    yield "assets = pipeline_assets("
    policy = f"    retry_policy=RetryPolicy(max_retries={export.retries}, delay=60),"
    yield from (*_arguments(export, policy), ")", "")
    if export.schedule:
        yield "schedule = ScheduleDefinition("
        yield f"    name={_text(name)},"
        yield "    target=AssetSelection.assets(*assets),"
        yield f"    cron_schedule={_text(export.schedule)},"
        yield from (")", "")
        yield "defs = Definitions(assets=assets, schedules=[schedule])"
    else:
        yield "defs = Definitions(assets=assets)"


def _prefect(export: Export) -> Iterator[str]:
    yield from ("from qanat.orchestrate.prefect import pipeline_flow", "")
    yield from _graph(export)
    yield f"{export.variable} = pipeline_flow("
    tries = f'    task_arguments={{"retries": {export.retries}, "retry_delay_seconds": 60}},'
    yield from (*_arguments(export, tries), ")", "")
    cron = f' --cron "{export.schedule}"' if export.schedule else ""
    yield f"# prefect flow serve FILE:{export.variable} --name {export.variable}{cron}"
    yield 'if __name__ == "__main__":'
    yield f"    {export.variable}()"


def _luigi(export: Export) -> Iterator[str]:
    yield from ("import luigi", "", "from qanat.orchestrate.luigi import pipeline_tasks", "")
    yield from _graph(export)
    yield f"{export.variable} = pipeline_tasks("
    yield from (*_arguments(export), ")", "")
    yield "# How often a failed task is tried again, luigi.cfg says: retry_count, retry_delay."
    if export.schedule:
        yield f"# crontab: {export.schedule} python FILE"
    yield 'if __name__ == "__main__":'
    yield f"    luigi.build({export.variable}, workers=4)"


FILES: dict[str, Callable[[Export], Iterator[str]]] = {
    "airflow": _airflow,
    "dagster": _dagster,
    "luigi": _luigi,
    "prefect": _prefect,
}
"""What is written for each orchestrator."""
