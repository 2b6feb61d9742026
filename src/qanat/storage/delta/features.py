"""The features of the Delta protocol that a table requires, and those that Qanat supports.

https://github.com/delta-io/delta/blob/master/PROTOCOL.md#table-features
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from qanat.errors import OptionError, TableTooNewError, nearest
from qanat.model.schema import Array, DataType, MapType, Primitive, Schema, Struct

PLAIN = frozenset({"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck", "deletionVectors"})
"""Reader features that leave data files ordinary Parquet (deletion vectors: until one is set)."""

_WRITABLE = frozenset({"appendOnly", "invariants", "timestampNtz"})

_PROPERTIES = frozenset(
    {
        "delta.appendOnly",
        "delta.autoOptimize.autoCompact",
        "delta.autoOptimize.optimizeWrite",
        "delta.checkpoint.writeStatsAsJson",
        "delta.checkpoint.writeStatsAsStruct",
        "delta.checkpointInterval",
        "delta.dataSkippingNumIndexedCols",
        "delta.dataSkippingStatsColumns",
        "delta.deletedFileRetentionDuration",
        "delta.enableExpiredLogCleanup",
        "delta.logRetentionDuration",
        "delta.targetFileSize",
    }
)
"""Properties of the protocol that require nothing of writers that Qanat does not do."""


@dataclass(frozen=True, slots=True)
class Features:
    """What a table's protocol action requires of readers and writers.

    Args:
        reader_version, writer_version: the protocol's versions.
        reader, writer: the names of the required features.
    """

    reader_version: int
    writer_version: int
    reader: frozenset[str] = frozenset()
    writer: frozenset[str] = frozenset()

    def check_writable(self, table: str) -> None:
        """Refuse to write a table that requires features which Qanat lacks.

        Args:
            table: the table's folder, for the message.

        Raises:
            TableTooNewError: it does; the error names the features.
        """
        unknown = sorted((self.reader | self.writer) - _WRITABLE)
        if self.reader_version not in (1, 3) or self.writer_version not in (1, 2, 7):
            unknown.append(f"protocol ({self.reader_version}, {self.writer_version})")
        if unknown:
            raise TableTooNewError(
                f"cannot write {table}: it needs {', '.join(unknown)}",
                wanted=f"a table with no other features than {', '.join(sorted(_WRITABLE))}",
                hint="another tool changed the table's protocol; a full refresh into a new "
                "folder makes one that Qanat can write",
            )

    def with_schema(self, schema: Schema) -> Features:
        """These features, and those that the columns' types require."""
        if not any(_has_local_time(f.type) for f in schema.fields):
            return self
        # Writer version 2 implies these two features; version 7 must list them.
        writer = self.writer or frozenset({"appendOnly", "invariants"})
        return Features(3, 7, self.reader | {"timestampNtz"}, writer | {"timestampNtz"})

    def action(self) -> dict[str, Any]:
        """The `protocol` action."""
        action: dict[str, Any] = {
            "minReaderVersion": self.reader_version,
            "minWriterVersion": self.writer_version,
        }
        if self.reader_version >= 3:
            action["readerFeatures"] = sorted(self.reader)
        if self.writer_version >= 7:
            action["writerFeatures"] = sorted(self.writer)
        return {"protocol": action}


NEW_TABLE = Features(1, 2)


def check_properties(properties: Mapping[str, str]) -> None:
    """Refuse `delta.` properties that promise readers what Qanat does not do.

    Raises:
        OptionError: there is such a property; the error names the nearest one that can be set.
    """
    for name in properties:
        if name.startswith("delta.") and name not in _PROPERTIES:
            raise OptionError(
                f"table property {name!r} cannot be set: it needs a Delta feature that Qanat "
                "does not write",
                nearest=nearest(name, _PROPERTIES),
            )


def _has_local_time(type_: DataType) -> bool:
    return Primitive("timestamp_ntz") in _leaves(type_)


def _leaves(type_: DataType) -> Iterator[DataType]:
    match type_:
        case Array(element):
            yield from _leaves(element)
        case MapType(key, value):
            yield from _leaves(key)
            yield from _leaves(value)
        case Struct(fields):
            for field in fields:
                yield from _leaves(field.type)
        case _:
            yield type_
