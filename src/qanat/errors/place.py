"""Say where an error is about that does not know it itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from qanat.errors.root import QanatError
from qanat.model.location import Location


@contextmanager
def located(location: Location | None, *kinds: type[QanatError]) -> Iterator[None]:
    """Give errors that leave the block a place in the author's files, if they have none.

    Args:
        kinds: only to errors of these classes; default: all.

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
