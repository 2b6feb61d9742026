"""Which offsets of which partitions an epoch reads, and what the next one goes on from.

`[from, to)` of each partition, always. What lies in it need not be there: markers of transactions,
messages of those that were given up, and those that compaction has removed take offsets, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from qanat.connectors.kafka.topics import Partition, means
from qanat.errors import NotAppendOnlyError, full_refresh
from qanat.frozen import Frozen
from qanat.model.query import SourceRef
from qanat.text import count

_ON = "`fail_on_data_loss => false` goes on with the messages that are there"


class Position(Frozen):
    """One epoch's part of some topics.

    Args:
        offsets: by partition, where it begins and where it ends (exclusive).
        topics: by name, what tells a topic from a later one of the same name; empty if unknown.
        lost: by partition, how many offsets were gone before they were read.
    """

    offsets: Mapping[Partition, tuple[int, int]]
    topics: Mapping[str, str] = field(default_factory=dict)
    lost: Mapping[Partition, int] = field(default_factory=dict)

    def value(self) -> dict[str, Any]:
        """As JSON."""
        found: dict[str, Any] = {"offsets": _by_topic(self.offsets), "topics": dict(self.topics)}
        return found | ({"lost": _by_topic(self.lost)} if self.lost else {})

    @staticmethod
    def of(value: Mapping[str, Any]) -> Position:
        """Read what `value` gave.

        >>> position = Position({("orders", 0): (0, 5)}, {"orders": "x"})
        >>> Position.of(position.value()) == position
        True
        """
        offsets = _by_partition(value["offsets"])
        return Position(
            {p: (begin, end) for p, (begin, end) in offsets.items()},
            value["topics"],
            _by_partition(value.get("lost", {})),
        )

    @property
    def size(self) -> int:
        """How many offsets it has: at least as many as messages."""
        return sum(end - begin for begin, end in self.offsets.values())

    @property
    def losses(self) -> tuple[str, ...]:
        """What was gone before it was read, for people."""
        return tuple(
            f"{count(gone, 'offset')} of partition {number} of the topic {topic!r}"
            " were deleted before they were read"
            for (topic, number), gone in self.lost.items()
        )

    def capped(self, most: int | None) -> Position:
        """With at most so many offsets; each partition gives its share.

        >>> Position({("a", 0): (0, 90), ("a", 1): (0, 10)}).capped(20).offsets
        {('a', 0): (0, 18), ('a', 1): (0, 2)}
        """
        size = self.size
        if most is None or size <= most:
            return self
        shares = {p: (end - begin) * most // size for p, (begin, end) in self.offsets.items()}
        left = most - sum(shares.values())
        for partition, (begin, end) in self.offsets.items():
            if left and begin + shares[partition] < end:
                shares[partition] += 1
                left -= 1
        return Position(
            {p: (begin, begin + shares[p]) for p, (begin, _) in self.offsets.items()},
            self.topics,
            self.lost,
        )


class Bounds(Frozen):
    """What a cluster has.

    Args:
        first, end: by partition, the first offset that is there, and the one to end before.
        topics: see `Position`.
    """

    first: Mapping[Partition, int]
    end: Mapping[Partition, int]
    topics: Mapping[str, str]


def following(
    past: Position, there: Bounds, ref: SourceRef, new: Mapping[Partition, int]
) -> Position:
    """What comes after a position.

    Args:
        new: where partitions begin that the position does not have.

    Raises:
        NotAppendOnlyError: what came next was deleted, unless the reference goes on without it.
    """
    strict = ref.option("fail_on_data_loss", True)
    # What is not to be read any more goes on from here if that changes again.
    resting = {p for p in past.offsets if p not in there.end and not means(ref, p)}
    offsets = {p: (past.offsets[p][1], past.offsets[p][1]) for p in resting}
    topics = {topic: past.topics.get(topic, "") for topic, _ in resting}
    lost: dict[Partition, int] = {}
    for partition in sorted({*there.end, *past.offsets} - resting):
        topic, number = partition
        begin = past.offsets[partition][1] if partition in past.offsets else new[partition]
        if partition not in there.end:
            if strict:
                raise _lost(
                    f"partition {number} of the topic {topic!r} is gone", f"offset {begin}"
                )
            continue
        first, end = there.first[partition], there.end[partition]
        before, now = past.topics.get(topic, ""), there.topics.get(topic, "")
        if before and now and before != now:
            if strict:
                raise _lost(
                    f"the topic {topic!r} was deleted and created again",
                    f"offset {begin} of partition {number} of the former one",
                )
            begin = first
        elif begin < first:
            if strict:
                raise _lost(
                    f"{count(first - begin, 'offset')} of partition {number} of the topic"
                    f" {topic!r} were deleted before they were read",
                    f"offset {begin}",
                    f"{first} is the first that is there",
                )
            lost[partition], begin = first - begin, first
        elif begin > end:
            # The last stable offset never goes back, unless the broker has lost something.
            if strict:
                raise _lost(
                    f"partition {number} of the topic {topic!r} ends before what was read of it",
                    f"offset {begin}",
                    f"it ends at {end}",
                )
            begin = first
        offsets[partition] = (begin, end)
    return Position(offsets, topics | dict(there.topics), lost)


def _lost(what: str, wanted: str, got: str | None = None) -> NotAppendOnlyError:
    return NotAppendOnlyError(
        what,
        wanted=wanted,
        got=got,
        hint=f"{_ON}; `{full_refresh()}` reads all that is there from the start",
    )


def _by_topic(values: Mapping[Partition, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for (topic, number), value in values.items():
        found.setdefault(topic, {})[str(number)] = list(value) if type(value) is tuple else value
    return found


def _by_partition(values: Mapping[str, Mapping[str, Any]]) -> dict[Partition, Any]:
    return {(t, int(n)): value for t, numbers in values.items() for n, value in numbers.items()}
