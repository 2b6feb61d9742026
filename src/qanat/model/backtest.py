"""What checks would have done with the rows of past updates."""

from __future__ import annotations

from qanat.frozen import Frozen
from qanat.model.expectation import Action, Expectation

BACKTESTED = 90
"""Updates that a backtest looks at where nothing else is said."""


class Trial(Frozen):
    """What one check would have done with the rows of one epoch.

    Args:
        epoch: its number in the flow.
        update: its identifier.
        ended: when it was committed, seconds since 1970 (UTC).
        rows: that the check would have been about: those that were written, and those in
            quarantine that could be parsed and computed.
        violations: how many of them violate it.
        blocks: whether the dataset would have failed and published nothing.
        value: what a check of the table has measured; None for checks of rows.
    """

    flow: str
    epoch: int
    update: str
    ended: float
    rows: int
    violations: int
    blocks: bool
    value: str | None = None


class CheckTrials(Frozen):
    """What one check would have done with each of the past updates.

    Args:
        expectation: as it is declared now.
        trials: newest first.
        released: rows that wait in quarantine for a rule of this name and no other, and would
            pass now.
        problem: why it could not be tried at all; None if it could.
    """

    expectation: Expectation
    trials: tuple[Trial, ...] = ()
    released: int = 0
    problem: str | None = None

    @property
    def rows(self) -> int:
        """Rows that it was tried on."""
        return sum(t.rows for t in self.trials)

    @property
    def violations(self) -> int:
        """Rows among them that violate it."""
        return sum(t.violations for t in self.trials)

    @property
    def violated(self) -> int:
        """Updates with a violation."""
        return sum(t.violations > 0 for t in self.trials)

    @property
    def blocked(self) -> int:
        """Updates that would have published nothing."""
        return sum(t.blocks for t in self.trials)

    @property
    def share(self) -> float:
        """The share of rows that violate it, from 0 to 1."""
        return self.violations / self.rows if self.rows else 0.0

    @property
    def stops(self) -> bool:
        """True if a violation fails the dataset."""
        return self.expectation.action is Action.FAIL


class Unseen(Frozen):
    """Past updates that a backtest could not look at.

    Args:
        epochs: how many.
        reason: half a sentence.
    """

    epochs: int
    reason: str


class Backtest(Frozen):
    """What checks of one dataset would have done with its past updates.

    Args:
        updates: how many were asked for.
        looked: how many were looked at; an update is an epoch here, one commit of the table.
        rows: of these.
        dropped: rows that these updates dropped: they are gone, so no check was tried on them.
        bytes: of files that were read for it.
        checks: in the order in which they were given.
        unseen: those that could not be looked at, by reason.
    """

    dataset: str
    updates: int
    looked: int
    rows: int
    checks: tuple[CheckTrials, ...]
    unseen: tuple[Unseen, ...] = ()
    bytes: int = 0
    dropped: int = 0
