"""The columns of a table, of files or of a query, described."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from qanat.model.profile import (
    CandidateKey,
    ColumnProfile,
    Method,
    Profile,
    Profiled,
    Texts,
)
from qanat.report.html import Part, heading, page, table
from qanat.report.plots import short
from qanat.report.profile.figures import (
    blocks,
    bound,
    estimated,
    is_whole,
    share_of,
    shortened,
    span,
    value_text,
)
from qanat.text import (
    GAP,
    PLAIN,
    Cell,
    Layout,
    Value,
    cells,
    clip,
    count,
    grid,
    printable,
)

_DETAILED = 3
"""Columns at most that are shown with all of their bins and values."""
_BAR, _NAME = 24, 28
"""Columns of a terminal: of the longest bar, and of a column's name at the most."""

Table = tuple[str, Sequence[str], list[list[Value]]]
"""A title, headers and lines."""


def title(found: Profile) -> str:
    """What was looked at, on one line."""
    where = "" if found.where is None else f" where {printable(found.where)}"
    parts = [] if found.version is None else [f"version {found.version}"]
    parts.append(count(found.profiled.rows, "row") + where)
    return ", ".join([*parts, count(len(found.profiled.columns), "column")])


def remark(found: Profiled) -> str:
    """How what is not exact was found; empty if all is."""
    methods = {m for c in found.columns for m in (c.values_by, c.distinct_by)}
    if methods <= {Method.EXACT}:
        return ""
    return (
        f"~ marks what is not exact: frequent values, quantiles and patterns of columns with many"
        f" values are those of {count(found.sampled, 'row')}."
    )


def profile_text(found: Profile, layout: Layout = PLAIN) -> str:
    """Columns with small histograms, then numbers, frequent values, patterns, keys, relations."""
    lines = [f"{layout.paint(printable(found.name), 'bold')}: {title(found)}"]
    if said := remark(found.profiled):
        lines.append(layout.paint(said, "dim"))
    for name, headers, rows in tables(found.profiled):
        above = ["", layout.paint(name, "bold")] if name else [""]
        lines += [*above, *grid(headers, rows, layout, _SPARE)]
    columns = found.profiled.columns
    if len(columns) <= _DETAILED:
        for column in columns:
            lines += _details(column, layout)
        return "\n".join(lines)
    for name, listed in (("Most frequent values", top_line), ("Patterns of texts", pattern_line)):
        pairs = [(c.name, line) for c in columns if (line := listed(c))]
        if pairs:
            lines += ["", layout.paint(name, "bold"), *_labelled(pairs, layout)]
    return "\n".join(lines)


_SPARE = ("Lowest", "Highest", "5 %", "95 %", "Deviation", "Mean length", "Padded")


def tables(found: Profiled) -> Iterator[Table]:
    """What is known of columns and of pairs of them, as tables."""
    yield "", _COLUMNS, [_column(c) for c in found.columns]
    numbers = [_number(c) for c in found.columns if c.quantiles or c.numbers]
    if numbers:
        yield "Numbers and times", _NUMBERS, numbers
    texts = [_text(c, c.texts) for c in found.columns if c.texts]
    if texts:
        yield "Texts", _TEXTS, texts
    if found.keys:
        keys = [[", ".join(k.columns), _examined(found, k)] for k in found.keys]
        yield "Columns that tell rows apart", ("Columns", "In"), [[*k] for k in keys]
    if found.associations:
        pairs = found.associations
        lines: list[list[Value]] = [
            [p.one, p.other, p.measure, Cell(f"{p.value:.2f}", right=True)] for p in pairs
        ]
        yield "Columns that go together", ("Column", "With", "Measure", "Value"), lines


_COLUMNS = ("Column", "Type", "NULL", "Distinct", "Distribution", "Lowest", "Highest", "Remarks")
_NUMBERS = ("Column", "Mean", "Deviation", "5 %", "Median", "95 %", "Zeros", "Negative")
_TEXTS = ("Column", "Shortest", "Longest", "Mean length", "Empty", "Padded")


def _column(column: ColumnProfile) -> list[Value]:
    nulls = column.nulls_share
    return [
        column.name,
        column.type,
        Cell(share_of(column.nulls, column.rows), "yellow" if nulls else "dim", right=True),
        Cell(estimated(column.distinct, column.distinct_by), right=True),
        blocks(column.histogram),
        bound(column.low),
        bound(column.high),
        remarks(column),
    ]


def remarks(column: ColumnProfile) -> str:
    """What is worth saying of a column in words."""
    said = [*column.hints]
    if column.numbers is not None and column.numbers.not_finite:
        said.append(f"{column.numbers.not_finite:,} NaN or infinite")
    if column.entries is not None:
        said.append(f"{column.entries.fewest:,} to {column.entries.most:,} entries")
    return ", ".join(said)


def _number(column: ColumnProfile) -> list[Value]:
    numbers = column.numbers
    middle = [Cell(shortened(column.quantile(s)), right=True) for s in (0.05, 0.5, 0.95)]
    if numbers is None:
        return [column.name, None, None, *middle, None, None]
    return [
        column.name,
        _figure(numbers.mean),
        _figure(numbers.deviation),
        *middle,
        Cell(share_of(numbers.zeros, column.rows), right=True),
        Cell(share_of(numbers.negatives, column.rows), right=True),
    ]


def _text(column: ColumnProfile, texts: Texts) -> list[Value]:
    return [
        column.name,
        texts.shortest,
        texts.longest,
        _figure(texts.mean_length),
        Cell(share_of(texts.empty, column.rows), right=True),
        Cell(share_of(texts.padded, column.rows), right=True),
    ]


def _figure(value: float | None) -> Value:
    return None if value is None else Cell(short(value), right=True)


def _examined(found: Profiled, key: CandidateKey) -> str:
    if key.by is Method.EXACT:
        return "all rows"
    return f"{count(key.examined, 'row')} of {found.rows:,} that were compared"


def top_line(column: ColumnProfile) -> str:
    """The most frequent values of a column in a line, with their shares."""
    mark = "" if column.values_by is Method.EXACT else "~"
    return " · ".join(f"{value_text(v)} {mark}{share_of(v.rows, column.rows)}" for v in column.top)


def pattern_line(column: ColumnProfile) -> str:
    """The patterns of a column of texts in a line."""
    if column.texts is None:
        return ""
    mark = "" if column.texts.patterns_by is Method.EXACT else "~"
    patterns = column.texts.patterns
    return " · ".join(f"{value_text(p)} {mark}{share_of(p.rows, column.rows)}" for p in patterns)


def _labelled(pairs: Sequence[tuple[str, str]], layout: Layout) -> list[str]:
    """Lines that begin with a name, cut where the width ends."""
    names = [clip(printable(name), _NAME) for name, _ in pairs]
    wide = max(map(cells, names))
    room = None if layout.width is None else max(layout.width - wide - len(GAP), 10)
    lines = []
    for name, (_, line) in zip(names, pairs, strict=True):
        shown = line if room is None else clip(line, room)
        lines.append(f"{name}{' ' * (wide - cells(name))}{GAP}{shown}")
    return lines


def _details(column: ColumnProfile, layout: Layout) -> Iterator[str]:
    """One column with all of its bins and values."""
    patterns = column.texts.patterns if column.texts is not None else ()
    listed: list[tuple[str, Sequence[tuple[str, int]]]] = [
        ("distribution", [(span(b, is_whole(column)), b.rows) for b in column.histogram]),
        ("most frequent values", [(value_text(v), v.rows) for v in column.top]),
        ("patterns", [(value_text(p), p.rows) for p in patterns]),
    ]
    for name, entries in listed:
        if entries:
            yield ""
            yield layout.paint(f"{printable(column.name)}: {name}", "bold")
            most = max(rows for _, rows in entries) or 1
            lines: list[list[Value]] = [
                [
                    Cell(text),
                    Cell(share_of(rows, column.rows), right=True),
                    Cell("█" * max(round(rows / most * _BAR), 1 if rows else 0)),
                ]
                for text, rows in entries
            ]
            # Without a line of headers, which would say nothing.
            yield from grid(("", "", ""), lines, layout)[1:]


def profile_html(found: Profile) -> str:
    """The same for a notebook."""
    parts: list[Part] = [heading(found.name, remark=title(found))]
    for name, headers, rows in tables(found.profiled):
        parts += [heading(name)] if name else []
        parts.append(table(headers, rows))
    for name, listed in (("Most frequent values", top_line), ("Patterns of texts", pattern_line)):
        lines: list[list[Any]] = [
            [c.name, line] for c in found.profiled.columns if (line := listed(c))
        ]
        if lines:
            parts += [heading(name), table(("Column", "Values"), lines)]
    return page(*parts, heading("", remark=remark(found.profiled)))
