"""The same with 16 row rules and 1 % bad rows in quarantine, against plain COPY without."""

from __future__ import annotations

from figure import Figure
from lineitem import against_copy


def measure() -> list[Figure]:
    """CPU at most 1.3 times."""
    return against_copy("lineitem_rules", rules=True, cpu=1.3)
