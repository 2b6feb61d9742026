"""Checks over the rows of the last minutes, instead of those of one epoch.

Small epochs have few rows: one bad row of three is a third. With the table property
`qanat.tolerance_window` the tolerance of a check is about all rows of so much time. Beyond it, a
`warn` tells, a `fail` publishes nothing of the epoch that would be too much, and the dataset of a
`drop` or a `quarantine` is paused.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import field, replace

from qanat.frozen import Frozen
from qanat.model.expectation import Action, Expectation, Tolerance
from qanat.model.limit import TOLERANCE_WINDOW
from qanat.model.name import fold
from qanat.model.pipeline import Dataset, is_declared
from qanat.model.record import Epoch, EpochStatus
from qanat.model.staged import RuleCount, RuleWindow
from qanat.model.upkeep import parse_duration
from qanat.run.memo import CompiledFlow
from qanat.run.session import Session
from qanat.text import count

_PARTS = 256
"""Parts of a window that are told apart: so many numbers are kept, however many epochs come."""
_MOST = 5000
"""Epochs of earlier updates that are looked at, at most."""


class Window:
    """Two sums over the last seconds, in bounded memory; the clock may be set back.

    Args:
        seconds: how long a number counts; the end is sharp to one part in 256.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._parts: deque[tuple[float, float, int, int]] = deque()
        self._first = self._second = 0

    def add(self, at: float, first: int, second: int) -> None:
        """Add numbers of a moment (seconds since 1970).

        >>> window = Window(60.0)
        >>> window.add(100.0, 6, 10)
        >>> window.add(150.0, 1, 10)
        >>> window.totals(150.0), window.totals(180.0)
        ((7, 20), (1, 10))
        """
        part = at // (self.seconds / _PARTS)
        parts = self._parts
        if parts and parts[-1][0] == part:
            _, newest, one, two = parts.pop()
            parts.append((part, max(newest, at), one + first, two + second))
        else:
            late = bool(parts) and parts[-1][0] > part
            parts.append((part, at, first, second))
            if late:
                self._parts = deque(sorted(parts))
        self._first, self._second = self._first + first, self._second + second
        self._forget(at)

    def totals(self, now: float) -> tuple[int, int]:
        """Both sums."""
        self._forget(now)
        return self._first, self._second

    def _forget(self, now: float) -> None:
        while self._parts and self._parts[0][1] < now - self.seconds:
            *_, first, second = self._parts.popleft()
            self._first, self._second = self._first - first, self._second - second


class RuleWindows(Frozen):
    """The windows of the checks of one flow's target, by dataset and rule.

    Args:
        generation: of the table; a full refresh begins the next one, which takes all rows again.
        told: checks that are beyond, which has been told.
    """

    seconds: float
    generation: int
    windows: dict[tuple[str, str], Window]
    told: set[str] = field(default_factory=set)

    def add(self, epoch: Epoch, at: float) -> None:
        """Add what came of the checks of an epoch."""
        for rule in epoch.rules:
            if rule.of_rows:
                window = self.windows.setdefault(_key(rule), Window(self.seconds))
                window.add(at, rule.violations, _rows(rule, epoch))

    def with_(self, rule: RuleCount, epoch: Epoch, at: float) -> tuple[int, int]:
        """Violations and rows of a check in the window, with those of an epoch to come."""
        known = self.windows.get(_key(rule))
        bad, rows = known.totals(at) if known else (0, 0)
        return bad + rule.violations, rows + _rows(rule, epoch)


def window_text(session: Session, dataset: Dataset) -> str | None:
    """The time whose rows a tolerance is about, as its author wrote it; None: of one epoch."""
    default = session.project.configuration.get(TOLERANCE_WINDOW)
    return dataset.table_property(TOLERANCE_WINDOW) or default


def rule_windows(session: Session, compiled: CompiledFlow, epoch: Epoch) -> RuleWindows | None:
    """What is known of the checks of a flow's target; None without a window."""
    text = window_text(session, compiled.dataset)
    if text is None or not compiled.brings_rows:
        return None
    seconds, key = parse_duration(text), f"{fold(compiled.dataset.name)}|{fold(epoch.flow)}"
    known = session.windows.get(key)
    if known is None or (known.seconds, known.generation) != (seconds, epoch.generation):
        known = RuleWindows(seconds, epoch.generation, {})
        for each in reversed(session.ledger.epochs(dataset=epoch.dataset, limit=_MOST)):
            done = each.status is EpochStatus.COMMITTED and each.generation == epoch.generation
            of_flow = each.flow == epoch.flow and is_declared(each.flow) and each.id != epoch.id
            if done and of_flow and each.ended is not None:
                known.add(each, each.ended)
        session.windows[key] = known
    return known


def windowed(session: Session, compiled: CompiledFlow) -> tuple[Expectation, ...]:
    """The checks of a flow's target for an engine: where a window decides, it tolerates all."""
    if window_text(session, compiled.dataset) is None or not compiled.brings_rows:
        return compiled.expectations
    return tuple(
        replace(e, tolerance=Tolerance(share=1.0)) if _is_windowed(e) else e
        for e in compiled.expectations
    )


def as_declared(compiled: CompiledFlow, rules: Sequence[RuleCount]) -> tuple[RuleCount, ...]:
    """What came of checks, with the tolerances of their authors: see `windowed`."""
    checks = _checks(compiled)
    return tuple(
        replace(r, tolerance=str(checks[_key(r)].tolerance)) if _key(r) in checks else r
        for r in rules
    )


def beyond(
    session: Session, compiled: CompiledFlow, epoch: Epoch, failed: Sequence[RuleCount]
) -> tuple[tuple[RuleCount, ...], tuple[RuleWindow, ...]]:
    """The checks because of which nothing of an epoch may be published, and what is in windows.

    Args:
        epoch: with what was staged in it.
        failed: the checks that it breaks by itself, beyond their tolerance.
    """
    known = rule_windows(session, compiled, epoch)
    if known is None:
        return tuple(failed), ()
    now, checks = time.time(), _checks(compiled)
    windowed = {_key(r): r for r in epoch.rules if r.of_rows and _key(r) in checks}
    found = list[RuleWindow]()
    stops = [r for r in failed if _key(r) not in windowed]
    for key, rule in windowed.items():
        bad, rows = known.with_(rule, epoch, now)
        allowed = checks[key].allows(bad, rows)
        found.append(RuleWindow(rule.dataset, rule.rule, bad, rows, known.seconds, not allowed))
        if not allowed and rule.action == Action.FAIL and rule.violations:
            stops.append(rule)
    return tuple(stops), tuple(found)


def told(windows: Sequence[RuleWindow], compiled: CompiledFlow) -> Iterator[tuple[str, str, bool]]:
    """Checks beyond their tolerance: the name, what is told, and whether the dataset is paused."""
    checks = _checks(compiled)
    for each in windows:
        check = checks.get((fold(each.dataset), each.rule))
        if each.beyond and check is not None:
            text = (
                f"{each.violations:,} of the {count(each.rows, 'row')} of the last"
                f" {each.seconds:g} seconds violate {each.rule}"
                f" (at most {check.tolerance} may)"
            )
            yield each.rule, text, check.action.moves


def _checks(compiled: CompiledFlow) -> dict[tuple[str, str], Expectation]:
    """The target's checks with a tolerance; those of a view are about its rows in one epoch."""
    name = fold(compiled.dataset.name)
    return {(name, e.name): e for e in compiled.expectations if _is_windowed(e)}


def _is_windowed(check: Expectation) -> bool:
    return check.tolerance is not None and check.rule.level.of_rows


def _key(rule: RuleCount) -> tuple[str, str]:
    return fold(rule.dataset), rule.rule


def _rows(rule: RuleCount, epoch: Epoch) -> int:
    if rule.rows is not None:
        return rule.rows
    return 0 if epoch.counts is None else epoch.counts.out
