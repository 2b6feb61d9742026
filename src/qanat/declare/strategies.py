"""Makes of keys and strategies of tables what the rows of their flows change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qanat.errors import FlowError, Location, OptionError, Problems, QanatError, nearest
from qanat.model.keyed import STRATEGY, Keyed, Strategy
from qanat.model.name import Named, Names
from qanat.model.pipeline import Dataset, DatasetKind, Flow


def with_strategies(
    datasets: Sequence[Dataset], flows: Sequence[Flow], problems: Problems
) -> tuple[Flow, ...]:
    """The flows, and how those that insert change a table that has keys or a strategy.

    Args:
        problems: gains an error for each table whose keys and strategy do not fit.
    """
    by_name = Named((d.name, d) for d in datasets)
    ways: Named[Keyed] = Named()
    for dataset in datasets:
        with problems.collecting():
            way = _way(dataset)
            if way is not None:
                ways[dataset.name] = way
    changed = []
    for flow in flows:
        way = ways.get(flow.target)
        if way is not None and flow.changes is not None:
            problems.append(_twice(by_name[flow.target], flow))
        elif way is not None:
            changed.append(replace(flow, changes=way))
            continue
        changed.append(flow)
    return tuple(changed)


def _way(dataset: Dataset) -> Keyed | None:
    """How rows change a dataset; None if they are added to it.

    Raises:
        OptionError: its keys and its strategy do not go together, or it can have none.
    """
    written, keys, at = dataset.table_property(STRATEGY), dataset.keys, dataset.location
    if dataset.kind is not DatasetKind.STREAMING_TABLE and written:
        raise OptionError(
            f"{dataset.kind} {dataset.name} has {STRATEGY}",
            location=at,
            hint="only a STREAMING TABLE takes rows epoch by epoch: leave it out",
        )
    if len(Names(keys)) < len(keys):
        raise OptionError(f"KEYS of {dataset.name} names a column twice", location=at)
    try:
        strategy = Strategy.parse(written) if written else None
    except ValueError:
        return None  # where it is written, it is an error already
    if strategy is None:
        strategy = Strategy.MERGE if keys else Strategy.APPEND
    needs_keys = strategy in (Strategy.MERGE, Strategy.DELETE_INSERT)
    if needs_keys and not keys:
        raise OptionError(
            f"{dataset.name} has the strategy {strategy}, but no keys",
            location=at,
            hint=f"say which columns identify a row: KEYS (column, …); or leave {STRATEGY} out",
        )
    if keys and not needs_keys:
        raise OptionError(
            f"{dataset.name} has KEYS, which the strategy {strategy} does not look at",
            location=at,
            wanted=f"{Strategy.MERGE} or {Strategy.DELETE_INSERT}",
            got=str(strategy),
            hint="leave out KEYS, or the strategy",
        )
    if strategy is Strategy.INSERT_OVERWRITE and not dataset.partition_by:
        raise OptionError(
            f"{dataset.name} has the strategy {strategy}, but no partitions to overwrite",
            location=at,
            hint="add PARTITIONED BY (column, …); a table that is replaced as a whole is a"
            " MATERIALIZED VIEW",
        )
    _check_declared(dataset, keys, at)
    if strategy is Strategy.APPEND:
        return None
    return Keyed(strategy, keys if needs_keys else dataset.partition_by)


def _check_declared(dataset: Dataset, keys: Sequence[str], at: Location) -> None:
    lacking = [k for k in keys if dataset.schema.fields and dataset.schema.get(k) is None]
    if lacking:
        raise OptionError(
            f"KEYS of {dataset.name} names column {lacking[0]!r}, which it does not declare",
            location=at,
            wanted=", ".join(dataset.schema.names),
            nearest=nearest(lacking[0], dataset.schema.names),
        )


def _twice(dataset: Dataset, flow: Flow) -> QanatError:
    what = "KEYS" if dataset.keys else STRATEGY
    label = flow.changes.label if flow.changes is not None else ""
    return FlowError(
        f"{dataset.name} has {what}, and flow {flow.name} keeps it by {label}",
        location=flow.location,
        hint=f"leave {what} of the table out, which is for flows that insert; or write the flow"
        f" as INSERT INTO {dataset.name} BY NAME SELECT …",
    )
