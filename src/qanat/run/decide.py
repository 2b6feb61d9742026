"""What an update does with a dataset, and why, decided from facts alone.

`decide` is pure: `plan` prints its decisions, `run` executes them, and neither has an opinion of
its own. `dataset` gathers the facts.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import field, replace
from enum import StrEnum
from hashlib import blake2b

from qanat.errors import QanatError, full_refresh
from qanat.frozen import Frozen
from qanat.model.backtest import Backtest
from qanat.model.name import fold
from qanat.model.pipeline import QUARANTINE, RESET_ALLOWED, Dataset, DatasetKind
from qanat.model.record import Range
from qanat.planning.difference import difference
from qanat.run.facts import Asked, Borrowed, Facts, FlowFacts, Waiting
from qanat.run.kept import keeps_otherwise, other_changes
from qanat.run.told import warnings
from qanat.text import count, listed, neither


class DefinitionStatus(StrEnum):
    """How a dataset's definition compares with the one last run."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REMOVED = "removed"


class Step(StrEnum):
    """What an update does with a dataset."""

    CREATE = "create"
    """As `APPEND` or `RECOMPUTE`, for the first time."""
    APPEND = "append"
    MERGE = "merge"
    """Its rows change as the new ones say."""
    RECOMPUTE = "recompute"
    FULL_REFRESH = "full refresh"
    SKIP = "skip"
    NONE = "none"
    """It is no longer declared."""
    FAIL = "fail"
    """Something stands in its way (`reason`, and the way out as `consequence`)."""

    @property
    def works(self) -> bool:
        """True if the dataset has another version afterwards."""
        return self not in (Step.SKIP, Step.NONE, Step.FAIL)


class Take(Frozen):
    """What the next epoch of one flow reads.

    Args:
        ranges: by key of the source, as `Epoch.ranges`.
        replaces: whether its commit replaces the table instead of appending.
        more: whether an epoch after this one would find more of what is there now.
    """

    flow: str
    ranges: Mapping[str, Range]
    replaces: bool
    more: bool = False


class Decision(Frozen):
    """What an update does with one dataset.

    Args:
        definition: how it compares with the one last run.
        reason: why, half a sentence.
        waiting: unread input by source.
        difference: unified diff of the canonical text, where the definition changed.
        consequence: what that means for rows already written, or the way out of a failure.
        takes: the next epoch of each flow that has work. A plan leaves out flows that get input
            only from datasets that are updated before them.
        borrowed: what it reads from the tables of another environment.
        error: what stands in its way.
        warnings: what to tell before it is done.
        inputs: fingerprint of the ranges that a materialized view is computed from.
        records_definition: whether the definition counts as run afterwards.
        corrects: source files whose rows are replaced.
        paused: whether it stands still until it is told to go on.
    """

    dataset: str
    kind: str
    definition: DefinitionStatus
    step: Step
    reason: str
    waiting: tuple[Waiting, ...] = ()
    difference: str = ""
    consequence: str = ""
    takes: tuple[Take, ...] = ()
    borrowed: tuple[Borrowed, ...] = ()
    error: QanatError | None = field(default=None, compare=False)
    warnings: tuple[str, ...] = field(default=(), compare=False)
    inputs: str = field(default="", compare=False)
    records_definition: bool = field(default=False, compare=False)
    corrects: tuple[str, ...] = field(default=(), compare=False)
    paused: bool = field(default=False, compare=False)


class UpdatePlan(Frozen):
    """Datasets in the order an update takes them.

    Args:
        backtests: what checks that are new or changed would have done with past updates.
    """

    environment: str
    datasets: tuple[Decision, ...]
    backtests: tuple[Backtest, ...] = field(default=(), compare=False)

    @property
    def errors(self) -> tuple[QanatError, ...]:
        """What stands in the way of datasets."""
        return tuple(d.error for d in self.datasets if d.error is not None)


_DESCRIBES = re.compile(r"comment |property (?!qanat\.(?!on_row_error))", re.IGNORECASE)

_VIEW = DatasetKind.MATERIALIZED_VIEW

NEVER_RUN = "it has never run"
UNREAD = "there is unread input"
INTERRUPTED = "a full refresh was interrupted"
NOTHING_NEW, HAS_RUN = "nothing new", "has run once"
UNCHANGED = "inputs and definition are unchanged"


def decide(facts: Facts) -> Decision:
    """What an update does with a dataset, and why."""
    dataset, status = facts.dataset, _status(facts)
    changed = difference(facts.before.text, facts.text) if facts.before and facts.changed else ""
    undecided = Decision(
        dataset=dataset.name,
        kind=str(dataset.kind),
        definition=status,
        step=Step.SKIP,
        reason="",
        difference=changed,
        consequence="; ".join(filter(None, (_consequence(facts, status), *warnings(facts)))),
        warnings=warnings(facts),
    )
    if facts.failing:
        return replace(undecided, reason=f"{listed(facts.failing)} would fail")
    if facts.off:
        return replace(undecided, reason=f"{facts.off} sends nothing (sinks: off)", consequence="")
    if facts.stands_still:
        again = f"qanat resume {shlex.quote(dataset.name)}"
        return replace(undecided, reason=str(facts.paused), consequence=again, paused=True)
    problem = facts.problem or _other_changes(facts) or facts.no_snapshot
    if problem is not None:
        return refused(undecided, problem)
    step, reason = _view(facts, status) if dataset.kind is _VIEW else _stream(facts)
    inputs = fingerprint_of(facts.flows[0].ranges) if dataset.kind is _VIEW else ""
    # A dataset that waits for another has not come to its definition.
    waits = bool(facts.flows) and all(f.waits for f in facts.flows)
    return replace(
        undecided,
        step=step,
        reason=reason,
        waiting=tuple(w for f in facts.flows for w in f.waiting),
        takes=_takes(facts, step),
        borrowed=tuple(dict.fromkeys(b for f in facts.flows for b in f.borrowed)),
        inputs=inputs,
        records_definition=not waits,
        corrects=tuple(dict.fromkeys(n for f in facts.flows for n in f.corrects if step.works)),
    )


def fingerprint_of(ranges: Mapping[str, Range]) -> str:
    """A digest of the versions of all inputs, including tables that rules refer to."""
    text = json.dumps({k: _version(r) for k, r in sorted(ranges.items())})
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _version(range_: Range) -> Mapping[str, object]:
    # Do not change this form: every view would be computed again.
    if not range_.files:
        return range_.value
    files = [[f.path, f.size, f.modified_ns, f.digest] for f in range_.files]
    return {**range_.value, "files": files}


def _status(facts: Facts) -> DefinitionStatus:
    known = DefinitionStatus.CHANGED if facts.changed else DefinitionStatus.UNCHANGED
    return DefinitionStatus.NEW if facts.before is None else known


def _view(facts: Facts, status: DefinitionStatus) -> tuple[Step, str]:
    (flow,) = facts.flows
    missing = [n for n in flow.absent if n not in flow.changing]
    if missing:
        return Step.SKIP, _no_table(missing[0], facts)
    if flow.idle and not facts.exists:
        return Step.SKIP, _nothing(facts)
    if facts.asked is not Asked.ONLY_WHAT_IS_NEW:
        return Step.RECOMPUTE, "asked for"
    if facts.before is None or not facts.exists:
        # Whether rows will go to quarantine nobody knows before.
        perhaps = [n for n in flow.absent if fold(n).endswith(QUARANTINE)]
        first = f", and {listed(perhaps)} may have rows by then" if perhaps else ""
        return Step.CREATE, f"{NEVER_RUN}{first}"
    if status is DefinitionStatus.CHANGED:
        return Step.RECOMPUTE, "its definition changed"
    if flow.changing:
        return Step.RECOMPUTE, f"{listed(flow.changing)} will change"
    if facts.before.inputs != fingerprint_of(flow.ranges):
        return Step.RECOMPUTE, "its inputs changed"
    if flow.volatile:
        return Step.RECOMPUTE, "its query depends on the time or on chance"
    return Step.SKIP, UNCHANGED


def _stream(facts: Facts) -> tuple[Step, str]:
    missing = _missing(facts)
    if facts.flows and len(missing) == len(facts.flows):
        return Step.SKIP, _no_table(missing[0], facts)
    # A dataset that was dropped and is declared again is new, whatever generation it has.
    restarted = facts.restarted and (facts.before is not None or facts.exists)
    if facts.lacks_snapshot:
        return Step.SKIP, _nothing(facts)
    if facts.anew or restarted:
        if facts.before is not None and facts.before.kind == str(_VIEW):
            return Step.FULL_REFRESH, f"it was a {facts.before.kind}"
        if facts.restarted_by:
            why = f"{facts.restarted_by} starts over, whose rows it has read as a stream"
            return Step.FULL_REFRESH, why
        return Step.FULL_REFRESH, "asked for" if facts.anew else INTERRUPTED
    ready = _ready(facts)
    new = any(f.unread or f.once for f in ready)
    changing = tuple(dict.fromkeys(n for f in ready for n in f.changing_streams))
    adds = tuple(dict.fromkeys(n for f in ready if f.works for n in f.adds))
    if not new and not changing and not adds:
        done = facts.flows and all(f.done for f in facts.flows)
        return Step.SKIP, HAS_RUN if done else _nothing(facts)
    if facts.before is None:
        return Step.CREATE, NEVER_RUN
    step = Step.MERGE if any(f.changes or f.corrects for f in ready) else Step.APPEND
    if new:
        again = tuple(dict.fromkeys(n for f in ready for n in f.corrects))
        return step, f"new content of {listed(again)}" if again else UNREAD
    if changing:
        return step, f"{listed(changing)} may bring new rows"
    return step, f"its query has new columns: {listed(adds)}"


def _no_table(name: str, facts: Facts) -> str:
    looked = next((f.looked[name] for f in facts.flows if name in f.looked), ())
    return f"{name} has no table yet{neither(looked)}"


def _nothing(facts: Facts) -> str:
    empty = tuple(dict.fromkeys(n for f in facts.flows for n in f.idle))
    none = facts.dataset.stored and not facts.exists and empty
    return f"nothing to read yet in {listed(empty)}" if none else NOTHING_NEW


def _takes(facts: Facts, step: Step) -> tuple[Take, ...]:
    """The next epoch of each flow that has something to do."""
    if not step.works:
        return ()
    view, ready = facts.dataset.kind is _VIEW, _ready(facts)
    working = [f for f in ready if view or f.works]
    if facts.restarted and not working:
        # A full refresh replaces the table even if nothing is there to read.
        working = ready[:1]
    # The first commit of a full refresh replaces the table; those after it append.
    return tuple(
        Take(f.name, f.ranges, replaces=view or (facts.restarted and f is working[0]), more=f.more)
        for f in working
    )


def _ready(facts: Facts) -> list[FlowFacts]:
    flows = [f for f in facts.flows if not f.done and not f.waits]
    # What a flow that runs once has not found, no later update would take.
    return [f for f in flows if f.unread or not (f.once and f.idle)]


def _missing(facts: Facts) -> list[str]:
    return [next(n for n in f.absent if n not in f.changing) for f in facts.flows if f.waits]


def refused(decision: Decision, problem: QanatError) -> Decision:
    """The decision about a dataset that something stands in the way of."""
    first, *others = problem.problems
    reason = problem.message
    if problem.nearest is not None:
        reason += f" (did you mean {problem.nearest!r}?)"
    told = [(first.location, first.hint), *((p.location, p.message, p.hint) for p in others)]
    ways_out = (": ".join(str(part) for part in parts if part) for parts in told)
    return replace(
        decision,
        step=Step.FAIL,
        reason=reason,
        waiting=(),
        takes=(),
        consequence="; ".join(filter(None, ways_out)),
        error=problem,
    )


def _other_changes(facts: Facts) -> QanatError | None:
    """Why rows that were kept by changes cannot be kept by those that are declared now."""
    if facts.before is None or not facts.changed or not facts.stored or facts.restarted:
        return None
    empty = facts.stored.rows == 0 and not facts.stored.keeps
    if facts.asked is Asked.FULL_REFRESH or empty:
        return None
    if not keeps_otherwise(facts.before.text, facts.text):
        return None
    return other_changes([(facts.dataset, facts.before.text, facts.text)])


def _consequence(facts: Facts, status: DefinitionStatus) -> str:
    """What a change means for rows already written."""
    dataset, stored, full = facts.dataset, facts.stored, facts.asked is Asked.FULL_REFRESH
    if dataset.kind is DatasetKind.SINK and full and facts.before is not None:
        return "sends all rows again; what it has sent stays where it is"
    if dataset.kind is not DatasetKind.STREAMING_TABLE or stored is None:
        return ""
    if not full and status is not DefinitionStatus.CHANGED:
        return ""
    rows = "rows" if stored.rows is None else count(stored.rows, "row")
    if full:
        lost = f"; {facts.loss}" if facts.loss else ""
        return f"replaces the {rows} there; every source is read from the start{lost}"
    anew = f"{full_refresh(dataset.name)} computes all rows again"
    if not dataset.may_reset:
        anew = f"only a full refresh would compute all rows again, and {RESET_ALLOWED} is false"
    if stored.partition_by != dataset.partition_by:
        until = f"nothing more can be added until {anew}" if dataset.may_reset else anew
        return f"the {rows} there have other partitions: {until}"
    if facts.takes_snapshots:
        return "the next snapshot is compared with the rows there as it says now"
    if facts.before is not None and _of_rows(facts.before.text) == _of_rows(facts.text):
        return ""
    waiting = _checked_again(dataset, stored.quarantined)
    if facts.before is not None and _lets_more_in(facts.before.text, facts.text):
        return f"applies to new rows only; {waiting}" if waiting else ""
    only = f"applies to new rows only, not to the {rows} there ({anew})"
    return f"{only}; {waiting}" if waiting else only


def _checked_again(dataset: Dataset, quarantined: int) -> str:
    """What to do with rows in quarantine after a change; empty if none wait there."""
    if not quarantined:
        return ""
    wait = "waits" if quarantined == 1 else "wait"
    again = f"qanat quarantine replay {shlex.quote(dataset.name)}"
    return f"{count(quarantined, 'row')} in quarantine {wait} for {again}"


def _lets_more_in(before: str, after: str) -> bool:
    """True if a changed definition keeps no row out that the one before let in, or dropped.

    Then the table's rows are as they would be now; those in quarantine may pass.
    """
    (old, _, flows), (new, _, now) = (text.partition("\nflow ") for text in (before, after))
    had, has = (
        {line for line in text.splitlines() if not _DESCRIBES.match(line)} for text in (old, new)
    )
    changes = [*(had - has), *(has - had)]
    return (
        flows == now
        and all(line.startswith("expect ") for line in changes)
        and not any(line.endswith(" on violation drop") for line in had - has)
        and all(line.endswith(" on violation warn") for line in has - had)
    )


def _of_rows(text: str) -> tuple[list[str], str]:
    """A definition's text without its comment and the properties that no row depends on."""
    described, *rest = re.split(r"\n(?=sink |expect |flow )", text, maxsplit=1)
    return [t for t in described.splitlines() if not _DESCRIBES.match(t)], "".join(rest)
