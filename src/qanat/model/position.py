"""How far a flow has read: the ranges of its sources that one epoch takes.

A range is chosen once, written to the ledger, and read again exactly the same if the epoch must
be redone. Ranges are kept by `SourceRef.key`, not by their place in the query, so that an author
may rearrange a query without rereading anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class FileRef:
    """One version of one file.

    Args:
        path: absolute path or URL.
        size: bytes.
        modified_ns: modification time, nanoseconds since 1970 (UTC).
        digest: hash of the content (or the store's ETag), None until read.
    """

    path: str
    size: int
    modified_ns: int
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Amount:
    """How much a range has, or how much waits; `rows` is None where nobody has counted.

    >>> Amount(files=1, bytes=10, rows=2) + Amount(files=2, bytes=5)
    Amount(files=3, bytes=15, rows=None)
    """

    files: int = 0
    bytes: int = 0
    rows: int | None = None

    def __add__(self, other: Amount) -> Amount:
        rows = None if self.rows is None or other.rows is None else self.rows + other.rows
        return Amount(self.files + other.files, self.bytes + other.bytes, rows)


@dataclass(frozen=True, slots=True)
class Range:
    """The part of one source that one epoch reads.

    Args:
        value: JSON of the connector's own. The kernel stores it and hands it back, and never
            opens it.
        files: whole files of the range, for sources that are read by file. The ledger remembers
            them one by one on the connector's behalf (`Past.seen`).
        moves: whether the range continues an earlier one: once the epoch is committed, `value`
            is where the next one starts from (`Past.position`).
        amount: how much it has, as far as that is known before it is read; not stored.
    """

    value: Mapping[str, Any]
    files: tuple[FileRef, ...] = ()
    moves: bool = False
    amount: Amount = field(default_factory=Amount, compare=False)


@dataclass(frozen=True, slots=True)
class Unread:
    """What a source has that a flow has not read.

    Args:
        range: what the next epoch takes.
        waiting: everything unread, which is more than the range where options limit an epoch.
        more: whether an epoch after this one would find something of what is there now.
    """

    range: Range
    waiting: Amount
    more: bool = False


@dataclass(frozen=True, slots=True)
class QuarantineMark:
    """What a quarantine must carry, if it was neither lost nor restored from an older copy.

    Args:
        number: of the newest epoch of a flow that changed the quarantine.
        emptied: whether that epoch left no row of the flow there.
    """

    number: int
    emptied: bool = False


def quarantine_key(dataset: str) -> str:
    """The name under which is kept which epochs of a flow a quarantine has rows of."""
    return f"quarantine:{dataset.casefold()}"
