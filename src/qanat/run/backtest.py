"""What checks would have done with the rows of past updates; nothing is written.

The rows of an epoch are those that its commit added to the table, by the table's log, and those
that it put into quarantine and that still wait there.
"""

from __future__ import annotations

from collections.abc import Sequence

from qanat.model.backtest import BACKTESTED, Backtest
from qanat.model.pipeline import Expectation
from qanat.run.session import Session


def backtest(
    session: Session,
    dataset: str,
    expectations: Sequence[Expectation] | None = None,
    updates: int = BACKTESTED,
    most_bytes: int | None = None,
) -> Backtest:
    """What each of some checks would have done with each of the last updates of a dataset.

    Args:
        expectations: as an author declares them; they need not be those of the dataset.
            Default: all that it has.
        updates: how many of the newest, at most.
        most_bytes: of files that are read, at most; what is older then is not looked at.

    Raises:
        DatasetNotFoundError: no such dataset is declared.
    """
    raise NotImplementedError
