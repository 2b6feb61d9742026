"""The rows that past epochs have brought into a table, as far as they can still be read.

Its log tells which files a commit added, also where maintenance has written the rows again since;
once the old files are deleted, they are gone. Rows in quarantine tell their epoch themselves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
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
from qanat.model.expectation import Expectation, Nulls
from qanat.model.feed import CHANGE_FIELDS, CHANGE_TYPE, INSERT, UPDATE_AFTER
from qanat.model.name import fold
from qanat.model.owner import brought_by, number_in, tag
from qanat.model.pipeline import application, is_declared
from qanat.model.quarantine import QUARANTINE_FIELDS
from qanat.model.record import Epoch, EpochStatus
from qanat.model.rule import Predicate, References
from qanat.model.staged import RuleCount
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


def brought(session: Session, read: Readable, epochs: Sequence[Epoch]) -> Iterator[Brought]:
    """The rows that each of some epochs has written, one after the other.

    They are files of the table or, of a merge, rows of the feed of changes.

    Args:
        read: the table.
        epochs: newest first.
    """
    together = _together(read, epochs)
    for epoch in epochs:
        files = together.get(epoch.id)
        yield _one(session, read, epoch) if files is None else Brought(epoch, files, _bytes(epoch))


def _bytes(epoch: Epoch) -> int:
    return epoch.bytes_written or 0


def _together(read: Readable, epochs: Sequence[Epoch]) -> dict[int, Batch]:
    """By epoch, what it wrote, if one look at the log tells it of all of them; else nothing.

    The name of a file tells which epoch of which flow has staged it. To read the state of a table
    at an old version, as `_one` has to, takes ten times as long as to check a small epoch.
    """
    epochs = [e for e in epochs if e.version and not e.replaces]
    versions = [e.version or 0 for e in epochs]
    if not versions:
        return {}
    try:
        batch = read.store.added(read.table, min(versions) - 1, max(versions)).batch
    except (AdapterError, UnsupportedError):
        return {}
    part = getattr(batch, "part", None)
    if part is None or part(()) is None:
        return {}
    files: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
    for path in getattr(batch, "files", ()):
        name = Path(path).name
        files[brought_by(name) or "", number_in(name)].append(path)
    wanted = {e.id: (tag(application(e.flow)), e.number) for e in epochs}
    # Replays bring files of their own, but an epoch with rows has files, unless others moved them.
    rows = {e.id: e.counts.written if e.counts else 0 for e in epochs}
    if any(rows[id] and key not in files for id, key in wanted.items()):
        return {}
    return {id: part(files[key]) for id, key in wanted.items()}


def _one(session: Session, read: Readable, epoch: Epoch) -> Brought:
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
    text = f"SELECT * EXCLUDE ({left_out}) FROM __changes WHERE {CHANGE_TYPE} IN ({_NEW_ROWS})"
    return Brought(epoch, _written(session, text, found.batch), found.amount.bytes)


def _written(session: Session, text: str, batch: Batch, name: str = "__changes") -> Batch:
    return computed(session, text, {name: batch})


def computed(session: Session, text: str, batches: Mapping[str, Batch]) -> Batch:
    """The rows of a query, in a file of the session's own."""
    folder = session.scratch / f"brought-{uuid4().hex}"
    make_folder(folder)
    target = folder / "rows.parquet"
    with query(session, text, beside=batches, dialect=DUCKDB.name) as reading:
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
        return self._chosen(self._batch, _put_by(epoch))

    def of_all(self, epochs: Sequence[Epoch]) -> Batch | None:
        """The rows that some epochs have put there and that still wait."""
        if self._batch is None or not epochs:
            return None
        return self._chosen(self._batch, f"({' OR '.join(map(_put_by, epochs))})")

    def only_by(self, rule: str) -> Batch | None:
        """The rows that wait for a rule of a name, and for no other."""
        if self._batch is None:
            return None
        return self._chosen(self._batch, f"map_keys(_quarantine_rules) = [{literal(rule)}]")

    def _chosen(self, batch: Batch, condition: str) -> Batch:
        own = ", ".join(f.name for f in QUARANTINE_FIELDS)
        text = (
            f"SELECT * EXCLUDE ({own}) FROM __waiting"
            f" WHERE _quarantine_raw IS NULL AND {condition}"
        )
        return _written(self._session, text, batch, "__waiting")


def _put_by(epoch: Epoch) -> str:
    flow = literal(epoch.flow)
    return f"(_quarantine_flow = {flow} AND _quarantine_epoch = {epoch.number})"


def taken(
    session: Session,
    check: Expectation,
    columns: tuple[str, ...],
    waiting: Batch,
    table: tuple[str, Batch],
) -> int:
    """How many rows in quarantine have a key that is in the table.

    A row of the table with the same key is what a reference would look for.

    Args:
        check: whose rule is the key; it says which rows it is about.
        columns: of the key.
        table: its dataset, and its rows.
    """
    dataset, rows_there = table
    keyed = " AND ".join(f"{quote(c)} IS NOT NULL" for c in columns)
    there = replace(check, rule=References(columns, dataset, columns))
    whole = replace(check, rule=Predicate(keyed, session.engine.dialect), nulls=Nulls.VIOLATE)
    rows, counts = session.engine.check(
        waiting, dataset, [there, whole], {fold(dataset): rows_there}
    )
    lacking, keyless = counts
    return about(lacking, rows) - lacking.violations - keyless.violations


def known_keys(
    session: Session,
    columns: tuple[str, ...],
    waiting: Batch,
    table: Batch,
    brought: Sequence[Batch],
) -> Batch:
    """The keys of rows in quarantine that a table has, and since when.

    One look at the table and at what epochs brought tells it for all of them: a key that the
    table has more often than they brought it was there before.

    Args:
        columns: of the key.
        table: as the newest of the epochs left it.
        brought: what each epoch has written, oldest first.
    """
    key = ", ".join(map(quote, columns))
    epochs = " UNION ALL ".join(
        f"SELECT {key}, {at} AS __at FROM __brought_{at}" for at in range(len(brought))
    )
    text = (
        f"WITH w AS (SELECT DISTINCT {key} FROM __waiting),"
        f" b AS (SELECT {key}, min(__at) AS __first, count(*) AS __rows"
        f" FROM ({epochs}) AS e JOIN w USING ({key}) GROUP BY {key}),"
        f" t AS (SELECT {key}, count(*) AS __all FROM __table JOIN w USING ({key}) GROUP BY {key})"
        f" SELECT {key}, CASE WHEN __rows >= __all THEN __first ELSE -1 END AS __since"
        f" FROM t LEFT JOIN b USING ({key})"
    )
    batches = {f"__brought_{at}": batch for at, batch in enumerate(brought)}
    return computed(session, text, {"__waiting": waiting, "__table": table, **batches})


def taken_by(session: Session, keys: Batch, at: int) -> Batch:
    """Those of `known_keys` that the table had by the time of one of the epochs."""
    return _written(session, f"SELECT * FROM __keys WHERE __since <= {at}", keys, "__keys")


def about(count: RuleCount, rows: int) -> int:
    """How many of so many rows a rule was about."""
    return rows if count.rows is None else count.rows
