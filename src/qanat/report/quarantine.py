"""Rows in quarantine: how many, which, why, and what a replay did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from qanat.model.quarantine import MALFORMED
from qanat.report.html import heading, page, table
from qanat.report.keys import VERSION_KEY
from qanat.report.shape import Key, Shape
from qanat.report.table import value_cell
from qanat.run.results import (
    DiscardResult,
    ExportResult,
    FirstRows,
    QuarantineSummary,
    ReplayResult,
)
from qanat.text import PLAIN, Cell, Layout, Value, count, grid, printable

ENTRY = Shape(
    "QuarantineEntry",
    QuarantineSummary,
    ("dataset", "rows", "rules"),
    "Rows of one dataset in quarantine; by rule, where a row may have broken several.",
)
LIST = Shape(
    "QuarantineListDocument",
    Sequence[QuarantineSummary],
    (VERSION_KEY, Key("datasets", of=list[QuarantineSummary], make=list)),
    "The datasets that have rows in quarantine.",
)
REPLAY = Shape(
    "ReplayEntry",
    ReplayResult,
    ("dataset", "examined", "replayed", "left_out", "remaining", "version"),
    "One dataset's replay: of the rows examined, how many are in the table now, and how many\n"
    "remain. A query that is computed again may leave rows out, or make several of one.",
)
REPLAYS = Shape(
    "ReplayDocument",
    Sequence[ReplayResult],
    (VERSION_KEY, Key("datasets", of=list[ReplayResult], make=list)),
    "What a replay did.",
)
DISCARD = Shape(
    "DiscardDocument",
    DiscardResult,
    (VERSION_KEY, "dataset", "discarded", "remaining"),
    "What a discard has thrown away of the quarantine of one dataset.",
)
EXPORT = Shape(
    "ExportDocument",
    ExportResult,
    (VERSION_KEY, "dataset", "file", "rows"),
    "How many rows of the quarantine of one dataset were written to a file.",
)
PARTS = (ENTRY, REPLAY)

_EXPLAINING = "_quarantine_"
"""How the columns begin that say why a row is in quarantine."""
_HEADERS = ("Dataset", "Rows", "Rule", "Violations")
_NOTHING = "No row is in quarantine."
_NO_REPLAY = "No streaming table has a row in quarantine: there is nothing to replay."


def summary_text(summaries: Sequence[QuarantineSummary], layout: Layout = PLAIN) -> str:
    """How many rows are in quarantine, by dataset and rule."""
    lines = [line for s in summaries for line in _summary(s)]
    return "\n".join(grid(_HEADERS, lines, layout)) if lines else _NOTHING


def summary_html(summaries: Sequence[QuarantineSummary]) -> str:
    """The same for a notebook."""
    lines = [line for s in summaries for line in _summary(s)]
    return page(table(_HEADERS, lines) if lines else heading(_NOTHING, "ok"))


def _summary(summary: QuarantineSummary) -> Iterator[list[Value]]:
    rules: list[tuple[str, int | None]] = list(summary.rules.items()) or [("", None)]
    for at, (rule, number) in enumerate(rules):
        first = at == 0
        total = summary.rows if first else Cell("", right=True)
        yield [summary.dataset if first else "", total, rule, number]


def rows_text(first: FirstRows, tables: Path, root: Path, layout: Layout = PLAIN) -> str:
    """Rows in quarantine, each with its source, the rules it broke and its values.

    Args:
        tables, root: folders of the project's tables and of the project, to shorten paths.
    """
    names = first.schema.names
    parts = []
    for number, values in enumerate(first.rows, 1):
        row = dict(zip(names, values, strict=True))
        parts.append("\n".join(_row(number, row, tables, root, layout)) + "\n")
    shown = len(first.rows)
    total = count(shown, "row") + " in quarantine"
    if first.total is not None and first.total != shown:
        total = f"{shown:,} of {count(first.total, 'row')} in quarantine"
    return "\n".join([*parts, total])


def _row(
    number: int, row: Mapping[str, Any], tables: Path, root: Path, layout: Layout
) -> Iterator[str]:
    yield layout.paint(f"{number}. {_source(row, tables, root)}", "bold")
    rules = dict(row.get("_quarantine_rules") or {})
    for rule, text in rules.items():
        broke = layout.paint(f"✗ {printable(str(rule))}", "red")
        yield f"   {broke}: {printable(str(text))}"
    raw = row.get("_quarantine_raw")
    if raw is not None:
        # Of a row that was parsed, the values are kept as JSON.
        label = "text" if MALFORMED in rules else "row"
        yield f"   {label}: {printable(str(raw))}"
    values = [
        f"{printable(name)}={printable(value_cell(value).text)}"
        for name, value in row.items()
        if not name.startswith(_EXPLAINING) and (raw is None or value is not None)
    ]
    if values:
        yield "   " + layout.paint(", ".join(values), "dim")


def _source(row: Mapping[str, Any], tables: Path, root: Path, brief: bool = False) -> str:
    """Where a row came from: `file:line` of a source, or the row of a table's file.

    Args:
        brief: without the name of a table's file, and what is not known of it.
    """
    origin = row.get("_quarantine_origin") or row.get("_quarantine_source") or {}
    file, line = origin.get("file"), origin.get("row")
    if file is None:
        flow, epoch = row.get("_quarantine_flow"), row.get("_quarantine_epoch")
        return printable(f"flow {flow}, epoch {epoch}")
    told = _placed(str(file), line, tables, root, brief)
    if through := origin.get("through"):
        told += f", through {printable(', '.join(through))}"
    remarks = []
    if (alike := origin.get("alike") or 1) > 1:
        remarks.append(f"one of {alike:,} rows that are alike")
    if origin.get("note") and not brief:
        remarks.append(printable(str(origin["note"])))
    return f"{told} ({'; '.join(remarks)})" if remarks else told


def origin_of(sample: FirstRows, row: Mapping[str, Any]) -> str:
    """Where a sampled row came from, in few words."""
    # <root>/<storage>/tables/<dataset>__quarantine; sources elsewhere are shown in full.
    tables = Path(sample.folder).parent
    return _source(row, tables, tables.parent.parent, brief=True)


def _placed(file: str, line: int | None, tables: Path, root: Path, brief: bool) -> str:
    path = Path(file)
    if path.is_relative_to(tables):
        table_name, *_, name = path.relative_to(tables).parts
        return printable(f"{table_name}, row {line}" + ("" if brief else f" of {name}"))
    shown = path.relative_to(root) if path.is_relative_to(root) else file
    return printable(str(shown)) + (f":{line}" if line is not None else "")


def rows_html(first: FirstRows, tables: Path, root: Path) -> str:
    """Rows in quarantine for a notebook: why, from where, and their values."""
    names = first.schema.names
    own = [n for n in names if not n.startswith(_EXPLAINING)]
    rows: list[list[Value]] = []
    for values in first.rows:
        row = dict(zip(names, values, strict=True))
        rules = ", ".join(map(str, dict(row.get("_quarantine_rules") or {})))
        why: list[Value] = [Cell(rules, "red"), _source(row, tables, root, brief=True)]
        rows.append([*why, *(value_cell(row[n]) for n in own)])
    total = count(len(rows) if first.total is None else first.total, "row")
    head = heading(first.dataset, remark=f"{total} in quarantine")
    return page(head, table(("Broke", "From", *own), rows)) if rows else page(head)


def replay_text(results: Sequence[ReplayResult], layout: Layout = PLAIN) -> str:
    """What a replay did."""
    if not any(r.examined for r in results):
        return _NO_REPLAY
    return "\n".join(grid(*_replayed(results), layout))


def discard_text(result: DiscardResult) -> str:
    """What a discard has thrown away."""
    rows, left = count(result.discarded, "row"), count(result.remaining, "row")
    where = f"the quarantine of {printable(result.dataset)}"
    return f"Discarded {rows} of {where}; {left} left."


def replay_html(results: Sequence[ReplayResult]) -> str:
    """The same for a notebook."""
    if not any(r.examined for r in results):
        return page(heading(_NO_REPLAY))
    return page(table(*_replayed(results)))


def _replayed(results: Sequence[ReplayResult]) -> tuple[list[str], list[list[Value]]]:
    """Headers and lines of a table; what was left out has a column only if something was."""
    headers = ["Dataset", "Examined", "Replayed", "Still in quarantine", "Version"]
    lines: list[list[Value]] = [
        [r.dataset, r.examined, r.replayed, r.remaining, r.version] for r in results
    ]
    if any(r.left_out for r in results):
        headers.insert(3, "Left out")
        for line, result in zip(lines, results, strict=True):
            line.insert(3, result.left_out)
    return headers, lines
