"""One stored table, and what one commit does to it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


@dataclass(frozen=True, slots=True, order=True)
class TableRef:
    """One table.

    Args:
        location: its folder (absolute) or URL.
        name: the dataset, or `<dataset>__quarantine`; for tables of others, their location.

    >>> TableRef("/data/tables/silver", "silver").folder.name
    'silver'
    """

    location: str
    name: str

    @property
    def folder(self) -> Path:
        """The folder of a table on this machine."""
        return Path(self.location.removeprefix("file://"))

    def __str__(self) -> str:
        return self.location


class Change(StrEnum):
    """What becomes of the rows that a table has when a commit brings new ones."""

    APPEND = "append"
    """They stay."""
    REPLACE = "replace"
    """All of them go."""
    REPLACE_OWN = "replace own"
    """Those go that the same application (the same flow) has brought."""
