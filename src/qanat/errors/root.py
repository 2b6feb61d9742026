"""The root of all errors, the place in the author's files, and the search for the nearest name."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, ClassVar

from qanat.frozen import Frozen
from qanat.model.name import Named, fold
from qanat.secret import masked


class Location(Frozen):
    """A place in a file, for error messages.

    Args:
        file: path as shown to the user, relative to the project root where possible.
        line: 1-based line, or None when only the file is known.
        column: 1-based column, or None when only the line is known.

    >>> str(Location("silver.sql", 3, 14))
    'silver.sql:3:14'
    """

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        parts = [self.file]
        if self.line is not None:
            parts.append(str(self.line))
            if self.column is not None:
                parts.append(str(self.column))
        return ":".join(parts)


class QanatError(Exception):
    """An error that the author, the operator or the sender of the data can act on.

    Args:
        message: what happened, as one sentence without a full stop.
        location: the file, line and column that the error is about.
        wanted: what would have been right.
        got: what was found instead.
        nearest: the known name that is most like the wrong one.
        hint: what to do, as one sentence.

    Attributes:
        code: the class's stable code, for documentation and scripts.
        exit_code: 2 if the author must change a file or the command line, else 1. Every command
            that tells the error ends with it, or with 2 if another error that it tells has that.
        retryable: True if the same call may succeed when it is tried again unchanged.

    >>> print(QanatError("no dataset 'slver'", location=Location("gold.sql", 3, 8),
    ...                  nearest="silver"))
    gold.sql:3:8: no dataset 'slver' (did you mean 'silver'?)
    """

    code: ClassVar[str] = "Q0000"
    exit_code: int = 1
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        location: Location | None = None,
        wanted: str | None = None,
        got: str | None = None,
        nearest: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.message = masked(message)
        super().__init__(self.message)
        self.location = location
        self.wanted, self.got, self.nearest, self.hint = (
            each and masked(each) for each in (wanted, got, nearest, hint)
        )

    def __str__(self) -> str:
        text = f"{self.location}: {self.message}" if self.location else self.message
        if self.nearest is not None:
            text += f" (did you mean {self.nearest!r}?)"
        if self.wanted is not None:
            text += f"\n  wanted: {self.wanted}"
        if self.got is not None:
            text += f"\n  got: {self.got}"
        if self.hint is not None:
            text += f"\n  hint: {self.hint}"
        return text

    @property
    def problems(self) -> tuple[QanatError, ...]:
        """The errors that this one stands for: itself, unless it is a collection."""
        return (self,)

    def facts(self) -> dict[str, Any]:
        """The error as the JSON object that `--output json` prints; its keys are stable."""
        where = self.location
        return {
            "code": self.code,
            "error": type(self).__name__,
            "message": self.message,
            "file": where.file if where else None,
            "line": where.line if where else None,
            "column": where.column if where else None,
            "wanted": self.wanted,
            "got": self.got,
            "nearest": self.nearest,
            "hint": self.hint,
        }


DATASET = "<dataset>"
"""Stands in a hint for the dataset that is updated: adapters do not know it; see `naming`."""


def full_refresh(*datasets: str) -> str:
    """The command that computes datasets from the start, for hints; of `DATASET` if none is named.

    >>> full_refresh("my orders", "totals")
    "qanat run --full-refresh 'my orders' totals"
    """
    names = " ".join(map(shlex.quote, datasets)) or DATASET
    return f"qanat run --full-refresh {names}"


@contextmanager
def naming(dataset: str) -> Iterator[None]:
    """Put a dataset's name, quoted for a shell, in the place of `DATASET` in an error's hint.

    >>> with naming("silver"):
    ...     raise QanatError("rows are gone", hint=full_refresh())
    Traceback (most recent call last):
    qanat.errors.root.QanatError: rows are gone
      hint: qanat run --full-refresh silver
    """
    try:
        yield
    except QanatError as error:
        for each in error.problems:
            each.hint = each.hint and each.hint.replace(DATASET, shlex.quote(dataset))
        raise


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like `name`, compared without case; None if none is close.

    A name is close if `difflib`'s similarity (Ratcliff and Obershelp) is at least 0.6.

    >>> nearest("flihgts", ["flights", "planes"])
    'flights'
    """
    spelled = Named((k, k) for k in known)
    match = get_close_matches(fold(name), map(fold, spelled), n=1)
    return spelled[match[0]] if match else None


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
