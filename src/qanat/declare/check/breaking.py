"""What breaks a contract: a rule that a dataset has loosened, and a key that has changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from qanat.declare.check.recognised import check_of
from qanat.declare.check.value import Check
from qanat.errors import BreakingChangeError, QanatError
from qanat.model.contract import Promise
from qanat.model.expectation import Action, Expectation, Nulls
from qanat.model.name import Named, fold
from qanat.model.pipeline import Dataset
from qanat.model.rule import Fresh, Rule


def kept_promises(
    dataset: Dataset, promised: Sequence[Expectation], problems: list[QanatError]
) -> list[Expectation]:
    """The expectations of a contract that a dataset has not declared itself.

    One that it has, by the same name, is the dataset's own; if that lets more rows pass, it breaks
    the contract.

    Args:
        problems: gains an error for each that does.
    """
    own = Named((each.name, each) for each in dataset.expectations)
    rest = []
    for each in promised:
        mine = own.get(each.name)
        if mine is None:
            rest.append(each)
        elif (reason := loosened(mine, each)) is not None:
            problems.append(
                BreakingChangeError(
                    f"breaking: {dataset.name}.{mine.name} {reason}",
                    location=mine.location,
                    wanted=f"{each.text} ({each.origin})",
                    got=f"{mine.text}, {mine.action}",
                    hint="keep the contract (without a rule of this name, its own is checked),"
                    f" or change it and its version: {each.location}",
                )
            )
    return rest


def loosened(mine: Expectation, promised: Expectation) -> str | None:
    """Why an expectation lets more rows pass than a promised one; None if it does not."""
    if _spelled(mine.rule) != _spelled(promised.rule) and not _tighter(mine, promised):
        return "is another rule than the contract has"
    if mine.action is Action.WARN and promised.action is not Action.WARN:
        return f"only warns, and the contract has {promised.action}"
    if mine.nulls is Nulls.PASS and promised.nulls is not Nulls.PASS:
        return "lets NULL pass, which the contract does not"
    if mine.where is not None and str(mine.where) != str(promised.where):
        return "is for some rows only"
    theirs = promised.tolerance
    if mine.tolerance is not None and mine.tolerance != theirs:
        rows, most = mine.tolerance.rows, theirs.rows if theirs else 0
        share, highest = mine.tolerance.share, theirs.share if theirs else 0
        if (rows or 0) > (most or 0) or (share or 0) > (highest or 0):
            return f"tolerates {mine.tolerance}"
    return None


_TEXT = re.compile(r"('(?:[^']|'')*')")


def _spelled(rule: Rule) -> str:
    """A rule's text with names in one spelling; its values stay: 'A' is not 'a'."""
    parts = _TEXT.split(str(rule))
    return "".join(part if at % 2 else fold(part) for at, part in enumerate(parts))


def _tighter(mine: Expectation, promised: Expectation) -> bool:
    """True if both ask the same of one column, and what the first lets pass the second does."""
    if isinstance(mine.rule, Fresh) and isinstance(promised.rule, Fresh):
        same_column = fold(mine.rule.column) == fold(promised.rule.column)
        return same_column and mine.rule.seconds <= promised.rule.seconds
    own, theirs = check_of(mine), check_of(promised)
    if own.kind != theirs.kind or own.argument("of") != theirs.argument("of"):
        return False
    if fold(own.argument("column") or "") != fold(theirs.argument("column") or ""):
        return False
    within = _WITHIN.get(own.kind)
    return within is not None and within(own, theirs)


def _in_bounds(own: Check, theirs: Check) -> bool:
    return all(
        _beyond(
            sign, [(each.argument(end), bool(each.argument("strict"))) for each in (own, theirs)]
        )
        for sign, end in ((1, "min"), (-1, "max"))
    )


def _beyond(sign: int, bounds: Sequence[tuple[Any, bool]]) -> bool:
    """True if the first of two bounds is as close as the second, or closer."""
    (own, own_strict), (theirs, strict) = bounds
    if theirs is None:
        return True
    if own is None or isinstance(own, str) or isinstance(theirs, str):
        return own == theirs and own_strict >= strict
    if own == theirs:
        return own_strict >= strict
    return bool(own > theirs) if sign > 0 else bool(own < theirs)


_COMPARED = re.compile(r"(?P<what>.*\S) (?P<operator>[<>]=?) (?P<end>-?\d+(?:\.\d+)?)")
_TURNED = re.compile(r"\b(?:NOT|CASE|IF|IIF)\b", re.IGNORECASE)
"""Where a closer end may let more pass."""


def _closer(own: Check, theirs: Check) -> bool:
    """True of two conditions `count(*) > 50` and `count(*) > 10`."""
    found = [_COMPARED.fullmatch(each.argument("condition")) for each in (own, theirs)]
    one, other = found
    if one is None or other is None or one["operator"][0] != other["operator"][0]:
        return False
    if _TURNED.search(one["what"]) or fold(one["what"]) != fold(other["what"]):
        return False
    sign = 1 if one["operator"][0] == ">" else -1
    bounds = [(Decimal(each["end"]), len(each["operator"]) == 1) for each in (one, other)]
    return _beyond(sign, bounds)


_WITHIN: Mapping[str, Callable[[Check, Check], bool]] = {
    "between": _in_bounds,
    "length": _in_bounds,
    "row_count": _in_bounds,
    "aggregate": _closer,
    "one_of": lambda own, theirs: {*own.argument("values")} <= {*theirs.argument("values")},
    "none_of": lambda own, theirs: {*own.argument("values")} >= {*theirs.argument("values")},
}
"""By kind of check, whether one asks at least as much as another."""


def broken_keys(dataset: Dataset, promise: Promise) -> Iterator[QanatError]:
    """An error if the key of a table is another than the contract's."""
    mine, theirs = {*map(fold, dataset.keys)}, {*map(fold, promise.keys)}
    if mine and theirs and mine != theirs:
        yield BreakingChangeError(
            f"breaking: the key of {dataset.name} has changed",
            location=dataset.location,
            wanted=f"({', '.join(promise.keys)}) (contract {promise.contract})",
            got=f"({', '.join(dataset.keys)})",
            hint=f"keep the contract, or change it and its version: {promise.at}",
        )
