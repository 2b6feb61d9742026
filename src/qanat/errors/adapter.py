"""Errors about something outside the pipeline: missing, full, unreachable or changed."""

from __future__ import annotations

import errno
from enum import StrEnum
from typing import ClassVar

from qanat.errors.root import Location, QanatError


class AdapterError(QanatError):
    """A file, table, store or service is not usable."""

    code: ClassVar[str] = "Q4000"


class MissingExtraError(AdapterError):
    """An optional package is not installed; the hint names the extra."""

    code = "Q4001"
    exit_code = 2


class SourceNotFoundError(AdapterError):
    """A source's path, folder or bucket does not exist."""

    code = "Q4002"


class SourceUnavailableError(AdapterError):
    """A store or service timed out or refused; a later try may succeed."""

    code = "Q4003"
    retryable: ClassVar[bool] = True


class FileUnreadableError(AdapterError):
    """A file exists, but its content is not of its format, or the user may not read it."""

    code = "Q4004"


class FileChangedError(AdapterError):
    """A file that was already read has new content.

    Attributes:
        path: the file's path if it changed while it was being read, else None.
    """

    code = "Q4005"
    path: str | None = None


class FileVanishedError(AdapterError):
    """A file that an epoch must read, or read again, is gone or has changed.

    Attributes:
        path: the file's path if a new epoch can leave the file out, else None.
    """

    code = "Q4006"
    path: str | None = None


class StorageFullError(AdapterError):
    """No space is left where tables or scratch files are written."""

    code = "Q4007"


def disk_full(error: OSError) -> bool:
    """True if an error means that the disk, a quota or a file size limit is exhausted.

    >>> disk_full(OSError(errno.ENOSPC, "No space left on device"))
    True
    """
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class TableNotFoundError(AdapterError):
    """A folder or URL holds no table, or not the version asked for."""

    code = "Q4008"


class TableTooNewError(AdapterError):
    """A table or ledger needs features that this version of Qanat lacks."""

    code = "Q4009"


class TableCorruptError(AdapterError):
    """A table's log or files are damaged or incomplete."""

    code = "Q4010"


class NotAppendOnlyError(AdapterError):
    """A table that is read as a stream had rows removed or rewritten."""

    code = "Q4011"


class LedgerError(AdapterError):
    """The ledger cannot be opened, read or written."""

    code = "Q4012"


class LedgerLostError(LedgerError):
    """The file of the ledger was removed, or another one put in its place, while it was in use."""

    code = "Q4014"


class NotAllowedError(AdapterError):
    """A file lies outside of the folders that the spec allows (`allowed_folders`).

    Args:
        path: of the file, as the query has it.
        location: of the query.
        link: by which the path leaves them, and where that leads, if it does so by a link.
    """

    code = "Q4013"
    exit_code = 2

    def __init__(
        self,
        path: str,
        location: Location | None = None,
        link: tuple[str, str] | None = None,
    ) -> None:
        super().__init__(
            f"{path} is in none of the folders that the spec allows",
            location=location,
            got=link and f"the link {link[0]} leads to {link[1]}",
            hint=f"add {link[1] if link else 'its folder'} to `allowed_folders` in the spec",
        )


class Again(StrEnum):
    """Whether an event that an observer did not take is sent to it again."""

    SOON = "soon"
    """After a pause: it was not there, or too busy."""
    LATER = "later"
    """With the next update: it takes nothing as things are, such as with a wrong password."""
    NEVER = "never"
    """It does not want this one."""


class UndeliveredError(AdapterError):
    """An observer did not take an event.

    Args:
        again: whether and when it is sent again.
        after: seconds to wait before that, if the observer has said so.
    """

    code = "Q4015"

    def __init__(
        self,
        message: str,
        again: Again = Again.SOON,
        after: float | None = None,
        got: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, got=got, hint=hint)
        self.again = again
        self.after = after
