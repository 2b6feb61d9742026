"""Columns whose values occur as keys of another dataset."""

from __future__ import annotations

from collections.abc import Iterator

from qanat.model.name import same
from qanat.model.profile import ColumnProfile
from qanat.model.suggestion import Candidate
from qanat.quality.suggestions.evidence import Evidence, Ladder, Target, values_of
from qanat.text import count

_LEAST_KEYS = 3
"""Rows of another dataset below which it is no list of keys."""


def references(evidence: Evidence, column: ColumnProfile) -> Iterator[Ladder]:
    """The key of another dataset that a column refers to, by its name and by its bounds.

    That the values are among the keys is only assumed here, though the reason says so: like every
    candidate, this one is offered only if all rows pass it.
    """
    found = [t for t in evidence.targets if _fits(column, t)]
    # `carrier` means `airlines (carrier)` rather than `carriers (id)`.
    found.sort(key=lambda t: (not same(t.column, column.name), t.dataset))
    for target in found[:1]:
        reason = (
            f"{count(values_of(column), 'value')}, all among the"
            f" {count(target.rows, 'key')} of {target.dataset}.{target.column}"
        )
        arguments = (
            ("columns", [column.name]),
            ("dataset", target.dataset),
            ("target", [target.column]),
        )
        yield (Candidate("references", arguments, reason),)


def _fits(column: ColumnProfile, target: Target) -> bool:
    known = (column.low, column.high, target.low, target.high)
    if target.rows < _LEAST_KEYS or any(bound is None for bound in known):
        return False
    if not fitting(column.name, target.dataset, target.column) or not _alike(column, target):
        return False
    return bool(target.low <= column.low and column.high <= target.high)


def _alike(column: ColumnProfile, target: Target) -> bool:
    """True of two columns of texts (or dates), and of numbers if the key is a whole number."""
    if isinstance(column.low, str) or isinstance(target.low, str):
        return isinstance(column.low, str) and isinstance(target.low, str)
    return isinstance(target.low, int)


def fitting(column: str, dataset: str, key: str) -> bool:
    """True if a column is called as one that refers to a key of a dataset.

    >>> fitting("carrier", "airlines", "carrier"), fitting("customer_id", "dim_customers", "id")
    (True, True)
    >>> fitting("customer", "customers", "name"), fitting("id", "orders", "id")
    (True, False)
    """
    plain = {"id", "key", "code", "name", "no", "number"}
    if same(column, key):
        return not any(same(column, each) for each in plain)
    if not any(same(key, each) for each in plain):
        return False
    stem = column
    for each in plain:
        if column[-len(each) - 1 :] == f"_{each}":
            stem = column[: -len(each) - 1]
    last = dataset.split(".")[-1].split("_")[-1]
    return any(same(stem, form) for form in (last, *_singular(last)))


def _singular(word: str) -> Iterator[str]:
    """What a word may be the plural of."""
    if word.endswith("ies"):
        yield f"{word[:-3]}y"
    if word.endswith("es"):
        yield word[:-2]
    if word.endswith("s"):
        yield word[:-1]
