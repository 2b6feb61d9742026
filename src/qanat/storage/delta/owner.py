"""Whose a table is, where its log is damaged or newer than Qanat."""

from __future__ import annotations

from contextlib import suppress

from qanat.errors import TableCorruptError
from qanat.model.owner import OWNER
from qanat.storage.delta.log import Log


def owner_in(log: Log) -> str | None:
    """The owner that the newest readable entry names which has properties; None if none has."""
    for version in reversed(log.commits()):
        with suppress(TableCorruptError):
            for action in log.actions(version):
                if "metaData" in action:
                    found: str | None = action["metaData"].get("configuration", {}).get(OWNER)
                    return found
    return None
