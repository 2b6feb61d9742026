"""The rows that past epochs have brought into a table, as far as they can still be read.

Its log tells which files a commit added, also where maintenance has written the rows again since;
once the old files are deleted, they are gone. Rows in quarantine tell their epoch themselves.
"""

from __future__ import annotations

from uuid import uuid4

from qanat.errors import (
    AdapterError,
    FileVanishedError,
    NotAppendOnlyError,
    TableCorruptError,
    TableNotFoundError,
    UnsupportedError,
)
from qanat.frozen import Frozen
from qanat.model.dialect import DUCKDB
from qanat.model.feed import CHANGE_FIELDS, CHANGE_TYPE, INSERT, UPDATE_AFTER
from qanat.model.pipeline import is_declared
from qanat.model.quarantine import QUARANTINE_FIELDS
from qanat.model.record import Epoch, EpochStatus
from qanat.model.work import Batch, TableBatch
from qanat.ports.source import Readable
from qanat.run.query import query
from qanat.run.scratch import make_folder
from qanat.run.session import Session
from qanat.run.stored import Stored
from qanat.text import literal, quote

_GONE = "its files were deleted since"
_CHANGED = "it changed rows in place, and kept no feed of the changes"
_NEW_ROWS = ", ".join(map(literal, (INSERT, UPDATE_AFTER)))


class Brought(Frozen):
    """The rows of one epoch.

    Args:
        batch: those that it wrote; None if they cannot be read any more.
        bytes: of their files.
        missing: why not, half a sentence.
    """

    epoch: Epoch
    batch: Batch | None = None
    bytes: int = 0
    missing: str | None = None


def past_epochs(session: Session, dataset: str, limit: int) -> list[Epoch]:
    """The newest epochs that brought rows into a dataset's table, newest first."""
    ask = 2 * limit
    while True:
        found = session.recorded.epochs(dataset=dataset, limit=ask)
        kept = [e for e in found if _brings_rows(e)][:limit]
        if len(kept) == limit or len(found) < ask:
            return kept
        ask *= 4


def _brings_rows(epoch: Epoch) -> bool:
    committed = epoch.status is EpochStatus.COMMITTED and is_declared(epoch.flow)
    return committed and epoch.version is not None and epoch.counts is not None


def brought(session: Session, read: Readable, epoch: Epoch) -> Brought:
    """The rows that one epoch has written, as files or, of a merge, from the feed of changes.

    Args:
        read: the table.
    """
    version = epoch.version or 0
    try:
        if epoch.replaces or not version:
            snapshot = read.store.snapshot(read.table, version)
            if read.store.missing(read.table, version):
                return Brought(epoch, missing=_GONE)
            return Brought(epoch, snapshot.batch, snapshot.bytes)
        try:
            added = read.store.added(read.table, version - 1, version)
        except NotAppendOnlyError:
            return _changed(session, read, epoch, version)
    except (FileVanishedError, TableCorruptError, TableNotFoundError):
        return Brought(epoch, missing=_GONE)
    except (UnsupportedError, AdapterError) as error:
        return Brought(epoch, missing=error.message)
    return Brought(epoch, added.batch, added.amount.bytes)


def _changed(session: Session, read: Readable, epoch: Epoch, version: int) -> Brought:
    """The rows that a merge has inserted, and those that it has updated, as they were then."""
    try:
        found = read.store.changed(read.table, version - 1, version, fed=True)
    except UnsupportedError:
        return Brought(epoch, missing=_CHANGED)
    left_out = ", ".join(quote(f.name) for f in CHANGE_FIELDS)
    text = (
        f"SELECT * EXCLUDE ({left_out}) FROM __changes"
        f" WHERE {CHANGE_TYPE} IN ({_NEW_ROWS})"
    )
    return Brought(epoch, _written(session, text, found.batch), found.amount.bytes)


def _written(session: Session, text: str, batch: Batch, name: str = "__changes") -> Batch:
    """The rows of a query, in a file of the session's own."""
    folder = session.scratch / f"brought-{uuid4().hex}"
    make_folder(folder)
    target = folder / "rows.parquet"
    with query(session, text, beside={name: batch}, dialect=DUCKDB.name) as reading:
        reading.write(target)
        schema = reading.schema
    return TableBatch((str(target),), schema)


class Aside:
    """The rows of a quarantine by the epoch that put them there.

    Those that could not be parsed, or computed, are left out: no rule has seen them.

    Args:
        quarantine: None if there is none.
    """

    def __init__(self, session: Session, quarantine: Stored | None) -> None:
        self._session = session
        self._batch = None if quarantine is None else quarantine.snapshot.batch

    def of(self, epoch: Epoch) -> Batch | None:
        """The rows that an epoch has put there and that still wait; None if it put none there."""
        if self._batch is None or not (epoch.counts and epoch.counts.set_aside):
            return None
        return self._chosen(
            f"_quarantine_flow = {literal(epoch.flow)} AND _quarantine_epoch = {epoch.number}"
        )

    def only_by(self, rule: str) -> Batch | None:
        """The rows that wait for a rule of a name, and for no other."""
        if self._batch is None:
            return None
        return self._chosen(f"map_keys(_quarantine_rules) = [{literal(rule)}]")

    def _chosen(self, condition: str) -> Batch:
        own = ", ".join(f.name for f in QUARANTINE_FIELDS)
        text = (
            f"SELECT * EXCLUDE ({own}) FROM __waiting"
            f" WHERE _quarantine_raw IS NULL AND {condition}"
        )
        return _written(self._session, text, self._batch, "__waiting")
