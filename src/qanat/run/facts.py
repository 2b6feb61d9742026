"""What a decision about one dataset depends on; `dataset` gathers it, `decide` decides from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum

from qanat.errors import QanatError, RowsLostError
from qanat.frozen import Frozen
from qanat.model.amount import Amount
from qanat.model.changes import Changes
from qanat.model.pipeline import Dataset
from qanat.model.record import Definition, Pause, Range


class Waiting(Frozen):
    """Unread input of one source."""

    source: str
    amount: Amount


class Borrowed(Frozen):
    """A table of another environment or project that is read, and its newest version.

    Args:
        project: its folder, relative to this one's; empty for this project.
    """

    dataset: str
    environment: str
    version: int
    project: str = ""


class Asked(Enum):
    """What the author's selection says about a dataset."""

    ONLY_WHAT_IS_NEW = "only what is new"
    REFRESH = "even when unchanged"
    FULL_REFRESH = "from the start"


class FlowFacts(Frozen):
    """One flow of the dataset.

    Args:
        ranges: what the next epoch would take.
        unread: whether a stream has anything that the flow has not read.
        more: whether an epoch after the next would still find something.
        absent: datasets that it reads and that have no table yet.
        once: whether it runs a single time (INSERT INTO ONCE).
        done: whether it does, and has.
        changing: datasets that it reads and that this update gives another version first.
        changing_streams: those of them that it reads as streams.
        volatile: whether its query asks for the time or for chance.
        borrowed: what it reads from the tables of another environment.
        looked: by what is absent, the environments that were looked at, if several.
        idle: sources from outside the project that have nothing: streams nothing that the flow has
            not read, others nothing at all, not even columns.
        adds: columns that its changed query gives and that the table does not have yet.
        changes: how its rows change those of the table; None: they are added.
        whole: whether they are all that the table has: a snapshot.
        corrects: source files whose rows it replaces, as far as that is known before what it reads
            is updated.
    """

    name: str
    ranges: Mapping[str, Range]
    waiting: tuple[Waiting, ...] = ()
    unread: bool = False
    more: bool = False
    absent: tuple[str, ...] = ()
    once: bool = False
    done: bool = False
    changing: tuple[str, ...] = ()
    changing_streams: tuple[str, ...] = ()
    volatile: bool = False
    borrowed: tuple[Borrowed, ...] = ()
    looked: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    idle: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()
    changes: Changes | None = None
    whole: bool = False
    corrects: tuple[str, ...] = ()

    @property
    def waits(self) -> bool:
        """True if a dataset that it reads has no table, and gets none before it."""
        return any(n not in self.changing for n in self.absent)

    @property
    def works(self) -> bool:
        """True if there is something for its next epoch to do.

        One without rows gives the table new columns, which its readers can use at once; but a
        snapshot without rows would empty it.
        """
        return self.unread or self.once or bool(self.adds and not self.whole)


class TableFacts(Frozen):
    """The table that a dataset has.

    Args:
        rows: None where its log does not say.
        quarantined: rows that wait in its quarantine, looked up where its definition changed.
        keeps: whether its flows keep a state, looked up there, too.
    """

    partition_by: tuple[str, ...]
    rows: int | None
    quarantined: int = 0
    keeps: bool = False


class Facts(Frozen):
    """Everything that the decision about one dataset depends on.

    Args:
        fingerprint, text: of the definition as it is declared now.
        before: the definition as it was last run.
        exists: whether it has a table.
        stored: what that holds, where its definition changed or a full refresh is asked for.
        restarted: whether a full refresh has begun, and no epoch of it is committed yet.
        flows: as declared; empty if `problem` was met before they were looked at.
        problem: what stands in the way.
        failing: datasets that it reads and that fail first.
        restarted_by: the dataset whose full refresh takes this one along: it has read its rows
            as a stream.
        loss: what starting over does not bring back.
        lacks: columns of the table that its changed query gives no more.
        off: the environment, if it sends nothing to sinks, and the dataset is one.
        paused: that no update is to work on it, and why.
    """

    dataset: Dataset
    fingerprint: str
    text: str
    before: Definition | None
    asked: Asked = Asked.ONLY_WHAT_IS_NEW
    exists: bool = False
    stored: TableFacts | None = None
    restarted: bool = False
    flows: tuple[FlowFacts, ...] = ()
    problem: QanatError | None = None
    failing: tuple[str, ...] = ()
    restarted_by: str = ""
    loss: str = ""
    lacks: tuple[str, ...] = ()
    off: str = ""
    paused: Pause | None = None

    @property
    def stands_still(self) -> bool:
        """True if it is paused, and nobody asks to have it computed all the same."""
        return self.paused is not None and self.asked is Asked.ONLY_WHAT_IS_NEW

    @property
    def changed(self) -> bool:
        """True if the definition is another than the one last run."""
        return self.before is not None and self.before.fingerprint != self.fingerprint

    @property
    def anew(self) -> bool:
        """True if it is asked to start over."""
        return self.asked is Asked.FULL_REFRESH

    @property
    def takes_snapshots(self) -> bool:
        """True if the rows of its next epoch are all that it has."""
        return any(f.whole for f in self.flows)

    @property
    def lacks_snapshot(self) -> bool:
        """True if it is to start over with a snapshot, and there is none."""
        flows = [f for f in self.flows if f.whole] if self.anew or self.restarted else []
        return any(not (f.unread or f.changing or f.absent) for f in flows)

    @property
    def no_snapshot(self) -> QanatError | None:
        """The error for starting over without a snapshot: all rows would be gone."""
        if not (self.lacks_snapshot and self.exists):
            return None
        return RowsLostError(
            f"{self.dataset.name} cannot start over: there is no snapshot now, and its rows would"
            " be gone",
            location=self.dataset.location,
            hint="take it out of --full-refresh, or run again once there is a snapshot",
        )
