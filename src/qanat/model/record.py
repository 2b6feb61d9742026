"""What the ledger remembers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from qanat.model.expectation import Action
from qanat.model.position import Range
from qanat.model.schema import Schema
from qanat.model.work import Counts, RuleCount


class UpdateStatus(StrEnum):
    """How far an update is."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class EpochStatus(StrEnum):
    """How far an epoch is."""

    INTENDED = "intended"
    """Durable before anything is computed; after a crash it is settled or redone."""
    COMMITTED = "committed"
    FAILED = "failed"
    """Given up before anything was published; its range is unread again."""


@dataclass(frozen=True, slots=True)
class UpdateRecord:
    """One update. Times are seconds since 1970 (UTC)."""

    id: str
    environment: str
    command: str
    started: float
    ended: float | None = None
    status: UpdateStatus = UpdateStatus.RUNNING
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Epoch:
    """One atomic step of one flow.

    Args:
        id: given by the ledger at `intend`; 0 before.
        number: 1, 2, 3, … within the flow; also the Delta transaction version.
        generation: of the target; a full refresh begins the next one.
        replaces: the commit overwrites the table instead of appending.
        ranges: by `SourceRef.key`, with a prefix where it is read as it is (`qanat.run.inputs`).
        fingerprint: of the definition that computed it.
        version: the table's version after the commit.
    """

    flow: str
    dataset: str
    number: int
    update: str
    generation: int
    replaces: bool
    ranges: Mapping[str, Range]
    fingerprint: str
    started: float
    id: int = 0
    status: EpochStatus = EpochStatus.INTENDED
    ended: float | None = None
    version: int | None = None
    counts: Counts | None = None
    rules: tuple[RuleCount, ...] = ()
    source_schemas: Mapping[str, Schema] = field(default_factory=dict)
    bytes_written: int | None = None
    error: str | None = None

    @property
    def quarantined(self) -> frozenset[str]:
        """The datasets (the target, views that it reads) into whose quarantine it put rows."""
        found = {r.dataset for r in self.rules if r.action == Action.QUARANTINE and r.violations}
        if self.counts is not None and self.counts.quarantined + self.counts.malformed:
            found.add(self.dataset)
        return frozenset(found)

    @property
    def ruled(self) -> frozenset[str]:
        """The datasets (the target, views that it reads) whose rules it applied."""
        return frozenset({self.dataset, *(r.dataset for r in self.rules)})


@dataclass(frozen=True, slots=True)
class Definition:
    """A dataset as it was last run: what `plan` compares with.

    Args:
        fingerprint: of canonical queries and rules, not of input data.
        inputs: fingerprint of the input versions at the last successful run.
        text: canonical text of queries and rules, for the difference.
    """

    dataset: str
    kind: str
    fingerprint: str
    inputs: str
    text: str


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to update one project and environment, until `expires` (seconds since 1970)."""

    scope: str
    holder: str
    token: int
    expires: float
    host: str
    pid: int
