"""What breaks a contract: a rule that a dataset has loosened, and a key that has changed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from qanat.errors import BreakingChangeError, QanatError
from qanat.model.contract import Promise
from qanat.model.expectation import Action, Expectation, Nulls
from qanat.model.name import Named, fold
from qanat.model.pipeline import Dataset
from qanat.model.rule import Fresh


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
    if fold(str(mine.rule)) != fold(str(promised.rule)) and not _tighter(mine, promised):
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


_RANGE = re.compile(r"(\S+) BETWEEN (-?[\d.]+) AND (-?[\d.]+)", re.IGNORECASE)


def _tighter(mine: Expectation, promised: Expectation) -> bool:
    """True if both are ranges, or ages, of one column, and the first lies within the second."""
    if isinstance(mine.rule, Fresh) and isinstance(promised.rule, Fresh):
        same_column = fold(mine.rule.column) == fold(promised.rule.column)
        return same_column and mine.rule.seconds <= promised.rule.seconds
    own, theirs = (_RANGE.fullmatch(str(each.rule)) for each in (mine, promised))
    if own is None or theirs is None or fold(own[1]) != fold(theirs[1]):
        return False
    return float(own[2]) >= float(theirs[2]) and float(own[3]) <= float(theirs[3])


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
