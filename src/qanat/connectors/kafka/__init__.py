"""Kafka: topics that are read up to what is committed, and that take each epoch once.

Here stands what an author may say, with `options` (settings of clients, secrets). Read on in this
order: `drivers`, `settings` (a client's configuration) and `faults` (what its errors mean);
`registry` (schemas by number) and `given` (schemas of the author's); for
the source `topics` (what a broker says of them), `start` (where to begin and end), `position` (how
far they have been read), `consume` (exactly one range, written down) and `source`; for the sink
`books` (which epochs are there), `produce` (rows as messages), `encode` (with schemas; `avro`
and `protobuf`), `target` and `sink`. `places` names topics for catalogs.
"""

from __future__ import annotations

from dataclasses import replace

from qanat.connectors.kafka.options import TOPICS, KafkaOptions, ReadOptions
from qanat.model.adapter import Connector, Option, TableFunction, ValueType
from qanat.model.envelope import OPTION as ENVELOPE

_SERVERS = Option(
    "bootstrap_servers",
    "the brokers to ask first: `host:port`, separated by commas",
    spellings=("kafka.bootstrap.servers",),
    type=ValueType.NAME,
    required=True,
    identity=True,
)
_OWN = "leave it out: Qanat sets it, so that each message is read once"
_GUARDED = {
    "kafka.auto.offset.reset": "starting_offsets says where to begin",
    "kafka.enable.auto.commit": _OWN,
    "kafka.enable.auto.offset.store": _OWN,
    "kafka.enable.partition.eof": _OWN,
    "kafka.isolation.level": "leave it out: only what is committed is read",
    "kafka.interceptor.classes": "leave it out: it names classes of Java",
    "kafka.key.deserializer": "leave it out: keys are read as bytes",
    "kafka.value.deserializer": "leave it out: format => 'json' decodes values",
    "kafka.key.serializer": "leave it out: keys are sent as they are",
    "kafka.value.serializer": "leave it out: format => 'json' encodes rows",
    "kafka.sasl.jaas.config": "say what it has in it: \"kafka.sasl.mechanism\" => 'PLAIN',"
    " \"kafka.sasl.username\" => '…', \"kafka.sasl.password\" => '…'",
    "kafka.ssl.truststore.password": "leave it out: certificates in PEM have no password;"
    ' "kafka.ssl.ca.location" names their file',
    "kafka.ssl.enabled.protocols": "leave it out: the client takes the safest that both know",
    "kafka.ssl.protocol": "leave it out: the client takes the safest that both know",
    "kafka.security.providers": "leave it out: it names classes of Java",
    "kafka.sasl.client.callback.handler.class": "leave it out: it names a class of Java",
    "kafka.sasl.login.callback.handler.class": "leave it out: it names a class of Java",
}

REGISTRY = (
    Option(
        "schema_registry",
        "URLs of a schema registry with Confluent's API, separated by commas: each message then"
        " begins with the number of its schema",
        spellings=("schema_registry_url", "schema_registry_address"),
        type=ValueType.NAME,
    ),
    Option("schema_registry_user", "for basic authentication", type=ValueType.NAME),
    Option("schema_registry_password", "for basic authentication; never shown"),
    Option("schema_registry_token", "for bearer authentication; never shown"),
    Option(
        "schema_registry_ca",
        "a file in PEM with the certificates to trust, if the system does not",
        type=ValueType.NAME,
    ),
    Option(
        "schema_registry_certificate",
        "a file in PEM with a client's certificate",
        type=ValueType.NAME,
    ),
    Option("schema_registry_key", "a file in PEM with its key", type=ValueType.NAME),
)
"""How to reach a schema registry, for sources and sinks."""
_SCHEMA_FILE = Option(
    "value_schema",
    "Avro: the schema as JSON, or a file `.avsc`; Protobuf: a file `.proto`, its text, or a file"
    " with descriptors. With a registry, Avro is read by it",
    spellings=("avro_schema", "desc_file_path"),
    type=ValueType.NAME,
)
_MESSAGE = Option(
    "message",
    "Protobuf: the full name of the message, such as `shop.Order`",
    spellings=("message_name",),
    type=ValueType.NAME,
)
_FORMATS = ("binary", "text", "json", "avro", "protobuf", "csv")

READ = ReadOptions(
    "read_kafka",
    (
        _SERVERS,
        Option("subscribe", "topics, separated by commas", type=ValueType.NAME),
        Option(
            "subscribe_pattern",
            "a regular expression that whole names of topics match; new ones are found",
            type=ValueType.NAME,
            identity=True,
        ),
        Option(
            "assign",
            'single partitions, as JSON: `{"orders": [0, 1]}`',
            type=ValueType.NAME,
            identity=True,
        ),
        Option(
            "format",
            "what values are: `binary` (the default; columns as Spark has them), `text` (a column"
            " `value`), `json` (a column for each key), `avro`, `protobuf` (one for each field) or"
            " `csv` (those of `schema`)",
            spellings=("value_format",),
            choices={name: name for name in _FORMATS}
            | {"proto": "protobuf", "bytes": "binary", "raw": "binary", "string": "text"},
        ),
        Option(
            "schema",
            "the columns, as in CREATE TABLE: 'id BIGINT, at TIMESTAMP'; of JSON inferred if left"
            " out, of Avro and Protobuf those of the values",
            spellings=("columns",),
        ),
        _SCHEMA_FILE,
        _MESSAGE,
        *REGISTRY,
        Option("delimiter", "CSV: what separates fields", ("delim", "sep", "separator")),
        Option(
            "quote", "CSV: the character around fields that contain a delimiter", ("quote_char",)
        ),
        Option(
            "null_value", "CSV: the text that means NULL, instead of an empty field", ("nullstr",)
        ),
        ENVELOPE,
        Option("date_format", "JSON, CSV: how dates are written, such as %d/%m/%Y"),
        Option("timestamp_format", "JSON, CSV: how timestamps are written"),
        Option(
            "infer_schema",
            "JSON: whether to infer types; false reads every column as text",
            type=ValueType.BOOLEAN,
        ),
        Option(
            "include_headers",
            "whether to read the headers of messages, too",
            type=ValueType.BOOLEAN,
        ),
        Option(
            "starting_offsets",
            "where to begin: `earliest` (the default), `latest`, or JSON:"
            ' `{"orders": {"0": 23, "1": -2}}` (-2 is the earliest, -1 the latest)',
        ),
        Option(
            "starting_timestamp",
            "begin with the first message that is not older, in milliseconds since 1970",
            type=ValueType.COUNT,
        ),
        Option(
            "starting_offsets_by_timestamp",
            'the same for each partition, as JSON: `{"orders": {"0": 1704067200000}}`',
        ),
        Option(
            "ending_offsets",
            "where to end, without STREAM: `latest` (the default), or JSON as above",
        ),
        Option(
            "ending_timestamp",
            "without STREAM: end before the first message that is not older",
            type=ValueType.COUNT,
        ),
        Option(
            "ending_offsets_by_timestamp",
            "the same for each partition, as JSON",
        ),
        Option(
            "max_offsets_per_trigger",
            "at most so many offsets in one epoch, shared by the partitions that have any",
            type=ValueType.COUNT,
            limits=True,
            least=1,
        ),
        Option(
            "fail_on_data_loss",
            "`true` (the default): fail if messages were deleted before they were read; `false`:"
            " go on with those that are there",
            type=ValueType.BOOLEAN,
        ),
    ),
    refused=_GUARDED
    | {
        "min_partitions": "leave it out: one process reads all partitions at a time",
        "max_records_per_partition": "leave it out: one process reads all partitions at a time",
        "min_offsets_per_trigger": "leave it out: an update takes what is there",
        "max_trigger_delay": "leave it out: an update takes what is there",
        "group_id_prefix": "leave it out, or name a group: \"kafka.group.id\" => '…'; how far it"
        " has read, Qanat keeps in its ledger",
        "starting_offsets_by_timestamp_strategy": "leave it out: where no message is as new, a"
        " partition is read from its end",
        "kafka_consumer.poll_timeout_ms": "leave it out: an update waits for what is there",
    },
)

WRITE = KafkaOptions(
    "a sink of the format 'kafka'",
    (
        _SERVERS,
        Option(
            "topic", "the topic that takes the rows; it exists", type=ValueType.NAME, required=True
        ),
        Option(
            "value_format",
            "what a message is made of: `columns` (the default: the columns `value` and, if there"
            " are any, `key`, `headers` and `partition`), or the whole row as `json`, `avro` or"
            " `protobuf`",
            choices={n: n for n in ("columns", "json", "avro", "protobuf")},
        ),
        Option(
            "key",
            "of whole rows: the column whose value is the key, as text",
            spellings=("key_column",),
            type=ValueType.NAME,
        ),
        replace(
            _SCHEMA_FILE,
            meaning="Avro: the schema as JSON, or a file `.avsc`, instead of one made of the"
            " columns; Protobuf: a file `.proto`",
        ),
        replace(
            _MESSAGE,
            meaning="the full name of the message or record; the topic's if left out",
        ),
        replace(
            REGISTRY[0],
            meaning="URLs of a schema registry with Confluent's API, separated by commas: the"
            " schema is registered, and each message begins with its number",
        ),
        *REGISTRY[1:],
        Option(
            "subject_name_strategy",
            "what the schema is registered under: `topic` (the default: `TOPIC-value`), `record`"
            " (the name of the message) or `topic_record` (both)",
            spellings=("value_subject_name_strategy",),
            choices={
                **{n: n for n in ("topic", "record", "topic_record")},
                "topicnamestrategy": "topic",
                "recordnamestrategy": "record",
                "topicrecordnamestrategy": "topic_record",
            },
        ),
    ),
    refused=_GUARDED
    | {
        "kafka.transactional.id": "leave it out: each flow has one of its own",
        "kafka.enable.idempotence": "leave it out: each epoch is one transaction",
        "kafka.acks": "leave it out: each epoch is one transaction",
        "include_headers": "leave it out: a column `headers` is sent if there is one",
    },
)

KAFKA = Connector(
    name="kafka",
    noun="Kafka",
    options=READ,
    source="qanat.connectors.kafka.source:KafkaSource",
    sink="qanat.connectors.kafka.sink:KafkaSink",
    functions={"read_kafka": TableFunction(argument="", places=TOPICS)},
    sinks={"kafka": WRITE},
    dialect="duckdb",
    hidden=("_metadata",),
    locate="qanat.connectors.kafka.places:place",
)
"""What `qanat.plugins` finds.

>>> given = READ.check_all([("kafka.bootstrap.servers", "a:9092"), ("subscribe", "orders")])
>>> KAFKA.refer("orders", given).key
'kafka:orders?bootstrapservers=a:9092'
"""
