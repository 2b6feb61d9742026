"""Exactly the messages of a range, written down as Parquet on this machine.

A partition each has a file, in the order of its offsets. Its columns are those that an engine
reads messages from: `line` (the offset), `value`, `message_key`, `message_time` (microseconds
since 1970, UTC), `message_kind` (Spark's `timestampType`) and, if wanted, `message_headers`.
"""

from __future__ import annotations

import gc
import time
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any, Self, cast
from uuid import uuid4

from qanat.connectors.kafka.drivers import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
    pa,
    parquet,
)
from qanat.connectors.kafka.faults import Troubles, explained, meaning
from qanat.connectors.kafka.settings import Settings
from qanat.connectors.kafka.topics import Partition
from qanat.disk import explained as written
from qanat.errors import NotAppendOnlyError, SourceUnavailableError, full_refresh
from qanat.frozen import Frozen

_BATCH = 10_000
_SECONDS = 60.0
"""How long brokers may send nothing before the read is given up."""
_AT_ONCE = 200
"""How many partitions are read at a time: each has a file open."""
_OWN = {
    "group.id": "qanat",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,
    "auto.offset.reset": "error",
    "isolation.level": "read_committed",
}
_GONE = frozenset({KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET})
_COLUMNS = (
    ("line", pa.int64()),
    ("value", pa.binary()),
    ("message_key", pa.binary()),
    ("message_time", pa.int64()),
    ("message_kind", pa.int32()),
)
_HEADERS = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))


class Spooled(Frozen):
    """The messages of one partition.

    Args:
        path: of the Parquet file.
        rows: how many there are.
        bytes: of their values and keys.
    """

    partition: Partition
    path: Path
    rows: int
    bytes: int


class Reader:
    """A consumer that reads ranges, one at a time.

    Args:
        settings: how to reach the cluster.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._troubles = Troubles()
        tuning = {
            # By default librdkafka waits for a second whenever its queue was full.
            "fetch.queue.backoff.ms": 5,
            "queued.min.messages": 100_000,
            # What is read is there. A request at the end of a range has brokers wait for more,
            # for half a second by default, and the next range would wait for its answer.
            "fetch.wait.max.ms": 5,
        }
        group = {k: v for k, v in settings.client if k == "group.id"}
        own = {**_OWN, **group, "error_cb": self._troubles}
        configuration = settings.configuration(own)
        with explained(settings):
            self._consumer = Consumer({**tuning, **configuration})

    def spool(
        self, offsets: Mapping[Partition, tuple[int, int]], headers: bool, scratch: Path
    ) -> list[Spooled]:
        """Write the messages of some ranges into a folder.

        Args:
            offsets: by partition, where to begin and where to end (exclusive).

        Raises:
            NotAppendOnlyError: messages of the range are not there any more.
            SourceUnavailableError: the brokers do not answer.
            StorageFullError: the disk is full.
            QanatError: as `faults.explained` tells.
        """
        folder = scratch / f"kafka-{uuid4().hex}"
        full = sorted(p for p, (begin, end) in offsets.items() if begin < end)
        found: list[Spooled] = []
        with written("write messages to", folder):
            folder.mkdir()
            for at in range(0, len(full), _AT_ONCE):
                some = {p: offsets[p] for p in full[at : at + _AT_ONCE]}
                found += self._some(some, headers, folder)
        return found

    def _some(
        self, offsets: Mapping[Partition, tuple[int, int]], headers: bool, folder: Path
    ) -> Iterable[Spooled]:
        numbered = {p: folder / f"{i}-{p[1]}.parquet" for i, p in enumerate(offsets)}
        with ExitStack() as stack:
            files = {
                p: stack.enter_context(_File(p, path, headers)) for p, path in numbered.items()
            }
            with _uncollected():
                for partition, messages in self.messages(offsets):
                    files[partition].write(messages)
        return [file.spooled for file in files.values()]

    def messages(
        self, offsets: Mapping[Partition, tuple[int, int]]
    ) -> Iterator[tuple[Partition, Sequence[Message]]]:
        """The messages of some ranges, none of them empty, as they come.

        Raises:
            NotAppendOnlyError, SourceUnavailableError, QanatError: as for `spool`.
        """
        with self._assigned(offsets):
            yield from self._messages(offsets)

    @contextmanager
    def _assigned(self, offsets: Mapping[Partition, tuple[int, int]]) -> Iterator[None]:
        self._troubles.error = None
        with explained(self.settings, self._troubles):
            self._consumer.assign(
                [TopicPartition(t, n, begin) for (t, n), (begin, _) in offsets.items()]
            )
            try:
                yield
            finally:
                self._consumer.unassign()

    def _messages(
        self, offsets: Mapping[Partition, tuple[int, int]]
    ) -> Iterator[tuple[Partition, Sequence[Message]]]:
        """The messages of assigned ranges."""
        left = {p: end for p, (_, end) in offsets.items()}
        at = {p: begin for p, (begin, _) in offsets.items()}
        patience = time.monotonic() + _SECONDS
        while left:
            taken = self._taken(sum(left.values()) - sum(at[p] for p in left))
            if taken:
                patience = time.monotonic() + _SECONDS
            elif time.monotonic() > patience:
                raise self._silent()
            taken, reached = _sorted_out(taken)
            for partition, messages in _by_partition(taken, len(offsets) == 1):
                if partition in left:
                    reached[partition] = max(reached.get(partition, 0), _offset(messages[-1]) + 1)
                    if some := _below(messages, left[partition]):
                        yield partition, some
            at |= reached
            for partition, offset in reached.items():
                # Markers of transactions take the last offsets of many ranges: no message comes
                # with these, but the next one, or word of the partition's end.
                if partition in left and offset >= left[partition]:
                    self._done(partition, left)

    def _taken(self, most: int) -> list[Message]:
        """What comes next, as soon as there is something: a call waits until it has all it asks.

        Args:
            most: how many messages can be left.
        """
        first = self._consumer.consume(1, 0.5)
        if first and most > 1:
            # What follows is mostly there; without this wait there would be many small batches.
            first += self._consumer.consume(min(_BATCH, most) - 1, 0.005)
        return first

    def _done(self, partition: Partition, left: dict[Partition, int]) -> None:
        del left[partition]
        if left:
            # Else it goes on to fetch what this range does not have.
            self._consumer.incremental_unassign([TopicPartition(*partition)])

    def _silent(self) -> Exception:
        if (error := self._troubles.error) is not None:
            return meaning(error, self.settings)
        return SourceUnavailableError(
            f"Kafka at {self.settings.servers} has sent nothing for {_SECONDS:.0f} seconds"
        )


class _File:
    """The file of one partition."""

    def __init__(self, partition: Partition, path: Path, headers: bool) -> None:
        self._partition, self._path, self._headers = partition, path, headers
        names = [*_COLUMNS, ("message_headers", _HEADERS)] if headers else list(_COLUMNS)
        self._schema = pa.schema(names)
        self._rows = self._bytes = 0

    def __enter__(self) -> Self:
        # It is read once or twice, and removed: nothing in it has to be small.
        self._writer = parquet.ParquetWriter(
            self._path,
            self._schema,
            compression="none",
            use_dictionary=False,
            write_statistics=False,
            store_schema=False,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write(self, messages: Sequence[Message]) -> None:
        # Without a time its kind is 0, of which Spark has -1.
        kinds, times = zip(*map(Message.timestamp, messages), strict=True)
        if all(kinds):
            stamps = _numbers("q", pa.int64(), [ms * 1000 for ms in times])
        else:
            each = zip(kinds, times, strict=True)
            stamps = pa.array([ms * 1000 if kind else None for kind, ms in each], pa.int64())
        arrays = [
            _numbers("q", pa.int64(), _offsets(messages)),
            _binary(list(map(Message.value, messages))),
            _binary(list(map(Message.key, messages))),
            stamps,
            _kinds(kinds),
        ]
        if self._headers:
            arrays.append(pa.array([_headers(m) for m in messages], _HEADERS))
        self._writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        self._rows += len(messages)
        self._bytes += arrays[1].nbytes + arrays[2].nbytes

    @property
    def spooled(self) -> Spooled:
        return Spooled(self._partition, self._path, self._rows, self._bytes)


@contextmanager
def _uncollected() -> Iterator[None]:
    """While the block lasts, no garbage is looked for.

    Messages come by the thousand and are part of no cycle: to look at each of them, and at all
    that the process has besides, took a third of the time of a read.
    """
    if not gc.isenabled():
        # Another thread reads messages, and enables it in the end.
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


# `pa.array` looks at one value at a time, which takes five times as long for bytes, and loads
# pandas if it is there, which takes 0.2 s.


def _numbers(code: str, type_: Any, values: Iterable[Any]) -> Any:
    """An array of whole numbers, none of them missing."""
    found = array(code, values)
    return pa.Array.from_buffers(type_, len(found), [None, pa.py_buffer(found)])


def _offsets(messages: Sequence[Message]) -> Iterable[Any]:
    """The offsets of messages of one partition, which grow from each to the next."""
    first, last = _offset(messages[0]), _offset(messages[-1])
    if last - first == len(messages) - 1:
        return range(first, last + 1)
    return map(Message.offset, messages)


def _kinds(kinds: Sequence[int]) -> Any:
    """What the times of messages are: mostly the same in all of them."""
    if kinds.count(kinds[0]) == len(kinds):
        same = array("i", (kinds[0] - 1,)) * len(kinds)
        return pa.Array.from_buffers(pa.int32(), len(same), [None, pa.py_buffer(same)])
    return _numbers("i", pa.int32(), [kind - 1 for kind in kinds])


def _binary(values: list[bytes | None]) -> Any:
    """An array of bytes."""
    if (missing := values.count(None)) == len(values):
        return pa.nulls(len(values), pa.binary())
    if missing:
        return pa.array(values, pa.binary())
    there = cast(list[bytes], values)
    ends = array("i", accumulate(map(len, there), initial=0))
    parts = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(there))]
    return pa.Array.from_buffers(pa.binary(), len(there), parts)


def _headers(message: Message) -> list[dict[str, Any]] | None:
    found: Any = message.headers()
    return found and [{"key": key, "value": value} for key, value in found]


def _sorted_out(taken: list[Message]) -> tuple[list[Message], dict[Partition, int]]:
    """Messages, and the ends of partitions that were told among them.

    Raises:
        NotAppendOnlyError, KafkaException: as for `_is_end`.
    """
    told = list(filter(Message.error, taken))
    if not told:
        return taken, {}
    reached = {_partition(m): _offset(m) for m in told if _is_end(m)}
    return [m for m in taken if m.error() is None], reached


def _below(messages: Sequence[Message], end: int) -> Sequence[Message]:
    """Those before an offset."""
    if _offset(messages[-1]) < end:
        return messages
    return [m for m in messages if _offset(m) < end]


def _is_end(message: Message) -> bool:
    """True if it says that its partition has no more messages.

    Raises:
        NotAppendOnlyError: it says that the offset asked for is gone.
        KafkaException: it says that something else is wrong.
    """
    error = message.error()
    if error is None or error.code() == KafkaError._PARTITION_EOF:
        return error is not None
    if error.code() in _GONE:
        raise NotAppendOnlyError(
            f"messages of partition {message.partition()} of the topic {message.topic()!r} were"
            " deleted before they were read",
            got=error.str(),
            hint=f"`{full_refresh()}` reads all that is there from the start",
        )
    raise KafkaException(error)


def _partition(message: Message) -> Partition:
    return str(message.topic()), int(message.partition() or 0)


def _offset(message: Message) -> int:
    return int(message.offset() or 0)


def _by_partition(
    messages: Sequence[Message], single: bool
) -> Iterable[tuple[Partition, Sequence[Message]]]:
    """The messages of each partition, in their order."""
    if single:
        return [(_partition(messages[0]), messages)] if messages else []
    found: dict[Partition, list[Message]] = {}
    for message in messages:
        found.setdefault(_partition(message), []).append(message)
    return found.items()
