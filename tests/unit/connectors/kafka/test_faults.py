"""What errors of the client mean."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from qanat.connectors.kafka.faults import meaning
from qanat.connectors.kafka.settings import Settings
from qanat.errors import AdapterError, QanatError, SourceNotFoundError, SourceUnavailableError


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        # A broker that has come back answers this for some seconds.
        (KafkaError.UNKNOWN_LEADER_EPOCH, SourceUnavailableError),
        (KafkaError.LEADER_NOT_AVAILABLE, SourceUnavailableError),
        (KafkaError.NOT_ENOUGH_REPLICAS, SourceUnavailableError),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, SourceNotFoundError),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, AdapterError),
    ],
)
def test_meanings(code: int, expected: type[QanatError]) -> None:
    assert type(meaning(KafkaError(code), Settings("a:1"))) is expected
