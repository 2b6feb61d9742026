"""The actions of one commit, in the words of the Delta protocol, with statistics of the columns.

https://github.com/delta-io/delta/blob/master/PROTOCOL.md#per-file-statistics

Readers skip files by these: a bound may be loose, but never wrong. Bounds are written for all
columns of a file or for none: delta-rs turns a column without any, beside others that have some,
into a comparison with NULL on its way to PyArrow, and filtered scans lose its rows.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal as Number
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from qanat import __version__
from qanat.disk import staged_file
from qanat.errors import AdapterError, CommitConflictError
from qanat.model.schema import DataType, Decimal, Field, Primitive, Schema
from qanat.model.table import Change, Commit
from qanat.model.work import ColumnStatistics, DataFile
from qanat.storage.delta.log import Log
from qanat.storage.delta.retract import (
    RENAMES,
    emptied,
    metadata_before,
    number_before,
    taken_back,
    with_renamed,
)
from qanat.storage.delta.state import NEW_TABLE, TableState, check_properties

# Delta's own default for how many leading columns get statistics.
_INDEXED_COLUMNS = 32
# As long as Spark's: longer ones would bloat the log.
_LONGEST_BOUND = 32
_LAST_CHARACTER = "\U0010ffff"
# Doubles hold every integer up to here.
_EXACT = 2**53

Bounds = tuple[Any, Any]

# `json.dumps` makes a new encoder at each call that has options.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_encode_spaced = json.JSONEncoder(ensure_ascii=False).encode


def statistics_text(file: DataFile, schema: Schema, partition_by: tuple[str, ...]) -> str:
    """The JSON text of `add.stats` (numRecords, minValues, maxValues, nullCount)."""
    low: dict[str, Any] = {}
    high: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    bounded = True
    stored = [f for f in schema.fields if f.name not in partition_by]
    for field in stored[:_INDEXED_COLUMNS]:
        known = file.statistics.get(field.name)
        if known is None:
            continue
        if known.nulls is not None:
            nulls[field.name] = known.nulls
        found = _bounds(field.type, known) if known.bounded else None
        if found is not None:
            low[field.name], high[field.name] = found
        elif known.nulls != file.rows:
            bounded = False
    result: dict[str, Any] = {"numRecords": file.rows}
    if bounded and file.statistics:
        result |= {"minValues": low, "maxValues": high}
    if file.statistics:
        result["nullCount"] = nulls
    return _encode_spaced(result)


def _bounds(type_: DataType, known: ColumnStatistics) -> Bounds | None:
    low, high = known.low, known.high
    match low, high:
        case str(), str():
            if len(high) > _LONGEST_BOUND:
                high = high[:_LONGEST_BOUND] + _LAST_CHARACTER
            return low[:_LONGEST_BOUND], high
        case float(), float():
            # JSON has no infinity.
            return (low, high) if math.isfinite(low) and math.isfinite(high) else None
        case Number(), Number():
            digits = type_.precision - type_.scale if isinstance(type_, Decimal) else 38
            return _decimals(low, high, digits)
        case datetime(), datetime():
            return _timestamps(low, high)
        case date(), date():
            return low.isoformat(), high.isoformat()
    return low, high


def _decimals(low: Number, high: Number, digits: int) -> Bounds | None:
    """JSON numbers that stay bounds when a reader parses them as doubles."""
    if max(abs(low), abs(high)) >= _EXACT:
        below = math.floor(math.nextafter(float(low), -math.inf))
        above = math.ceil(math.nextafter(float(high), math.inf))
        return (below, above) if max(abs(below), abs(above)) < 10**digits else None
    found = [float(low), float(high)]
    if all(
        "e" not in repr(f) and Number(repr(f)) == n
        for f, n in zip(found, (low, high), strict=True)
    ):
        return found[0], found[1]
    # Neither an exponent nor a rounded digit: delta-rs takes no exponents. A bound that has more
    # digits than the type is none to readers, and they skip the file.
    below, above = math.floor(low), math.ceil(high)
    return (below, above) if max(abs(below), abs(above)) < 10**digits else None


def _timestamps(low: datetime, high: datetime) -> Bounds | None:
    """Delta keeps milliseconds: down to one for the lower bound, up for the upper."""
    zone = "Z" if low.tzinfo else ""
    first, last = low.replace(tzinfo=None), high.replace(tzinfo=None)
    try:
        last += timedelta(microseconds=-last.microsecond % 1000)
    except OverflowError:
        return None
    start, end = (t.isoformat(timespec="milliseconds") for t in (first, last))
    return f"{start}{zone}", f"{end}{zone}"


def entry(commit: Commit, state: TableState | None, log: Log) -> bytes:
    """The log entry that makes a commit, given the table as it is (None: there is none).

    Raises:
        SchemaMismatchError: an append would take away, retype or reorder what the table has.
        TableTooNewError: the table needs a feature of its writers that we lack.
        AdapterError: a staged file is not there, or the table forbids the change.
    """
    check_properties(commit.properties)
    now = time.time_ns() // 1_000_000
    actions = [_commit_info(commit, state, now)]
    actions += _head(commit, state, now)
    if state and (gone := emptied(commit, state, log)):
        _check_removable(commit, state)
        actions += ({"remove": _remove(f.path, f.size, now)} for f in gone)
    if state and commit.rewritten is not None:
        # The same rows in other files: readers of what is new have nothing to read.
        same = {"dataChange": False}
        actions += ({"remove": _remove(f.path, f.size, now) | same} for f in state.files)
        actions += ({"add": _add(commit, f, log) | same} for f in commit.rewritten)
    actions += ({"add": _add(commit, f, log)} for f in commit.files)
    # Without `lastUpdated` no reader's retention ever lets the number expire.
    actions.append({"txn": {"appId": commit.application, "version": commit.number}})
    return _lines(actions)


def check_rewritten(commit: Commit, state: TableState, then: TableState) -> None:
    """Refuse to put rewritten files in the place of others than those whose rows they have.

    Args:
        state: the table as it is.
        then: the table at the version that was rewritten.

    Raises:
        CommitConflictError: another writer has committed to the table meanwhile.
    """
    if {f.path for f in state.files} != {f.path for f in then.files}:
        raise CommitConflictError(
            f"{commit.table.name} has changed while its rows were written again with wider types",
            wanted=f"the files of version {then.version}",
            got=f"version {state.version}",
            hint="another writer committed to the table; run again",
        )


def undoing(log: Log, version: int, state: TableState, application: str, number: int) -> bytes:
    """The log entry that takes back what a version did for an application."""
    now = time.time_ns() // 1_000_000
    gone, back = taken_back(log, version, state)
    info = {
        "timestamp": now,
        "operation": "RESTORE",
        "operationParameters": {"version": version - 1},
        "engineInfo": f"Qanat/{__version__}",
    }
    actions: list[dict[str, Any]] = [{"commitInfo": info}]
    actions += ({"metaData": metadata} for metadata in metadata_before(log, version))
    actions += ({"remove": _remove(f.path, f.size, now)} for f in gone)
    actions += ({"add": {**add, "dataChange": True}} for add in back)
    before = number_before(log, version, application, number)
    actions.append({"txn": {"appId": application, "version": before}})
    return _lines(actions)


def renaming(state: TableState, old: str, new: str | None, number: int) -> bytes:
    """The log entry that lets what an application has committed be another's."""
    info = {
        "timestamp": time.time_ns() // 1_000_000,
        "operation": "RENAME APPLICATION",
        "operationParameters": {},
        "engineInfo": f"Qanat/{__version__}",
        RENAMES: {"old": old, "new": new},
    }
    numbers = {old: 0} if new is None else {old: 0, new: number}
    actions: list[dict[str, Any]] = [{"commitInfo": info}]
    actions.append(_metadata_of(state, with_renamed(state.properties, old, new)))
    actions += ({"txn": {"appId": a, "version": n}} for a, n in numbers.items())
    return _lines(actions)


def _head(commit: Commit, state: TableState | None, now: int) -> Iterator[dict[str, Any]]:
    """The protocol and metadata, as far as the commit changes them."""
    features = (state.features if state else NEW_TABLE).with_schema(commit.schema)
    if state is None or features != state.features:
        yield features.action()
    if state is None:
        written = commit.schema.to_json()
        yield _metadata(
            commit, str(uuid4()), None, now, written, commit.properties, commit.comment
        )
        return
    if commit.change is not Change.REPLACE:
        commit.check_append(state.schema, state.partition_by, bool(state.files))
    properties = {**state.properties, **commit.properties}
    comment = state.comment if commit.comment is None else commit.comment
    before = (state.schema, state.partition_by, state.properties, state.comment)
    if before != (commit.schema, commit.partition_by, properties, comment):
        # The identifier stays: by it Spark's streaming readers know the table again.
        written = annotated(commit.schema.to_json(), state.written)
        yield _metadata(commit, state.id, state.name, state.created, written, properties, comment)


def annotated(new: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    """A schema in the log's form, with what an older one says of the same columns.

    Others keep notes in the `metadata` of a column (that it holds personal data, say), which no
    query gives. Comments are ours: one that is gone was taken away.

    >>> noted = {"name": "mail", "type": "string", "metadata": {"pii": "true"}}
    >>> plain = {"name": "mail", "type": "string", "metadata": {"comment": "of the buyer"}}
    >>> annotated({"fields": [plain]}, {"fields": [noted]})["fields"][0]["metadata"]
    {'pii': 'true', 'comment': 'of the buyer'}
    """
    before = {f["name"]: f for f in old.get("fields", ())}
    fields = []
    for field in new["fields"]:
        known = before.get(field["name"], {})
        type_, was = field["type"], known.get("type")
        same = type_ == was
        notes = {
            k: v
            for k, v in (known.get("metadata") or {}).items()
            # Spark's and Delta's own notes are about the values, as they were.
            if k != "comment" and (same or not k.startswith(("delta.", "__")))
        }
        type_ = _annotated_type(type_, was)
        fields.append({**field, "type": type_, "metadata": {**notes, **field["metadata"]}})
    return {**new, "fields": fields}


def _annotated_type(new: Any, old: Any) -> Any:
    if not (isinstance(new, Mapping) and isinstance(old, Mapping)) or new["type"] != old["type"]:
        return new
    if new["type"] == "struct":
        return annotated(new, old)
    parts = [k for k in ("elementType", "keyType", "valueType") if k in new and k in old]
    return {**new, **{k: _annotated_type(new[k], old[k]) for k in parts}}


def _metadata(
    commit: Commit,
    id: str,
    name: str | None,
    created: int | None,
    written: Mapping[str, Any],
    properties: Mapping[str, str],
    comment: str | None,
) -> dict[str, Any]:
    commit.check_partitions()
    return _metadata_action(id, name, created, written, commit.partition_by, properties, comment)


def _metadata_of(state: TableState, properties: Mapping[str, str]) -> dict[str, Any]:
    """The metadata of a table as it is, but for its properties."""
    return _metadata_action(
        state.id,
        state.name,
        state.created,
        state.written,
        state.partition_by,
        properties,
        state.comment,
    )


def _metadata_action(
    id: str,
    name: str | None,
    created: int | None,
    written: Mapping[str, Any],
    partition_by: tuple[str, ...],
    properties: Mapping[str, str],
    comment: str | None,
) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "id": id,
        "name": name,
        "description": comment,
        "format": {"provider": "parquet", "options": {}},
        "schemaString": _encode_spaced(written),
        "partitionColumns": list(partition_by),
        "configuration": dict(properties),
        "createdTime": created,
    }
    return {"metaData": {k: v for k, v in metadata.items() if v is not None}}


def _check_removable(commit: Commit, state: TableState) -> None:
    properties = {**state.properties, **commit.properties}
    if properties.get("delta.appendOnly", "").lower() == "true":
        raise AdapterError(
            f"{commit.table.name} may only be appended to",
            got="a commit that replaces its rows",
            hint="its table property delta.appendOnly is true; declare it false first",
        )


def _add(commit: Commit, file: DataFile, log: Log) -> dict[str, Any]:
    found = staged_file(log.table / file.path, file.size)
    return {
        "path": encoded(file.path),
        "partitionValues": {
            name: partition_text(value, commit.schema.get(name))
            for name, value in file.partition_values.items()
        },
        "size": file.size,
        "modificationTime": found.st_mtime_ns // 1_000_000,
        "dataChange": True,
        "stats": statistics_text(file, commit.schema, commit.partition_by),
    }


def partition_text(value: str | None, field: Field | None) -> str | None:
    """A partition value as the Delta protocol writes it.

    >>> partition_text("1970-01-01 00:00:00+00", Field("at", Primitive("timestamp")))
    '1970-01-01T00:00:00.000000Z'
    """
    if value is None or field is None or field.type != Primitive("timestamp"):
        return value
    # The engine's sessions are in UTC.
    moment = datetime.fromisoformat(value.removesuffix("+00"))
    return moment.isoformat(timespec="microseconds") + "Z"


def encoded(path: str) -> str:
    """A relative path as the log wants it: a URI (RFC 2396).

    >>> encoded("p=a%20b/ü x.parquet")
    'p=a%2520b/%C3%BC%20x.parquet'
    """
    return quote(path, safe="/=-_.~!*'()")


def _remove(path: str, size: int, now: int) -> dict[str, Any]:
    return {"path": path, "deletionTimestamp": now, "dataChange": True, "size": size}


def _commit_info(commit: Commit, state: TableState | None, now: int) -> dict[str, Any]:
    operation = "WRITE" if state else "CREATE TABLE AS SELECT"
    return {
        "commitInfo": {
            **commit.info,
            "timestamp": now,
            "operation": operation,
            "operationParameters": {
                "mode": "Overwrite" if commit.change is Change.REPLACE else "Append",
                "partitionBy": json.dumps(commit.partition_by),
            },
            "operationMetrics": _metrics(commit.files),
            "engineInfo": f"Qanat/{__version__}",
        }
    }


def _metrics(files: Iterable[DataFile]) -> dict[str, str]:
    """Counts as text, as Spark writes them."""
    files = tuple(files)
    return {
        "numFiles": str(len(files)),
        "numOutputRows": str(sum(f.rows for f in files)),
        "numOutputBytes": str(sum(f.size for f in files)),
    }


def _lines(actions: Iterable[Mapping[str, Any]]) -> bytes:
    return ("\n".join(map(_encode, actions)) + "\n").encode()
