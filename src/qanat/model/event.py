"""What an update tells while it runs; observers turn these into progress, logs and alerts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from qanat.model.work import Counts, RuleCount


@dataclass(frozen=True, slots=True)
class Failure:
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


@dataclass(frozen=True, slots=True)
class UpdateStarted:
    """An update begins; `datasets` in the order it takes them."""

    update: str
    environment: str
    datasets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UpdateEnded:
    """`status` is `succeeded` or `failed`; `seconds` is wall time.

    `failure` is what stopped the whole update; failed datasets have their own.
    """

    update: str
    status: str
    seconds: float
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class DatasetStarted:
    """An update has come to a dataset."""

    dataset: str
    kind: str


@dataclass(frozen=True, slots=True)
class DatasetProgress:
    """How far the current epoch is: `fraction` from 0 to 1, None when unknown."""

    dataset: str
    message: str
    fraction: float | None = None


@dataclass(frozen=True, slots=True)
class EpochCommitted:
    """An epoch is visible to readers; `version` is the table's, None for sinks."""

    dataset: str
    flow: str
    epoch: int
    version: int | None
    counts: Counts
    rules: tuple[RuleCount, ...]
    files_read: int
    seconds: float


@dataclass(frozen=True, slots=True)
class DatasetEnded:
    """`status` is `updated`, `unchanged`, `failed` or `skipped`; `reason` says why."""

    dataset: str
    status: str
    reason: str
    seconds: float
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Recovered:
    """An epoch that a crash had left open: `how` is `settled`, `redone` or `abandoned`."""

    dataset: str
    flow: str
    epoch: int
    how: str


@dataclass(frozen=True, slots=True)
class Retried:
    """A step failed and will be tried again."""

    dataset: str
    attempt: int
    error: str
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class Warned:
    """Something an operator should know that stopped nothing."""

    dataset: str | None
    message: str


Event: TypeAlias = (
    UpdateStarted
    | UpdateEnded
    | DatasetStarted
    | DatasetProgress
    | EpochCommitted
    | DatasetEnded
    | Recovered
    | Retried
    | Warned
)
