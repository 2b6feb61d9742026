"""Columns that no two rows share."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from qanat.model.profile import CandidateKey, ColumnProfile
from qanat.model.suggestion import Candidate
from qanat.quality.suggestions.evidence import LEAST_VALUES, Evidence, Ladder, identifies, moment
from qanat.quality.suggestions.likely import beyond_chance
from qanat.text import count

_LONGEST = 64
"""Characters of a text that may identify a row: longer ones just happen to differ."""


def keys(evidence: Evidence) -> Iterator[Ladder]:
    """Each column that identifies a row; where there is none, the shortest that do together."""
    profiled = evidence.profiled
    if profiled.rows < LEAST_VALUES:
        return
    single = [k for k in profiled.keys if len(k.columns) == 1 and _single(evidence, k)]
    for key in single:
        yield (_unique(evidence, key),)
    declared = bool(evidence.keys) or any(c.kind == "unique" for c in evidence.known)
    together = [k for k in profiled.keys if len(k.columns) > 1 and _compound(evidence, k)]
    if not single and not declared and together:
        # Several keys of one length are mostly the same one, in which a column is exchanged for
        # another that says the same (a customer's name for the customer's number): one is enough.
        yield (_unique(evidence, min(together, key=lambda k: _doubt(evidence, k))),)


def _single(evidence: Evidence, key: CandidateKey) -> bool:
    """True if a column whose values all differ is meant to identify rows."""
    column = evidence.profiled[key.columns[0]]
    if moment(column):
        return False
    if identifies(column):
        return True
    if column.texts is not None:
        return column.texts.longest <= _LONGEST and not _prose(column)
    if isinstance(column.low, int) and isinstance(column.high, int):
        return beyond_chance(column.rows, column.high - column.low + 1)
    return False


def _prose(column: ColumnProfile) -> bool:
    """True of texts of several words, such as names: these are different by chance."""
    return any(" " in p.value for p in column.texts.patterns) if column.texts else False


def _compound(evidence: Evidence, key: CandidateKey) -> bool:
    """True if columns without a repeated combination would have had some by chance."""
    known = [evidence.profiled[name] for name in key.columns]
    return beyond_chance(evidence.profiled.rows, prod(c.distinct for c in known))


def _doubt(evidence: Evidence, key: CandidateKey) -> tuple[int, int]:
    """Sorts keys, the likeliest first: names that identify, then few different values."""
    known = [evidence.profiled[name] for name in key.columns]
    return -sum(map(identifies, known)), prod(c.distinct for c in known)


def _unique(evidence: Evidence, key: CandidateKey) -> Candidate:
    rows = count(evidence.profiled.rows, "row")
    return Candidate("unique", (("columns", list(key.columns)),), f"{rows}, all different")
