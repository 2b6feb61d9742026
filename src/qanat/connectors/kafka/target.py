"""Where a sink sends to, and in which form, as its options say it."""

from __future__ import annotations

from qanat.connectors.kafka import WRITE
from qanat.connectors.kafka.given import PACKAGES
from qanat.connectors.kafka.registry import Access
from qanat.connectors.kafka.settings import Settings
from qanat.errors import OptionError, check_installed
from qanat.frozen import Frozen
from qanat.model.pipeline import SinkTarget


class Target(Frozen):
    """Where a sink sends to.

    Args:
        format: of values; `columns` if these are a column.
        key: a column of whole rows.
        access: to a schema registry; None without any.
        schema: the text or file of a schema; empty without any.
        message: the full name of the record or message.
        strategy: see `encode.Manner`.
    """

    settings: Settings
    topic: str
    format: str
    key: str | None
    access: Access | None = None
    schema: str = ""
    message: str = ""
    strategy: str = "topic"

    @property
    def whole(self) -> bool:
        """True if a message is a whole row."""
        return self.format != "columns"


def target_of(target: SinkTarget) -> Target:
    """That of a sink.

    Raises:
        OptionError: an option is missing, does not exist or does not fit.
        MissingExtraError: a package for the format is not installed.
    """
    options = WRITE.check_all(target.options)
    format = options.get("value_format", "columns")
    check_installed(f"value_format {format}", *PACKAGES.get(format, ((),)))
    access, schema = Access.of(options), options.get("value_schema", "")
    encodes = format in ("avro", "protobuf")
    if not encodes and (schema or (access is not None and format != "json")):
        raise OptionError(
            f"a sink with value_format {format!r} takes no schema",
            wanted="value_format: avro, protobuf, or json with a schema_registry",
        )
    if encodes and access is None and not schema:
        raise OptionError(
            f"a sink in {format} needs a schema that its readers know",
            wanted="schema_registry: 'https://…', or value_schema: 'a file'",
        )
    if format == "protobuf" and not schema:
        raise OptionError(
            "a sink in Protobuf needs the schema of its messages",
            wanted="value_schema: a file .proto",
        )
    return Target(
        Settings.of(options.items()),
        options["topic"],
        format,
        options.get("key"),
        access,
        schema,
        options.get("message", ""),
        options.get("subject_name_strategy", "topic"),
    )
