"""What the ledger remembers: how far each flow has read, epochs, updates and definitions.

A range is chosen once, written to the ledger, and read again exactly the same if the epoch must
be redone. Ranges are kept by `SourceRef.key`, not by their place in the query, so that an author
may rearrange a query without rereading anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from qanat.frozen import Frozen
from qanat.model.amount import Amount
from qanat.model.expectation import Action
from qanat.model.name import Names, fold
from qanat.model.schema import Schema
from qanat.model.staged import ColumnMetrics, Counts, RuleCount
from qanat.text import utc, work_of


@dataclass(frozen=True, slots=True)
class FileRef:
    """One version of one file.

    Args:
        path: absolute path or URL.
        size: bytes.
        modified_ns: modification time, nanoseconds since 1970 (UTC).
        digest: hash of the content (or the store's ETag), None until read.
    """

    path: str
    size: int
    modified_ns: int
    digest: str | None = None


HISTORY_RETENTION = "qanat.history_retention"
"""The entry of the configuration that says for how long updates and their events are kept."""
HISTORY_KEPT = "180 days"
"""How long they are kept where nothing is said."""


class Range(Frozen):
    """The part of one source that one epoch reads.

    Args:
        value: JSON of the connector's own. The kernel stores it and hands it back, and never
            opens it.
        files: whole files of the range, for sources that are read by file. The ledger remembers
            them one by one on the connector's behalf (`Past.seen`).
        positioned: True if the range continues an earlier one: once the epoch is committed,
            `value` is where the next one starts from (`Past.position`).
        amount: how much it has, as far as that is known before it is read; not stored.
    """

    value: Mapping[str, Any]
    files: tuple[FileRef, ...] = ()
    positioned: bool = False
    amount: Amount = field(default_factory=Amount, compare=False)


class Unread(Frozen):
    """What a source has that a flow has not read.

    Args:
        range: what the next epoch takes.
        waiting: everything unread, which is more than the range where options limit an epoch.
        more: whether an epoch after this one would find something of what is there now.
    """

    range: Range
    waiting: Amount
    more: bool = False


class QuarantineMark(Frozen):
    """What a quarantine must carry, if it was neither lost nor restored from an older copy.

    Args:
        number: of the newest epoch of a flow that changed the quarantine.
        emptied: whether that epoch left no row of the flow there.
    """

    number: int
    emptied: bool = False


_MARK = "quarantine:"


def quarantine_key(dataset: str) -> str:
    """The key of the marks of a dataset's quarantine in the ledger."""
    return f"{_MARK}{fold(dataset)}"


def is_mark(key: str) -> bool:
    """True if that is the name of a quarantine's mark, and not the key of a source."""
    return key.startswith(_MARK)


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


class UpdateRecord(Frozen):
    """One update. Times are seconds since 1970 (UTC).

    Args:
        leaves: where files of it may be left over if it crashed: the datasets that it works on,
            and views into whose quarantines it may put rows; None if that is not known.
        origin: what started it, such as `schedule nightly, due …`; None: a person.
    """

    id: str
    environment: str
    command: str
    started: float
    ended: float | None = None
    status: UpdateStatus = UpdateStatus.RUNNING
    error: str | None = None
    leaves: tuple[str, ...] | None = None
    origin: str | None = None

    @property
    def as_crashed(self) -> UpdateRecord:
        """How it ended, if it is recorded as running and holds no lease any more."""
        if self.ended is None:
            error = "its process ended before it did"
            return replace(self, status=UpdateStatus.FAILED, error=error)
        # It did its work, and only could not remove what earlier updates had left.
        status = UpdateStatus.FAILED if self.error else UpdateStatus.SUCCEEDED
        return replace(self, status=status)


class Epoch(Frozen):
    """The atomic unit of work of one flow.

    Args:
        id: given by the ledger at `intend`; 0 before.
        number: 1, 2, 3, … within the flow; also the number of its commit (`Commit.number`).
        generation: of the target; a full refresh begins the next one.
        replaces: the commit overwrites the table instead of appending.
        ranges: by `SourceRef.key`, with a prefix where it is read as it is (`qanat.run.inputs`).
        fingerprint: of the definition that computed it.
        version: the table's version after the commit.
        columns: what the statistics of its files tell of its rows; once it is committed, they are
            part of the history of metrics, and empty here.
        due: when its flow should bring something again, seconds since 1970 (UTC); handed to the
            ledger with the epoch, and not kept here.
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
    columns: Mapping[str, ColumnMetrics] = field(default_factory=dict)
    due: float | None = None

    @property
    def prepared(self) -> bool:
        """True if what was staged is recorded, so that the epoch may have been published."""
        return self.counts is not None

    @property
    def quarantined_datasets(self) -> frozenset[str]:
        """The datasets (the target, views that it reads) into whose quarantine it put rows."""
        found = {r.dataset for r in self.rules if r.action == Action.QUARANTINE and r.violations}
        if self.counts is not None and self.counts.set_aside:
            found.add(self.dataset)
        return frozenset(found)

    @property
    def checked_datasets(self) -> frozenset[str]:
        """The datasets (the target, views that it reads) whose rules it applied."""
        return frozenset({self.dataset, *(r.dataset for r in self.rules)})


class LastEpoch(Frozen):
    """What each update needs of a flow's newest committed epoch; fields as in `Epoch`."""

    id: int
    number: int
    generation: int
    fingerprint: str
    dataset: str


class PastSource(Frozen):
    """A source that a flow has read as a stream, in the generation of its newest epoch.

    Args:
        dataset: the target of the flow, as its newest epoch has it.
        key: of the source, see `SourceRef.key`.
        positioned: whether it has a position; if not, its files are remembered one by one.
    """

    flow: str
    dataset: str
    generation: int
    key: str
    positioned: bool


class Definition(Frozen):
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


class Pause(Frozen):
    """A dataset that no update works on until it is told to go on.

    Args:
        since: when it was paused, seconds since 1970 (UTC).
        reason: half a sentence.
        resumed: when it was told to go on; None while it is paused.
    """

    dataset: str
    since: float
    reason: str
    resumed: float | None = None

    def __str__(self) -> str:
        because = f": {self.reason}" if self.reason else ""
        return f"paused since {utc(self.since)}{because}"


CONTINUOUS = "run --continuous"
"""The command of updates that go on until they are stopped, as the history shows it."""


class Lease(Frozen):
    """The right to update datasets of one project and environment.

    Args:
        scope: `<project>/<environment>`.
        holder: the identifier of the update that took it.
        expires, since: seconds since 1970 (UTC).
        datasets: what it is for; None: for all that there are.
        command: of that update, as the history shows it; empty as long as it has written nothing.
    """

    scope: str
    holder: str
    token: int
    expires: float
    host: str
    pid: int
    since: float = 0.0
    datasets: Names | None = None
    command: str = ""

    @property
    def endless(self) -> bool:
        """True if that update is known not to end by itself."""
        return self.command == CONTINUOUS

    def __str__(self) -> str:
        return work_of(self.holder, self.host, self.pid, self.since, self.datasets or ())

    def covers(self, dataset: str) -> bool:
        """True if it is the right to update that dataset, too."""
        return self.datasets is None or dataset in self.datasets

    def meets(self, datasets: Names | None) -> bool:
        """True if it covers one of these datasets; None is all that there are.

        One that covers nothing, as all was given away for a while, meets nothing.
        """
        if datasets is None:
            return self.datasets is None or bool(self.datasets)
        return self.datasets is None or any(map(self.covers, datasets))
