"""What an epoch does to its target."""

from __future__ import annotations

from enum import StrEnum


class Change(StrEnum):
    """What becomes of the rows that a table has when a commit brings new ones."""

    APPEND = "append"
    """They stay."""
    REPLACE = "replace"
    """All of them go."""
    REPLACE_OWN = "replace own"
    """Those go that the same application (the same flow) has brought."""
