"""Try again what may succeed unchanged: a store that timed out, never a wrong query."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from qanat.errors import QanatError
from qanat.model.event import Event, Retried

_FIRST_WAIT = 0.5
"""Seconds before the first retry; doubled each time."""

Result = TypeVar("Result")


def retrying(
    action: Callable[[], Result], retries: int, dataset: str, tell: Callable[[Event], None]
) -> Result:
    """The result of an action, tried again while its error is retryable.

    Args:
        retries: how often to try again at most.
        dataset: whose events tell about it.

    Raises:
        QanatError: the last error, or one that is not retryable.
    """
    wait = _FIRST_WAIT
    for attempt in range(1, retries + 1):
        try:
            return action()
        except QanatError as error:
            if not error.retryable:
                raise
            tell(Retried(dataset, attempt, error.message, wait))
            time.sleep(wait)
            wait *= 2
    return action()
