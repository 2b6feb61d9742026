"""What the ledger is to know of a dataset by an epoch that does not end its update.

The last epoch records the definition as the dataset's own run has decided it. Here is what holds
after any other one, and after one that a crash has left for recovery to settle: without it, nobody
would know what was sent or read, or a view would be taken for another one's result.
"""

from __future__ import annotations

from dataclasses import replace

from qanat.model.name import Named
from qanat.model.pipeline import Dataset, DatasetKind, is_declared
from qanat.model.record import Definition, Epoch
from qanat.run.commits import sink_of
from qanat.run.decide import fingerprint_of
from qanat.run.inputs import PROMOTED
from qanat.run.past import SNAPSHOT
from qanat.run.session import Session


def begun(session: Session, dataset: Dataset, known: Definition | None) -> Definition | None:
    """The definition to record with an epoch that is not the last; None if the ledger has it.

    Args:
        known: what the ledger has.
    """
    new = _as_declared(session, dataset)
    return None if known is not None and known.fingerprint == new.fingerprint else new


def settled(session: Session, epoch: Epoch) -> Definition | None:
    """The definition by which an epoch was computed; None if nothing is known of it."""
    if not is_declared(epoch.flow):
        return None
    dataset = session.pipeline.get(epoch.dataset)
    if dataset is None:
        return _vanished(session, epoch)
    new = _as_declared(session, dataset)
    if new.fingerprint != epoch.fingerprint:
        known = session.recorded.definitions().get(dataset.name)
        text = "" if known is None else known.text
        return replace(new, fingerprint=epoch.fingerprint, text=text)
    if dataset.kind is DatasetKind.MATERIALIZED_VIEW and PROMOTED not in epoch.ranges:
        return replace(new, inputs=fingerprint_of(epoch.ranges))
    return new


def _vanished(session: Session, epoch: Epoch) -> Definition | None:
    """The same of a dataset that was taken out of the files, or got another name, before that.

    What comes in its place is asked about then, as for one whose epoch was settled in time.
    """
    known = session.recorded.definitions().get(epoch.dataset)
    if known is not None:
        return replace(known, fingerprint=epoch.fingerprint)
    sink = sink_of(session, epoch)
    if sink is not None:
        _, text = session.analysis.definitions[sink.name]
        return Definition(epoch.dataset, str(DatasetKind.SINK), epoch.fingerprint, "", text)
    if any(not key.startswith(SNAPSHOT) for key in epoch.ranges):
        kind = str(DatasetKind.STREAMING_TABLE)
        return Definition(epoch.dataset, kind, epoch.fingerprint, "", "")
    return None


def _as_declared(session: Session, dataset: Dataset) -> Definition:
    fingerprint, text = session.analysis.definitions[dataset.name]
    return Definition(dataset.name, str(dataset.kind), fingerprint, "", text)


def changed_definitions(session: Session, definitions: Named[Definition]) -> frozenset[str]:
    """The datasets that are declared otherwise than they were last run."""
    declared = session.analysis.definitions
    known = ((n, definitions.get(n), text) for n, text in declared.items())
    return frozenset(n for n, old, (new, _) in known if old and old.fingerprint != new)
