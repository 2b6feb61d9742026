"""The client of Kafka and Arrow, which come with an extra."""

from __future__ import annotations

from typing import Any

from qanat.errors import needing

with needing("Kafka", "kafka"):
    import pyarrow as pa
    from confluent_kafka import (
        OFFSET_INVALID,
        Consumer,
        IsolationLevel,
        KafkaError,
        KafkaException,
        Message,
        Producer,
        TopicCollection,
        TopicPartition,
        admin,
    )
    from pyarrow import parquet

    AdminClient = admin.AdminClient
    # Its types leave these out.
    NewTopic: Any = vars(admin)["NewTopic"]
    OffsetSpec: Any = vars(admin)["OffsetSpec"]

__all__ = [
    "OFFSET_INVALID",
    "AdminClient",
    "Consumer",
    "IsolationLevel",
    "KafkaError",
    "KafkaException",
    "Message",
    "NewTopic",
    "OffsetSpec",
    "Producer",
    "TopicCollection",
    "TopicPartition",
    "pa",
    "parquet",
]
