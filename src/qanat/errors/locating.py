"""Add the author's file and line to errors that were raised without them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from qanat.errors.root import QanatError
from qanat.model.location import Location


@contextmanager
def located(location: Location | None, *kinds: type[QanatError]) -> Iterator[None]:
    """Set the location of every `QanatError` that leaves the block without one.

    Args:
        location: the place in the author's files; None leaves errors as they are.
        kinds: change errors of these classes only; default: all.

    >>> with located(Location("gold.sql", 3, 8)):
    ...     raise QanatError("there is no 'dta'")
    Traceback (most recent call last):
    qanat.errors.root.QanatError: gold.sql:3:8: there is no 'dta'
    """
    try:
        yield
    except QanatError as error:
        if error.location is None and isinstance(error, kinds or QanatError):
            error.location = location
        raise
