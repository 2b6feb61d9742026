"""`qanat history`: past updates, their epochs, and what one of them told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import click

from qanat.cli import documents, screen
from qanat.cli.documents.events import update_events_document
from qanat.cli.documents.history import elapsed, history_document
from qanat.cli.grid import Cell, Value, grid
from qanat.cli.options import Place, limit, output, place
from qanat.model.event_record import EventRecord
from qanat.model.record import Epoch, UpdateRecord
from qanat.model.work import Counts
from qanat.observe.terminal.amounts import duration
from qanat.observe.terminal.characters import printable
from qanat.observe.terminal.narrative import narrate
from qanat.run.diary import UpdateEvents, update_events
from qanat.run.look import history
from qanat.run.results import HistoryEntry
from qanat.run.session import Session

_COLOURS = {"succeeded": "green", "failed": "red", "running": "yellow"}
HEADERS = (
    "Dataset",
    "Epoch",
    "Status",
    "Version",
    "Written",
    "Quarantined",
    "Dropped",
    "Time",
    "Violations",
)


@click.command("history", short_help="List past updates and their epochs.")
@click.argument("dataset", required=False)
@click.option("--update", metavar="ID", help="What this update told; `last` is the newest.")
@limit
@place
@output
def command(dataset: str | None, update: str | None, limit: int, place: Place, json: bool) -> int:
    """List past updates, newest first, with the epochs of each.

    With DATASET: only updates that worked on it, and only its epochs.

    With --update: all that one update told, in its order: starts, ends, rows, broken rules,
    errors, warnings. --limit does not apply.
    """
    with Session.open(place.start, place.environment) as workspace:
        if update is not None:
            return _show(update_events(workspace, update, dataset), json)
        entries = history(workspace, dataset, limit=limit)
    if json:
        screen.write(documents.dumps(history_document(entries)))
    elif entries:
        screen.write("\n\n".join("\n".join(_update(e)) for e in entries))
    else:
        environment = workspace.project.environment
        screen.write(
            f"No update has run yet in environment {environment}; `qanat run` makes the first."
        )
    return 0


def _show(told: UpdateEvents, json: bool) -> int:
    """Print what one update told."""
    if json:
        screen.write(documents.dumps(update_events_document(told)))
    else:
        lines = [line for record in told.events for line in _event(record)]
        if not lines:
            lines = ["  No event was kept of it."]
        screen.write("\n".join([_head(told.update), *lines]))
    return 0


def _event(record: EventRecord) -> list[str]:
    first, *details = narrate(record.event)
    at = datetime.fromtimestamp(record.at, UTC).time().isoformat("milliseconds")
    margin = " " * (len(at) + 6)
    return [f"  {screen.paint(at, dim=True)}  {first}", *(margin + line for line in details)]


def _update(entry: HistoryEntry) -> list[str]:
    lines = [_head(entry.update)]
    if entry.update.error:
        lines.append("  " + printable(entry.update.error.partition("\n")[0]))
    return [*lines, *_epochs(entry.epochs)]


def _head(update: UpdateRecord) -> str:
    started = datetime.fromtimestamp(update.started, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    status = screen.paint(update.status.value, fg=_COLOURS.get(update.status.value))
    seconds = elapsed(update.started, update.ended)
    took = f" in {duration(seconds)}" if seconds is not None else ""
    head = screen.paint(f"{update.id}", bold=True)
    return f"{head}  {started}  {printable(update.command)}  {status}{took}"


def _epochs(epochs: Sequence[Epoch]) -> list[str]:
    if not epochs:
        return []
    width = screen.width()
    rows = [_epoch(e) for e in epochs]
    return [f"  {line}" for line in grid(HEADERS, rows, width=width and width - 2)]


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
        counts.quarantined + counts.malformed,
        counts.dropped,
        Cell("–" if seconds is None else duration(seconds), right=True),
        violated,
    ]
