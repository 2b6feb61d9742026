"""Which checks data suggest, and how files would change for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from qanat.model.suggestion import DatasetSuggestions, Suggestion
from qanat.report.html import Part, heading, page, preformatted, table
from qanat.report.keys import VERSION_KEY
from qanat.report.shape import Key, Shape
from qanat.text import PLAIN, Cell, Layout, Value, cell_of, clip, count, grid, listed, printable

SUGGESTION = Shape(
    "Suggestion",
    Suggestion,
    (
        Key("check", "expectation.name"),
        Key("text", "expectation.text"),
        Key("action", "expectation.action"),
        "reason",
        Key("rows", "tried.rows"),
        Key("violations", "tried.violations"),
        Key("refused", of=str | None),
    ),
    "A check that data suggest. `rows` and `violations` are of what was held out to try it on;\n"
    "`refused` says why it is not offered.",
)
SUGGESTIONS = Shape(
    "DatasetSuggestions",
    DatasetSuggestions,
    (
        *("dataset", "rows", "epochs", "held_out"),
        Key("offered", of=list[Suggestion]),
        Key("refused", of=list[Suggestion]),
        Key("file", of=str | None, make=lambda found: found.edit and found.edit.path),
        Key("diff", of=str | None, make=lambda found: found.edit and found.edit.diff),
        *("note", "applied"),
    ),
    "What one dataset suggests: by `rows` of `epochs`, tried on `held_out` newer ones; 0: on the\n"
    "last rows of one epoch. `diff` is the change to the project, `applied` whether it was\n"
    "written, `note` says why there is nothing to go by.",
)
DOCUMENT = Shape(
    "SuggestDocument",
    Sequence[DatasetSuggestions],
    (VERSION_KEY, Key("suggestions", of=list[DatasetSuggestions], make=list)),
    "One entry for each chosen dataset with a table.",
)
PARTS = (SUGGESTIONS, SUGGESTION)

_HEADERS = ("Check", "Condition", "Held out", "Why")
_REFUSED_HEADERS = ("Not offered", "Condition", "Held out", "Why not")
_LONGEST = 60
"""Columns of a condition: the change to the file has all of it."""
_WIDE = 160
"""Columns of a terminal in which a table of checks can be read."""
_NONE = "No chosen dataset has a table."


def suggestions_text(
    found: Sequence[DatasetSuggestions], layout: Layout = PLAIN, everything: bool = False
) -> str:
    """For each dataset what is suggested, with figures, and the change to its file.

    Args:
        everything: also what is not offered.
    """
    if not found:
        return _NONE
    lines: list[str] = []
    for each in found:
        lines += [printable(headline(each)), ""]
        if each.offered:
            lines += [*_listed(_HEADERS, [_row(s) for s in each.offered], layout), ""]
        if everything and each.refused:
            rows = [_refused_row(s) for s in each.refused]
            lines += [*_listed(_REFUSED_HEADERS, rows, layout), ""]
        if each.edit is not None and not each.applied:
            lines += [*(layout.paint(line, style) for line, style in _diff(each)), ""]
    return "\n".join([*lines, _ending(found)]).rstrip("\n")


def suggestions_html(found: Sequence[DatasetSuggestions]) -> str:
    """The same for a notebook."""
    if not found:
        return page(heading(_NONE, "plain"))
    parts: list[Part] = []
    for each in found:
        parts.append(heading(headline(each), "plain"))
        if each.offered:
            parts.append(table(_HEADERS, map(_row, each.offered)))
        if each.refused:
            parts.append(table(_REFUSED_HEADERS, map(_refused_row, each.refused)))
        if each.edit is not None and not each.applied:
            parts.append(preformatted((line, style or None) for line, style in _diff(each)))
    return page(*parts)


def headline(found: DatasetSuggestions) -> str:
    """What there is for one dataset, and by which rows.

    >>> headline(DatasetSuggestions("orders", 900, 9, 3))
    'orders: nothing to suggest by 900 rows of 9 epochs, tried on the 3 newest epochs'
    """
    if found.note:
        return f"{found.dataset}: nothing to go by: {found.note}"
    many = len(found.offered)
    what = f"{count(many, 'check')} suggested" if many else "nothing to suggest"
    rows = count(found.rows, "row")
    if found.held_out:
        newest = count(found.held_out, "newest epoch") if found.held_out > 1 else "newest epoch"
        by = f"by {rows} of {count(found.epochs, 'epoch')}, tried on the {newest}"
    else:
        by = f"by the first {rows} of its only epoch, tried on the other rows"
    said = f"{found.dataset}: {what} {by}"
    refused = count(len(found.refused), "other") if found.refused else ""
    return f"{said}; {refused} did not hold there" if refused else said


def _listed(
    headers: Sequence[str], rows: Sequence[Sequence[Value]], layout: Layout
) -> Iterator[str]:
    """A table of checks; where a terminal has no room for it, each check is a paragraph."""
    if layout.width is None or layout.width >= _WIDE:
        yield from grid(headers, rows, layout)
        return
    yield layout.paint(headers[0], "bold")
    for name, condition, held, why in ([cell_of(value) for value in row] for row in rows):
        tried = printable(f"  held out: {held.text}; {why.text}")
        yield clip(printable(f"{name.text}: {condition.text}"), layout.width)
        yield from wrap(tried, layout.width, subsequent_indent="  ")


def _ending(found: Sequence[DatasetSuggestions]) -> str:
    applied = [each.edit.path for each in found if each.applied and each.edit]
    if applied:
        return f"Wrote {listed(applied)}."
    if any(each.edit for each in found):
        return "Nothing is written yet: --apply writes the checks into these files."
    return ""


def _row(suggestion: Suggestion) -> list[Value]:
    return [
        suggestion.expectation.name,
        clip(suggestion.expectation.text, _LONGEST),
        Cell(_held(suggestion), "green", right=False),
        suggestion.reason,
    ]


def _refused_row(suggestion: Suggestion) -> list[Value]:
    return [
        suggestion.expectation.name,
        clip(suggestion.expectation.text, _LONGEST),
        Cell(_held(suggestion), "red", right=False),
        suggestion.refused or "",
    ]


def _held(suggestion: Suggestion) -> str:
    """What a check did on the rows that were held out."""
    trials = suggestion.tried
    if not trials.trials:
        return "–"
    if trials.expectation.rule.level.of_rows:
        return f"{trials.violations:,} of {count(trials.rows, 'row')}"
    return f"{trials.violated:,} of {count(len(trials.trials), 'epoch')}"


def _diff(found: DatasetSuggestions) -> Iterator[tuple[str, str]]:
    """The lines of the change, each with its colour."""
    for line in found.edit.diff.splitlines() if found.edit else ():
        head = line.startswith(("+++", "---"))
        colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
        yield printable(line), "bold" if head else colour
