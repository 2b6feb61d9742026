"""The actions of one commit, in the words of the Delta protocol.

**The feed of changes** (`delta.enableChangeDataFeed`). A reader takes the changes of a version
from its `cdc` actions alone; if it has none, the rows of `add` are inserted ones and those of
`remove` deleted ones, unless their `dataChange` is false. So an append, a replacement and what
takes back a commit (of any kind, also of one with `cdc`) need none; a merge that writes rows again
which stay does; and rows that only take wider types, or are replaced by the same ones, are no
change. Of a removed file readers need
the partition values, which the path does not tell them.

https://github.com/delta-io/delta/blob/master/PROTOCOL.md#add-cdc-file
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from uuid import uuid4

from qanat import __version__
from qanat.disk import staged_file
from qanat.errors import AdapterError
from qanat.model.table import Change, Commit
from qanat.storage.delta.events import events_text, with_events
from qanat.storage.delta.features import NEW_TABLE, check_properties
from qanat.storage.delta.log import REARRANGED, Log
from qanat.storage.delta.merges import only_hidden, retypes
from qanat.storage.delta.retract import (
    MERGE,
    RENAMES,
    emptied,
    events_to_restore,
    metadata_before,
    number_before,
    taken_back,
    with_renamed,
)
from qanat.storage.delta.staged import added, changed, shift
from qanat.storage.delta.state import LiveFile, TableState

_MERGED = ("numTargetRowsInserted", "numTargetRowsUpdated", "numTargetRowsDeleted")
"""Facts about a merge (`Commit.info`) that are metrics of its operation."""

# `json.dumps` makes a new encoder at each call that has options.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_encode_spaced = json.JSONEncoder(ensure_ascii=False).encode


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
    gone = emptied(commit, state, log) if state else ()
    if commit.change is Change.REARRANGE:
        # Nothing but files: a change of metadata would disturb other writers.
        return _lines([*actions, *_moves(commit, gone, log, now), _number(commit)])
    actions += _head(commit, state, log, now)
    same = {"dataChange": False} if only_hidden(commit) else {}
    later = shift(commit, state, log)
    if state and gone:
        _check_removable(commit, state)
        actions += ({"remove": _remove(f, now) | same} for f in gone)
    if state and commit.rewritten is not None:
        removed = {f.path for f in gone}
        rest = [f for f in state.files if f.path not in removed]
        # A merge leaves the other files as they are, unless columns get wider types.
        stay = commit.change is Change.MERGE and not retypes(commit, state)
        moved = () if stay else rest
        actions += _moves(commit, moved, log, now, later)
    actions += ({"add": added(commit, f, log, later) | same} for f in commit.files)
    actions += ({"cdc": changed(commit, f, log)} for f in commit.feed)
    return _lines([*actions, _number(commit)])


def _moves(
    commit: Commit, gone: Iterable[LiveFile], log: Log, now: int, later: int = 0
) -> Iterator[dict[str, Any]]:
    """The same rows in other files: readers of what is new have nothing to read."""
    same = {"dataChange": False}
    yield from ({"remove": _remove(f, now) | same} for f in gone)
    yield from ({"add": added(commit, f, log, later) | same} for f in commit.rewritten or ())


def _number(commit: Commit) -> dict[str, Any]:
    # Without `lastUpdated` no reader's retention ever lets the number expire.
    return {"txn": {"appId": commit.application, "version": commit.number}}


def undoing(
    log: Log,
    version: int,
    earlier: TableState | None,
    state: TableState,
    application: str,
    number: int,
) -> bytes:
    """The log entry that takes back what a version did for an application.

    Args:
        earlier: the table before that version, if that one has changed its metadata.
        state: the table as it is.

    Raises:
        UnsupportedError: later versions have changed the same rows.
    """
    now = time.time_ns() // 1_000_000
    events = events_to_restore(log, version, earlier, state)
    gone, back = taken_back(log, version, state)
    info = {
        "timestamp": now,
        "operation": "RESTORE",
        "operationParameters": {"version": version - 1},
        "engineInfo": f"Qanat/{__version__}",
    }
    actions: list[dict[str, Any]] = [{"commitInfo": info}]
    metadata = [{"metaData": m} for m in metadata_before(log, version)]
    if not metadata and events is not None:
        metadata = [_metadata_of(state, with_events(state.properties, *events))]
    actions += metadata
    actions += ({"remove": _remove(f, now)} for f in gone)
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


def _head(
    commit: Commit, state: TableState | None, log: Log, now: int
) -> Iterator[dict[str, Any]]:
    """The protocol and metadata, as far as the commit changes them."""
    properties = _properties(commit, state, log)
    features = (state.features if state else NEW_TABLE).with_needs(commit.schema, properties)
    if state is None or features != state.features:
        yield features.action()
    if state is None:
        written = commit.schema.to_json()
        yield _metadata(
            commit, str(uuid4()), None, now, written, properties, commit.comment or None
        )
        return
    if commit.change is not Change.REPLACE:
        commit.check_append(state.schema, state.partition_by, bool(state.files))
    comment = state.comment if commit.comment is None else commit.comment or None
    before = (state.schema, state.partition_by, state.properties, state.comment)
    if before != (commit.schema, commit.partition_by, properties, comment):
        # The identifier stays: by it Spark's streaming readers know the table again.
        written = annotated(commit.schema.to_json(), state.written)
        yield _metadata(commit, state.id, state.name, state.created, written, properties, comment)


def _properties(commit: Commit, state: TableState | None, log: Log) -> dict[str, str]:
    """The properties of the table once the commit is made."""
    properties = {**(state.properties if state else {}), **commit.properties}
    if commit.events is None:
        kept = commit.change is not Change.REPLACE
        return properties if kept else with_events(properties, None)
    if not commit.events:
        return with_events(properties, None)
    for file in commit.events:
        staged_file(log.table / file.path, file.size)
    return with_events(properties, events_text(commit.events, commit.event_columns))


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
            got="a commit that replaces or changes rows",
            hint="its table property delta.appendOnly is true; declare it false first",
        )


def _remove(file: LiveFile, now: int) -> dict[str, Any]:
    return {
        "path": file.path,
        "deletionTimestamp": now,
        "dataChange": True,
        "extendedFileMetadata": True,
        "partitionValues": dict(file.partition_values),
        "size": file.size,
        # By both, readers know the file that goes.
        **({"deletionVector": dict(file.vector)} if file.vector else {}),
    }


def _commit_info(commit: Commit, state: TableState | None, now: int) -> dict[str, Any]:
    operation = "WRITE" if state else "CREATE TABLE AS SELECT"
    parameters = {
        "mode": "Overwrite" if commit.change is Change.REPLACE else "Append",
        "partitionBy": json.dumps(commit.partition_by),
    }
    if commit.change is Change.MERGE:
        operation, parameters = MERGE, {}
    if commit.change is Change.REARRANGE:
        operation, parameters = REARRANGED, {"predicate": "[]"}
    return {
        "commitInfo": {
            **{k: v for k, v in commit.info.items() if k not in _MERGED},
            "timestamp": now,
            "operation": operation,
            "operationParameters": parameters,
            "operationMetrics": _metrics(commit),
            "engineInfo": f"Qanat/{__version__}",
        }
    }


def _metrics(commit: Commit) -> dict[str, str]:
    """Counts as text, as Spark writes them."""
    rows, size = sum(f.rows for f in commit.files), sum(f.size for f in commit.files)
    if commit.change is Change.REARRANGE:
        new = commit.rewritten or ()
        return {
            "numRemovedFiles": str(len(commit.removed)),
            "numAddedFiles": str(len(new)),
            "numAddedBytes": str(sum(f.size for f in new)),
        }
    if commit.change is not Change.MERGE:
        return {
            "numFiles": str(len(commit.files)),
            "numOutputRows": str(rows),
            "numOutputBytes": str(size),
        }
    return {
        **{name: commit.info[name] for name in _MERGED if name in commit.info},
        "numOutputRows": str(rows),
        "numTargetFilesAdded": str(len(commit.files)),
        "numTargetFilesRemoved": str(len(commit.removed)),
        "numTargetBytesAdded": str(size),
        "numTargetChangeFilesAdded": str(len(commit.feed)),
    }


def _lines(actions: Iterable[Mapping[str, Any]]) -> bytes:
    return ("\n".join(map(_encode, actions)) + "\n").encode()
