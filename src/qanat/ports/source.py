"""What reads: files, queues, databases, and the project's own tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from qanat.frozen import Frozen
from qanat.model.name import Name
from qanat.model.pipeline import Drift
from qanat.model.query import SourceRef
from qanat.model.record import FileRef, Range, Unread
from qanat.model.schema import Schema
from qanat.model.table import TableRef
from qanat.model.work import Batch, Input
from qanat.ports.store import TableStore

ENVIRONMENT = "environment"
"""The key of a range that names the environment whose table was read."""
TABLE = "table"
"""The key of a range that says by its identity which table was read, if it is not one's own."""


class Past(Protocol):
    """What the ledger remembers of one source of one flow, for the connector to go on from."""

    @property
    def position(self) -> Mapping[str, Any] | None:
        """`Range.value` of the newest committed range with a position; None before the first."""
        ...

    @property
    def corrects(self) -> frozenset[str]:
        """Paths of files (as in `Range.files`) that replace, once, what was read of them."""
        ...

    @property
    def replaceable(self) -> bool:
        """Whether the rows of a file can go again, as far as that is known without the query."""
        ...

    @property
    def final(self) -> bool:
        """Whether no later epoch takes what the next one leaves: the flow runs once."""
        ...

    def seen(self, paths: Iterable[str]) -> Mapping[str, FileRef]:
        """Of these paths of `Range.files`, those already read, as they were then."""
        ...

    def replaced(self, dataset: str) -> int | None:
        """The lowest version at which a dataset's table was replaced since the flow's last epoch.

        None if it was not.
        """
        ...


class Readable(Frozen):
    """The table that a read gets its rows from.

    Args:
        store: that the table is in.
        environment: the one that the table belongs to; empty for that of the project at work.
        looked: where no table was found, environments that were looked at; else empty.
        foreign: whether others write to it, so that another table may be in its place one day.
        carried: of a quarantine, see `TableStore.settled`; None of other tables.
    """

    store: TableStore
    table: TableRef
    environment: str = ""
    looked: tuple[str, ...] = ()
    foreign: bool = False
    carried: Callable[[str], int | None] | None = None

    @property
    def version(self) -> int | None:
        """The table's newest; None if there is no table."""
        return self.store.version(self.table)

    def settled(self, after: int) -> int | None:
        """The newest version whose rows stay, for a stream that has read up to `after`.

        An epoch commits to quarantines first and to its table last. If that fails, the rows in
        quarantine are taken back, and a stream that had read them could not go on.
        """
        if self.carried is None:
            return self.version
        return self.store.settled(self.table, after, self.carried)

    @property
    def mark(self) -> Mapping[str, str]:
        """What a range says of where its rows are: nothing of the project's own tables."""
        mark = {ENVIRONMENT: self.environment} if self.environment else {}
        if (self.environment or self.foreign) and self.version is not None:
            mark[TABLE] = self.store.snapshot(self.table).id
        return mark


class Neighbour(Frozen):
    """A dataset of another project.

    Args:
        project: its folder, relative to that of the project which reads.
        environment: whose table is read; None for the default.
    """

    project: str
    dataset: str
    environment: str | None = None


class SameRows(Frozen):
    """Versions of one dataset's tables in two environments that have the same rows.

    Args:
        since, theirs: in the environment that hands over, the first and the newest of them; what
            came between has brought no row.
        ours: in the other one.
    """

    since: int
    theirs: int
    ours: int


class Handover(Frozen):
    """Rows that one environment has computed, on their way into another's tables.

    Args:
        dataset: whose rows they are.
        origin: the environment that has read what it made them of.
        versions: by dataset that is handed over along, those of its tables there and here.
        exact: whether what was read as it is must be what is handed over; for a stream's look at
            a table whose rows it takes at different times, it need not.
    """

    dataset: str
    origin: str
    versions: Mapping[Name, SameRows]
    exact: bool = True


class Everywhere:
    """What sources answer that are the same for all environments, and of no project."""

    def promoted(self, ref: SourceRef, range: Range, handover: Handover) -> Range:
        """The range as it is."""
        del ref, handover
        return range

    def corrected(self, range: Range) -> tuple[str, ...]:
        """None: it never takes back a row."""
        del range
        return ()

    def neighbour(self, ref: SourceRef) -> Neighbour | None:
        """None."""
        del ref
        return None

    def reached(self, position: Mapping[str, Any]) -> int | None:
        """None: it is no table of the project."""
        del position
        return None

    def looked_at(self, value: Mapping[str, Any]) -> tuple[int, ...]:
        """None: it is no table of the project."""
        del value
        return ()

    def again(
        self,
        ref: SourceRef,
        past: Past,
        files: Iterable[str],
        known: Schema,
        drift: Drift,
        scratch: Path,
    ) -> Batch | None:
        """None: not even a row that cannot be parsed is kept as text."""
        del ref, past, files, known, drift, scratch
        return None


class Surroundings(Protocol):
    """What a connector may use of the project that it works for."""

    @property
    def root(self) -> Path:
        """Absolute folder that relative paths start from."""
        ...

    @property
    def folders(self) -> tuple[str, ...] | None:
        """The only folders whose files may be read, as absolute paths; None: any."""
        ...

    @property
    def scope(self) -> str:
        """`<project>/<environment>`: whose is what it leaves outside of the storage."""
        ...

    def table(self, dataset: str) -> TableRef:
        """The table of a dataset of the project, which the project writes to."""
        ...

    def readable(self, dataset: str, environment: str | None = None) -> Readable:
        """The table that a read of a dataset, or of its quarantine, gets its rows from.

        Args:
            environment: where an earlier read got them (`Readable.environment`); None to choose:
                the project's own table, or that of the environment which it reads from if the
                project has never run the dataset.

        Raises:
            TableNotFoundError: the project does not read from that environment any more.
        """
        ...

    def elsewhere(self, neighbour: Neighbour) -> Readable:
        """The table of a dataset of another project.

        Raises:
            TableNotFoundError: there is no project in that folder, or no such table.
        """
        ...

    def store_of(self, table_format: str | None) -> TableStore:
        """The store of a table format; None for the project's own."""
        ...


class Source(Protocol):
    """Reads the sources of one connector.

    A session makes one for each connector, as `Class(surroundings)`, from the class that
    `Connector.source` names.

    Datasets are updated in parallel: it is safe to call from several threads.

    It owns its positions: what `Range.value` means, only the connector knows. What it binds is a
    `FilesBatch`, a `TableBatch` or an `ArrowBatch` (`qanat.model.work`).
    """

    def plan(
        self, ref: SourceRef, past: Past, without: frozenset[str] = frozenset()
    ) -> Unread | None:
        """What is there and has not been read; None if nothing.

        A range has an end. A source that never ends reads up to what is there at the time of the
        call, and may take less by an option with `limits`; `Unread.more` says that it did.

        Args:
            without: files (as `FileChangedError.path` names them) to leave for a later update,
                because they are still being written.

        Raises:
            SourceNotFoundError: what is read does not exist.
            FileChangedError: a file that was read has come back with new content.
            NotAppendOnlyError: what was read before has been removed or rewritten, or the position
                is one that the source no longer knows (what came after it has expired).
            SourceUnavailableError: the system cannot be reached now; the call is tried again.
        """
        ...

    def renamed(self, old: str, new: str) -> tuple[str, str]:
        """What the paths of a place's files begin with (`Range.files`) and, where the place is
        another now, those of the same files there; two empty texts where paths stay as they are.

        Args:
            old, new: the place as it was written and as it is (`SourceRef.place`).
        """
        ...

    def promoted(self, ref: SourceRef, range: Range, handover: Handover) -> Range:
        """What another environment has read, as a range of this one: its flow goes on there.

        Raises:
            RereadError: this environment has other rows there, or has them in another order.
        """
        ...

    def corrected(self, range: Range) -> tuple[str, ...]:
        """The source files whose earlier rows a range replaces, as rows tell them.

        Only those that the flow may have read, itself or through tables.
        """
        ...

    def neighbour(self, ref: SourceRef) -> Neighbour | None:
        """The dataset of another project that a source is; None if it is none."""
        ...

    def reached(self, position: Mapping[str, Any]) -> int | None:
        """The version of a table of the project up to which a position has read it; else None."""
        ...

    def looked_at(self, value: Mapping[str, Any]) -> tuple[int, ...]:
        """The versions of a table of the project that a range needs as they are."""
        ...

    def everything(self, ref: SourceRef) -> Range | None:
        """All that is there now, for reads without STREAM; None if it does not exist yet."""
        ...

    def bind(
        self, ref: SourceRef, range: Range | None, known: Schema, drift: Drift, scratch: Path
    ) -> Input:
        """Exactly that range, ready for an engine; for None the columns, without rows.

        Args:
            known: the columns found in earlier epochs; empty in the first.
            drift: what to do with columns that are not in `known`.
            scratch: an existing folder for temporary files.

        Raises:
            FileVanishedError: a file of the range is gone or has changed since.
            DatasetNotFoundError: there is nothing to know the columns from.
        """
        ...

    def sample(
        self,
        ref: SourceRef,
        known: Schema,
        drift: Drift,
        scratch: Path,
        range: Range | None = None,
    ) -> Batch | None:
        """Enough to tell the columns, cheaply; None if there is nothing there.

        It takes nothing away from what `plan` will find.

        Args:
            range: look only there, if the source can; None: at all that there is.
        """
        ...

    def again(
        self,
        ref: SourceRef,
        past: Past,
        files: Iterable[str],
        known: Schema,
        drift: Drift,
        scratch: Path,
    ) -> Batch | None:
        """Files that were read before, with today's options, to parse some of their text again.

        One that is gone or has changed since comes without a copy on this machine
        (`LocalFile.local` is empty); one that this source has not read is left out.

        Args:
            files: their paths, as `LocalFile.path` has them.
            known, drift, scratch: as for `bind`.

        Returns:
            None if the source has no files.
        """
        ...

    def verify(self, ref: SourceRef, range: Range) -> Range:
        """Confirm after reading that nothing changed meanwhile; returns the range with digests.

        Raises:
            FileChangedError: a file grew or was rewritten while it was read.
        """
        ...
