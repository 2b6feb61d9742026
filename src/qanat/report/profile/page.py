"""A profile as an HTML page: columns at a glance, pairs of them, then each with its plots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from qanat.model.profile import Association, ColumnProfile, Method, Profile, Profiled, ValueCount
from qanat.report import plots
from qanat.report.html import Inline, Part, text
from qanat.report.page import (
    contents,
    facts,
    folded,
    frame,
    head,
    paragraph,
    scrolling,
    section,
    table,
)
from qanat.report.profile.figures import (
    bound,
    estimated,
    is_whole,
    share_of,
    shortened,
    span,
    telling_patterns,
    telling_values,
    value_text,
)
from qanat.report.profile.text import examined, remark, remarks
from qanat.text import Cell, Value, clip, count, duration, percent, printable

_OPEN, _DRAWN = 24, 300
"""Columns at most whose parts are unfolded; and that are drawn at all."""
_MATRIX, _SHORT = 24, 22
"""Columns of the matrix, and letters of a bound in the table of all columns, at most."""
_MOODS = {-1: "--bad", 1: "--curve"}
_STYLE = """
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr));
  gap: .4rem 2.5rem; margin-top: .8rem; align-items: start; }
.pair h4 { font-size: .9rem; margin: .5rem 0 .2rem; }
table.matrix { min-width: 0; font-size: .82rem; } table.matrix th { font-weight: 400; }
table.matrix thead th { writing-mode: vertical-rl; transform: rotate(180deg); padding: .4rem .2rem;
  border: 0; max-height: 9rem; overflow: hidden; text-overflow: ellipsis; }
table.matrix td { padding: .3rem .4rem; text-align: center; min-width: 2.9rem;
  border: 1px solid var(--line); }
table.matrix td.self { background: var(--faint); }
section h3 small { margin-left: .5em; }
.columns > section { border-top: 1px solid var(--line); padding-top: .3rem; margin-top: 1.6rem; }
dl.small { background: var(--page); } dl.small div { box-shadow: 0 0 0 1px var(--line); }
dl.small dd { font-size: 1rem; } .pair h4 small { font-weight: 400; }
"""


def profile_page(found: Profile) -> str:
    """The page: one file without scripts, which loads nothing."""
    described = found.profiled
    sections = {
        "remarks": ("Worth a look", [*_remarked(described)]),
        "columns": ("Columns", [*_overview(described)]),
        "keys": ("Columns that tell rows apart", [*_keys(described)]),
        "together": ("Columns that go together", [*_together(described)]),
        "each": ("Column by column", [*_each(described)]),
    }
    shown = {anchor: name for anchor, (name, parts) in sections.items() if parts}
    subject = f"Qanat: profile of {found.name}"
    return frame(
        subject,
        head(subject, f"{_verdict(found.profiled)}.", "plain", _how(found)),
        facts(_figures(described)),
        contents(shown),
        *(section(name, *parts, anchor=anchor) for anchor, (name, parts) in sections.items()),
        style=_STYLE,
    )


def _verdict(found: Profiled) -> str:
    return f"{count(found.rows, 'row')}, {count(len(found.columns), 'column')}"


def _how(found: Profile) -> str:
    parts = [] if found.version is None else [f"Version {found.version}."]
    parts += [] if found.where is None else [f"Only rows where {printable(found.where)}."]
    return " ".join([*parts, remark(found.profiled), f"Took {duration(found.seconds)}."])


def _figures(found: Profiled) -> dict[str, Value]:
    values = found.rows * len(found.columns)
    missing = sum(c.nulls for c in found.columns)
    return {
        "rows": found.rows,
        "columns": len(found.columns),
        "columns with NULL": sum(1 for c in found.columns if c.nulls),
        "values that are NULL": share_of(missing, values),
        "ways to tell rows apart": len(found.keys),
        "pairs that go together": len(found.associations),
    }


def _remarked(found: Profiled) -> Iterator[Part]:
    """What somebody who sees the table for the first time should know."""
    lines = [[c.name, said] for c in found.columns for said in _odd(c)]
    if lines:
        yield table(("Column", "Remark"), lines, "Worth a look")


def _odd(column: ColumnProfile) -> Iterator[str]:
    rows, numbers, texts = column.rows, column.numbers, column.texts
    if rows and column.nulls == rows:
        yield "every value is NULL"
    elif column.nulls_share >= 0.5:
        yield f"{share_of(column.nulls, rows)} of the values are NULL"
    for hint in column.hints:
        if hint == "constant":
            yield "every value is the same"
        if hint.startswith("reads as"):
            yield f"text of which every value {hint}"
    if numbers is not None and numbers.not_finite:
        yield f"{count(numbers.not_finite, 'value')} NaN or infinite"
    if texts is not None and texts.empty:
        yield f"{count(texts.empty, 'text')} without a character"
    if texts is not None and texts.padded:
        yield f"{count(texts.padded, 'text')} with a space at the beginning or end"


def _overview(found: Profiled) -> Iterator[Part]:
    yield overview(found, linked=True)


def overview(found: Profiled, linked: bool = False, values: bool = True) -> Part:
    """A table of all columns.

    Args:
        linked: whether names lead to what the page has of each.
        values: whether bounds are shown, which may be personal data.
    """
    # What most people look for first: on a phone the rest is reached by scrolling.
    headers = ["Column", "Distribution", "NULL", "Distinct", "Type"]
    headers += ["Lowest", "Highest"] if values else []
    lines: list[Sequence[Value | Inline]] = []
    for at, column in enumerate(found.columns):
        name = text(column.name)
        bounds = [_short(column.low), _short(column.high)] if values else []
        lines.append(
            [
                Inline(Part(f'<a href="#c{at}">{name}</a>' if linked and at < _DRAWN else name)),
                Inline(_small(column)),
                Cell(share_of(column.nulls, column.rows), right=True),
                Cell(estimated(column.distinct, column.distinct_by), right=True),
                column.type,
                *bounds,
                remarks(column),
            ]
        )
    return table([*headers, "Remarks"], lines, "Columns")


def _short(value: object) -> Cell:
    cell = bound(value)
    return replace(cell, text=clip(cell.text, _SHORT), right=False)


def _small(column: ColumnProfile) -> Part:
    """A histogram as large as a word; of other columns, their most frequent values."""
    values = [b.rows for b in column.histogram] or [v.rows for v in telling_values(column)]
    return plots.columns(values, f"values of {column.name}")


def _keys(found: Profiled) -> Iterator[Part]:
    if found.keys:
        lines = [[", ".join(key.columns), examined(found, key)] for key in found.keys]
        yield table(("Columns", "Compared"), lines, "Columns that tell rows apart")


def _together(found: Profiled) -> Iterator[Part]:
    for measure, name, about in (
        ("correlation", "Numbers and times", "Pearson's correlation, from -1 to 1"),
        ("association", "Categories", "Cramér's V, from 0 to 1"),
    ):
        pairs = [a for a in found.associations if a.measure == measure]
        if pairs:
            yield section(name, _matrix(pairs), level=3, remark=f"{about}; weak ones are left out")


def _matrix(pairs: Sequence[Association]) -> Part:
    """Pairs as a matrix: the deeper the colour, the closer they go together."""
    names = list(dict.fromkeys(n for pair in pairs for n in (pair.one, pair.other)))[:_MATRIX]
    values = {(p.one, p.other): p.value for p in pairs}
    heads = "".join(f'<th scope="col">{text(name)}</th>' for name in names)
    lines = []
    for one in names:
        cells = "".join(_cell(one, other, values) for other in names)
        lines.append(f'<tr><th scope="row">{text(one)}</th>{cells}</tr>')
    body = "".join(lines)
    drawn = f"<thead><tr><td></td>{heads}</tr></thead><tbody>{body}</tbody>"
    return scrolling(Part(f'<table class="matrix">{drawn}</table>'), "Columns that go together")


def _cell(one: str, other: str, values: dict[tuple[str, str], float]) -> str:
    if one == other:
        return '<td class="self"></td>'
    value = values.get((one, other), values.get((other, one)))
    if value is None:
        return "<td></td>"
    # Never so deep that the figure in it could not be read.
    depth = round(abs(value) * 45)
    colour = f"color-mix(in srgb, var({_MOODS[1 if value > 0 else -1]}) {depth}%, transparent)"
    return f'<td style="background: {colour}">{value:.2f}</td>'


def _each(found: Profiled) -> Iterator[Part]:
    unfolded = len(found.columns) <= _OPEN
    drawn = []
    for at, column in enumerate(found.columns[:_DRAWN]):
        parts = _described(column)
        if unfolded:
            drawn.append(
                section(column.name, *parts, anchor=f"c{at}", remark=column.type, level=3)
            )
        else:
            anchor = Part(f'<span id="c{at}"></span>')
            drawn.append(Part(anchor + folded(column.name, *parts, remark=column.type)))
    if drawn:
        yield Part(f'<div class="columns">{"".join(drawn)}</div>')
    if (rest := len(found.columns) - _DRAWN) > 0:
        yield paragraph(f"{count(rest, 'more column')}: profile them by name.", "soft")


def _described(column: ColumnProfile) -> Iterator[Part]:
    drawn = facts(_column_facts(column))
    yield Part(drawn.replace("<dl>", '<dl class="small">'))
    pair = "".join(f"<div>{part}</div>" for part in _plots(column) if part)
    if pair:
        yield Part(f'<div class="pair">{pair}</div>')


def _column_facts(column: ColumnProfile) -> dict[str, Value]:
    shown: dict[str, Value] = {
        "NULL": share_of(column.nulls, column.rows),
        "distinct": estimated(column.distinct, column.distinct_by),
    }
    if column.low is not None:
        shown |= {"lowest": bound(column.low), "highest": bound(column.high)}
    if column.quantiles:
        shown["median"] = shortened(column.quantile(0.5))
    if column.numbers is not None and column.numbers.mean is not None:
        shown["mean"] = plots.short(column.numbers.mean)
        if column.numbers.deviation is not None:
            shown["deviation"] = plots.short(column.numbers.deviation)
    if column.texts is not None:
        shown["length"] = f"{column.texts.shortest:,} to {column.texts.longest:,}"
    if column.entries is not None:
        shown["entries"] = f"{column.entries.fewest:,} to {column.entries.most:,}"
    return shown


def _plots(column: ColumnProfile) -> Iterator[Part]:
    sampled = "" if column.values_by is Method.EXACT else "from the sample"
    yield _histogram(column, sampled)
    yield _bars(column, "Most frequent values", telling_values(column), sampled)
    if column.texts is not None:
        sampled = "" if column.texts.patterns_by is Method.EXACT else "from the sample"
        yield _bars(column, "Patterns", telling_patterns(column), sampled)


def _histogram(column: ColumnProfile, sampled: str) -> Part:
    if not column.histogram:
        return Part("")
    whole = is_whole(column)
    # Borders may be days: bars of equal width stand at their numbers.
    bins = [plots.Bin(at, at + 1, each.rows) for at, each in enumerate(column.histogram)]
    labels = [span(each, whole) for each in column.histogram]
    first, last = bound(column.low).text, bound(column.high).text
    if isinstance(column.high, float):  # NaN and infinities are in no bin
        first, last = (
            plots.short(float(end)) for end in (column.histogram[0].low, column.histogram[-1].high)
        )
    return plots.histogram(
        bins,
        "Distribution",
        lambda at: last if at else first,
        sampled,
        labels=labels,
    )


def _bars(column: ColumnProfile, name: str, values: Sequence[ValueCount], sampled: str) -> Part:
    shown = [(value_text(v), v.rows / max(column.rows, 1)) for v in values]
    if not shown:
        return Part("")
    small = f" <small>{sampled}</small>" if sampled else ""
    names, shares = [n for n, _ in shown], [s for _, s in shown]
    drawn = plots.bars(names, shares, f"{name} of {column.name}", percent)
    return Part(f"<h4>{name}{small}</h4>{drawn}")
