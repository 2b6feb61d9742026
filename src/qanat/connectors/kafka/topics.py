"""What a cluster says of its topics: which there are, their partitions, and their offsets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from qanat.connectors.kafka.drivers import (
    AdminClient,
    IsolationLevel,
    KafkaError,
    KafkaException,
    NewTopic,
    OffsetSpec,
    TopicCollection,
    TopicPartition,
)
from qanat.connectors.kafka.faults import Troubles, explained
from qanat.connectors.kafka.settings import Settings
from qanat.errors import OptionError, SourceNotFoundError, nearest
from qanat.frozen import Frozen
from qanat.model.query import SourceRef

Partition: TypeAlias = tuple[str, int]
"""A topic and the number of one of its partitions."""

_SECONDS = 20.0
"""How long a question waits for its answer."""
_SOON = 2.0
"""How long one waits if no broker can be reached at all: whoever asks tries again."""
_INTERNAL = frozenset(
    {"__consumer_offsets", "__transaction_state", "__share_group_state", "_qanat_epochs"}
)
_NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"
"""What brokers that know no identifiers of topics answer."""


_NOT_THERE = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC})


class Topic(Frozen):
    """What a cluster says of a topic.

    Args:
        partitions: their numbers.
        identity: what tells it from a later one of the same name; empty if brokers cannot say.
    """

    partitions: tuple[int, ...]
    identity: str


class Cluster:
    """Questions to one cluster; safe to ask from several threads.

    Args:
        settings: how to reach it.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._troubles = Troubles()
        with explained(settings):
            self._admin = AdminClient(settings.configuration({"error_cb": self._troubles}))

    def partitions(self) -> dict[str, tuple[int, ...]]:
        """The partitions of every topic.

        Raises:
            QanatError: as `faults.explained` tells.
        """
        self._troubles.clear()
        with explained(self.settings, self._troubles):
            try:
                found = self._topics(_SOON)
            except KafkaException:
                if self._troubles.down:
                    raise
                found = self._topics(_SECONDS - _SOON)
        return {name: tuple(sorted(topic.partitions)) for name, topic in found.items()}

    def _topics(self, seconds: float) -> Mapping[str, Any]:
        try:
            return self._admin.list_topics(timeout=seconds).topics
        except KafkaException:
            # What the connections had to say is told to the callback by this alone.
            self._admin.poll(0)
            raise

    def create(self, topic: str, settings: Mapping[str, str]) -> None:
        """Create a topic with one partition; another process may have done so just now.

        Raises:
            QanatError: as `faults.explained` tells.
        """
        made = self._admin.create_topics([NewTopic(topic, 1, config=dict(settings))])
        with explained(self.settings, self._troubles):
            try:
                made[topic].result(_SECONDS)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise

    def described(self, topics: Iterable[str]) -> dict[str, Topic]:
        """What there is of some topics: those that are not there are left out.

        Raises:
            QanatError: as `faults.explained` tells.
        """
        names = sorted(set(topics))
        if not names:
            return {}
        try:
            return self._described(names, _SOON)
        except KafkaException:
            # This question waits without a word where a login is refused; another one tells why.
            self.partitions()
        with explained(self.settings, self._troubles):
            return self._described(names, _SECONDS)

    def _described(self, names: list[str], seconds: float) -> dict[str, Topic]:
        asked = self._admin.describe_topics(TopicCollection(names), request_timeout=seconds)
        found = {}
        for name, future in asked.items():
            try:
                told = future.result()
            except KafkaException as error:
                if error.args[0].code() not in _NOT_THERE:
                    raise
                continue
            id_ = str(told.topic_id)
            numbers = tuple(sorted(p.id for p in told.partitions))
            found[name] = Topic(numbers, "" if id_ == _NO_ID else id_)
        return found

    def identities(self, topics: Iterable[str]) -> dict[str, str]:
        """By topic, what tells it from a later one of the same name; empty if brokers cannot say.

        Raises:
            QanatError: as `faults.explained` tells.
        """
        return {name: topic.identity for name, topic in self.described(topics).items()}

    def earliest(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The offset of the first message that is still there, by partition."""
        return self.offsets(dict.fromkeys(partitions, OffsetSpec.earliest()))

    def stable(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The last stable offset, by partition: all before it is committed, or was given up.

        A transaction that somebody has open ends it, so that a range never waits for one.
        """
        return self.offsets(dict.fromkeys(partitions, OffsetSpec.latest()))

    def written(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The offset behind the last message, committed or not, by partition."""
        specs = dict.fromkeys(partitions, OffsetSpec.latest())
        return self.offsets(specs, IsolationLevel.READ_UNCOMMITTED)

    def since(self, moments: Mapping[Partition, int]) -> dict[Partition, int]:
        """The offset of the first message that is not older than a time; the end without any.

        Args:
            moments: milliseconds since 1970 (UTC).
        """
        found = self.offsets({p: OffsetSpec.for_timestamp(ms) for p, ms in moments.items()})
        ends = self.stable(p for p, offset in found.items() if offset < 0)
        return found | ends

    def offsets(
        self,
        specs: Mapping[Partition, Any],
        isolation: IsolationLevel = IsolationLevel.READ_COMMITTED,
    ) -> dict[Partition, int]:
        """Ask for one offset of each partition.

        Raises:
            QanatError: as `faults.explained` tells.
        """
        if not specs:
            return {}
        asked = self._admin.list_offsets(
            {TopicPartition(topic, number): spec for (topic, number), spec in specs.items()},
            isolation_level=isolation,
            request_timeout=_SECONDS,
        )
        with explained(self.settings, self._troubles):
            return {(p.topic, p.partition): future.result().offset for p, future in asked.items()}


def chosen(ref: SourceRef, there: Mapping[str, tuple[int, ...]]) -> tuple[Partition, ...]:
    """The partitions that a reference means, in order.

    Args:
        there: those that the cluster has.

    Raises:
        OptionError: an option does not parse.
        SourceNotFoundError: a topic or partition that it names is not there.
    """
    if (pattern := ref.option("subscribe_pattern")) is not None:
        try:
            regex = re.compile(pattern)
        except re.error as error:
            raise OptionError(
                "the option 'subscribe_pattern' of read_kafka is no regular expression",
                got=f"{pattern!r}: {error}",
            ) from error
        topics = [t for t in sorted(there) if t not in _INTERNAL and regex.fullmatch(t)]
        return tuple((topic, number) for topic in topics for number in there[topic])
    if (assigned := ref.option("assign")) is not None:
        return _assigned(assigned, there)
    topics = _subscribed(ref)
    for topic in topics:
        _check_there(topic, there)
    return tuple((topic, number) for topic in topics for number in there[topic])


def named(ref: SourceRef) -> tuple[str, ...] | None:
    """The topics that a reference names; None if it has a pattern.

    Raises:
        OptionError: an option does not parse.
    """
    if ref.option("subscribe_pattern") is not None:
        return None
    if (assigned := ref.option("assign")) is not None:
        return tuple(parsed("assign", assigned, '{"orders": [0, 1]}'))
    return tuple(_subscribed(ref))


def means(ref: SourceRef, partition: Partition) -> bool:
    """True if a reference would read a partition if it were there; its options do parse."""
    topic, number = partition
    if (pattern := ref.option("subscribe_pattern")) is not None:
        return re.fullmatch(pattern, topic) is not None
    if (assigned := ref.option("assign")) is not None:
        return number in parsed("assign", assigned, "").get(topic, ())
    return topic in _subscribed(ref)


def _subscribed(ref: SourceRef) -> list[str]:
    names = (name.strip() for name in str(ref.option("subscribe")).split(","))
    return list(dict.fromkeys(filter(None, names)))


def _assigned(text: str, there: Mapping[str, tuple[int, ...]]) -> tuple[Partition, ...]:
    found = parsed("assign", text, '{"orders": [0, 1]}')
    if not all(isinstance(n, list) and all(type(i) is int for i in n) for n in found.values()):
        raise _no_json("assign", text, '{"orders": [0, 1]}')
    for topic, numbers in found.items():
        _check_there(topic, there)
        missing = [str(n) for n in numbers if n not in there[topic]]
        if missing:
            raise SourceNotFoundError(
                f"the topic {topic!r} has no partition {', '.join(missing)}",
                wanted=", ".join(map(str, there[topic])),
            )
    return tuple((topic, n) for topic, numbers in found.items() for n in sorted(set(numbers)))


def _check_there(topic: str, there: Mapping[str, tuple[int, ...]]) -> None:
    if not there.get(topic):
        raise SourceNotFoundError(
            f"there is no topic {topic!r}",
            nearest=nearest(topic, [t for t in there if t != topic]),
        )


def parsed(name: str, text: str, example: str) -> dict[str, Any]:
    """The JSON object that the value of an option is.

    Raises:
        OptionError: it is none.
    """
    try:
        found = json.loads(text)
    except ValueError as error:
        raise _no_json(name, text, example) from error
    if not isinstance(found, dict):
        raise _no_json(name, text, example)
    return found


def _no_json(name: str, text: str, example: str) -> OptionError:
    return OptionError(
        f"the option {name!r} of read_kafka does not fit", wanted=f"such as '{example}'", got=text
    )
