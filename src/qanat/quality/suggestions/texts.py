"""Which texts a column has: some of a few, of a known form, of one pattern, of one length."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby, takewhile

from qanat.model.expectation import Tolerance
from qanat.model.profile import ColumnProfile, Texts
from qanat.model.suggestion import Candidate
from qanat.quality.suggestions.evidence import Evidence, Ladder, values_of
from qanat.quality.suggestions.likely import tolerated
from qanat.quality.suggestions.numbers import set_reason, supported
from qanat.text import count, percent

_READ = {
    "whole numbers": ("integer", "BIGINT"),
    "numbers": ("number", "DOUBLE"),
    "dates": ("date", "DATE"),
    "times": ("timestamp", "TIMESTAMP"),
    "uuids": ("uuid", None),
}
"""By what texts read as: the form, and the type that the column could have."""
_SHAPES = (
    ("email", re.compile(r"[^@]*@[^@]*\.[^@]*")),
    ("url", re.compile(r"(?:a+|A+)\+?://.*")),
    ("ipv4", re.compile(r"(?:9\+?){1,3}(?:\.(?:9\+?){1,3}){3}")),
)
"""Forms, and the patterns of texts that may have them."""
_RARE = 0.01
"""The share of rows whose values may be rare beside others that are not: slips, mostly."""
_LEAST_ROWS = 200
"""Values below which a rare one is not taken for a slip."""
_NUMBERS = 10
"""Texts that read as numbers have so many different ones, at most, that they are a set."""
_NEARLY = 0.98
"""The share of texts that a pattern must cover; the others are tolerated."""
_CLASSES = {"A": "[A-Z]", "a": "[a-z]", "9": "[0-9]"}
_LONGEST = 40
"""Characters of a text that may follow a pattern, or have one length: longer ones are paths."""
_CODE = 12
"""Characters of the longest pattern of capital letters alone that is a code."""


def texts(evidence: Evidence, column: ColumnProfile) -> Iterator[Ladder]:
    """The values themselves if they are few; a form that has a name; a pattern; a length."""
    if column.texts is None or column.distinct < 2 or column.texts.empty:
        return
    steps = [
        *_few(evidence, column),
        *_forms(column, column.texts),
        *_patterns(evidence, column, column.texts),
        *_length(column, column.texts),
    ]
    if steps:
        yield tuple(steps)


def _few(evidence: Evidence, column: ColumnProfile) -> Iterator[Candidate]:
    listed = evidence.values.get(column.name, ())
    if column.texts is not None and column.texts.reads_as and len(listed) > _NUMBERS:
        return
    if supported(listed):
        yield _one_of(column, listed)
        return
    # Not all values are frequent enough: leave out those that hardly any row has, as slips.
    rows = sum(n for _, n in listed)
    frequent = tuple((v, n) for v, n in listed if n > rows * _RARE)
    rare = rows - sum(n for _, n in frequent)
    if rows >= _LEAST_ROWS and supported(frequent) and 0 < rare <= rows * _RARE:
        tolerance = tolerated(rare / rows, evidence.typical)
        if tolerance is not None:
            yield _one_of(column, frequent, tolerance, f"; {count(rare, 'row')} with others")


def _one_of(
    column: ColumnProfile,
    listed: tuple[tuple[str, int], ...],
    tolerance: Tolerance | None = None,
    more: str = "",
) -> Candidate:
    values = sorted(value for value, _ in listed)
    arguments = (("column", column.name), ("values", values))
    return _made("one_of", arguments, set_reason(listed) + more, tolerance)


def _forms(column: ColumnProfile, known: Texts) -> Iterator[Candidate]:
    seen = count(values_of(column), "text")
    if known.reads_as in _READ:
        form, type_ = _READ[known.reads_as]
        better = f"; the column could be a {type_}" if type_ else ""
        reason = f"all of {seen} read as {known.reads_as}{better}"
        yield _made("format", (("column", column.name), ("name", form)), reason)
        return
    for form, shape in _SHAPES:
        if known.patterns and all(shape.fullmatch(p.value) for p in known.patterns):
            reason = f"{seen} look like {known.patterns[0].value}"
            yield _made("format", (("column", column.name), ("name", form)), reason)


def _patterns(evidence: Evidence, column: ColumnProfile, known: Texts) -> Iterator[Candidate]:
    if not known.patterns or known.longest > _LONGEST:
        return
    rows = values_of(column)
    first = known.patterns[0]
    shared = _shared(str(column.low), str(column.high))
    covered = first.rows / rows
    if covered < _NEARLY:
        # Numbers that grow make one pattern of several: A9, A99, A999.
        runs = {_runs(p.value) for p in known.patterns}
        whole = sum(p.rows for p in known.patterns) >= rows and known.patterns_by.value == "exact"
        if len(runs) != 1 or not whole:
            return
        covered, pattern = 1.0, runs.pop()
    else:
        pattern = first.value
    if not _telling(pattern):
        return
    tolerance = None
    if covered < 1:
        shared = ""  # of texts that may have other patterns
        tolerance = tolerated(1 - covered, evidence.typical)
        if tolerance is None:
            return
    share = "all" if covered == 1 else f"{percent(covered)} of"
    reason = f"{share} {count(rows, 'text')} look like {pattern}"
    arguments = (("column", column.name), ("pattern", regular(pattern, shared)))
    yield _made("matches", arguments, reason, tolerance)


def _shared(low: str, high: str) -> str:
    """What the first and the last of all texts begin with: then all others do, too."""
    return "".join(
        a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(low, high, strict=False))
    )


def _runs(pattern: str) -> str:
    """A pattern with any number of digits wherever it has some.

    >>> _runs("A-99"), _runs("A-9999")
    ('A-9+', 'A-9+')
    """
    return re.sub(r"9[9+]*", "9+", pattern)


def _telling(pattern: str) -> bool:
    """True of a pattern that says more than that there are letters, or digits.

    >>> [_telling(p) for p in ("AA-9999", "AAA", "Aa+", "9+", "a+ a+")]
    [True, True, False, False, False]
    """
    if re.fullmatch(r"A{1,12}", pattern):
        return len(pattern) <= _CODE
    return "9" in pattern and len(set(pattern) - {"+"}) > 1


def regular(pattern: str, shared: str = "") -> str:
    """The regular expression of the texts that have a pattern.

    Args:
        shared: what all of these texts begin with; of it, all up to the first digit is taken.

    >>> regular("AAA-9999"), regular("AAA-9+", "INV-20"), regular("a.9")
    ('^[A-Z]{3}-[0-9]{4}$', '^INV-[0-9]+$', '^[a-z][.][0-9]$')
    """
    start = re.match(r"\D*", shared)
    fixed = start[0] if start else ""
    parts = [_escaped(c) for c in fixed]
    rest = pattern[len(fixed) :] if "+" not in pattern[: len(fixed) + 1] else None
    if rest is None:
        parts, rest = [], pattern
    for letter, group in groupby(re.findall(r".\+?", rest)):
        many = len(list(group))
        if letter[0] not in _CLASSES:
            parts.append(_escaped(letter[0]) * many + _escaped(letter[1:]))
        elif letter.endswith("+"):
            parts.append(f"{_CLASSES[letter[0]]}+")
        else:
            parts.append(_CLASSES[letter] + (f"{{{many}}}" if many > 1 else ""))
    return f"^{''.join(parts)}$"


def _escaped(text: str) -> str:
    # In brackets: a backslash means something else in strings of some dialects.
    return re.sub(r"[.$*+?()[{|]", lambda m: f"[{m[0]}]", text)


def _length(column: ColumnProfile, known: Texts) -> Iterator[Candidate]:
    if known.shortest == known.longest > 1 and known.longest <= _LONGEST:
        length = known.longest
        arguments = (("column", column.name), ("min", length), ("max", length))
        reason = f"all of {count(values_of(column), 'text')} have {count(length, 'character')}"
        yield _made("length", arguments, reason)


def _made(
    kind: str,
    arguments: tuple[tuple[str, object], ...],
    reason: str,
    tolerance: Tolerance | None = None,
) -> Candidate:
    return Candidate(kind, arguments, reason, tolerance, passes=True)
