"""An update could not do, or could not finish, its work."""

from __future__ import annotations

from typing import ClassVar

from qanat.errors.root import QanatError


class RunError(QanatError):
    """An update failed."""

    code: ClassVar[str] = "Q5000"


class UpdateRunningError(RunError):
    """Another update of the same project and environment is running."""

    code = "Q5001"


class LeaseLostError(RunError):
    """This update was stopped for so long that another one took over."""

    code = "Q5002"


class EpochConflictError(RunError):
    """The ledger has another epoch open for this flow, or expects another number."""

    code = "Q5003"


class CommitConflictError(RunError):
    """Somebody else committed to the table in between."""

    code = "Q5004"


class HistoryMismatchError(RunError):
    """Ledger and table tell different stories: one was lost or restored from a copy."""

    code = "Q5005"


class InvariantError(RunError):
    """Rows in and rows out do not add up; nothing was published. A defect of Qanat."""

    code = "Q5006"


class UpdateFailedError(RunError):
    """One or more datasets failed; the others are up to date."""

    code = "Q5007"
