"""How an epoch of changes meets the rows that its table has."""

from __future__ import annotations

from dataclasses import replace

from qanat.errors import UnsupportedError
from qanat.model.changes import RETENTION, parse_retention
from qanat.model.feed import CHANGE_FEED
from qanat.model.name import fold
from qanat.model.pipeline import Dataset
from qanat.model.record import Epoch
from qanat.model.work import Merge, Output, Stored
from qanat.run.memo import CompiledFlow
from qanat.run.partitions import check_partitions
from qanat.run.session import Session
from qanat.run.snapshots import version_of


def merge_of(
    session: Session, compiled: CompiledFlow, epoch: Epoch, prefix: str, at_ns: int
) -> Merge | None:
    """How the rows of an epoch change the table of a flow; None if they are added to it.

    Args:
        prefix: of the names of staged files.
        at_ns: when the update began, nanoseconds since 1970 (UTC).

    Raises:
        UnsupportedError: tables of this format cannot be changed.
        FlowError: the table has other partitions than are declared by now.
    """
    if compiled.changes is None:
        return None
    store, dataset = session.store, compiled.dataset
    if not store.merges:
        raise UnsupportedError(
            f"{compiled.changes.label} of {dataset.name} needs tables whose rows can change",
            location=compiled.flow.location,
            wanted="table_format: delta",
            got=f"table_format: {session.project.table_format}",
        )
    table = session.table(dataset.name)
    target = Output(
        store.staging(table), prefix, declared=dataset.schema, partition_by=dataset.partition_by
    )
    events = None
    if not (epoch.replaces or store.version(table) is None):
        snapshot = store.snapshot(table)
        check_partitions(dataset, snapshot.partition_by)
        stored = Stored(snapshot.batch, snapshot.version)
        target = replace(target, schema=snapshot.schema, stored=stored)
        events = snapshot.events
    kept_ns = parse_retention(dataset.table_property(RETENTION)) * 1_000_000_000
    feed, version = has_feed(dataset), version_of(epoch)
    adopts = None
    if compiled.adopts is not None:
        adopts, events = compiled.adopts.batch, compiled.adopts.events
    return Merge(compiled.changes, target, events, at_ns - kept_ns, feed, version, adopts)


def has_feed(dataset: Dataset) -> bool:
    """True if readers of changes are told what a merge did, as long as nobody says otherwise."""
    return fold(dataset.table_property(CHANGE_FEED) or "true") == "true"
