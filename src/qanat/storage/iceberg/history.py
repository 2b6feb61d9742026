"""What a table's metadata says of its past: versions, and how far each application has come.

Works on the metadata as plain JSON, so that asking for a version imports nothing.

A snapshot's **version** is its sequence number less one: the first snapshot is version 0.
Sequence numbers only ever grow, also over a rollback, so that no two states of a table share a
version. A *fence* (see `store`) is a snapshot without a change; it takes a sequence number and is
no version.

**Transactions** are kept in the summary of every snapshot that Qanat makes, all of them in each:
what counts is the newest such snapshot on the way back from the current one. So a rollback takes
the numbers back together with the rows. Snapshots of other writers are passed over. If all of
ours on that way have been expired, a table property that every commit keeps in step has the
numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from qanat.frozen import Frozen
from qanat.model.owner import OWNER

TRANSACTIONS = "qanat.transactions"
"""In summaries: JSON of numbers by application. As a table property: these, and whose they are."""
APPLICATION, NUMBER = "qanat.application", "qanat.number"
"""In summaries: what this snapshot committed."""
RETRACTS = "qanat.retracts"
"""In summaries: the snapshot takes back what this application committed as this number."""
RENAMES = "qanat.renames"
"""In summaries: JSON of two applications; what the first has committed is the second's now."""
REWRITES = "qanat.rewrites"
"""In summaries: for which commit the snapshot has the same rows in files with wider types."""
FENCE = "qanat.fence"
"""In summaries: the snapshot changes nothing, and makes commits under way fail."""
TYPES = "qanat.types"
"""In summaries: JSON of column types that Iceberg does not have, by path (`short`, `byte`)."""
MOVED = "qanat.moved"
"""Table property: which rewriting of paths made this metadata."""
MAPPING = "schema.name-mapping.default"
COMMENT = "comment"
RESERVED = frozenset({TRANSACTIONS, MAPPING, COMMENT, MOVED, OWNER})
"""Table properties that are not the author's."""


class SnapshotEntry(Frozen):
    """A snapshot, as the metadata tells it."""

    id: int
    parent: int | None
    sequence: int
    summary: Mapping[str, str]
    manifests: str
    schema: int | None

    @property
    def version(self) -> int:
        """The version of the table that it made."""
        return self.sequence - 1

    @property
    def widens(self) -> bool:
        """True if it has the same rows as the one before, in files with wider types."""
        return REWRITES in self.summary

    @property
    def is_fence(self) -> bool:
        """True if it changes nothing."""
        return FENCE in self.summary


class History:
    """The past of one table.

    Args:
        metadata: the table's metadata file, parsed.
    """

    def __init__(self, metadata: Mapping[str, Any]) -> None:
        self.metadata = metadata
        self.known: dict[int, SnapshotEntry] = {
            s.id: s for s in map(_made, metadata.get("snapshots") or ())
        }
        """All snapshots that have not been expired, by identifier, also of other branches."""

    @property
    def head(self) -> SnapshotEntry | None:
        """The current snapshot, fences included; None before the first commit."""
        current = self.metadata.get("current-snapshot-id")
        # Version 1 of the format writes -1 where later ones write nothing.
        return None if current in (None, -1) else self.known.get(current)

    def line(self, start: SnapshotEntry | None = None) -> Iterator[SnapshotEntry]:
        """The current snapshot (or `start`), its parent, and so on, as far as they are there."""
        each = start or self.head
        while each is not None:
            yield each
            each = None if each.parent is None else self.known.get(each.parent)

    @property
    def newest(self) -> SnapshotEntry | None:
        """The newest snapshot that is a version; None before the first commit."""
        return next((s for s in self.line() if not s.is_fence), None)

    def at(self, version: int) -> SnapshotEntry | None:
        """The snapshot that made a version; None if it is not there, or not any more."""
        return next((s for s in self.line() if s.version == version and not s.is_fence), None)

    @property
    def numbers(self) -> Mapping[str, int]:
        """The last number of each application."""
        return self.numbers_at(self.head)

    def number_before(self, made: SnapshotEntry, application: str, number: int) -> int:
        """The number at which an application was before a snapshot committed `number`.

        Numbers have gaps where a flow's epochs went to another table, or one was promoted.
        """
        if made.parent is None:
            return 0
        before = self.known.get(made.parent)
        return number - 1 if before is None else self.numbers_at(before).get(application, 0)

    def numbers_at(self, start: SnapshotEntry | None) -> Mapping[str, int]:
        """The last number of each application as of a snapshot."""
        for made in self.line(start) if start else ():
            text = made.summary.get(TRANSACTIONS)
            if text is not None:
                return _numbers(json.loads(text))
        kept = json.loads(self.properties.get(TRANSACTIONS) or "{}")
        # The one that wrote it is there and not on our way: it has been rolled back.
        return {} if kept.get("snapshot") in self.known else _numbers(kept.get("numbers", {}))

    @property
    def types(self) -> Mapping[str, str]:
        """Column types that Iceberg does not have, by path, as last written by us."""
        return self.types_at(self.head)

    def types_at(self, start: SnapshotEntry | None) -> Mapping[str, str]:
        """The same as of a snapshot."""
        ours = (s for s in self.line(start) if TRANSACTIONS in s.summary) if start else iter(())
        found: Mapping[str, str] = json.loads(
            next((s.summary.get(TYPES, "{}") for s in ours), "{}")
        )
        return found

    @property
    def properties(self) -> Mapping[str, str]:
        """All table properties."""
        found: Mapping[str, str] = self.metadata.get("properties") or {}
        return found

    @property
    def uuid(self) -> str:
        """The table's identity."""
        return str(self.metadata["table-uuid"])

    def settled(self, after: int, carried: Callable[[str], int | None]) -> int | None:
        """See `TableStore.settled`."""
        numbers = ((a, n, carried(a)) for a, n in self.numbers.items())
        made = (self.committed(a, n) for a, n, known in numbers if known is not None and n > known)
        first = min((s.version for s in made if s and s.version > after), default=None)
        versions = (s.version for s in self.line() if not s.is_fence)
        return next((v for v in versions if first is None or v < first), None)

    def committed(self, application: str, number: int) -> SnapshotEntry | None:
        """The snapshot in which an application committed that number; None if it is expired."""
        made = (s for s, _ in self.commits_of(application) if s.summary.get(NUMBER) == str(number))
        return next(made, None)

    def commits_of(self, application: str) -> Iterator[tuple[SnapshotEntry, str]]:
        """The snapshots that an application has committed, newest first, each with its name then.

        Those under an earlier name are among them, and none of whoever had its name before.
        """
        name = application
        for made in self.line():
            if RENAMES in made.summary:
                old, new = json.loads(made.summary[RENAMES])
                if old == name:
                    return
                name = old if new == name else name
            elif made.summary.get(APPLICATION) == name:
                yield made, name


def _made(snapshot: Mapping[str, Any]) -> SnapshotEntry:
    return SnapshotEntry(
        id=snapshot["snapshot-id"],
        parent=snapshot.get("parent-snapshot-id"),
        sequence=snapshot.get("sequence-number") or 0,
        summary=snapshot.get("summary") or {},
        manifests=snapshot.get("manifest-list") or "",
        schema=snapshot.get("schema-id"),
    )


def _numbers(value: Mapping[str, Any]) -> dict[str, int]:
    return {application: int(number) for application, number in value.items()}
