"""What errors of the client mean for people and for retries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from qanat.connectors.kafka.drivers import KafkaError, KafkaException
from qanat.connectors.kafka.settings import Settings
from qanat.errors import (
    AdapterError,
    OptionError,
    QanatError,
    SourceNotFoundError,
    SourceUnavailableError,
)

_CONFIGURATION = frozenset({KafkaError._INVALID_ARG, KafkaError._NOT_IMPLEMENTED})
_DENIED = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
TOO_LARGE = (
    '"kafka.message.max.bytes" is what the client allows, and max.message.bytes of the topic what'
    " the broker does"
)
_MISSING = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC})
_FOR_NOW = frozenset(
    {
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._MSG_TIMED_OUT,
        KafkaError._RESOLVE,
        KafkaError._WAIT_COORD,
        KafkaError._UNKNOWN_BROKER,
        KafkaError._RETRY,
        # For a second after a start, nobody has the transactions yet.
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        # While a partition changes its leader, and for seconds after a broker has come back.
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.NOT_CONTROLLER,
        KafkaError.KAFKA_STORAGE_ERROR,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    }
)


class Troubles:
    """The last thing that a client's connections had to say: a call that waits only times out."""

    def __init__(self) -> None:
        self.error: KafkaError | None = None
        self.down = False

    def clear(self) -> None:
        """Forget what was said, for another call."""
        self.error, self.down = None, False

    def __call__(self, error: KafkaError) -> None:
        """Remember it, for librdkafka calls this with every error of a connection."""
        self.down = self.down or error.code() == KafkaError._ALL_BROKERS_DOWN
        # That all brokers are down is told last, and says nothing of why.
        if error.code() != KafkaError._ALL_BROKERS_DOWN or self.error is None:
            self.error = error


@contextmanager
def explained(settings: Settings, troubles: Troubles | None = None) -> Iterator[None]:
    """Say what an error of the client means.

    Raises:
        SourceUnavailableError: the brokers cannot be reached now.
        SourceNotFoundError: there is no such topic.
        OptionError: a setting is wrong.
        AdapterError: they say no.
    """
    try:
        yield
    except KafkaException as error:
        raise meaning(error.args[0], settings, troubles) from error


def meaning(error: KafkaError, settings: Settings, troubles: Troubles | None = None) -> QanatError:
    """The Qanat error for one of the client's."""
    code, told = error.code(), None if troubles is None else troubles.error
    if told is not None and code in _FOR_NOW:
        code, error = told.code(), told
    text = error.str()
    if code in _CONFIGURATION:
        return OptionError(
            "the client of Kafka does not take its settings",
            got=text,
            hint="settings are called as Kafka's Java client calls them: \"kafka.…\" => '…'",
        )
    if code in _DENIED:
        return AdapterError(
            f"Kafka at {settings.servers} refuses",
            got=text,
            hint='"kafka.security.protocol", "kafka.sasl.mechanism", "kafka.sasl.username" and'
            ' "kafka.sasl.password" say who reads',
        )
    if code == KafkaError.MSG_SIZE_TOO_LARGE:
        return AdapterError(
            f"a message is too large for Kafka at {settings.servers}", got=text, hint=TOO_LARGE
        )
    if code in _MISSING:
        return SourceNotFoundError(f"Kafka at {settings.servers} has no such topic", got=text)
    if code in _FOR_NOW or error.retriable() or code == KafkaError._SSL:
        return SourceUnavailableError(
            f"Kafka at {settings.servers} does not answer",
            got=text,
            hint="see that a broker runs there, and that bootstrap_servers and"
            ' "kafka.security.protocol" are those of it',
        )
    return AdapterError(f"Kafka at {settings.servers} failed", got=text)
