"""A project as Dagster assets: one for each dataset, with a check for each of its expectations.

What an update counts is the metadata of the materialization, and the table's version its data
version.
"""

# No `from __future__ import annotations`: Dagster reads the type of a step's context.
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    DataVersion,
    Failure,
    Field,
    MaterializeResult,
    multi_asset,
)

from qanat.errors import DeclarationError, ExpectationFailedError
from qanat.orchestrate.manifest import DatasetEntry, read_manifest
from qanat.orchestrate.outcome import Outcome
from qanat.orchestrate.program import Qanat, called
from qanat.orchestrate.tasks import Task, identifiers, tasks

CONFIG = {
    "refresh": Field(bool, default_value=False, description="Update even if nothing changed."),
    "full_refresh": Field(bool, default_value=False, description="Process everything again."),
    "variables": Field(dict, default_value={}, description="Environment variables, for this run."),
}
"""What a run may be asked for when it is launched."""

Variables = Mapping[str, str] | Callable[[Any], Mapping[str, str]]


def pipeline_assets(
    path: str | Path,
    *,
    environment: str | None = None,
    granularity: str = "dataset",
    select: Sequence[str] = (),
    manifest: str | Path | None = None,
    qanat: str | Sequence[str] | None = None,
    variables: Variables | None = None,
    wait: float | None = None,
    spec_arguments: Mapping[str, Any] | None = None,
    **asset_arguments: Any,
) -> list[AssetsDefinition]:
    """A project as assets.

    Args:
        path: folder of the project.
        environment: of the spec.
        granularity: a step for each `dataset`, for each `group`, or one for the `project`; there
            is an asset for each dataset in any case.
        select: only these datasets, as `qanat run --select` has them.
        manifest: file that `qanat export manifest` wrote; then the project's files need not be
            where Dagster loads its code.
        qanat: the program, such as `/opt/qanat/bin/qanat`; default: this interpreter's Qanat, or
            that of the PATH.
        variables: environment variables for updates, or a function that gives them for a step's
            context, as of its partition.
        wait: seconds to wait for other updates of the datasets; default: as long as it takes.
        spec_arguments: for every asset: owners, automation_condition, freshness_policy, …
        asset_arguments: for every step: retry_policy, partitions_def, op_tags, pool, …

    Raises:
        QanatError: the project is wrong.

    Example:

        from dagster import Definitions, RetryPolicy
        from qanat.orchestrate.dagster import pipeline_assets

        defs = Definitions(assets=pipeline_assets("/srv/shop", retry_policy=RetryPolicy(2)))
    """
    fixed = {} if variables is None or callable(variables) else dict(variables)
    caller = Qanat(str(path), environment, called(qanat), fixed, wait)
    found = read_manifest(caller, select, manifest)
    return [
        task_assets(
            caller, found.project, task, variables or {}, spec_arguments or {}, **asset_arguments
        )
        for task in tasks(found, granularity)
    ]


def task_assets(
    caller: Qanat,
    project: str,
    task: Task,
    variables: Variables,
    spec_arguments: Mapping[str, Any],
    **asset_arguments: Any,
) -> AssetsDefinition:
    """The assets of one task, which a step brings up to date."""
    checks = {
        each.dataset: identifiers(rule.name for rule in each.rules) for each in task.datasets
    }

    @multi_asset(
        name=task.identifier,
        specs=[_spec(project, each, spec_arguments) for each in task.datasets],
        check_specs=[
            AssetCheckSpec(
                checks[each.dataset][rule.name],
                asset=_key(project, each.dataset),
                description=f"{rule.text} ({rule.action})",
            )
            for each in task.datasets
            for rule in each.rules
        ],
        # An update that finds nothing new checks nothing.
        can_subset=True,
        config_schema=CONFIG,
        **asset_arguments,
    )
    def update(context: AssetExecutionContext) -> Iterator[Any]:
        config = context.op_execution_context.op_config
        given = variables(context) if callable(variables) else variables
        outcome = Qanat(
            caller.project,
            caller.environment,
            caller.command,
            {**given, **config["variables"]},
            caller.wait,
        ).run(
            [n for n in task.select if _key(project, n) in context.selected_asset_keys],
            context.log.log,
            origin=f"dagster {context.run_id}/{task.identifier}",
            refresh=config["refresh"],
            full_refresh=config["full_refresh"],
        )
        if outcome.error is not None:
            # After the last try, Dagster tells how many there were, and no longer why.
            context.log.error(str(outcome.error))
        yield from _results(project, outcome, checks)

    return update


def _key(project: str, dataset: str) -> AssetKey:
    return AssetKey([project, dataset])


def _spec(project: str, entry: DatasetEntry, arguments: Mapping[str, Any]) -> AssetSpec:
    given = {
        "description": entry.comment,
        "group_name": identifiers([entry.group])[entry.group],
        "kinds": {"qanat"},
        "metadata": {"kind": entry.kind, "sources": list(entry.sources)},
        **arguments,
    }
    deps = [_key(project, name) for name in entry.reads]
    return AssetSpec(_key(project, entry.dataset), deps=deps, **given)


def _results(
    project: str, outcome: Outcome, checks: Mapping[str, Mapping[str, str]]
) -> Iterator[MaterializeResult[Any] | AssetCheckResult]:
    """What is known of each dataset; what failed is told last, and fails the step.

    Raises:
        Failure: of Dagster's: something failed; not to be tried again if an author must act.
    """
    for dataset in outcome.datasets:
        key = _key(project, dataset["dataset"])
        names = checks.get(dataset["dataset"], {})
        yield from _checked(key, dataset, names)
        yield from _broken(key, dataset, names)
        if dataset["status"] in ("updated", "unchanged"):
            version = dataset["version"]
            yield MaterializeResult(
                asset_key=key,
                metadata=_metadata(outcome.numbers[dataset["dataset"]]),
                data_version=None if version is None else DataVersion(str(version)),
            )
    if outcome.error is not None:
        raise Failure(
            description=str(outcome.error),
            allow_retries=outcome.error.exit_code != DeclarationError.exit_code,
        )


def _checked(
    key: AssetKey, dataset: Mapping[str, Any], names: Mapping[str, str]
) -> Iterator[AssetCheckResult]:
    for rule in dataset["rules"]:
        # Rules of temporary views count for whoever reads them, and have no check of their own.
        if rule["dataset"] == dataset["dataset"] and rule["rule"] in names:
            error = rule["action"] == "fail"
            yield AssetCheckResult(
                passed=not rule["violations"] or bool(rule["tolerated"]),
                asset_key=key,
                check_name=names[rule["rule"]],
                severity=AssetCheckSeverity.ERROR if error else AssetCheckSeverity.WARN,
                metadata={k: v for k, v in rule.items() if v is not None and k != "dataset"},
            )


def _broken(
    key: AssetKey, dataset: Mapping[str, Any], names: Mapping[str, str]
) -> Iterator[AssetCheckResult]:
    """The expectations that have failed a dataset: its counts are those of what was published."""
    counted = {rule["rule"] for rule in dataset["rules"]}
    said = [p["message"] for p in dataset["problems"] if p["code"] == ExpectationFailedError.code]
    for rule, name in names.items():
        told = [text for text in said if re.search(rf"(?<!\w){re.escape(rule)}(?!\w)", text)]
        if told and rule not in counted:
            yield AssetCheckResult(
                passed=False,
                asset_key=key,
                check_name=name,
                severity=AssetCheckSeverity.ERROR,
                metadata={"message": "\n".join(told)},
            )


def _metadata(numbers: Mapping[str, Any]) -> dict[str, Any]:
    told = {k: v for k, v in numbers.items() if v not in (None, "") and k != "violations"}
    return {**told, "violations": sum(numbers["violations"].values())}
