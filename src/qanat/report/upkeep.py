"""What maintenance did with each table, or would do."""

from __future__ import annotations

from qanat.model.upkeep import Cleaned, TableUpkeep, Upkeep
from qanat.report.html import heading, page, table
from qanat.report.keys import VERSION_KEY
from qanat.report.shape import Key, Shape
from qanat.text import PLAIN, Layout, Value, count, grid, printable, size

CLEANED = Shape(
    "Cleaned",
    Cleaned,
    ("files", "bytes", "entries", "oldest", "checkpoint"),
    "What went of a table's past: data files and their bytes, and files of the log.\n\n"
    "`oldest` is the oldest version that can be read afterwards, `checkpoint` the version of the\n"
    "checkpoint that was written.",
)
TABLE = Shape(
    "MaintainedTable",
    TableUpkeep,
    (
        *("table", "version", "files_before", "files_after", "bytes_before", "bytes_after"),
        *("compacted", "cleaned", "kept_for", "note"),
    ),
    "One table: a dataset's, or its quarantine.\n\n"
    "`compacted` is how many files became fewer, `kept_for` which datasets have still to read\n"
    "rows of it as a stream, `note` why something was not done.",
)
MAINTENANCE = Shape(
    "MaintenanceDocument",
    Upkeep,
    (
        VERSION_KEY,
        Key("update", of=str | None, make=lambda result: result.id or None),
        *("environment", "dry_run", "tables"),
    ),
    "What maintenance did; with `dry_run`, what it would do.",
)
PARTS = (CLEANED, TABLE)

_HEADERS = (
    "Table",
    "Files",
    "Bytes",
    "Compacted",
    "Old files",
    "Freed",
    "Log entries",
    "Checkpoint",
)


def maintenance_text(result: Upkeep, layout: Layout = PLAIN) -> str:
    """The tables, and what is to be said of them."""
    if not result.tables:
        return "There is no table yet."
    lines = grid(_HEADERS, [_row(t) for t in result.tables], layout)
    notes = [note for t in result.tables for note in _notes(t)]
    verdict = layout.paint(_verdict(result), "bold" if result.dry_run else "bold green")
    return "\n".join([*lines, "", *notes, verdict])


def maintenance_html(result: Upkeep) -> str:
    """The same for a notebook."""
    notes = [heading(note, "ok") for t in result.tables for note in _notes(t)]
    rows = table(_HEADERS, [_row(t) for t in result.tables])
    return page(heading(_verdict(result), "ok"), rows, *notes)


def _row(found: TableUpkeep) -> list[Value]:
    before, after = found.files_before, found.files_after
    return [
        found.table,
        f"{before:,}" if before == after else f"{before:,} → {after:,}",
        size(found.bytes_after),
        found.compacted,
        found.cleaned.files,
        size(found.cleaned.bytes),
        found.cleaned.entries,
        found.cleaned.checkpoint,
    ]


def _notes(found: TableUpkeep) -> list[str]:
    name = printable(found.table)
    notes = [f"{name}: {printable(found.note)}."] if found.note else []
    if found.kept_for:
        readers = ", ".join(map(printable, found.kept_for))
        notes.append(f"{name}: what {readers} has still to read is kept.")
    return notes


def _verdict(result: Upkeep) -> str:
    busy = [t for t in result.tables if not t.idle]
    if not busy:
        return "Nothing to do."
    what = count(len(busy), "table")
    return f"{what} would be maintained." if result.dry_run else f"Maintained {what}."
