"""The ledger's counts, and whether they agree with tables and sinks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from qanat.crash.deliveries import deliveries, rows, sink_folder, sinks
from qanat.crash.inventory import Inventory
from qanat.model.event import UpdateEnded
from qanat.model.name import Named
from qanat.model.pipeline import (
    Dataset,
    DatasetKind,
    SinkTarget,
    application,
    is_replay,
    is_upkeep,
)
from qanat.model.record import Epoch, EpochStatus, UpdateStatus
from qanat.model.staged import Counts
from qanat.run.session import Session

_ALL = 1_000_000

Books = dict[str, str]
"""The counts of each dataset as JSON text, which can be compared between runs."""


class Accounts:
    """The committed epochs in the ledger, newest first."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._epochs: Named[list[Epoch]] = Named()
        for epoch in session.ledger.epochs():
            if epoch.status is EpochStatus.COMMITTED:
                self._epochs.setdefault(epoch.dataset, []).append(epoch)

    def of(self, dataset: str) -> Sequence[Epoch]:
        """All committed epochs of a dataset, of every generation."""
        return self._epochs.get(dataset, ())

    def current(self, dataset: Dataset) -> Sequence[Epoch]:
        """The committed epochs whose rows a dataset holds now."""
        generation = self._session.ledger.generation(dataset.name)
        epochs = (e for e in self.of(dataset.name) if not is_upkeep(e.flow))
        found = [e for e in epochs if e.generation == generation]
        # Each epoch of a materialized view replaces the rows of the epochs before it.
        return found[:1] if dataset.kind is DatasetKind.MATERIALIZED_VIEW else found

    # -- what the ledger counts --------------------------------------------------------------

    def books(self) -> Books:
        """The counts of the rows that the datasets hold now.

        Failed attempts do not change them, so they are the same after every case of a scenario.
        """
        return {d.name: self._book(d) for d in self._session.pipeline.datasets}

    def _book(self, dataset: Dataset) -> str:
        epochs = self.current(dataset)
        own = [e for e in epochs if not is_replay(e.flow)]
        rules: dict[str, int] = {}
        for rule in (r for e in own for r in e.rules):
            name = f"{rule.dataset} {rule.rule}"
            rules[name] = rules.get(name, 0) + rule.violations
        left = sum(_counts(e for e in epochs if is_replay(e.flow)), Counts())
        total = sum(_counts(own), Counts())
        gone = {"moved": left.written, "thrown away": left.dropped}
        return json.dumps({**asdict(total), **gone, "rules": rules}, sort_keys=True)

    # -- compare them with what is stored ----------------------------------------------------

    def errors(self, inventory: Inventory, image: Path) -> Iterator[str]:
        """A sentence for each table or sink that does not hold the rows that were counted.

        Args:
            inventory: the files of the storage.
            image: the folder with the project before the crash test. A sink may lack files of
                older epochs, which a reader has taken away; and files that it already had there
                need not be known to the ledger.
        """
        for dataset in self._session.pipeline.datasets:
            yield from self._sums(dataset)
            yield from self._commits(dataset, inventory)
            if dataset.kind in (DatasetKind.STREAMING_TABLE, DatasetKind.MATERIALIZED_VIEW):
                yield from self._table(dataset)
        for name, target in sinks(self._session):
            # What a sink holds that is no folder, only its own tests can tell.
            if sink_folder(self._session, target) is not None:
                yield from self._sink(name, target, image)
        yield from self._told()

    def _told(self) -> Iterator[str]:
        """A crash takes the last events of an update, and none between two others."""
        for update in self._session.ledger.updates(_ALL):
            events = self._session.ledger.events(update.id, limit=_ALL)
            if [e.number for e in events] != list(range(1, len(events) + 1)):
                yield f"events of update {update.id} are missing between others"
            ended = bool(events) and isinstance(events[-1].event, UpdateEnded)
            if events and update.status is UpdateStatus.SUCCEEDED and not ended:
                yield f"update {update.id} has succeeded, and the last event does not say so"

    def _sums(self, dataset: Dataset) -> Iterator[str]:
        seen: set[tuple[str, int]] = set()
        for epoch in self.of(dataset.name):
            if (epoch.flow, epoch.number) in seen:
                yield f"flow {epoch.flow} has committed epoch {epoch.number} twice"
            seen.add((epoch.flow, epoch.number))
            if epoch.counts is None or not epoch.counts.balanced:
                yield f"rows of epoch {epoch.number} of {epoch.flow} do not add up in the ledger"

    def _commits(self, dataset: Dataset, inventory: Inventory) -> Iterator[str]:
        """Compare each commit in a table's log with its epoch's count of rows."""
        log = inventory.table(self._session.table(dataset.name).folder.name)
        for epoch in self.of(dataset.name) if log else ():
            there = log.rows(application(epoch.flow), epoch.number) if log else None
            wanted = self._gained(dataset, epoch.counts) if epoch.counts else there
            if there is not None and there != wanted:
                yield (
                    f"epoch {epoch.number} of {epoch.flow} has {there} rows in its table's log,"
                    f" the ledger counts {wanted}"
                )

    def _table(self, dataset: Dataset) -> Iterator[str]:
        epochs = self.current(dataset)
        left = sum(_counts(e for e in epochs if is_replay(e.flow)), Counts())
        own = sum(_counts(e for e in epochs if not is_replay(e.flow)), Counts())
        # As long as a replay makes one row of one, which it need not where a query joins.
        kept = own.set_aside - left.written - left.dropped
        flows = self._session.pipeline.flows_into(dataset.name)
        if any(f.changes.whole for f in flows if f.changes is not None):
            # Each snapshot brings all rows anew, bad ones among them.
            kept = sum(_counts(epochs[:1]), Counts()).set_aside
        written = sum(self._gained(dataset, each) for each in _counts(epochs))
        held = {dataset.name: written, dataset.quarantine: kept}
        merged = any(c.inserted or c.updated or c.deleted for c in _counts(epochs))
        if merged and not self._changes(dataset):
            # A source file came back: how many of its rows have waited, no epoch counts.
            del held[dataset.quarantine]
        for table, wanted in held.items():
            ref, store = self._session.table(table), self._session.store
            there = 0 if store.version(ref) is None else store.snapshot(ref).rows
            if there != wanted:
                yield f"{table} has {there} rows, the ledger counts {wanted}"

    def _gained(self, dataset: Dataset, counts: Counts) -> int:
        """The rows that a table has more by what was counted of one epoch."""
        merged = counts.inserted or counts.updated or counts.deleted
        if merged or self._changes(dataset):
            return counts.inserted - counts.deleted
        return counts.written

    def _changes(self, dataset: Dataset) -> bool:
        """True if the rows of flows change those of a table."""
        return any(f.changes for f in self._session.pipeline.flows_into(dataset.name))

    def _sink(self, name: str, target: SinkTarget, image: Path) -> Iterator[str]:
        """Check that a sink holds each epoch once and complete, and nothing else."""
        held = deliveries(self._session, target)
        counted = rows(self._session, target, [f for d in held for f in d.files])
        made = image.stat().st_ctime
        unknown = {d.name: d for d in held}
        for epoch in self.of(name):
            mine = [d for d in held if d.is_of(epoch.flow, epoch.number)]
            for each in mine:
                unknown.pop(each.name, None)
            there = sum(counted.get(str(f), 0) for d in mine for f in d.files)
            wanted = epoch.counts.written if epoch.counts else 0
            if there > wanted or (there < wanted and epoch.started > made):
                yield (
                    f"epoch {epoch.number} of {epoch.flow} has {there} rows in the sink {name},"
                    f" the ledger counts {wanted}"
                )
        # Several sinks may share a folder, so epochs of other sinks are known, too.
        others = [e for known in self._epochs.values() for e in known]
        for each in unknown.values():
            path = each.files[0].relative_to(self._session.project.root)
            known = any(each.is_of(e.flow, e.number) for e in others)
            if not known and not (image / path).exists():
                yield f"the ledger does not know {path}, which the sink {name} holds"


def _counts(epochs: Iterable[Epoch]) -> Iterator[Counts]:
    return (e.counts for e in epochs if e.counts is not None)
