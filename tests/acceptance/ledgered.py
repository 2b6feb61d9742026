"""Reads what a project's tables hold, and checks that ledger, tables and disk agree."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
from deltalake import DeltaTable

from qanat.model.event import UpdateEnded
from qanat.model.pipeline import DatasetKind
from qanat.model.record import Epoch, EpochStatus, UpdateStatus
from qanat.run.session import Session

# These columns name the update, its time or its place, and so differ from run to run.
_VARIES = ("_quarantine_id", "_quarantine_update", "_quarantine_at", "_quarantine_epoch")
_STAGED = re.compile(r"/[^']*/(?:epoch-\d+|replay-\d+)(?:-[0-9a-f]+)+-|/[^']*/(?=(?:in|more)/)")

Picture = dict[str, Counter[str]]


def picture(project: Path) -> Picture:
    """All rows of all tables, quarantines and sinks, as a Delta reader sees them."""
    found: Picture = {}
    for folder in sorted((project / "storage" / "tables").glob("*")):
        if not any((folder / "_delta_log").glob("*.json")):
            continue
        rows = DeltaTable(folder).to_pyarrow_table().to_pylist()
        identifiers = [r["_quarantine_id"] for r in rows if "_quarantine_id" in r]
        assert len(identifiers) == len(set(identifiers))
        found[folder.name] = Counter(
            _STAGED.sub("", repr([(k, v) for k, v in row.items() if k not in _VARIES]))
            for row in rows
        )
        if not rows:
            del found[folder.name]
    for folder in sorted((project / "out").glob("*")):
        files = [str(p) for p in folder.rglob("*.csv") if ".qanat" not in p.parts]
        rows = duckdb.read_csv(files).fetchall() if files else []
        found[f"out/{folder.name}"] = Counter(map(repr, rows))
    return found


def check(project: Path) -> None:
    """Check that the ledger's counts are those of the tables, and that no file is left over."""
    with Session.open(project) as session:
        ledger, store = session.ledger, session.store
        assert not ledger.open_epochs()
        assert not ledger.held()
        assert all(u.status is not UpdateStatus.RUNNING for u in ledger.updates(1000))
        for update in ledger.updates(1000):
            told = ledger.events(update.id)
            assert [e.number for e in told] == list(range(1, len(told) + 1)), update
            # What crashed was ended by another, and its events stop where it did.
            if update.status is UpdateStatus.SUCCEEDED:
                assert isinstance(told[-1].event, UpdateEnded), update
        for table in store.tables(str(session.project.tables)):
            assert store.orphans(table) == 0, table
        for dataset in session.pipeline.datasets:
            if dataset.kind is DatasetKind.STREAMING_TABLE:
                _check_counts(session, dataset.name)
    private = project / "storage" / "_qanat"
    left = [*private.glob("scratch/*")]
    left += list((project / "out").rglob(".qanat/*"))
    assert left == []


def _check_counts(session: Session, name: str) -> None:
    generation = session.ledger.generation(name)
    epochs = [
        e
        for e in session.ledger.epochs(dataset=name, limit=10_000)
        if e.status is EpochStatus.COMMITTED and e.generation == generation
    ]
    numbers: dict[str, list[int]] = {}
    for epoch in epochs:
        numbers.setdefault(epoch.flow, []).append(epoch.number)
    for flow, given in numbers.items():
        assert len(given) == len(set(given)), flow
    moved = sum(c.written for c in _counts(epochs, replays=True))
    own = [*_counts(epochs, replays=False)]
    assert all(c.balanced for c in own)
    gained = sum(c.written for c in own)
    if any(f.changes for f in session.pipeline.flows_into(name)):
        gained = sum(c.inserted - c.deleted for c in own)
    assert _rows(session, name) == gained + moved, name
    aside = sum(c.quarantined + c.malformed for c in own)
    assert _rows(session, f"{name}__quarantine") == aside - moved, name


def _counts(epochs: list[Epoch], replays: bool) -> Iterator[Any]:
    for epoch in epochs:
        if epoch.flow.endswith("::replay") is replays:
            assert epoch.counts is not None
            yield epoch.counts


def _rows(session: Session, table: str) -> int:
    ref, store = session.table(table), session.store
    rows = 0 if store.version(ref) is None else store.snapshot(ref).rows
    assert rows is not None
    return rows
