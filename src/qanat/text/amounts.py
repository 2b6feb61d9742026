"""Numbers as people read them."""

from __future__ import annotations


def count(number: int, noun: str, plural: str | None = None) -> str:
    """A number and its noun.

    >>> count(1, "row"), count(336776, "row"), count(2, "entry", "entries")
    ('1 row', '336,776 rows', '2 entries')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def size(bytes: int) -> str:
    """Bytes in decimal units.

    >>> size(999), size(4_100_000)
    ('999 B', '4.1 MB')
    """
    value = float(bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"


def duration(seconds: float) -> str:
    """Wall time.

    >>> duration(0.0314), duration(75), duration(7384)
    ('0.03 s', '1 min 15 s', '2 h 3 min')
    """
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, left = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {left} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
