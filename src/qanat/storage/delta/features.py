"""What a table's protocol requires of readers and writers, and which properties it may have.

https://github.com/delta-io/delta/blob/master/PROTOCOL.md#table-features
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from qanat.errors import OptionError, TableTooNewError, full_refresh, nearest
from qanat.frozen import Frozen
from qanat.model.schema import Array, DataType, MapType, Primitive, Schema, Struct

PLAIN = frozenset({"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck", "deletionVectors"})
"""Reader features that leave data files ordinary Parquet (deletion vectors: until one is set)."""

_FEED = "changeDataFeed"
_WRITABLE = frozenset({"appendOnly", "invariants", "timestampNtz", "deletionVectors", _FEED})
"""Features of tables that Qanat writes. It sets no deletion vector: a file that others have given
one is written again without the rows that it hides."""

_IMPLIED = {
    2: frozenset({"appendOnly", "invariants"}),
    3: frozenset({"appendOnly", "invariants", "checkConstraints"}),
    4: frozenset({"appendOnly", "invariants", "checkConstraints", "generatedColumns", _FEED}),
}
"""By writer version, the features that it requires without naming them; version 7 names all."""

_MAPPING, _MAPS = "columnMapping", 2
"""A feature of readers, and the version that requires it without naming it. delta-rs gives this
version to tables with a feed of changes once it sets a property of theirs, whatever it is."""
_MAPPING_PROPERTY = "delta.columnMapping.mode"

_FEED_PROPERTY = "delta.enableChangeDataFeed"

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
        _FEED_PROPERTY,
    }
)
"""Properties of the protocol that require nothing of writers that Qanat does not do."""


class Features(Frozen):
    """What a table's protocol action requires of readers and writers.

    Args:
        reader_version, writer_version: the protocol's versions.
        reader, writer: the names of the required features.
    """

    reader_version: int
    writer_version: int
    reader: frozenset[str] = frozenset()
    writer: frozenset[str] = frozenset()

    @property
    def required(self) -> frozenset[str]:
        """The features that writers must have: listed ones, or those that a version implies."""
        return self.writer | _IMPLIED.get(self.writer_version, frozenset())

    def check_writable(self, table: str, unused: Collection[str] = ()) -> None:
        """Refuse to write a table that requires features which Qanat lacks.

        Args:
            table: the table's folder, for the message.
            unused: features that the table makes no use of, so that nothing is required.

        Raises:
            TableTooNewError: it does; the error names the features.
        """
        mapping = {_MAPPING} if self.reader_version == _MAPS else set()
        unknown = sorted((self.reader | self.required | mapping) - _WRITABLE - {*unused})
        if self.reader_version not in (1, _MAPS, 3) or self.writer_version not in (
            1,
            *_IMPLIED,
            7,
        ):
            unknown.append(f"protocol ({self.reader_version}, {self.writer_version})")
        if unknown:
            raise TableTooNewError(
                f"cannot write {table}: it needs {', '.join(unknown)}",
                wanted=f"a table with no other features than {', '.join(sorted(_WRITABLE))}",
                hint="another tool changed the table's protocol; to have one that Qanat can write,"
                f" move its folder away and start over: {full_refresh()}",
            )

    def with_needs(self, schema: Schema, properties: Mapping[str, str]) -> Features:
        """These features, and those that the columns' types and the properties require.

        >>> fed = NEW_TABLE.with_needs(Schema(()), {"delta.enableChangeDataFeed": "true"})
        >>> fed.reader_version, fed.writer_version, sorted(fed.writer)
        (1, 7, ['appendOnly', 'changeDataFeed', 'invariants'])
        """
        has_local_time = any(_has_local_time(f.type) for f in schema.fields)
        needed = {"timestampNtz"} if has_local_time else set()
        if feeds_changes(properties):
            needed.add(_FEED)
        if needed <= self.required:
            return self
        # Only version 7 lists features, and it must list what an older version implied.
        writer = (self.required or _IMPLIED[2]) | needed
        if has_local_time:
            mapping = {_MAPPING} if self.reader_version == _MAPS else set()
            return Features(3, 7, self.reader | {"timestampNtz"} | mapping, writer | mapping)
        return Features(self.reader_version, 7, self.reader, writer)

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


def feeds_changes(properties: Mapping[str, str]) -> bool:
    """True if the properties of a table promise its readers a feed of changes."""
    return properties.get(_FEED_PROPERTY, "").lower() == "true"


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


def unused_features(written: Mapping[str, Any], properties: Mapping[str, str]) -> frozenset[str]:
    """The features that a protocol may require although a table makes no use of them.

    Reader version 2 requires mapped columns, and writer versions 3 and 4 constraints and generated
    columns, along with what somebody wanted of them, as delta-rs does for a feed of changes.

    Args:
        written: the schema as the log has it.
    """
    unused = set()
    if properties.get(_MAPPING_PROPERTY, "none") == "none":
        unused.add(_MAPPING)
    if not any(name.startswith("delta.constraints.") for name in properties):
        unused.add("checkConstraints")
    # Only columns of the table itself can be generated, not the fields of a struct.
    notes = (f.get("metadata") or {} for f in written.get("fields", ()))
    if not any("delta.generationExpression" in n for n in notes):
        unused.add("generatedColumns")
    return frozenset(unused)


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
