"""Something outside the pipeline is missing, full, unreachable or not as it was."""

from __future__ import annotations

import errno
from typing import ClassVar

from qanat.errors.root import QanatError


class AdapterError(QanatError):
    """A file, table, store or service is not usable."""

    code: ClassVar[str] = "Q4000"


class MissingExtraError(AdapterError):
    """An optional package is not installed; the hint names the extra."""

    code = "Q4001"
    exit_code: ClassVar[int] = 2


class SourceNotFoundError(AdapterError):
    """A path, folder or bucket does not exist."""

    code = "Q4002"


class SourceUnavailableError(AdapterError):
    """A store or service timed out or refused for now."""

    code = "Q4003"
    retryable: ClassVar[bool] = True


class FileUnreadableError(AdapterError):
    """A file is there but is not what its format says, or may not be read."""

    code = "Q4004"


class FileChangedError(AdapterError):
    """A file that was already read has come back with new content.

    Attributes:
        path: of the file, when it changed while it was being read.
    """

    code = "Q4005"
    path: str | None = None


class FileVanishedError(AdapterError):
    """A file that an epoch must read (again) is gone or has changed.

    Attributes:
        path: of the file, when a new epoch could do without it.
    """

    code = "Q4006"
    path: str | None = None


class StorageFullError(AdapterError):
    """No space left where tables or scratch files go."""

    code = "Q4007"


def disk_full(error: OSError) -> bool:
    """Whether the operating system takes no more bytes: the disk, a quota or a limit is full.

    >>> disk_full(OSError(errno.ENOSPC, "No space left on device"))
    True
    """
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class TableNotFoundError(AdapterError):
    """There is no table there."""

    code = "Q4008"


class TableTooNewError(AdapterError):
    """A table (or ledger) was written by a newer version and needs features we lack."""

    code = "Q4009"


class TableCorruptError(AdapterError):
    """A table's log or files are damaged or incomplete."""

    code = "Q4010"


class NotAppendOnlyError(AdapterError):
    """A table read as a stream had rows removed or rewritten."""

    code = "Q4011"


class LedgerError(AdapterError):
    """The ledger cannot be opened, read or written."""

    code = "Q4012"
