"""What an author may say of Kafka, and what a client makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from qanat.connectors.kafka import KAFKA, READ, WRITE
from qanat.connectors.kafka.options import Secret
from qanat.connectors.kafka.settings import Settings
from qanat.errors import OptionError
from qanat.plugins import connectors
from tests.unit.declare.test_query import parse

READS = "read_kafka(bootstrapServers => 'a:1', subscribe => 't', {})"
SERVERS = {"bootstrapServers": "a:9092", "subscribe": "t"}


def read(**options: Any) -> dict[str, Any]:
    return READ.check_all({**SERVERS, **options}.items())


def test_names_are_those_of_lakeflow_and_of_spark() -> None:
    sql = (
        "FROM STREAM read_kafka(bootstrapServers => 'a:9092', subscribe => 'clicks',"
        " startingOffsets => 'earliest', \"kafka.security.protocol\" => 'SSL')"
    )
    (found,) = parse(sql, "duckdb", connectors()).reads
    assert found.source.place == "clicks"
    assert found.source.key == "kafka:clicks?bootstrapservers=a:9092"
    assert found.source.option("kafka.security.protocol") == "SSL"
    spark = sql.replace('"', "`").replace("bootstrapServers", "`kafka.bootstrap.servers`")
    (same,) = parse(spark, "spark", connectors()).reads
    assert same.source.key == found.source.key


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("read_kafka('clicks')", "read_kafka takes named arguments only"),
        ("read_kafka(subscribe => 'clicks')", "needs the option 'bootstrap_servers'"),
        ("read_kafka(bootstrapServers => 'a:1')", "reads what one option says"),
        (
            "read_kafka(bootstrapServers => 'a:1', subscribe => 't', assign => '{}')",
            "reads what one option says",
        ),
        ("read_kafka(bootstrapServers => 'a:1', subscibe => 't')", "no option 'subscibe'"),
        (
            "read_kafka(bootstrapServers => 'a:1', subscribe => 't', minPartitions => 3)",
            "no option",
        ),
        (
            READS.format("startingOffsets => 'latest', startingTimestamp => 5"),
            "only one of starting_offsets and starting_timestamp",
        ),
        (
            READS.format("\"kafka.auto.offset.reset\" => 'latest'"),
            "no option 'kafka.auto.offset.reset'",
        ),
    ],
)
def test_mistakes(sql: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        parse(f"FROM STREAM {sql}", "duckdb", connectors())


def test_one_topic_read_in_two_ways_is_two_sources() -> None:
    keys = {
        KAFKA.refer("t", READ.check_all([("bootstrap_servers", servers), (option, "t")])).key
        for servers in ("a:1", "b:1")
        for option in ("subscribe", "subscribe_pattern")
    }
    assert len(keys) == 4
    assert KAFKA.refer("t", read(includeHeaders=True)).key == KAFKA.refer("t", read()).key


def test_passwords_are_not_shown() -> None:
    given = {"kafka.sasl.password": "hush", "kafka.ssl.key.pem": "hush", "kafka.client.id": "me"}
    found = read(**given)
    assert found["kafka.sasl.password"] == Secret("hush")
    assert found["kafka.client.id"] == "me"
    ref = KAFKA.refer("t", found)
    assert "hush" not in f"{ref!r} {ref.text} {ref.label} {ref.key}"
    settings = Settings.of(found.items())
    assert dict(settings.client)["sasl.password"] == "hush"
    written = WRITE.check_all({"bootstrap_servers": "a", "topic": "t", **given}.items())
    assert "hush" not in repr(written)
    for name in ("sasl.pasword", "sasl.passwd", "sals.pass", "ssl.key.pass", "sasl.Pwrd"):
        assert "hush" not in repr(read(**{f"kafka.{name}": "hush"})), name
    shown = ("sasl.mechanism", "sasl.username", "ssl.ca.location", "ssl.keystore.type")
    for name in (*shown, "sasl.oauthbearer.method"):
        assert read(**{f"kafka.{name}": "me"})[f"kafka.{name}"] == "me", name
    # What was checked may be checked again.
    assert WRITE.check_all(written.items()) == written


@pytest.mark.parametrize(
    ("java", "own"),
    [
        ({"ssl.truststore.location": "ca.pem"}, {"ssl.ca.location": "ca.pem"}),
        ({"ssl.truststore.type": "PEM", "ssl.keystore.type": "PKCS12"}, {}),
        (
            {"ssl.endpoint.identification.algorithm": ""},
            {"ssl.endpoint.identification.algorithm": "none"},
        ),
        ({"fetch.max.wait.ms": 7}, {"fetch.wait.max.ms": "7"}),
        ({"buffer.memory": 2048}, {"queue.buffering.max.kbytes": "2"}),
        ({"enable.ssl.certificate.verification": True},
         {"enable.ssl.certificate.verification": "true"}),
    ],
)  # fmt: skip
def test_settings_of_java(java: dict[str, Any], own: dict[str, str]) -> None:
    found = read(**{f"kafka.{name}": value for name, value in java.items()})
    assert dict(Settings.of(found.items()).client) == own


@pytest.mark.parametrize(
    "java", [{"ssl.truststore.location": "a.jks"}, {"ssl.truststore.type": "JKS"}]
)
def test_certificates_that_the_client_cannot_read(java: dict[str, str]) -> None:
    found = read(**{f"kafka.{name}": value for name, value in java.items()})
    with pytest.raises(OptionError, match="the client reads no certificates") as told:
        Settings.of(found.items())
    assert "keytool" in str(told.value.hint)


def test_what_keeps_an_epoch_whole_cannot_be_set() -> None:
    for name in ("kafka.transactional.id", "kafka.acks", "kafka.enable.idempotence"):
        with pytest.raises(OptionError, match="has no option"):
            WRITE.check(name, "0")
