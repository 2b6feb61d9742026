"""Past updates and their epochs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from qanat.model.record import Epoch, UpdateRecord, UpdateStatus
from qanat.model.staged import Counts
from qanat.report.html import Mood, Part, heading, page, table
from qanat.report.keys import VERSION_KEY, elapsed, moment
from qanat.report.shape import Key, Shape
from qanat.run.results import HistoryEntry
from qanat.text import PLAIN, Cell, Layout, Value, duration, grid, printable, utc


def _count(name: str) -> Key:
    return Key(name, of=int, make=lambda epoch: getattr(epoch.counts or Counts(), name))


EPOCH = Shape(
    "Epoch",
    Epoch,
    (
        *("dataset", "flow", Key("epoch", "number"), "status"),
        Key("started", of=str, make=lambda epoch: moment(epoch.started)),
        Key("seconds", of=float | None, make=lambda epoch: elapsed(epoch.started, epoch.ended)),
        *("replaces", "version"),
        *(_count(name) for name in ("out", "written", "dropped", "quarantined", "malformed")),
        *(_count(name) for name in ("inserted", "updated", "deleted", "late")),
        *("bytes_written", "rules", "error"),
    ),
    "The atomic unit of work of one flow. `status`: `intended`, `committed` or `failed`.\n\n"
    "`replaces`: the commit took the place of all rows instead of adding to them.",
)
PAST_UPDATE = Shape(
    "PastUpdate",
    HistoryEntry,
    (
        Key("update", "update.id"),
        *(Key(name, f"update.{name}") for name in ("environment", "command", "status")),
        Key("started", of=str, make=lambda entry: moment(entry.update.started)),
        Key("seconds", of=float | None, make=lambda entry: _took(entry.update)),
        Key("error", "update.error"),
        Key("origin", "update.origin"),
        "epochs",
    ),
    "One update. `status`: `running`, `succeeded` or `failed`; oldest epoch first.\n\n"
    "`origin`: what started it; null: a person.",
)
HISTORY = Shape(
    "HistoryDocument",
    Sequence[HistoryEntry],
    (VERSION_KEY, Key("updates", of=list[HistoryEntry], make=list)),
    "Newest update first.",
)
PARTS = (PAST_UPDATE, EPOCH)

_COLOURS = {"succeeded": "green", "failed": "red", "running": "yellow"}
_MOODS: dict[UpdateStatus, Mood] = {UpdateStatus.SUCCEEDED: "ok", UpdateStatus.FAILED: "bad"}
_HEADERS = (
    *("Dataset", "Epoch", "Status", "Version", "Written", "Quarantined", "Dropped"),
    *("Time", "Violations"),
)
_EFFECTS = "What became of rows"
"""A further column, where rows of a table have changed."""


def history_text(entries: Sequence[HistoryEntry], layout: Layout = PLAIN) -> str:
    """Updates, newest first, with the epochs of each."""
    return "\n\n".join("\n".join(_update(entry, layout)) for entry in entries)


def history_html(entries: Iterable[HistoryEntry]) -> str:
    """Updates for a notebook."""
    parts: list[Part] = []
    for entry in entries:
        update, seconds = entry.update, _took(entry.update)
        took = f" in {duration(seconds)}" if seconds is not None else ""
        mood = _MOODS.get(update.status, "plain")
        text = f"{utc(update.started)}: {update.command} {update.status.value}{took}"
        parts.append(heading(text, mood, update.id))
        if update.origin:
            parts.append(heading(f"started by {update.origin}", "plain"))
        if update.error:
            parts.append(heading(update.error.partition("\n")[0], "bad"))
        if entry.epochs:
            parts.append(table(*_epochs(entry)))
    return page(*(parts or [heading("No update has run yet.", "plain")]))


def _took(update: UpdateRecord) -> float | None:
    return elapsed(update.started, update.ended)


def update_line(update: UpdateRecord, layout: Layout = PLAIN) -> str:
    """One update on a line: its identifier, start, command, status and duration."""
    seconds = _took(update)
    status = layout.paint(update.status.value, _COLOURS.get(update.status.value, ""))
    took = f" in {duration(seconds)}" if seconds is not None else ""
    id_ = layout.paint(update.id, "bold")
    return f"{id_}  {utc(update.started)}  {printable(update.command)}  {status}{took}"


def _update(entry: HistoryEntry, layout: Layout) -> list[str]:
    update = entry.update
    lines = [update_line(update, layout)]
    if update.origin:
        lines.append("  started by " + printable(update.origin))
    if update.error:
        lines.append("  " + printable(update.error.partition("\n")[0]))
    if entry.epochs:
        headers, rows = _epochs(entry)
        lines += [f"  {line}" for line in grid(headers, rows, layout.narrower(2))]
    return lines


def _epochs(entry: HistoryEntry) -> tuple[tuple[str, ...], list[list[Value]]]:
    """The headers and rows of a table of epochs."""
    rows = [_epoch(e) for e in entry.epochs]
    effects = [(e.counts or Counts()).effects for e in entry.epochs]
    if not any(effects):
        return _HEADERS, rows
    for row, each in zip(rows, effects, strict=True):
        row.append(", ".join(f"{number:,} {name}" for name, number in each.items()))
    return (*_HEADERS, _EFFECTS), rows


def _epoch(epoch: Epoch) -> list[Value]:
    counts = epoch.counts or Counts()
    seconds = elapsed(epoch.started, epoch.ended)
    violated = ", ".join(f"{r.rule} {r.violations:,}" for r in epoch.rules if r.violations)
    return [
        epoch.dataset,
        epoch.number,
        epoch.status.value,
        epoch.version,
        counts.written,
        counts.set_aside,
        counts.dropped,
        Cell("–" if seconds is None else duration(seconds), right=True),
        violated,
    ]
