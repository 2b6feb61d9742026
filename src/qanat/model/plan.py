"""What an update would do, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Change(StrEnum):
    """How a dataset's definition compares with the one last run."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REMOVED = "removed"


class Step(StrEnum):
    """What an update would do with a dataset."""

    CREATE = "create"
    APPEND = "append"
    RECOMPUTE = "recompute"
    REFRESH = "full refresh"
    SKIP = "skip"
    NONE = "none"
    FAIL = "fail"
    """Something stands in its way (`reason`, and the way out as `consequence`)."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Unread input of one source: whole files, or rows of a table (None where unknown)."""

    source: str
    files: int
    bytes: int
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class DatasetPlan:
    """One dataset's part of a plan. `consequence` says what a change means for rows already
    written; `difference` is a unified diff of the canonical text."""

    dataset: str
    kind: str
    change: Change
    step: Step
    reason: str
    waiting: tuple[Waiting, ...] = ()
    difference: str = ""
    consequence: str = ""


@dataclass(frozen=True, slots=True)
class UpdatePlan:
    """Datasets in the order an update would take them."""

    environment: str
    datasets: tuple[DatasetPlan, ...]
