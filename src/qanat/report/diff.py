"""What two tables have that the other has not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from qanat.model.comparison import (
    Change,
    ColumnChanges,
    Compared,
    Diff,
    DiffSide,
    TypeDifference,
)
from qanat.report import page as pages
from qanat.report.html import Mood, Part, heading, page, table
from qanat.report.keys import SECONDS_KEY, VERSION_KEY
from qanat.report.plots import bars
from qanat.report.shape import Key, Shape, rows_of
from qanat.report.table import value_cell
from qanat.text import PLAIN, Layout, Value, count, duration, grid, printable

SIDE = Shape(
    "DiffSide",
    DiffSide,
    ("name", Key("table_version", "version"), "rows"),
    "One side as it was asked for. `rows` is null where that is not known without reading all.",
)
COMPARED = Shape(
    "DiffCompared",
    Compared,
    ("read", "null_keys", "duplicates", "only"),
    "What was read of a side: `only` are rows that the other has not. `duplicates` have the key\n"
    "of another row, among those that were looked at row by row.",
)
CHANGE = Shape(
    "DiffChange", Change, ("key", "left", "right"), "One value that differs, by the row's key."
)
COLUMN = Shape(
    "DiffColumn",
    ColumnChanges,
    ("column", "rows", Key("samples", of=list[Change], make=lambda each: each.samples)),
    "A column in which rows with one key differ: in how many, and the first of them.",
)
TYPES = Shape(
    "DiffType",
    TypeDifference,
    ("column", "left", "right"),
    "A column that has other types on both sides. Alone it is no difference.",
)


def _samples(side: str) -> Key:
    def make(found: Diff) -> list[dict[str, Any]]:
        return rows_of(found.differences.shown, getattr(found.differences, side).samples)

    return Key(f"only_{side}_samples", of=list[dict[str, Any]], make=make)


DIFF = Shape(
    "DiffDocument",
    Diff,
    (
        *(VERSION_KEY, "left", "right", Key("same", "differences.same")),
        *(Key(name, f"differences.{name}") for name in ("keys", "columns", "changed", "changes")),
        *("keyed", Key("left_rows", "differences.left"), Key("right_rows", "differences.right")),
        *(_samples("left"), _samples("right")),
        Key("only_left_columns", "differences.only_left"),
        Key("only_right_columns", "differences.only_right"),
        *(Key("types", "differences.types"), Key("shared_files", "shared"), SECONDS_KEY),
    ),
    "Two tables compared by keys. `same` is false if rows or columns differ; `keyed` says where\n"
    "the keys come from: `given`, `declared` or `found`.",
)
PARTS = (SIDE, COMPARED, CHANGE, COLUMN, TYPES)

_HEADERS = ("", "Rows", "Only here", "NULL keys", "Duplicate keys")


def verdict(found: Diff) -> str:
    """In one sentence what there is to know."""
    names = f"{printable(found.left.name)} and {printable(found.right.name)}"
    differences = found.differences
    if differences.same:
        return f"{names} have the same rows"
    parts = [
        f"{count(number, 'row')} {text}"
        for number, text in (
            (differences.left.only, f"only in {printable(found.left.name)}"),
            (differences.right.only, f"only in {printable(found.right.name)}"),
            (differences.changed, "changed"),
        )
        if number
    ]
    return "; ".join(parts) or f"{names} have different columns"


def diff_text(found: Diff, layout: Layout = PLAIN) -> str:
    """Counts, then for each kind of difference its first rows."""
    lines = [layout.paint(f"{verdict(found)}.", "bold"), "", *_facts(found), ""]
    lines += grid(_HEADERS, _sides(found), layout)
    for title, headers, rows in _tables(found):
        lines += ["", layout.paint(title, "bold"), *grid(headers, rows, layout)]
    return "\n".join(lines)


def diff_html(found: Diff) -> str:
    """The same for a notebook."""
    mood: Mood = "ok" if found.differences.same else "bad"
    parts: list[Part] = [heading(f"{verdict(found)}.", mood), table(_HEADERS, _sides(found))]
    for title, headers, rows in _tables(found):
        parts += [heading(title), table(headers, rows)]
    return page(*parts)


def diff_page(found: Diff) -> str:
    """The same as a page of its own."""
    differences = found.differences
    subject = f"Qanat diff of {found.left.name} and {found.right.name}"
    mood: Mood = "ok" if differences.same else "bad"
    parts = [
        pages.head(subject, f"{verdict(found)}.", mood, " ".join(_facts(found))),
        pages.table(_HEADERS, _sides(found), "Both sides"),
    ]
    if differences.changes:
        changed = differences.changes
        plot = bars([c.column for c in changed], [c.rows for c in changed], "Rows by column")
        parts.append(pages.section("Changed values by column", plot))
    parts += [
        pages.section(title, pages.table(headers, rows, title))
        for title, headers, rows in _tables(found)
    ]
    return pages.frame(subject, *parts)


def _facts(found: Diff) -> Iterator[str]:
    how = {"given": "", "declared": " (as declared)", "found": " (found in the data)"}
    keys = printable(", ".join(found.differences.keys))
    yield f"Matched by {keys}{how[found.keyed]}, in {duration(found.seconds)}."
    if found.shared:
        yield f"{count(found.shared, 'file')} of both versions were not read."


def _sides(found: Diff) -> list[list[Value]]:
    both = ((found.left, found.differences.left), (found.right, found.differences.right))
    return [
        [printable(side.name), side.rows, rows.only, rows.null_keys, rows.duplicates]
        for side, rows in both
    ]


def _tables(found: Diff) -> Iterator[tuple[str, Sequence[str], list[list[Value]]]]:
    """What differs, as tables with a title."""
    differences = found.differences
    left, right = printable(found.left.name), printable(found.right.name)
    columns: list[list[Value]] = [[c, f"only in {left}", ""] for c in differences.only_left]
    columns += [[c, "", f"only in {right}"] for c in differences.only_right]
    columns += [[t.column, t.left, t.right] for t in differences.types]
    if columns:
        yield "Columns that differ", ("Column", left, right), columns
    for each in differences.changes:
        rows: list[list[Value]] = [
            [*map(value_cell, c.key), value_cell(c.left), value_cell(c.right)]
            for c in each.samples
        ]
        title = f"{printable(each.column)}: {count(each.rows, 'row')} changed"
        title += _first(rows, each.rows)
        yield title, (*differences.keys, left, right), rows
    for name, side in ((left, differences.left), (right, differences.right)):
        if side.only:
            title = f"{count(side.only, 'row')} only in {name}{_first(side.samples, side.only)}"
            yield title, differences.shown, [[*map(value_cell, row)] for row in side.samples]


def _first(shown: Sequence[object], total: int) -> str:
    """What a title says where its table has only the first of all rows."""
    return f", the first {len(shown):,}" if 0 < len(shown) < total else ""
