"""Three typed tables of 6 M rows without rules, against plain COPY (see `lineitem.py`)."""

from __future__ import annotations

from figure import Figure
from lineitem import against_copy


def measure() -> list[Figure]:
    """CPU at most 1.15 times, peak memory at most 1.2 times."""
    return against_copy("lineitem_plain", cpu=1.15, peak=1.2)
