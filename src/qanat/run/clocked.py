"""Rules that depend on the clock, checked where nothing comes: the newest row grows old by itself.

An epoch's audit checks them with all other rules. Where there is no epoch, `qanat run` checks them
for each dataset that had nothing to do, and a continuous update when the first of them is due
(`RuleCount.until`). What holds is not told; what does not is, once, and once when it holds again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qanat.errors import ExpectationFailedError, QanatError
from qanat.model.event import DatasetEnded, DatasetStarted, TableChecked
from qanat.model.expectation import Expectation
from qanat.model.name import fold
from qanat.model.pipeline import Dataset
from qanat.model.staged import RuleCount
from qanat.run.attempt import Done, RunningUpdate
from qanat.run.entry import failure_of
from qanat.run.session import Session
from qanat.run.stored import stored

_AGAIN = 60.0
"""Seconds to the next check of a rule of which nobody knows when it will be violated."""
_SHARE = 100
"""Such checks take one part in so many of one core, at most."""


def check_by_clock(
    running: RunningUpdate, dataset: Dataset, begin: Callable[[], None]
) -> tuple[RuleCount, ...]:
    """Check the rules of a dataset that depend on the clock; one that is violated is told.

    Args:
        begin: called before anything is told: such an update belongs into the history.

    Raises:
        QanatError: a rule cannot be checked.
    """
    found = _counted(running.session, dataset)
    if broken := tuple(r for r in found if r.broken):
        begin()
        running.tell(TableChecked(dataset.name, broken))
    return found


def require_fresh(session: Session, dataset: Dataset, found: Sequence[RuleCount]) -> None:
    """Raise if a rule whose action is `fail` is violated.

    Raises:
        ExpectationFailedError: one is.
    """
    failed = next((r for r in found if r.fails), None)
    if failed is not None:
        rules = {e.name: e for e in _rules(session, dataset)}
        raise ExpectationFailedError(
            f"{dataset.name} violates {failed.rule}, and nothing new has come",
            location=rules[failed.rule].location,
            wanted=rules[failed.rule].text,
            got=failed.value,
            hint="the rows are as they were; mend the source and run again",
        )


def _rules(session: Session, dataset: Dataset) -> tuple[Expectation, ...]:
    return session.analysis.clocked.get(dataset.name, ())


def _counted(session: Session, dataset: Dataset) -> tuple[RuleCount, ...]:
    """What comes of the rules now; none for a dataset without a table."""
    rules = _rules(session, dataset)
    if not rules or not dataset.stored:
        return ()
    table = session.table(dataset.name)
    if session.store.version(table) is None:
        return ()
    others = {n for e in rules for n in e.rule.datasets}
    references = {fold(name): stored(session, name).snapshot.batch for name in others}
    of, now = session.store.snapshot(table), time.time_ns()
    return session.engine.measure((of.batch,), dataset.name, rules, references, now, of.rows)


@dataclass(slots=True)
class _Known:
    """How the rules of one dataset stand.

    Args:
        due: when they are to be checked again, seconds since 1970 (UTC).
        broken: names of those that are violated, which has been told.
        error: why the dataset counts as failing, though nothing has come.
        told: whether this update has told so.
    """

    rules: tuple[Expectation, ...]
    due: float = 0.0
    broken: frozenset[str] = frozenset()
    error: QanatError | None = None
    told: bool = False


class Clock:
    """When a continuous update checks the rules that depend on the clock, and what it tells.

    Args:
        known: how they stand, by dataset; kept from one update to the next.
    """

    def __init__(self, known: dict[str, _Known]) -> None:
        self._all = known
        for each in known.values():
            each.told = False  # each update begins with datasets that do not fail

    def wait(self, dataset: str) -> float | None:
        """Seconds until rules of a dataset are to be checked; None if it has none."""
        known = self._all.get(dataset)
        return None if known is None else max(0.0, known.due - time.time())

    def error(self, dataset: str) -> QanatError | None:
        """Why a dataset counts as failing though nothing has come; None if it does not."""
        known = self._all.get(dataset)
        return None if known is None else known.error

    def took(self, running: RunningUpdate, dataset: Dataset, epochs: Sequence[Done]) -> None:
        """Note what the audit of epochs has found; it has been told with them."""
        if (known := self._of(running.session, dataset)) is not None:
            names = {e.name for e in known.rules}
            newest = epochs[-1].epoch.rules
            found = [r for r in newest if r.dataset == dataset.name and r.rule in names]
            if found:
                self._note(running, dataset, known, found, 0.0)

    def look(self, running: RunningUpdate, dataset: Dataset, begin: Callable[[], None]) -> None:
        """Check the rules of a dataset to which nothing has come, if it is time."""
        known, now = self._of(running.session, dataset), time.time()
        if known is None or now < known.due:
            return
        try:
            found = _counted(running.session, dataset)
        except QanatError as error:
            known.due = now + _AGAIN
            begin()
            self._fail(running, dataset, known, error)
            return
        if found:
            self._note(running, dataset, known, found, time.time() - now, begin)

    def _of(self, session: Session, dataset: Dataset) -> _Known | None:
        rules = _rules(session, dataset)
        known = self._all.get(dataset.name)
        if known is None or known.rules != rules:
            self._all.pop(dataset.name, None)
            known = self._all.setdefault(dataset.name, _Known(rules)) if rules else None
        return known

    def _note(
        self,
        running: RunningUpdate,
        dataset: Dataset,
        known: _Known,
        found: Sequence[RuleCount],
        took: float,
        begin: Callable[[], None] | None = None,
    ) -> None:
        """Note how the rules stand, and tell what has changed.

        Args:
            took: seconds that it took to find out.
            begin: called before anything is told; None if an epoch has told what is violated.
        """
        now, before = time.time(), known.broken
        known.broken = frozenset(r.rule for r in found if r.broken)
        known.due = min(_next(r, now, took) for r in found)
        changed = before - known.broken if begin is None else before ^ known.broken
        if changed:
            if begin is not None:
                begin()
            running.tell(TableChecked(dataset.name, tuple(r for r in found if r.rule in changed)))
        try:
            require_fresh(running.session, dataset, found)
        except QanatError as error:
            self._fail(running, dataset, known, error)
            return
        if known.error is not None and known.told:
            running.tell(DatasetStarted(dataset.name, str(dataset.kind)))
        known.error, known.told = None, False

    def _fail(
        self, running: RunningUpdate, dataset: Dataset, known: _Known, error: QanatError
    ) -> None:
        known.error = error
        if not known.told:
            known.told = True
            failure = failure_of(error)
            running.tell(DatasetEnded(dataset.name, "failed", error.message, 0.0, failure))


def _next(rule: RuleCount, now: float, took: float) -> float:
    """When a rule is to be checked next."""
    return now + max(_AGAIN, _SHARE * took) if rule.until is None else rule.until
