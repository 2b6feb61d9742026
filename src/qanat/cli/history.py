"""`qanat history`: past updates and their epochs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import click

from qanat.cli import documents, screen
from qanat.cli.documents.history import elapsed, history_document
from qanat.cli.grid import Cell, Value, grid
from qanat.cli.options import Place, limit, output, place
from qanat.model.record import Epoch
from qanat.model.work import Counts
from qanat.observe.terminal.amounts import duration
from qanat.observe.terminal.characters import printable
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
@limit
@place
@output
def command(dataset: str | None, limit: int, place: Place, json: bool) -> int:
    """List past updates, newest first, with the epochs of each.

    With DATASET: only updates that worked on it, and only its epochs.
    """
    with Session.open(place.start, place.environment) as workspace:
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


def _update(entry: HistoryEntry) -> list[str]:
    update = entry.update
    started = datetime.fromtimestamp(update.started, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    status = screen.paint(update.status.value, fg=_COLOURS.get(update.status.value))
    seconds = elapsed(update.started, update.ended)
    took = f" in {duration(seconds)}" if seconds is not None else ""
    head = screen.paint(f"{update.id}", bold=True)
    lines = [f"{head}  {started}  {printable(update.command)}  {status}{took}"]
    if update.error:
        lines.append("  " + printable(update.error.partition("\n")[0]))
    return [*lines, *_epochs(entry.epochs)]


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
