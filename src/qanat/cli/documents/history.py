"""The document of `qanat history`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from qanat.cli.documents import VERSION, moment
from qanat.cli.documents.update import RuleDocument, rule_document
from qanat.model.record import Epoch
from qanat.model.work import Counts
from qanat.run.results import HistoryEntry


class EpochDocument(TypedDict):
    """One atomic step of one flow. `status`: `intended`, `committed` or `failed`.

    `replaces`: the commit took the place of all rows instead of adding to them.
    """

    dataset: str
    flow: str
    epoch: int
    status: str
    started: str
    seconds: float | None
    replaces: bool
    version: int | None
    out: int
    written: int
    dropped: int
    quarantined: int
    malformed: int
    bytes_written: int | None
    rules: list[RuleDocument]
    error: str | None


class PastUpdateDocument(TypedDict):
    """One update. `status`: `running`, `succeeded` or `failed`; oldest epoch first."""

    update: str
    environment: str
    command: str
    status: str
    started: str
    seconds: float | None
    error: str | None
    epochs: list[EpochDocument]


class HistoryDocument(TypedDict):
    """Newest update first."""

    version: int
    updates: list[PastUpdateDocument]


def history_document(entries: Sequence[HistoryEntry]) -> HistoryDocument:
    """The document of past updates."""
    return {"version": VERSION, "updates": [_update(e) for e in entries]}


def _update(entry: HistoryEntry) -> PastUpdateDocument:
    update = entry.update
    return {
        "update": update.id,
        "environment": update.environment,
        "command": update.command,
        "status": update.status.value,
        "started": moment(update.started),
        "seconds": elapsed(update.started, update.ended),
        "error": update.error,
        "epochs": [_epoch(e) for e in entry.epochs],
    }


def _epoch(epoch: Epoch) -> EpochDocument:
    counts = epoch.counts or Counts()
    return {
        "dataset": epoch.dataset,
        "flow": epoch.flow,
        "epoch": epoch.number,
        "status": epoch.status.value,
        "started": moment(epoch.started),
        "seconds": elapsed(epoch.started, epoch.ended),
        "replaces": epoch.replaces,
        "version": epoch.version,
        "out": counts.out,
        "written": counts.written,
        "dropped": counts.dropped,
        "quarantined": counts.quarantined,
        "malformed": counts.malformed,
        "bytes_written": epoch.bytes_written,
        "rules": [rule_document(r) for r in epoch.rules],
        "error": epoch.error,
    }


def elapsed(started: float, ended: float | None) -> float | None:
    """Seconds between two times, None while it runs; never negative (clocks are set back)."""
    return None if ended is None else round(max(0.0, ended - started), 6)
