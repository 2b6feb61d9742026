"""What an update tells while it runs, for progress, logs and alerts; and that as it is kept.

A kept event has its place in the update's order, its time, and its facts as JSON values. It names
no class of event, so a new kind of event, or a new field, is kept and read back without a change.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, TypeAlias, Union, get_args, get_origin, get_type_hints

from qanat.frozen import Frozen
from qanat.model.staged import Counts, RuleCount, RuleWindow


class Failure(Frozen):
    """What is known of an error, as `QanatError.facts` has it; `code` is stable."""

    code: str
    error: str
    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    wanted: str | None = None
    got: str | None = None
    nearest: str | None = None
    hint: str | None = None


class LeaseAwaited(Frozen):
    """The update waits for another one, which works on some of the same datasets.

    Args:
        holder: the identifier of the other one.
        datasets: all that it works on; empty: all that there are.
        since: when it took its lease, seconds since 1970 (UTC).
        endless: whether waiting is known to be in vain until somebody stops the other one: it runs
            continuously, and was not asked to make room.
    """

    holder: str
    host: str
    pid: int
    datasets: tuple[str, ...]
    since: float = 0.0
    endless: bool = False


class UpdateStarted(Frozen):
    """An update begins; `datasets` in the order it takes them."""

    update: str
    environment: str
    datasets: tuple[str, ...]


class UpdateEnded(Frozen):
    """`status` is `succeeded` or `failed`; `seconds` is wall time.

    `failure` is what stopped the whole update; failed datasets have their own.
    """

    update: str
    status: str
    seconds: float
    failure: Failure | None = None


class DatasetStarted(Frozen):
    """An update has come to a dataset."""

    dataset: str
    kind: str


class DatasetProgress(Frozen):
    """How far the current epoch is: `fraction` from 0 to 1, None when unknown.

    `paused`: no update works on the dataset until it is resumed; `message` says why.
    """

    dataset: str
    message: str
    fraction: float | None = None
    paused: bool = False


class EpochCommitted(Frozen):
    """An epoch is visible to readers; `version` is the table's, None for sinks.

    `windows` are checks over the rows of the last minutes, where a dataset has such a window.
    """

    dataset: str
    flow: str
    epoch: int
    version: int | None
    counts: Counts
    rules: tuple[RuleCount, ...]
    files_read: int
    seconds: float
    windows: tuple[RuleWindow, ...] = ()


class TableChecked(Frozen):
    """Rules about a table that depend on the clock, checked though nothing has come.

    Told once when one does not hold any more, and once when it holds again.
    """

    dataset: str
    rules: tuple[RuleCount, ...]


class DatasetEnded(Frozen):
    """`status` is `updated`, `unchanged`, `failed` or `skipped`; `reason` says why."""

    dataset: str
    status: str
    reason: str
    seconds: float
    failure: Failure | None = None


class DatasetPaused(Frozen):
    """No update works on the dataset until it is told to go on (`qanat resume`)."""

    dataset: str
    reason: str


class Recovered(Frozen):
    """An epoch that a crash had left open: `how` is `settled`, `redone` or `given up`."""

    dataset: str
    flow: str
    epoch: int
    how: str


class Retried(Frozen):
    """Something failed that may succeed later, and is tried again."""

    dataset: str
    attempt: int
    error: str
    wait_seconds: float


class Warned(Frozen):
    """Something an operator should know that stopped nothing."""

    dataset: str | None
    message: str


class ProjectRead(Frozen):
    """The project's files have changed and were read again; what they say counts now."""


class RunLate(Frozen):
    """A schedule's run will not have succeeded by its `done_by`, or has not.

    Told by `qanat serve`, once for each run; it belongs to no update, and no ledger keeps it.

    Args:
        due, done_by: as `2026-11-30T01:00:00Z`.
        state: `waiting`, `starting` or `running`.
    """

    schedule: str
    due: str
    done_by: str
    state: str


class RunFailed(Frozen):
    """A schedule's run has failed, and is not tried again. Told as `RunLate` is.

    Args:
        due: as `2026-11-30T01:00:00Z`.
        attempts: how many times it has begun.
        update: the identifier of its last update; None if it came to none.
    """

    schedule: str
    due: str
    attempts: int
    error: str
    update: str | None = None


Event: TypeAlias = (
    LeaseAwaited
    | UpdateStarted
    | UpdateEnded
    | DatasetStarted
    | DatasetProgress
    | EpochCommitted
    | TableChecked
    | DatasetEnded
    | DatasetPaused
    | Recovered
    | Retried
    | Warned
    | ProjectRead
    | RunLate
    | RunFailed
)


class UnknownEvent(Frozen):
    """An event of a newer Qanat: this one does not know its kind, or its facts."""

    kind: str
    facts: Mapping[str, Any]


class EventRecord(Frozen):
    """One event of an update.

    Args:
        number: 1, 2, 3, … in the order in which the update told them.
        at: when, seconds since 1970 (UTC); clocks may be set back, `number` may not.
    """

    number: int
    at: float
    event: Event | UnknownEvent


def kind_of(event: Event | UnknownEvent) -> str:
    """The name of an event's kind, in logs, documents and the ledger.

    >>> kind_of(DatasetProgress("silver", "computing"))
    'dataset_progress'
    """
    return event.kind if isinstance(event, UnknownEvent) else _kind(type(event))


def kept_kinds() -> tuple[str, ...]:
    """The kinds of events that observers of the spec get: all but progress, which is only shown.

    >>> "update_ended" in kept_kinds(), "dataset_progress" in kept_kinds()
    (True, False)
    """
    return tuple(name for name, kind in _kinds().items() if kind is not DatasetProgress)


def facts_of(event: Event | UnknownEvent) -> dict[str, Any]:
    """What an event tells, by field, as values that JSON has.

    >>> facts_of(Warned("silver", "the clock was set back"))
    {'dataset': 'silver', 'message': 'the clock was set back'}
    """
    facts: Mapping[str, Any] = event.facts if isinstance(event, UnknownEvent) else _facts(event)
    return dict(facts)


def _facts(value: Any) -> Any:
    """What `dataclasses.asdict` gives, without copies of values that never change."""
    if isinstance(value, tuple):
        return tuple(map(_facts, value))
    kind: Any = type(value)
    names = _names(kind)
    return value if names is None else {name: _facts(getattr(value, name)) for name in names}


@cache
def _names(kind: Any) -> tuple[str, ...] | None:
    return tuple(f.name for f in fields(kind)) if is_dataclass(kind) else None


def event_of(kind: str, facts: Mapping[str, Any]) -> Event | UnknownEvent:
    """The event that has these facts; facts that its class does not have are left out.

    Never fails: what cannot be made into one of our events is an `UnknownEvent`.

    >>> event_of("warned", {"dataset": None, "message": "low on space", "since": "0.3"})
    Warned(dataset=None, message='low on space')
    >>> event_of("table_compacted", {"dataset": "silver"})
    UnknownEvent(kind='table_compacted', facts={'dataset': 'silver'})
    """
    known = _kinds().get(kind)
    if known is None:
        return UnknownEvent(kind, facts)
    try:
        return _made(known, facts)  # type: ignore[no-any-return]
    except (TypeError, ValueError):
        # A field is missing, or of another type than it is today.
        return UnknownEvent(kind, facts)


def _kind(event: type) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", event.__name__).lower()


@cache
def _kinds() -> dict[str, type]:
    return {_kind(event): event for event in get_args(Event)}


def _made(cls: Any, facts: Mapping[str, Any]) -> Any:
    """A dataclass from its facts.

    Raises:
        TypeError, ValueError: they are not what it has.
    """
    types = _types(cls)
    return cls(**{name: _revived(types[name], facts[name]) for name in types if name in facts})


@cache
def _types(cls: Any) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in fields(cls)}


def _revived(wanted: Any, value: Any) -> Any:
    """A value of JSON as what a field is declared to hold."""
    if get_origin(wanted) in (UnionType, Union):
        if value is None:
            return None
        wanted, *_ = (kind for kind in get_args(wanted) if kind is not type(None))
    if get_origin(wanted) is tuple:
        item, *_ = get_args(wanted)
        return tuple(_revived(item, each) for each in value)
    return _made(wanted, value) if is_dataclass(wanted) else value
