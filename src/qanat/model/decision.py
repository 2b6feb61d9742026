"""What an update does with each dataset, and why: decided once, for `plan` and for `run`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from qanat.model.position import Amount, Range


class Declared(StrEnum):
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
    RECOMPUTE = "recompute"
    REFRESH = "full refresh"
    SKIP = "skip"
    NONE = "none"
    """It is no longer declared."""
    FAIL = "fail"
    """Something stands in its way (`reason`, and the way out as `consequence`)."""

    @property
    def works(self) -> bool:
        """Whether the dataset has another version afterwards."""
        return self not in (Step.SKIP, Step.NONE, Step.FAIL)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Unread input of one source."""

    source: str
    amount: Amount


@dataclass(frozen=True, slots=True)
class Take:
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


@dataclass(frozen=True, slots=True)
class Decision:
    """What an update does with one dataset.

    Args:
        reason: why, half a sentence.
        waiting: unread input by source.
        difference: unified diff of the canonical text, where the definition changed.
        consequence: what that means for rows already written, or the way out of a failure.
        takes: the next epoch of each flow that has something to do; in a plan not those of
            flows that only what comes before them in the update gives something to do.
        inputs: fingerprint of the ranges that a materialized view is computed from.
        defines: whether the definition counts as run afterwards.
    """

    dataset: str
    kind: str
    change: Declared
    step: Step
    reason: str
    waiting: tuple[Waiting, ...] = ()
    difference: str = ""
    consequence: str = ""
    takes: tuple[Take, ...] = ()
    inputs: str = field(default="", compare=False)
    defines: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class UpdatePlan:
    """Datasets in the order an update takes them."""

    environment: str
    datasets: tuple[Decision, ...]
