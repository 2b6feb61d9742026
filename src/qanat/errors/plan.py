"""Errors about declarations that are valid one by one but make no pipeline together."""

from __future__ import annotations

from typing import ClassVar

from qanat.errors.root import QanatError


class PlanError(QanatError):
    """The pipeline cannot be planned."""

    code: ClassVar[str] = "Q3000"
    exit_code = 2


class CycleError(PlanError):
    """Datasets read each other in a circle."""

    code = "Q3001"


class FlowError(PlanError):
    """A flow does not fit its target or its inputs: no STREAM, a missing target, …"""

    code = "Q3002"


class SelectionError(PlanError):
    """`--select`, `--refresh`, `--full-refresh` or `--replace` names what does not exist."""

    code = "Q3003"


class RereadError(PlanError):
    """Rows would be read again, beside those there: of a new name, or in another environment."""

    code = "Q3005"


class PromotionError(PlanError):
    """What another environment has computed cannot become this one's table as it is."""

    code = "Q3006"


class ResetError(PlanError):
    """A full refresh would replace a table that its author protects from that."""

    code = "Q3004"
