"""Which errors a fault explains: an update may end with these and no others."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from qanat.crash.injector import Fault
from qanat.errors import (
    AdapterError,
    FileUnreadableError,
    LeaseLostError,
    LedgerError,
    QanatError,
    SourceUnavailableError,
    StorageFullError,
    UpdateRunningError,
)

Excuses = Mapping[str, str]
"""By an error's code, a text that its message must contain; subclasses have codes of their own."""


def _codes(words: Mapping[type[QanatError], str]) -> Excuses:
    return MappingProxyType({kind.code: text for kind, text in words.items()})


NONE: Excuses = _codes({})
OTHER = _codes(
    {
        # The wait for the ledger has a limit, and another update may sleep while it writes to it.
        LedgerError: "",
        UpdateRunningError: "",
        LeaseLostError: "",
    }
)
"""Errors that another update of the same project explains."""
# A table's catalog in SQLite does not learn which of several things the disk refused.
_FULL = _codes({StorageFullError: "", LedgerError: "", AdapterError: "or a full disk"})
_BY_FAULT: dict[Fault, Excuses] = {
    Fault.EIO: _codes(
        {
            AdapterError: "Input/output error",
            FileUnreadableError: "Input/output error",
            LedgerError: "",
            SourceUnavailableError: "",
        }
    ),
    Fault.ENOSPC: _FULL,
    Fault.FULL: _FULL,
    Fault.STOP: OTHER,
    Fault.CUT: _codes({LedgerError: "", SourceUnavailableError: ""}),
}


def excuses(fault: Fault, rival: bool = False) -> Excuses:
    """The errors that an attempt may end with.

    Args:
        fault: the fault that happened in it.
        rival: True if another update ran at the same time.

    >>> "Q4010" in excuses(Fault.EIO)
    False
    """
    own = _BY_FAULT.get(fault, NONE)
    return {**own, **OTHER} if rival else own


def explained(code: str, message: str, allowed: Excuses) -> bool:
    """True if an error is among the allowed ones.

    >>> explained("Q4007", "no space left", excuses(Fault.FULL))
    True
    >>> explained("Q4007", "no space left", excuses(Fault.EIO))
    False
    """
    return code in allowed and allowed[code] in message
