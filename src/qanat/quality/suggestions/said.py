"""What the declared checks say already, or what follows from them: that is not suggested."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TypeAlias

from qanat.model.name import Name, fold
from qanat.model.suggestion import Candidate
from qanat.quality.suggestions.evidence import Evidence
from qanat.quality.suggestions.order import implied

Subject: TypeAlias = tuple[str, ...]
"""What a check says something about: a family such as `complete` or `min`, and columns."""

_VALUES = ("one_of", "between", "format", "matches", "length", "compare")


def unsaid(evidence: Evidence, candidate: Candidate) -> Candidate | None:
    """What a candidate says beyond the declared checks; None if nothing.

    Where the author has said something of the same kind, that holds: if it says that 5 % may be
    NULL, then nobody suggests that none may.
    """
    known = set(_said(evidence.known))
    if candidate.kind == "unique":
        mine = frozenset(map(fold, candidate.columns))
        declared = [frozenset(map(fold, c.columns)) for c in evidence.known if c.kind == "unique"]
        declared += [frozenset(map(fold, evidence.keys))] if evidence.keys else []
        return None if any(each <= mine for each in declared) else candidate
    if candidate.kind == "compare":
        given = candidate.given
        pairs = [p for c in evidence.known if c.kind == "compare" for p in _ordered(c)]
        return None if _ordered_by(pairs, given["column"], given["other"]) else candidate
    if candidate.kind == "between":
        kept = tuple(
            (k, v) for k, v in candidate.arguments if (k, fold(candidate.columns[0])) not in known
        )
        # The column itself is an argument, too: without a bound beside it, nothing is left.
        return replace(candidate, arguments=kept) if len(kept) > 1 else None
    return None if known & set(_subjects(candidate)) else candidate


def _said(known: Iterable[Candidate]) -> Iterator[Subject]:
    """All that declared checks say, with what follows: a set of values also bounds them."""
    for each in known:
        yield from _subjects(each)
        # A condition that is NULL is a violation, unless it is said to pass.
        if each.kind in _VALUES and not each.passes and each.tolerance is None:
            yield from (("complete", fold(c)) for c in each.columns)
        if each.kind == "one_of":
            for family in ("form", "min", "max"):
                yield from ((family, fold(c)) for c in each.columns)


def _subjects(candidate: Candidate) -> Iterator[Subject]:
    """What one check says, by itself."""
    columns = [fold(c) for c in candidate.columns]
    family = _FAMILIES.get(candidate.kind)
    if candidate.kind == "between":
        yield from ((k, c) for k in ("min", "max") if k in candidate.given for c in columns)
        if {"min", "max"} <= set(candidate.given):
            yield from (("values", c) for c in columns)
    elif candidate.kind == "sql":
        yield ("sql", *_words(candidate))
    elif candidate.kind == "aggregate" and "count(*)" in str(candidate.given.get("condition")):
        yield ("volume",)
    elif family == "complete":
        yield from ((family, c) for c in columns)
    elif family in ("volume", "fresh"):
        yield (family,)
    elif family is not None:
        yield (family, *sorted(columns))


def _words(candidate: Candidate) -> list[str]:
    """A condition as it is compared: without quotes of names, and however it is spaced."""
    text = str(candidate.given.get("condition"))
    if candidate.columns:
        text = text.replace("{column}", candidate.columns[0])
    return text.replace('"', "").replace("`", "").split()


_FAMILIES = {
    "not_null": "complete",
    "not_missing": "complete",
    "one_of": "values",
    "format": "form",
    "matches": "form",
    "length": "form",
    "references": "references",
    "row_count": "volume",
    "fresh": "fresh",
}


def _ordered(candidate: Candidate) -> Iterator[tuple[Name, Name]]:
    """The columns of a comparison, the lesser one first."""
    given = candidate.given
    one, other = fold(given["column"]), fold(given["other"])
    if given["operator"] in ("<=", "<", "="):
        yield one, other
    if given["operator"] in (">=", ">", "="):
        yield other, one


def _ordered_by(pairs: list[tuple[Name, Name]], one: str, other: str) -> bool:
    pair = (fold(one), fold(other))
    return pair in pairs or implied(pairs, pair)


def without_implied(candidates: Iterable[Candidate], evidence: Evidence) -> list[Candidate]:
    """Candidates without comparisons that follow from others, or from declared ones."""
    found = list(candidates)
    declared = [p for c in evidence.known if c.kind == "compare" for p in _ordered(c)]
    mine = [p for c in found if c.kind == "compare" for p in _ordered(c)]
    kept = []
    for each in found:
        if each.kind == "compare":
            (pair,) = _ordered(each)
            if implied([*declared, *mine], pair):
                mine.remove(pair)
                continue
        kept.append(each)
    return kept
