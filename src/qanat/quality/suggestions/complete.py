"""NULL, and empty texts."""

from __future__ import annotations

from collections.abc import Iterator

from qanat.model.expectation import Tolerance
from qanat.model.name import Names
from qanat.model.profile import ColumnProfile
from qanat.model.suggestion import Candidate
from qanat.quality.suggestions.evidence import Evidence, Ladder
from qanat.quality.suggestions.likely import tolerated
from qanat.quality.suggestions.texts import texts
from qanat.text import count, percent

_MOST_NULLS = 0.1
"""The share of NULLs beyond which nothing is said of NULL."""


def complete(evidence: Evidence, column: ColumnProfile) -> Iterator[Ladder]:
    """No value is missing; or hardly any, with what an epoch may have by chance."""
    if column.name in Names(evidence.not_null) or column.nulls_share > _MOST_NULLS:
        return
    rows = count(column.rows, "row")
    if column.nulls:
        tolerance = tolerated(column.nulls_share, evidence.typical)
        if tolerance is not None:
            share = f"{percent(column.nulls_share)} of {rows} are NULL"
            most = f"epochs of {count(evidence.typical, 'row')} hardly have more than {tolerance}"
            yield (_not_null(column, f"{share}; {most}", tolerance),)
        return
    steps = [_not_null(column, f"none of {rows} is NULL")]
    # A set, form or pattern of the texts forbids the empty one anyway.
    described = next(texts(evidence, column), None)
    if column.texts is not None and not column.texts.empty and described is None:
        arguments = (("column", column.name), ("values", [""]))
        steps.insert(
            0, Candidate("not_missing", arguments, f"none of {rows} is NULL or an empty text")
        )
    yield tuple(steps)


def _not_null(column: ColumnProfile, reason: str, tolerance: Tolerance | None = None) -> Candidate:
    return Candidate("not_null", (("columns", [column.name]),), reason, tolerance)
