"""The columns of a table, of files or of a query, described."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from qanat.model.profile import (
    CandidateKey,
    ColumnProfile,
    Method,
    Profile,
    Profiled,
    Texts,
    ValueCount,
)
from qanat.report.html import Part, heading, page, table
from qanat.report.plots import short
from qanat.report.profile.figures import (
    blocks,
    estimated,
    is_whole,
    range_text,
    share_of,
    shortened,
    span,
    telling_patterns,
    telling_values,
    value_text,
)
from qanat.text import (
    GAP,
    PLAIN,
    WIDEST,
    Cell,
    Layout,
    Value,
    cells,
    clip,
    count,
    grid,
    printable,
)

_SHOWN = 5
"""Values of a column in a line at most."""
_DETAILED = 3
"""Columns at most that are shown with all of their bins and values."""
_BAR, _NAME, _TYPE = 24, 28, 20
"""Columns of a terminal: of the longest bar, and of a column's name and type at the most."""

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
    if found.sampled < found.rows:
        return (
            "~ marks what is not exact: frequent values, quantiles and patterns of columns with"
            f" many values are those of {count(found.sampled, 'row')}."
        )
    exact = all(c.distinct_by is Method.EXACT for c in found.columns)
    return "" if exact else "~ marks numbers of different values that are not exact."


def profile_text(found: Profile, layout: Layout = PLAIN) -> str:
    """Columns with small histograms, then numbers, frequent values, patterns, keys, relations."""
    lines = [f"{layout.paint(printable(found.name), 'bold')}: {title(found)}"]
    lines += [
        layout.paint(line, "dim") for line in wrap(remark(found.profiled), layout.width or 100)
    ]
    for name, headers, rows in tables(found.profiled):
        above = ["", layout.paint(name, "bold")] if name else [""]
        lines += [*above, *grid(headers, rows, layout, _SPARE)]
    columns = found.profiled.columns
    detailed = len(columns) <= _DETAILED
    for name, listed in _LISTS[:1] if detailed else _LISTS:
        pairs = [(c.name, line) for c in columns if (line := listed(c))]
        if pairs:
            lines += ["", layout.paint(name, "bold"), *_labelled(pairs, layout)]
    for column in columns if detailed else ():
        lines += _details(column, layout)
    return "\n".join(lines)


_SPARE = ("Range", "5 %", "95 %", "Deviation", "Mean length", "Padded")


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
        keys = [[", ".join(k.columns), examined(found, k)] for k in found.keys]
        yield "Columns that tell rows apart", ("Columns", "Compared"), [[*k] for k in keys]
    if found.associations:
        pairs = found.associations
        lines: list[list[Value]] = [
            [p.one, p.other, p.measure, Cell(f"{p.value:.2f}", right=True)] for p in pairs
        ]
        yield "Columns that go together", ("Column", "With", "Measure", "Value"), lines


_COLUMNS = ("Column", "Distribution", "NULL", "Distinct", "Type", "Range")
_NUMBERS = ("Column", "Mean", "Deviation", "5 %", "Median", "95 %", "Zeros", "Negative")
_TEXTS = ("Column", "Shortest", "Longest", "Mean length", "Empty", "Padded")


def _column(column: ColumnProfile) -> list[Value]:
    nulls = "yellow" if column.nulls else "dim"
    return [
        column.name,
        blocks(column.histogram),
        Cell(share_of(column.nulls, column.rows), nulls, right=True),
        Cell(estimated(column.distinct, column.distinct_by), right=True),
        clip(column.type, _TYPE),
        range_text(column),
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


def examined(found: Profiled, key: CandidateKey) -> str:
    """Of how many rows it is known that a key tells them apart."""
    if key.by is Method.EXACT:
        return "all rows"
    return f"{key.examined:,} of {count(found.rows, 'row')}"


def top_line(column: ColumnProfile) -> str:
    """The most frequent values of a column in a line, with their shares."""
    mark = "" if column.values_by is Method.EXACT else "~"
    return _shares(telling_values(column)[:_SHOWN], mark, column.rows)


def pattern_line(column: ColumnProfile) -> str:
    """The patterns of a column of texts in a line."""
    if column.texts is None:
        return ""
    mark = "" if column.texts.patterns_by is Method.EXACT else "~"
    return _shares(telling_patterns(column)[:_SHOWN], mark, column.rows)


def _shares(values: Sequence[ValueCount], mark: str, rows: int) -> str:
    shown = ((clip(value_text(v), WIDEST), share_of(v.rows, rows)) for v in values)
    return " · ".join(f"{text} {mark}{share}" for text, share in shown)


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
    listed: list[tuple[str, Sequence[tuple[str, int]]]] = [
        ("distribution", [(span(b, is_whole(column)), b.rows) for b in column.histogram]),
        ("most frequent values", [(value_text(v), v.rows) for v in telling_values(column)]),
        ("patterns", [(value_text(p), p.rows) for p in telling_patterns(column)]),
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
    for name, listed in _LISTS:
        lines = [[c.name, line] for c in found.profiled.columns if (line := listed(c))]
        if lines:
            parts += [heading(name), table(("Column", ""), lines)]
    return page(*parts, heading("", remark=remark(found.profiled)))


_LISTS = (
    ("Remarks", remarks),
    ("Most frequent values", top_line),
    ("Patterns of texts", pattern_line),
)
