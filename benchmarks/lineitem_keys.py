"""… and a unique compound key and a reference to 1.5 M orders, against plain COPY without.

The orders are a table of the project, made before the clock starts.
"""

from __future__ import annotations

from figure import Figure
from lineitem import against_copy


def measure() -> list[Figure]:
    """CPU at most 1.7 times."""
    return against_copy("lineitem_keys", rules=True, keys=True, cpu=1.7)
