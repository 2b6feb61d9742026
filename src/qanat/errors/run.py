"""Errors of an update that could not start or could not finish."""

from __future__ import annotations

from typing import ClassVar

from qanat.errors.root import QanatError


class RunError(QanatError):
    """An update cannot start, or cannot finish."""

    code: ClassVar[str] = "Q5000"


class UpdateRunningError(RunError):
    """Another update of the same project and environment is running."""

    code = "Q5001"


class LeaseLostError(RunError):
    """This update was stopped for longer than its lease, and another one took over."""

    code = "Q5002"


class EpochConflictError(RunError):
    """The ledger already has an open epoch for this flow, or expects another number."""

    code = "Q5003"


class CommitConflictError(RunError):
    """Another writer committed to the table first."""

    code = "Q5004"


class HistoryMismatchError(RunError):
    """Ledger and table disagree: one of them was lost or restored from a copy."""

    code = "Q5005"


class InvariantError(RunError):
    """Rows in and rows out do not add up; nothing was published. This is a defect of Qanat."""

    code = "Q5006"


class UpdateFailedError(RunError):
    """One or more datasets failed; the others are up to date."""

    code = "Q5007"


class RowsLostError(RunError):
    """A full refresh would lose rows: files that they came from are gone."""

    code = "Q5008"


class ForeignTableError(RunError):
    """A table belongs to another project or environment, which shares the storage."""

    code = "Q5009"
