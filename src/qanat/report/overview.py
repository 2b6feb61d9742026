"""All datasets of a project, one line each."""

from __future__ import annotations

from collections.abc import Sequence

from qanat.report.html import heading, page, table
from qanat.report.keys import VERSION_KEY, moment
from qanat.report.shape import Key, Shape
from qanat.run.overview import DatasetSummary
from qanat.text import PLAIN, Cell, Layout, Value, count, grid, printable, utc

SUMMARY = Shape(
    "DatasetSummary",
    DatasetSummary,
    (
        *("dataset", "kind"),
        Key("table_version", "version"),
        *("rows", "bytes", "quarantined"),
        Key("updated", of=str | None, make=lambda each: each.updated and moment(each.updated)),
        "problem",
        Key("next_due", of=str | None, make=lambda each: each.next_due and moment(each.next_due)),
    ),
    "A table, materialized view or sink. `table_version` is null if it has no table (yet),\n"
    "`updated` when its last epoch was committed, `problem` why its table cannot be read,\n"
    "`next_due` when a schedule is due next that updates it; null if none is.",
)
DATASETS = Shape(
    "DatasetsDocument",
    Sequence[DatasetSummary],
    (VERSION_KEY, Key("datasets", of=list[DatasetSummary], make=list)),
    "The datasets in the order in which an update takes them.",
)
PARTS = (SUMMARY,)

_HEADERS = ("Dataset", "Kind", "Version", "Rows", "Quarantined", "Last update")


def overview_text(found: Sequence[DatasetSummary], layout: Layout = PLAIN) -> str:
    """A line for each dataset, and how many there are."""
    total = count(len(found), "dataset")
    if not found:
        return total
    headers, rows = _columns(found)
    # When something is due, people ask for first.
    spare = ("Version", "Kind") if len(headers) > len(_HEADERS) else ()
    return "\n".join([*grid(headers, rows, layout, spare), "", total])


def overview_html(found: Sequence[DatasetSummary]) -> str:
    """The same for a notebook."""
    head = heading(count(len(found), "dataset"))
    return page(head, table(*_columns(found))) if found else page(head)


def _columns(found: Sequence[DatasetSummary]) -> tuple[Sequence[str], list[list[Value]]]:
    """Headers and rows; one more column where schedules update something."""
    rows = [_row(each) for each in found]
    if all(each.next_due is None for each in found):
        return _HEADERS, rows
    due: list[Value] = [None if e.next_due is None else utc(e.next_due) for e in found]
    return (*_HEADERS, "Next due"), [[*row, each] for row, each in zip(rows, due, strict=True)]


def _row(found: DatasetSummary) -> list[Value]:
    name, kind = printable(found.dataset), found.kind
    if found.problem is not None:
        return [name, kind, Cell(printable(found.problem), "red"), "", "", _when(found)]
    return [
        name,
        kind,
        "" if found.version is None else found.version,
        "" if found.rows is None else found.rows,
        found.quarantined,
        _when(found),
    ]


def _when(found: DatasetSummary) -> str:
    return "never" if found.updated is None else utc(found.updated)
