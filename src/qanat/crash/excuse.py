"""Which errors a fault explains: what an update may end with because of it, and no other."""

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
"""By an error's code, what it has to say; the code of a class is not that of its subclasses."""


def _codes(words: Mapping[type[QanatError], str]) -> Excuses:
    return MappingProxyType({kind.code: text for kind, text in words.items()})


NONE: Excuses = _codes({})
OTHER = _codes(
    {
        # An update does not wait for ever for a ledger in which another one sleeps.
        LedgerError: "",
        UpdateRunningError: "",
        LeaseLostError: "",
    }
)
"""There is another update of the same project."""
_FULL = _codes({StorageFullError: "", LedgerError: ""})
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
    """What an attempt may end with in which a fault happened.

    Args:
        rival: another update was started meanwhile.

    >>> "Q4010" in excuses(Fault.EIO)
    False
    """
    own = _BY_FAULT.get(fault, NONE)
    return {**own, **OTHER} if rival else own


def explained(code: str, message: str, allowed: Excuses) -> bool:
    """Whether an error is one of those.

    >>> explained("Q4007", "no space left", excuses(Fault.FULL))
    True
    >>> explained("Q4007", "no space left", excuses(Fault.EIO))
    False
    """
    return code in allowed and allowed[code] in message
