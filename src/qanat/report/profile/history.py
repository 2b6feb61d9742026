"""The profiles that updates have kept of a dataset, beside one another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from qanat.model.profile import ColumnProfile, Profile
from qanat.report.html import heading, page, table
from qanat.report.plots import short
from qanat.report.profile.figures import share_of, trend
from qanat.text import PLAIN, Cell, Layout, Value, grid, utc

_NONE = "No update has kept a profile: TBLPROPERTIES ('qanat.profile' = 'true') has each keep one."
_UPDATES = ("Update", "Made", "Version", "Rows", "Columns")
_TREND = 20
"""Profiles of a trend at most."""
_HEADERS = ("Column", "NULL", "", "Distinct", "", "Mean", "")


def profiles_text(found: Sequence[Profile], layout: Layout = PLAIN) -> str:
    """Each update, newest first; then each column from the oldest to the newest of them."""
    if not found:
        return _NONE
    lines = grid(_UPDATES, [_update(each) for each in found], layout)
    title = "Columns, from the oldest to the newest"
    lines += ["", layout.paint(title, "bold"), *grid(_HEADERS, [*_columns(found)], layout)]
    return "\n".join(lines)


def profiles_html(found: Sequence[Profile]) -> str:
    """The same for a notebook."""
    if not found:
        return page(heading(_NONE))
    updates = table(_UPDATES, [_update(each) for each in found])
    columns = table(_HEADERS, [*_columns(found)])
    return page(updates, heading("Columns, from the oldest to the newest"), columns)


def _update(found: Profile) -> list[Value]:
    rows, columns = found.profiled.rows, len(found.profiled.columns)
    return [found.update, utc(found.at), found.version, rows, columns]


def _columns(found: Sequence[Profile]) -> Iterator[list[Value]]:
    """One line for each column of the newest profile."""
    oldest = found[:_TREND][::-1]
    for column in found[0].profiled.columns:
        past = [_named(each, column.name) for each in oldest]
        known = [each for each in past if each is not None]
        nulls = [each.nulls_share for each in known]
        distinct = [float(each.distinct) for each in known]
        means = [n.mean for each in known if (n := each.numbers) and n.mean is not None]
        shown = share_of(column.nulls, column.rows)
        mean = short(means[-1]) if means else ""
        yield [
            *(column.name, Cell(shown, right=True), trend(nulls)),
            *(Cell(f"{column.distinct:,}", right=True), trend(distinct)),
            *(Cell(mean, right=True), trend(means)),
        ]


def _named(found: Profile, name: str) -> ColumnProfile | None:
    return next((each for each in found.profiled.columns if each.name == name), None)
