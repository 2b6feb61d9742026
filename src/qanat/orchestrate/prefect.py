"""A project as a Prefect flow: a task for each dataset, which materializes its asset.

What an update counts is the asset's metadata, and a table artifact of each dataset.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from urllib.parse import quote

from prefect import Flow, flow
from prefect.artifacts import create_table_artifact
from prefect.assets import Asset, AssetProperties, add_asset_metadata, materialize
from prefect.context import TaskRunContext
from prefect.futures import wait as wait_for_all
from prefect.logging import get_run_logger

from qanat.errors import DeclarationError, QanatError
from qanat.orchestrate.manifest import Manifest, read_manifest
from qanat.orchestrate.outcome import Outcome
from qanat.orchestrate.program import Qanat, called
from qanat.orchestrate.tasks import Task, tasks


def dataset_asset(
    project: str, dataset: str, environment: str | None = None, description: str | None = None
) -> Asset:
    """The asset of a dataset, by which automations may be started.

    Args:
        project: its name, as the spec says.
        environment: None for the spec's own settings (`dev`).
    """
    parts = [project, environment or "dev", dataset]
    key = "qanat://" + "/".join(quote(part, safe="") for part in parts)
    return Asset(key=key, properties=AssetProperties(name=dataset, description=description))


def mendable(task: Any, run: Any, state: Any) -> bool:
    """True if it makes sense to try a task again: not if its author must change something."""
    del task, run
    error = state.result(raise_on_failure=False)
    return not isinstance(error, QanatError) or error.exit_code != DeclarationError.exit_code


def pipeline_flow(
    path: str | Path,
    *,
    name: str | None = None,
    environment: str | None = None,
    granularity: str = "dataset",
    select: Sequence[str] = (),
    manifest: str | Path | None = None,
    qanat: str | Sequence[str] | None = None,
    variables: Mapping[str, str] | None = None,
    wait: float | None = None,
    task_arguments: Callable[[Task], Mapping[str, Any]] | Mapping[str, Any] | None = None,
    **flow_arguments: Any,
) -> Flow[..., Any]:
    """A project as a flow.

    It has the parameters `select` (names or globs of datasets; the others are left out),
    `refresh`, `full_refresh` and `variables` (environment variables for this run).

    Args:
        path: folder of the project.
        name: of the flow; default: the project's.
        environment: of the spec.
        granularity: a task for each `dataset`, for each `group`, or one for the `project`.
        select: only these datasets, as `qanat run --select` has them.
        manifest: file that `qanat export manifest` wrote; then the project's files need not be
            where Prefect loads the flow.
        qanat: the program, such as `/opt/qanat/bin/qanat`; default: this interpreter's Qanat, or
            that of the PATH.
        variables: environment variables for updates.
        wait: seconds to wait for other updates of the datasets; default: as long as it takes.
        task_arguments: for every task (retries, retry_delay_seconds, timeout_seconds, tags, …),
            or a function that gives those of one.
        flow_arguments: of the flow: task_runner, timeout_seconds, description, …

    Raises:
        QanatError: the project is wrong.

    Example, as `shop.py`, for `prefect flow serve shop.py:shop --cron "0 3 * * *"`:

        from qanat.orchestrate.prefect import pipeline_flow

        shop = pipeline_flow("/srv/shop", task_arguments={"retries": 2})
    """
    caller = Qanat(str(path), environment, called(qanat), dict(variables or {}), wait)
    found = read_manifest(caller, select, manifest)
    planned = tasks(found, granularity)
    made = {
        task.identifier: dataset_task(
            caller,
            found,
            task,
            **(task_arguments(task) if callable(task_arguments) else task_arguments or {}),
        )
        for task in planned
    }
    above = _above(planned)

    @flow(name=name or found.project, **flow_arguments)
    def update(
        select: list[str] | None = None,
        refresh: bool = False,
        full_refresh: bool = False,
        variables: dict[str, str] | None = None,
    ) -> Any:
        begun: dict[str, Any] = {}
        for task in planned:
            chosen = [n for n in task.select if not select or any(fnmatch(n, p) for p in select)]
            if chosen:
                # Also behind a task that is left out, the order is that of the datasets.
                waits = [begun[other] for other in above[task.identifier] if other in begun]
                begun[task.identifier] = made[task.identifier].submit(
                    chosen, refresh, full_refresh, variables or {}, wait_for=waits
                )
        wait_for_all(list(begun.values()))
        return [future.state for future in begun.values()]

    return update


def dataset_task(caller: Qanat, found: Manifest, task: Task, **arguments: Any) -> Any:
    """The Prefect task that brings the datasets of one task up to date.

    Its result has the numbers of the update by dataset (`Outcome.numbers`).
    """
    assets = {
        each.dataset: dataset_asset(found.project, each.dataset, found.environment, each.comment)
        for each in task.datasets
    }
    given = {"name": task.name, "retry_condition_fn": mendable, **arguments}

    @materialize(*assets.values(), by="qanat", **given)
    def update(
        select: list[str], refresh: bool, full_refresh: bool, variables: Mapping[str, str]
    ) -> dict[str, dict[str, Any]]:
        qanat = Qanat(
            caller.project,
            caller.environment,
            caller.command,
            {**caller.variables, **variables},
            caller.wait,
        )
        outcome = qanat.run(
            select,
            get_run_logger().log,
            origin=_origin(),
            refresh=refresh,
            full_refresh=full_refresh,
        )
        _publish(found.project, outcome, assets)
        if outcome.error is not None:
            raise outcome.error
        return outcome.numbers

    return update


def _origin() -> str:
    context = TaskRunContext.get()
    if context is None:
        return "prefect"
    # Within the flow's run, whose name would cost a question to the server.
    return f"prefect {context.task_run.flow_run_id}/{context.task_run.name}"


def _above(planned: Sequence[Task]) -> dict[str, list[str]]:
    """By task, all tasks before it, directly or through others."""
    above: dict[str, list[str]] = {}
    for task in planned:
        through = (far for near in task.after for far in (*above[near], near))
        above[task.identifier] = list(dict.fromkeys(through))
    return above


def _publish(project: str, outcome: Outcome, assets: Mapping[str, Asset]) -> None:
    for dataset, numbers in outcome.numbers.items():
        if dataset in assets:
            add_asset_metadata(assets[dataset], numbers)
        violations = numbers["violations"]
        rows = [
            {"what": key, "value": value}
            for key, value in (*numbers.items(), *violations.items())
            if key != "violations" and value not in (None, "")
        ]
        create_table_artifact(
            rows,
            key=re.sub(r"[^a-z0-9]+", "-", f"qanat-{project}-{dataset}".lower()).strip("-"),
            description=f"What the last update did with {dataset}; behind it violations by rule",
        )
