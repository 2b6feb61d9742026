"""A reference to one stored table, whatever its format and wherever it lies."""

from __future__ import annotations

from dataclasses import dataclass
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
