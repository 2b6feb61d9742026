"""Changes that are kept beside the rows of a table: a version's property names their files.

They lie in `_events`, a folder that no reader of the table looks into and no VACUUM empties. As
the property belongs to the version, what undoes, restores or renames the one does so with both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from qanat.model.schema import Schema
from qanat.model.staged import DataFile
from qanat.storage.delta.state import LiveFile

EVENTS = "qanat.events"
"""The table property: JSON with the files of the version's events, and the columns of them all."""

CHANGE_DATA, EVENTS_FOLDER = "_change_data", "_events"
BESIDE = frozenset({CHANGE_DATA, EVENTS_FOLDER})
"""The folders of a table that readers of its rows do not look into, and that have files of it."""


def events_text(files: Sequence[DataFile], columns: Schema) -> str:
    """The property's value.

    Args:
        columns: of the files.
    """
    named = [{"path": encoded(f.path), "size": f.size, "rows": f.rows} for f in files]
    return json.dumps({"files": named, "schema": columns.to_json()}, ensure_ascii=False)


def event_files(properties: Mapping[str, str]) -> tuple[LiveFile, ...]:
    """The files with the events of a version; none if it has no events."""
    found = json.loads(properties.get(EVENTS, "{}")).get("files", ())
    return tuple(LiveFile(f["path"], f["size"], f["rows"]) for f in found)


def event_columns(properties: Mapping[str, str]) -> Schema:
    """The columns of the events of a version that has some."""
    return Schema.from_json(json.loads(properties[EVENTS])["schema"])


def with_events(properties: Mapping[str, str], text: str | None) -> dict[str, str]:
    """The properties of a table with other events; with None: without any.

    >>> with_events({"a": "b", "qanat.events": "…"}, None)
    {'a': 'b'}
    """
    others = {k: v for k, v in properties.items() if k != EVENTS}
    return others if text is None else {**others, EVENTS: text}


def paths_in(action: Mapping[str, Any]) -> Iterator[str]:
    """Every path that an action of the log names, encoded as it is there."""
    file = action.get("add") or action.get("remove") or action.get("cdc")
    if file:
        yield file["path"]
    elif "metaData" in action:
        yield from paths_of_events(action["metaData"].get("configuration") or {})


def paths_of_events(properties: Mapping[str, str]) -> Iterator[str]:
    """The paths of a version's events, encoded as in the log."""
    return (f.path for f in event_files(properties))


def encoded(path: str) -> str:
    """A relative path as the log wants it: a URI (RFC 2396).

    >>> encoded("p=a%20b/ü x.parquet")
    'p=a%2520b/%C3%BC%20x.parquet'
    """
    return quote(path, safe="/=-_.~!*'()")
