"""The files with rows that a table gained, as a stream of it reads them.

**Corrected files.** A commit that replaces the rows of source files says so
(`Commit.corrected`). What it removes is no loss to a stream: of the files that the stream has
still to read, rows of these source files are left out, and the new ones come with the commit. What
it may have read before, the stream's own table has to lose.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from pathlib import PurePosixPath
from typing import Any

from qanat.errors import NotAppendOnlyError, full_refresh
from qanat.frozen import Frozen
from qanat.model.table import CORRECTED
from qanat.storage.delta.log import Log
from qanat.storage.delta.state import LiveFile, age_of, live_of, with_rows

_File = tuple[str, str]
"""A file as part of a table: its path, and which of its rows a deletion vector takes away."""


class Gained(Frozen):
    """The files with new rows of some versions.

    Args:
        files: in order, each with the version that brought it.
        corrections: by version, the source files whose earlier rows went, each with the version
            that brought the first of these.
    """

    files: Sequence[tuple[int, LiveFile]]
    corrections: Mapping[int, Mapping[str, int]] = field(default_factory=dict)

    @property
    def corrected(self) -> Mapping[str, int]:
        """All source files whose earlier rows went, with the version of the first of these."""
        found: dict[str, int] = {}
        for each in self.corrections.values():
            found |= {name: min(first, found.get(name, first)) for name, first in each.items()}
        return found

    @property
    def without(self) -> tuple[tuple[int, tuple[str, ...]], ...]:
        """See `TableBatch.without`."""
        return tuple(
            (sum(brought < version for brought, _ in self.files), tuple(sorted(names)))
            for version, names in self.corrections.items()
        )


def added_files(log: Log, after: int, upto: int) -> Gained:
    """The files with new rows of the versions after `after`, up to and with `upto`, in order.

    Each comes with the version that brought it.

    What counts is what became of each file in the end: one that came and went again in between
    was never there for the reader, and one that went and came back (an epoch that was taken back,
    a `RESTORE`) has been read already.

    Commits that only rearrange rows (compaction, wider types) are passed over: the files they
    replaced still lie in the folder until it is vacuumed.

    Raises:
        NotAppendOnlyError: the versions together removed or rewrote rows.
        TableCorruptError: the log no longer reaches back to `after`.
    """
    added: dict[_File, tuple[int, Mapping[str, Any]]] = {}
    removed: dict[_File, int] = {}
    corrections: dict[int, Mapping[str, int]] = {}
    undone = _undone(log, after, upto)
    for version in range(after + 1, upto + 1):
        actions = log.actions(version)
        if version in undone:
            continue
        if found := _corrected(actions):
            corrections[version] = found
        for remove in () if found else with_rows(actions, "remove"):
            if added.pop(_file(remove), None) is None:
                removed[_file(remove)] = version
        for add in sorted(with_rows(actions, "add"), key=age_of):
            if removed.pop(_file(add), None) is None:
                added[_file(add)] = version, add
    masked = [version for version, add in added.values() if add.get("deletionVector")]
    if removed or masked:
        raise _rewritten(log, min([*removed.values(), *masked]))
    files = [(version, live_of(add)) for version, add in added.values()]
    return Gained(files, corrections)


def _corrected(actions: Iterable[Mapping[str, Any]]) -> Mapping[str, int]:
    """The source files whose earlier rows a version has removed."""
    infos = (a["commitInfo"].get(CORRECTED) for a in actions if "commitInfo" in a)
    found: Mapping[str, int] = json.loads(next(infos, None) or "{}")
    return found


def _undone(log: Log, after: int, upto: int) -> set[int]:
    """The versions of a range that replaced rows of source files and were taken back in it.

    And those that took them back.
    """
    found: set[int] = set()
    for version in range(after + 1, upto + 1):
        actions = log.actions(version)
        infos = [a["commitInfo"] for a in actions if "commitInfo" in a]
        if _operation(actions) == "RESTORE" and infos:
            told = str((infos[0].get("operationParameters") or {}).get("version"))
            made = int(told) + 1 if told.isdigit() else -1
            if made > after and _corrected(log.actions(made)):
                found |= {made, version}
    return found


def kept_files(log: Log, after: int, upto: int) -> Gained:
    """The files of the versions of a range that only added rows, with the version of each.

    What a version added counts also if a later one rewrote or removed it, unless that took the
    version back: no reader was meant to see it.

    Raises:
        TableCorruptError: the log no longer reaches back to `after`.
    """
    added: dict[_File, tuple[int, Mapping[str, Any]]] = {}
    for version in range(after + 1, upto + 1):
        actions = log.actions(version)
        gone = with_rows(actions, "remove")
        if _operation(actions) == "RESTORE":
            for remove in gone:
                added.pop(_file(remove), None)
        elif not gone:
            new = sorted(with_rows(actions, "add"), key=age_of)
            # With a deletion vector it is a file that was there, with fewer rows.
            added |= {_file(a): (version, a) for a in new if not a.get("deletionVector")}
    return Gained([(version, live_of(add)) for version, add in added.values()])


def _operation(actions: Iterable[Mapping[str, Any]]) -> str:
    infos = (a["commitInfo"].get("operation") for a in actions if "commitInfo" in a)
    return str(next(infos, None) or "a commit")


def _file(action: Mapping[str, Any]) -> _File:
    return action["path"], json.dumps(action.get("deletionVector"), sort_keys=True)


def _rewritten(log: Log, version: int) -> NotAppendOnlyError:
    infos = (a["commitInfo"] for a in log.actions(version) if "commitInfo" in a)
    info: Mapping[str, Any] = next(infos, {})
    overwritten = (info.get("operationParameters") or {}).get("mode") == "Overwrite"
    name = PurePosixPath(log.shown).name
    return NotAppendOnlyError(
        f"{name} is read as a stream, but its version {version} removed or rewrote rows",
        wanted="appends only",
        got="all rows replaced" if overwritten else str(info.get("operation") or "a commit"),
        hint="take only rows that are added: STREAM … WITH (skip_change_commits); or start over:"
        f" {full_refresh()}; with what changes, too: STREAM … WITH (read_change_feed)",
    )
