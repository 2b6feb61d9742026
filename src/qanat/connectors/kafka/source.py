"""Kafka as a source: topics, read on from the offsets that the ledger has."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from qanat.connectors.kafka.consume import Reader, Spooled
from qanat.connectors.kafka.given import PACKAGES, given
from qanat.connectors.kafka.position import Bounds, Position, following
from qanat.connectors.kafka.registry import Access, RegistryClient
from qanat.connectors.kafka.settings import Settings
from qanat.connectors.kafka.start import begins, check_endless, ends
from qanat.connectors.kafka.topics import Cluster, Partition, chosen, named
from qanat.errors import NotAppendOnlyError, OptionError, check_installed, full_refresh
from qanat.model.amount import Amount
from qanat.model.envelope import OPTION as ENVELOPE
from qanat.model.pipeline import Drift
from qanat.model.query import SourceRef
from qanat.model.record import Range, Unread
from qanat.model.schema import NO_COLUMNS, Schema
from qanat.model.work import Batch, FilesBatch, Input, LocalFile
from qanat.ports.source import Everywhere, Past, Surroundings

_TEXTS = ("json", "csv")
_BINARY = ("avro", "protobuf")
_DECODING: Mapping[str, tuple[str, ...]] = {
    "schema": (*_TEXTS, *_BINARY),
    "date_format": _TEXTS,
    "timestamp_format": _TEXTS,
    "infer_schema": ("json",),
    ENVELOPE.name: ("json",),
    "value_schema": _BINARY,
    "message": ("protobuf",),
    "schema_registry": ("json", *_BINARY),
    "delimiter": ("csv",),
    "quote": ("csv",),
    "null_value": ("csv",),
}
"""By option, the formats of the values that it is for."""
_ENGINE = (
    *("date_format", "timestamp_format", "infer_schema", ENVELOPE.name),
    *("delimiter", "quote", "null_value"),
)
_SPELLED = {"json": "JSON", "csv": "CSV", "avro": "Avro", "protobuf": "Protobuf"}
_SAMPLE = 1_000
"""How many offsets of each partition tell the columns."""


class KafkaSource(Everywhere):
    """A `Source` of topics."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._lock = threading.Lock()
        self._clusters: dict[Settings, Cluster] = {}
        self._idle: dict[Settings, list[Reader]] = {}
        self._registries: dict[Access, RegistryClient] = {}

    def plan(
        self, ref: SourceRef, past: Past, without: frozenset[str] = frozenset()
    ) -> Unread | None:
        """The offsets up to the last stable one that have not been read; None if there are none.

        Raises:
            OptionError: an option does not fit.
            SourceNotFoundError: a topic is not there.
            NotAppendOnlyError: messages were deleted before they were read.
            QanatError: the brokers say no, as `faults.explained` tells.
        """
        check_endless(ref)
        _check_format(ref)
        cluster = self._cluster(ref)
        partitions, topics = _chosen(cluster, ref)
        position = past.position
        there = _bounds(cluster, partitions, topics, Position.of(position) if position else None)
        if position is None:
            begin = begins(cluster, ref, partitions)
            offsets = {p: (max(begin[p], there.first[p]), there.end[p]) for p in partitions}
            offsets = {p: (min(begin, end), end) for p, (begin, end) in offsets.items()}
            found = Position(offsets, there.topics)
            # Where it begins is remembered, even if there is nothing yet: the next update must
            # not begin at what is the latest message then.
            empty = not partitions or ref.option("starting_offsets", "earliest") == "earliest"
        else:
            found = following(Position.of(position), there, ref, there.first)
            empty = True
        if empty and not found.size and not found.lost:
            return None
        taken = found.capped(ref.option("max_offsets_per_trigger"))
        return Unread(
            Range(taken.value(), positioned=True, amount=Amount(rows=taken.size)),
            Amount(rows=found.size),
            more=taken.size < found.size,
        )

    def renamed(self, old: str, new: str) -> tuple[str, str]:
        """Nothing: there are no files."""
        del old, new
        return "", ""

    def everything(self, ref: SourceRef) -> Range | None:
        """All messages between where the options begin and end.

        Raises:
            OptionError, SourceNotFoundError, QanatError: as for `plan`.
        """
        _check_format(ref)
        cluster = self._cluster(ref)
        partitions, topics = _chosen(cluster, ref)
        there = _bounds(cluster, partitions, topics)
        begin, end = begins(cluster, ref, partitions), ends(cluster, ref, partitions)
        first = {p: min(max(begin[p], there.first[p]), there.end[p]) for p in partitions}
        offsets = {p: (first[p], max(first[p], end[p])) for p in partitions}
        found = Position(offsets, there.topics)
        return Range(found.value(), amount=Amount(rows=found.size))

    def bind(
        self, ref: SourceRef, range: Range | None, known: Schema, drift: Drift, scratch: Path
    ) -> Input:
        """Exactly the messages of a range, as an engine reads them.

        Raises:
            NotAppendOnlyError: they were deleted, or their topic was.
            OptionError, SourceUnavailableError, QanatError: as for `plan`.
        """
        _check_format(ref)
        if range is None:
            return Input(self._batch(ref, (), known, drift), Amount(rows=0))
        position = Position.of(range.value)
        self._check_same(ref, position)
        files = self._spool(ref, position, scratch)
        amount = Amount(bytes=sum(f.bytes for f in files))
        partitions = tuple(map(_name, sorted(position.offsets)))
        batch = replace(self._batch(ref, files, known, drift), partitions=partitions)
        return Input(batch, amount, position.losses)

    def sample(
        self,
        ref: SourceRef,
        known: Schema,
        drift: Drift,
        scratch: Path,
        range: Range | None = None,
    ) -> Batch | None:
        """The newest messages of each partition; None if there are none and columns need some.

        Raises:
            OptionError, SourceNotFoundError, QanatError: as for `plan`.
        """
        _check_format(ref)
        format = ref.option("format", "binary")
        told = format in _BINARY and ref.option("value_schema") and not self._registry(ref)
        if told or format not in ("json", *_BINARY):
            return self._batch(ref, (), known, drift)
        if range is not None:
            offsets = Position.of(range.value).offsets
            offsets = {
                p: (begin, min(end, begin + _SAMPLE)) for p, (begin, end) in offsets.items()
            }
        else:
            cluster = self._cluster(ref)
            there = _bounds(cluster, *_chosen(cluster, ref))
            offsets = {
                p: (max(there.first[p], end - _SAMPLE), end) for p, end in there.end.items()
            }
        files = self._spool(ref, Position(offsets), scratch)
        if not any(f.rows for f in files) and not ref.option("schema"):
            return None
        return self._batch(ref, files, known, drift)

    def again(
        self,
        ref: SourceRef,
        past: Past,
        files: Iterable[str],
        known: Schema,
        drift: Drift,
        scratch: Path,
    ) -> Batch | None:
        """Partitions whose messages could not be decoded, with today's options.

        The quarantine has the messages themselves: a broker may have deleted them.
        """
        del scratch
        position = past.position
        mine = {_name(p) for p in Position.of(position).offsets} if position else set()
        found = tuple(LocalFile(path, "", 0, 0) for path in files if path in mine)
        return self._batch(ref, found, known, drift)

    def verify(self, ref: SourceRef, range: Range) -> Range:
        """The range as it is: messages do not change."""
        return range

    def _cluster(self, ref: SourceRef) -> Cluster:
        settings = Settings.of(ref.options)
        with self._lock:
            if settings not in self._clusters:
                self._clusters[settings] = Cluster(settings)
            return self._clusters[settings]

    @contextmanager
    def _reader(self, ref: SourceRef) -> Iterator[Reader]:
        """A consumer of its own for the block: connections outlive an epoch."""
        settings = Settings.of(ref.options)
        with self._lock:
            idle = self._idle.setdefault(settings, [])
            reader = idle.pop() if idle else None
        reader = reader or Reader(settings)
        yield reader
        # One that has failed is left to the garbage collector.
        with self._lock:
            idle.append(reader)

    def _batch(
        self, ref: SourceRef, files: Iterable[Spooled | LocalFile], known: Schema, drift: Drift
    ) -> FilesBatch:
        options: dict[str, Any] = {name: ref.option(name) for name in _ENGINE}
        passed = tuple((k, v) for k, v in options.items() if v is not None)
        format, schema = ref.option("format", "binary"), ref.option("value_schema")
        return FilesBatch(
            files=tuple(f if isinstance(f, LocalFile) else _local(f) for f in files),
            format="payloads",
            options=(
                ("payload", format),
                ("headers", bool(ref.option("include_headers"))),
                ("given", schema and given(schema, format, self._surroundings)),
                ("message", ref.option("message", "")),
                ("registry", self._registry(ref)),
                *passed,
            ),
            declared=_declared(ref),
            known=known,
            drift=drift,
            path=ref.place,
        )

    def _registry(self, ref: SourceRef) -> RegistryClient | None:
        access = Access.of(dict(ref.options))
        if access is None:
            return None
        with self._lock:
            if access not in self._registries:
                self._registries[access] = RegistryClient(access)
            return self._registries[access]

    def _spool(self, ref: SourceRef, position: Position, scratch: Path) -> list[Spooled]:
        with self._reader(ref) as reader:
            headers = bool(ref.option("include_headers"))
            return reader.spool(position.offsets, headers, scratch)

    def _check_same(self, ref: SourceRef, position: Position) -> None:
        """Refuse messages of a topic that has taken the place of the one that was planned."""
        read = {topic for (topic, _), (begin, end) in position.offsets.items() if begin < end}
        then = {topic: id_ for topic, id_ in position.topics.items() if id_ and topic in read}
        now = self._cluster(ref).identities(then)
        for topic, id_ in then.items():
            if now[topic] and now[topic] != id_:
                raise NotAppendOnlyError(
                    f"the topic {topic!r} was deleted and created again",
                    hint=f"`{full_refresh()}` reads all that is there from the start",
                )


def _chosen(cluster: Cluster, ref: SourceRef) -> tuple[tuple[Partition, ...], Mapping[str, str]]:
    """The partitions that a reference means, and the identities of their topics."""
    names = named(ref)
    if names is not None:
        topics = cluster.described(names)
        if len(topics) == len(names):
            partitions = chosen(ref, {n: t.partitions for n, t in topics.items()})
            return partitions, {n: t.identity for n, t in topics.items()}
    # One that is not there may be one that is misspelled: that is told by all there are.
    partitions = chosen(ref, cluster.partitions())
    return partitions, cluster.identities(topic for topic, _ in partitions)


def _bounds(
    cluster: Cluster,
    partitions: tuple[Partition, ...],
    topics: Mapping[str, str],
    past: Position | None = None,
) -> Bounds:
    """What there is of some partitions.

    Args:
        past: what has been read. Where nothing has come since, nobody asks for the first offset.
    """
    end = cluster.stable(partitions)
    known = {}
    if past is not None:
        same = {t for t, id_ in topics.items() if id_ == past.topics.get(t, id_)}
        known = {
            p: end[p]
            for p in partitions
            if p[0] in same and p in past.offsets and past.offsets[p][1] == end[p]
        }
    asked = [p for p in partitions if p not in known]
    return Bounds(known | cluster.earliest(asked), end, topics)


def _name(partition: Partition) -> str:
    """What rows in quarantine call the partition that they come from.

    >>> _name(("orders", 3))
    'orders/3'
    """
    return f"{partition[0]}/{partition[1]}"


def _check_format(ref: SourceRef) -> None:
    """Refuse options for the decoding of other values, and values without what they need.

    Raises:
        OptionError: there is one, or one is missing.
    """
    format = ref.option("format", "binary")
    for name, formats in _DECODING.items():
        if format not in formats and ref.option(name) is not None:
            raise OptionError(
                f"the option {name!r} of read_kafka is for values in"
                f" {' or '.join(_SPELLED[f] for f in formats)}",
                wanted=" or ".join(f"format => '{f}'" for f in formats),
                got=f"format => {format!r}",
            )
    check_installed(f"format => {format!r}", *PACKAGES.get(format, ((),)))
    registry = Access.of(dict(ref.options))
    if format in _BINARY and registry is None and ref.option("value_schema") is None:
        raise OptionError(
            f"values in {_SPELLED[format]} need a schema",
            wanted="schema_registry => 'https://…', or value_schema => 'a file'",
        )
    if format == "csv" and not ref.option("schema"):
        raise OptionError(
            "values in CSV need the names of their columns",
            wanted="schema => 'id BIGINT, name STRING'",
        )


def _local(spooled: Spooled) -> LocalFile:
    return LocalFile(_name(spooled.partition), str(spooled.path), spooled.bytes, 0)


def _declared(ref: SourceRef) -> Schema:
    text = ref.option("schema")
    if not text:
        return NO_COLUMNS
    # Imported when a schema is to be parsed: its parser costs as much as all of an unchanged run.
    module = import_module("qanat.declare.described")
    return cast(Schema, module.columns(text, ref.option("dialect", "duckdb")))
