"""What is left on the screen after an update: tables, violations and what to type next."""

from __future__ import annotations

import shlex
from pathlib import Path

from qanat.cli import screen
from qanat.cli.grid import Cell, Value, grid
from qanat.cli.options import Place
from qanat.model.dataset import DatasetKind
from qanat.observe.terminal.amounts import count, duration
from qanat.run.results import DatasetResult, UpdateResult

MOST = 60
"""Datasets listed one by one before unchanged ones are only counted."""

_COLOURS = {"updated": "green", "failed": "red", "skipped": "yellow", "unchanged": "dim"}
_FATES = {
    "warn": "kept",
    "drop": "dropped",
    "quarantine": "quarantined",
    "fail": "nothing published",
}


def summary(result: UpdateResult, place: Place) -> str:
    """The text after an update.

    Args:
        place: as the command line named it, to be repeated in the commands to type next.
    """
    if all(d.status == "unchanged" for d in result.datasets) and result.status != "failed":
        current = count(len(result.datasets), "dataset is", "datasets are")
        return f"Nothing new: read 0 files, wrote 0 rows. {current} up to date."
    width = screen.width()
    listed = list(result.datasets)
    if len(listed) > MOST:
        listed = [d for d in listed if d.status != "unchanged"]
    headers = ["Dataset", "Status", "Files", "Read", "Written", "Quarantined", "Dropped"]
    headers += ["Time", "Kind"]  # what a narrow terminal can do without comes last
    lines = grid(headers, [_row(d) for d in listed], width=width)
    if len(listed) < len(result.datasets):
        lines.append(f"… and {len(result.datasets) - len(listed):,} unchanged")
    violated = [r for d in result.datasets for r in d.rules if r.violations]
    if violated:
        rules: list[list[Value]] = [
            [f"{r.dataset}.{r.rule}", r.violations, _FATES.get(r.action, r.action)]
            for r in violated
        ]
        lines += ["", *grid(["Expectation", "Violations", "Rows were"], rows=rules, width=width)]
    lines += ["", _verdict(result)]
    hints = _next(result, place)
    if hints:
        widest = max(len(typed) for typed, _ in hints)
        lines += ["", "What to type next:"]
        lines += [f"  {typed:{widest}}  {why}" for typed, why in hints]
    return "\n".join(lines)


def _row(result: DatasetResult) -> list[Value]:
    status = Cell(result.status, _COLOURS.get(result.status))
    if result.status != "updated":
        return [result.dataset, status, None, None, None, None, None, None, result.kind]
    counts = result.counts
    return [
        result.dataset,
        status,
        result.files or None,
        result.read,
        counts.written,
        counts.quarantined + counts.malformed,
        counts.dropped,
        Cell(duration(result.seconds), right=True),
        result.kind,
    ]


def _verdict(result: UpdateResult) -> str:
    failed = len(result.failed)
    took = duration(result.seconds)
    if result.status != "failed" and not failed:
        return screen.paint(f"Update succeeded in {took}.", fg="green", bold=True)
    skipped = sum(d.status == "skipped" for d in result.datasets)
    text = f"Update failed after {took}: {count(failed, 'dataset')} failed"
    if skipped:
        depend = "depends" if skipped == 1 else "depend"
        text += f", {skipped:,} that {depend} on {'it' if failed == 1 else 'them'} skipped"
    return screen.paint(text + ".", fg="red", bold=True)


def _next(result: UpdateResult, place: Place) -> list[tuple[str, str]]:
    """Commands that make sense now, each with what it does."""
    where = "" if place.start == Path() else f" -C {shlex.quote(str(place.start))}"
    where += f" -e {shlex.quote(place.environment)}" if place.environment else ""
    hints = []
    updated = [d for d in result.datasets if d.status == "updated"]
    full = [d for d in updated if d.counts.written and d.kind != DatasetKind.SINK]
    views = [d for d in full if d.kind == DatasetKind.MATERIALIZED_VIEW]
    for best in (views or full)[-1:]:
        hints.append((f"qanat show {shlex.quote(best.dataset)}{where}", "look at the result"))
    jailed = [d for d in updated if d.counts.quarantined or d.counts.malformed]
    for worst in sorted(jailed, key=lambda d: d.counts.quarantined + d.counts.malformed)[-1:]:
        typed = f"qanat quarantine show {shlex.quote(worst.dataset)}{where}"
        hints.append((typed, "see the rows in quarantine and why they are there"))
    if not result.failed:
        hints.append((f"qanat run{where}", "run again: only what is new is read"))
    return hints
