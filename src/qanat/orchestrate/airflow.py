"""A project as an Airflow DAG: a task for each dataset, with its asset as outlet.

For Airflow 3. What an update counts is the task's XCom and the extra of the asset's event.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import quote

from airflow.sdk import DAG, Asset, BaseOperator, Param, TriggerRule
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from qanat.errors import QanatError, UpdateRunningError
from qanat.orchestrate.manifest import read_manifest
from qanat.orchestrate.outcome import Outcome
from qanat.orchestrate.program import Qanat, called, stop
from qanat.orchestrate.tasks import Task, tasks

PARAMS = {
    "select": Param(
        [],
        type="array",
        items={"type": "string"},
        description="Only these datasets, by name or glob; the tasks of others are skipped.",
    ),
    "refresh": Param(False, type="boolean", description="Update even if nothing has changed."),
    "full_refresh": Param(False, type="boolean", description="Process everything again."),
}
"""What a run of the DAG may be asked for when it is triggered."""


def dataset_asset(project: str, dataset: str, environment: str | None = None) -> Asset:
    """The asset of a dataset, by which other DAGs may be scheduled.

    Args:
        project: its name, as the spec says.
        environment: None for the spec's own settings (`dev`).
    """
    parts = [project, environment or "dev", dataset]
    return Asset(name=".".join(parts), uri="qanat://" + "/".join(quote(p, safe="") for p in parts))


class QanatOperator(BaseOperator):
    """Brings datasets of a project up to date: `qanat run` in a process of its own.

    Its XCom has the numbers of the update by dataset (`Outcome.numbers`); so has the event of
    each dataset's asset, if that is an outlet. A failed expectation fails the task, with the
    reasons in its log; what only an author can mend (exit code 2) is not tried again.

    Args:
        project: folder of the project (template).
        select: names or globs of the datasets (template); none: all.
        environment: of the spec (template).
        qanat: the program, such as `/opt/qanat/bin/qanat`; default: this interpreter's Qanat, or
            that of the PATH.
        variables: environment variables for the update, as parameters (template).
        wait: seconds to wait for other updates of the datasets; default: as long as it takes.
        deferrable: give the worker's slot back while another update works on the datasets.
        poll: seconds between two looks whether it is done, if deferrable.
        project_name: as the spec has it; then the assets of the selected datasets are outlets.
    """

    template_fields: Sequence[str] = ("project", "select", "environment", "variables")
    ui_color = "#d6ebe4"

    def __init__(
        self,
        *,
        project: str | Path,
        select: Sequence[str] = (),
        environment: str | None = None,
        qanat: str | Sequence[str] | None = None,
        variables: Mapping[str, str] | None = None,
        wait: float | None = None,
        deferrable: bool = False,
        poll: float = 10.0,
        project_name: str | None = None,
        **arguments: Any,
    ) -> None:
        named = select if project_name else ()
        self.assets = {n: dataset_asset(project_name or "", n, environment) for n in named}
        arguments.setdefault("outlets", list(self.assets.values()))
        # A dataset that was not selected is skipped; those that read it are not.
        arguments.setdefault("trigger_rule", TriggerRule.NONE_FAILED)
        super().__init__(**arguments)
        self.project = str(project)
        self.select = list(select)
        self.environment = environment
        self.qanat = list(called(qanat))
        self.variables = dict(variables or {})
        self.wait = wait
        self.deferrable = deferrable
        self.poll = poll

    def execute(self, context: Any) -> dict[str, dict[str, Any]]:
        """Run the update.

        Raises:
            AirflowSkipException: the run is about other datasets.
            AirflowFailException: an author must change something.
            AirflowException: data or the update failed.
        """
        params = context.get("params") or {}
        select = self._selected(params.get("select") or [])
        wait = 0.0 if self.deferrable else self.wait
        command = tuple(self.qanat)
        caller = Qanat(self.project, self.environment or None, command, self.variables, wait)
        outcome = caller.run(
            select,
            self.log.log,
            origin=_origin(context),
            refresh=bool(params.get("refresh")),
            full_refresh=bool(params.get("full_refresh")),
            started=self._started,
        )
        if self.deferrable and isinstance(outcome.error, UpdateRunningError):
            self.log.info("%s; waiting %g seconds", outcome.error, self.poll)
            # Imported only here: every file of DAGs would pay for it when it is parsed.
            temporal = import_module("airflow.providers.standard.triggers.temporal")
            trigger = temporal.TimeDeltaTrigger(timedelta(seconds=self.poll))
            self.defer(trigger=trigger, method_name="again")
        return self._ended(context, outcome)

    def again(self, context: Any, event: Any = None) -> dict[str, dict[str, Any]]:
        """Run the update after another one was waited for."""
        del event
        return self.execute(context)

    def on_kill(self) -> None:
        """Stop the update."""
        process = getattr(self, "_process", None)
        if process is not None:
            stop(process)

    def _started(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def _selected(self, patterns: Sequence[str]) -> list[str]:
        if not patterns:
            return self.select
        chosen = [n for n in self.select if any(fnmatch(n, p) for p in patterns)]
        if not chosen:
            raise AirflowSkipException(f"this run is about {', '.join(patterns)} alone")
        return chosen

    def _ended(self, context: Any, outcome: Outcome) -> dict[str, dict[str, Any]]:
        numbers = outcome.numbers
        if outcome.error is not None:
            for line in str(outcome.error).splitlines():
                self.log.error(line)
            raise _raised(outcome.error)
        for dataset, asset in self.assets.items():
            if dataset in numbers:
                context["outlet_events"][asset].extra = numbers[dataset]
        return numbers


def _origin(context: Any) -> str:
    task = context["ti"]
    return f"airflow {task.dag_id}/{task.run_id}/{task.task_id}"


def _raised(error: QanatError) -> AirflowException:
    kind = AirflowFailException if error.exit_code == _AUTHOR else AirflowException
    return kind(str(error))


_AUTHOR = 2


def pipeline_dag(
    path: str | Path,
    *,
    dag_id: str | None = None,
    environment: str | None = None,
    granularity: str = "dataset",
    select: Sequence[str] = (),
    manifest: str | Path | None = None,
    qanat: str | Sequence[str] | None = None,
    variables: Mapping[str, str] | None = None,
    wait: float | None = None,
    deferrable: bool = False,
    task_arguments: Callable[[Task], Mapping[str, Any]] | Mapping[str, Any] | None = None,
    **dag_arguments: Any,
) -> DAG:
    """A project as a DAG, with a task for each dataset.

    Args:
        path: folder of the project.
        dag_id: default: the project's name.
        environment: of the spec.
        granularity: a task for each `dataset`, for each `group`, or one for the `project`.
        select: only these datasets, as `qanat run --select` has them.
        manifest: file that `qanat export manifest` wrote; then the project's files need not be
            where Airflow parses the DAG.
        qanat, variables, wait, deferrable: as `QanatOperator` has them.
        task_arguments: for every task (retries, execution_timeout, pool, …), or a function that
            gives those of one.
        dag_arguments: of the DAG: schedule, start_date, catchup, default_args, deadline, …

    Raises:
        QanatError: the project is wrong.

    Example, as a file in the folder of DAGs:

        from datetime import datetime
        from qanat.orchestrate.airflow import pipeline_dag

        dag = pipeline_dag("/srv/shop", schedule="@daily", start_date=datetime(2026, 1, 1))
    """
    caller = Qanat(str(path), environment, called(qanat), dict(variables or {}))
    found = read_manifest(caller, select, manifest)
    params = {**PARAMS, **dag_arguments.pop("params", {})}
    dag_arguments.setdefault("catchup", False)
    with DAG(dag_id or found.project, params=params, **dag_arguments) as dag:
        made: dict[str, QanatOperator] = {}
        for task in tasks(found, granularity):
            given = task_arguments(task) if callable(task_arguments) else task_arguments or {}
            made[task.identifier] = QanatOperator(
                task_id=task.identifier,
                project=path,
                select=task.select,
                environment=environment,
                qanat=qanat,
                variables=variables,
                wait=wait,
                deferrable=deferrable,
                project_name=found.project,
                **{"doc_md": _doc(task), **given},
            )
            for other in task.after:
                made[other] >> made[task.identifier]
    return dag


def _doc(task: Task) -> str:
    """What people read about a task: the comments and expectations of its datasets."""
    lines = []
    for each in task.datasets:
        lines.append(
            f"**{each.dataset}** ({each.kind})" + (f": {each.comment}" * bool(each.comment))
        )
        lines += [f"* `{rule.name}`: {rule.text} ({rule.action})" for rule in each.rules]
    return "\n".join(lines)
