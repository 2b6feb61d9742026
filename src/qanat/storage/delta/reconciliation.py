"""The state of a young table, from its log entries alone.

This is the protocol's action reconciliation for tables that have no checkpoint yet and need only
the oldest features. While a project is new, all its tables are young, and importing deltalake
costs 40 ms, a tenth of a small update. Every other table is loaded with delta-rs.

https://github.com/delta-io/delta/blob/master/PROTOCOL.md#action-reconciliation
"""

from __future__ import annotations

import json
from typing import Any

from qanat.model.schema import Schema
from qanat.storage.delta.changes import rows_of
from qanat.storage.delta.features import Features
from qanat.storage.delta.log import Log
from qanat.storage.delta.state import LiveFile, TableState

_ENTRIES = 100
"""Below so many entries, reading them all is faster than importing deltalake."""

_KNOWN = frozenset({"add", "remove", "metaData", "protocol", "txn", "commitInfo"})
_FEATURES = frozenset({"appendOnly", "invariants", "timestampNtz"})


def reconciled(log: Log, version: int | None) -> TableState | None:
    """A table's state at a version, if the log entries alone can tell it.

    Args:
        log: the table's log.
        version: the version; None for the newest.

    Returns:
        The state; None if delta-rs has to load it.

    Raises:
        TableCorruptError: an entry is damaged.
    """
    commits = log.commits()
    newest = commits[-1] if commits and version is None else version
    if newest is None or newest >= _ENTRIES or log.checkpoints():
        return None
    if commits[: newest + 1] != list(range(newest + 1)):
        return None
    try:
        return _replayed(log, newest)
    except (KeyError, TypeError, ValueError):
        # An entry lacks a field, or has it in another type: delta-rs reports what is wrong.
        return None


def _replayed(log: Log, newest: int) -> TableState | None:
    live: dict[str, dict[str, Any]] = {}
    last: dict[str, Any] = {}
    transactions: dict[str, int] = {}
    for each in range(newest + 1):
        for action in log.actions(each):
            if not action.keys() <= _KNOWN:
                return None
            if "add" in action:
                live[action["add"]["path"]] = action["add"]
            elif "remove" in action:
                live.pop(action["remove"]["path"], None)
            elif "txn" in action:
                transactions[action["txn"]["appId"]] = int(action["txn"]["version"])
            last |= action
    return _state(newest, live, last, transactions)


def _state(
    version: int,
    live: dict[str, dict[str, Any]],
    last: dict[str, Any],
    transactions: dict[str, int],
) -> TableState | None:
    meta, protocol = last.get("metaData"), last.get("protocol")
    if meta is None or protocol is None or any("deletionVector" in a for a in live.values()):
        return None
    features = Features(
        protocol["minReaderVersion"],
        protocol["minWriterVersion"],
        frozenset(protocol.get("readerFeatures") or ()),
        frozenset(protocol.get("writerFeatures") or ()),
    )
    if features.reader_version not in (1, 3) or not features.reader | features.writer <= _FEATURES:
        return None
    # Oldest first, in the order in which the files were added.
    files = sorted(live.values(), key=lambda add: (add["modificationTime"], add["path"]))
    return TableState(
        version=version,
        id=meta["id"],
        name=meta.get("name"),
        created=meta.get("createdTime"),
        schema=Schema.from_json(json.loads(meta["schemaString"])),
        partition_by=tuple(meta.get("partitionColumns") or ()),
        comment=meta.get("description"),
        properties=meta.get("configuration") or {},
        features=features,
        files=tuple(LiveFile(a["path"], a["size"], rows_of(a)) for a in files),
        transactions=transactions,
        masked=False,
    )
