"""What an update would do, and why, without touching anything."""

from __future__ import annotations

from dataclasses import replace

from qanat.errors import NotAppendOnlyError, QanatError, TableNotFoundError, located
from qanat.model.dataset import Dataset, DatasetKind
from qanat.model.plan import Change, DatasetPlan, Step, UpdatePlan, Waiting
from qanat.model.position import FilesRange, TableRange
from qanat.model.query import DatasetRead, FilesRead, Read
from qanat.model.record import Definition
from qanat.planning.difference import difference
from qanat.run.compiled import CompiledFlow
from qanat.run.reach import Reach, choose, key_of, place, start_over
from qanat.run.refresh import fingerprint_of
from qanat.run.results import Selection
from qanat.run.selection import Chosen, choose_datasets
from qanat.run.workspace import Workspace

_TABLE, _VIEW = DatasetKind.STREAMING_TABLE, DatasetKind.MATERIALIZED_VIEW


def plan(ws: Workspace, selection: Selection | None = None) -> UpdatePlan:
    """Compare declarations, ledger and sources.

    Raises:
        ProblemsError: the declarations are wrong.
        SelectionError: the selection names something that is not there.
    """
    ws.require()
    chosen = choose_datasets(ws, selection or Selection())
    before = ws.memory.definitions()
    steps: dict[str, DatasetPlan] = {}
    for name in chosen.datasets:
        dataset = ws.pipeline.dataset(name)
        old = before.get(name.casefold())
        stuck = sorted(
            n for n, s in steps.items() if s.step is Step.FAIL and n in ws.graph.upstream(name)
        )
        moved = {n for n, s in steps.items() if s.step not in (Step.SKIP, Step.NONE, Step.FAIL)}
        try:
            found = _plan(ws, dataset, chosen, old, moved)
            if stuck:
                reason = f"{_list(stuck)} would fail"
                found = replace(found, step=Step.SKIP, reason=reason, waiting=())
        except QanatError as error:
            # As in an update: what stands in one dataset's way stops only what reads it.
            found = _stuck(ws, dataset, old, error)
        steps[name] = found
    everything = not (selection and selection.select)
    if everything and not chosen.refresh and not chosen.full_refresh:
        for key, old in before.items():
            if ws.pipeline.get(key) is None:
                steps[old.dataset] = _removed(ws, old)
    return UpdatePlan(ws.project.environment, tuple(steps.values()))


def _change(ws: Workspace, dataset: Dataset, old: Definition | None) -> Change:
    if old is None:
        return Change.NEW
    same = old.fingerprint == ws.analysis.definitions[dataset.name][0]
    return Change.UNCHANGED if same else Change.CHANGED


def _stuck(
    ws: Workspace, dataset: Dataset, old: Definition | None, error: QanatError
) -> DatasetPlan:
    way_out = [str(error.location)] if error.location else []
    way_out += [error.hint] if error.hint else []
    return DatasetPlan(
        dataset=dataset.name,
        kind=str(dataset.kind),
        change=_change(ws, dataset, old),
        step=Step.FAIL,
        reason=error.message,
        consequence=": ".join(way_out),
    )


def _plan(
    ws: Workspace, dataset: Dataset, chosen: Chosen, old: Definition | None, moved: set[str]
) -> DatasetPlan:
    _, text = ws.analysis.definitions[dataset.name]
    change = _change(ws, dataset, old)
    compiled = ws.analysis.flows_into(dataset.name)
    full = dataset.name in chosen.full_refresh
    generation = ws.memory.generation(dataset.name) + (1 if full else 0)
    waiting: list[Waiting] = []
    reaches: list[Reach] = []
    for each in compiled:
        reach = choose(ws, each, generation)
        reaches.append(reach)
        waiting += _waiting(ws, each, reach)
    upstream = sorted(ws.graph.upstream(dataset.name) & moved)
    if dataset.kind is _VIEW:
        step, reason = _view_step(ws, dataset, chosen, change, old, compiled, reaches, upstream)
    else:
        step, reason = _stream_step(dataset, full, old, reaches, upstream)
    return DatasetPlan(
        dataset=dataset.name,
        kind=str(dataset.kind),
        change=change,
        step=step,
        reason=reason,
        waiting=tuple(waiting),
        difference=difference(old.text, text) if old and change is Change.CHANGED else "",
        consequence=_consequence(ws, dataset, change, full),
    )


def _view_step(
    ws: Workspace,
    dataset: Dataset,
    chosen: Chosen,
    change: Change,
    old: Definition | None,
    compiled: list[CompiledFlow],
    reaches: list[Reach],
    upstream: list[str],
) -> tuple[Step, str]:
    if dataset.name in chosen.full_refresh or dataset.name in chosen.refresh:
        return Step.RECOMPUTE, "asked for"
    if old is None or ws.store.version(str(ws.folder(dataset.name))) is None:
        return Step.CREATE, "it has never run"
    if change is Change.CHANGED:
        return Step.RECOMPUTE, "its definition changed"
    if upstream:
        return Step.RECOMPUTE, f"{_list(upstream)} will change"
    if old.inputs != fingerprint_of(reaches[0]):
        return Step.RECOMPUTE, "its inputs changed"
    if any(c.flow.name in ws.analysis.volatile for c in compiled):
        return Step.RECOMPUTE, "its query depends on the time or on chance"
    return Step.SKIP, "inputs and definition are unchanged"


def _stream_step(
    dataset: Dataset, full: bool, old: Definition | None, reaches: list[Reach], upstream: list[str]
) -> tuple[Step, str]:
    if full and old is not None and old.kind == str(_VIEW):
        return Step.REFRESH, f"it was a {old.kind}"
    if full:
        return Step.REFRESH, "asked for"
    new = any(r.new for r in reaches)
    if old is None:
        return Step.CREATE, "it has never run"
    if new:
        return Step.APPEND, "there is unread input"
    if upstream:
        return Step.APPEND, f"{_list(upstream)} may bring new rows"
    return Step.SKIP, "nothing new"


def _list(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _waiting(ws: Workspace, compiled: CompiledFlow, reach: Reach) -> list[Waiting]:
    found = []
    for read in compiled.reads:
        range_ = reach.ranges.get(key_of(read))
        if not read.streaming or range_ is None:
            continue
        name = _name(read)
        match range_:
            case FilesRange(files):
                found.append(Waiting(name, len(files), sum(f.size for f in files)))
            case TableRange(after, upto):
                try:
                    with located(read.location):
                        added = ws.store.added(place(ws, read.source), after, upto)
                except TableNotFoundError:
                    continue
                except NotAppendOnlyError as error:
                    error.hint = start_over(compiled)
                    raise
                found.append(Waiting(name, added.files, added.bytes, added.rows))
    return found


def _name(read: Read) -> str:
    match read.source:
        case DatasetRead(dataset):
            return dataset
        case FilesRead(path):
            return path
    return read.source.path


def _consequence(ws: Workspace, dataset: Dataset, change: Change, full: bool) -> str:
    """What a change means for rows already written."""
    version = ws.store.version(str(ws.folder(dataset.name)))
    if dataset.kind is not _TABLE or version is None:
        return ""
    if not full and change is not Change.CHANGED:
        return ""
    stored = ws.store.snapshot(str(ws.folder(dataset.name)))
    rows = stored.rows
    count = "its rows" if rows is None else f"{rows:,} rows"
    if full:
        return f"{count} already written are replaced; every source is read from the start"
    if stored.partition_by != dataset.partition_by:
        return (
            f"{count} already written are partitioned otherwise; nothing more can be added until"
            f" qanat run --full-refresh {dataset.name} computes all again"
        )
    return (
        f"{count} already written stay as they are; the change applies to new rows only"
        f" (qanat run --full-refresh {dataset.name} computes all again)"
    )


def _removed(ws: Workspace, old: Definition) -> DatasetPlan:
    there = ws.store.version(str(ws.folder(old.dataset))) is not None
    return DatasetPlan(
        dataset=old.dataset,
        kind=old.kind,
        change=Change.REMOVED,
        step=Step.NONE,
        reason="it is no longer declared",
        consequence="its table stays where it is; delete the folder to be rid of it"
        if there
        else "",
    )
