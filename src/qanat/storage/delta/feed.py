"""What commits did to the rows of a table: its feed of changes.

A version's `cdc` files tell it alone; without any, the rows of its `add` actions are inserted ones
and those of its `remove` actions deleted ones, unless their `dataChange` is false.

The files are read apart by the columns that the table had when they were written, and by whether
they say themselves what became of a row; so there are few parts, however many versions are read.

https://github.com/delta-io/delta/blob/master/PROTOCOL.md#add-cdc-file
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from datetime import UTC, datetime
from typing import Any, TypeAlias

from qanat.errors import (
    FileVanishedError,
    SchemaMismatchError,
    TableTooNewError,
    UnsupportedError,
    full_refresh,
)
from qanat.frozen import Frozen
from qanat.model.amount import Amount
from qanat.model.feed import (
    CHANGE_FEED,
    CHANGE_FIELDS,
    CHANGE_TYPE,
    COMMIT_TIME,
    COMMIT_VERSION,
    DELETE,
    INSERT,
)
from qanat.model.name import Named
from qanat.model.schema import Schema, grown
from qanat.model.table import Added, TableRef
from qanat.model.work import TableBatch
from qanat.planning.wider import wider
from qanat.storage.delta.features import feeds_changes
from qanat.storage.delta.files import Files
from qanat.storage.delta.log import Log
from qanat.storage.delta.state import (
    LiveFile,
    TableState,
    absolute,
    rows_of,
    total,
    with_rows,
)

_REWRITES = frozenset({"MERGE", "UPDATE", "DELETE"})
"""Operations whose new files also have rows that nothing became of."""

_Action: TypeAlias = Mapping[str, Any]


class _Commit(Frozen):
    """A version with its actions.

    Args:
        columns, before: the numbers of the columns that the table had at it, and before it, among
            all that it had one after the other.
        time: when it was made, as text that an engine can read.
    """

    version: int
    actions: tuple[_Action, ...]
    columns: int
    before: int
    time: str

    @property
    def properties(self) -> Mapping[str, str] | None:
        """The properties that it gives the table; None if those of before stay."""
        found = [a["metaData"] for a in self.actions if "metaData" in a]
        return (found[-1].get("configuration") or {}) if found else None

    @property
    def operation(self) -> str:
        """What wrote it."""
        return str(_info(self.actions).get("operation") or "a commit")


class _Change(Frozen):
    """One file of changes.

    Args:
        columns: the number of those that the table had when it was written.
        kind: what became of its rows; None if they say it themselves.
    """

    file: LiveFile
    columns: int
    kind: str | None
    commit: _Commit


def changed(
    table: TableRef,
    there: Files,
    after: int,
    upto: int,
    state_at: Callable[[int], TableState],
    fed: bool,
    begins: bool = False,
) -> Added:
    """See `TableStore.changed`.

    Args:
        there: the files of the table.
        state_at: gives its state at a version.

    Raises:
        FileVanishedError: a file of the range has been vacuumed.
        TableCorruptError: the log no longer reaches back that far.
        TableTooNewError: its files cannot be read as they are.
    """
    oldest = next(iter(there.log.commits()), 0)
    if begins and oldest > 0:
        return _inserted(table, there, state_at(upto))
    try:
        return _told(table, there, after, upto, state_at, fed)
    except FileVanishedError:
        # A file may be gone although the entry is there that removed it.
        if not begins:
            raise
        return _inserted(table, there, state_at(upto))


def _inserted(table: TableRef, there: Files, state: TableState) -> Added:
    """All rows of a table as if its version had inserted them."""
    if state.masked or state.mapped:
        raise TableTooNewError(f"cannot read the changes of {table}: it hides rows, or columns")
    actions = tuple(there.log.actions(state.version))
    commit = _Commit(state.version, actions, 0, 0, _time(actions))
    changes = [_Change(file, 0, INSERT, commit) for file in state.files]
    return _added(changes, there, [state.schema], state.schema)


def _told(
    table: TableRef,
    there: Files,
    after: int,
    upto: int,
    state_at: Callable[[int], TableState],
    fed: bool,
) -> Added:
    _check_reached(there.log, after, upto)
    state = state_at(upto)
    if state.mapped:
        raise TableTooNewError(f"cannot read the changes of {table}: it needs columnMapping")
    own = [f.name for f in CHANGE_FIELDS if state.schema.get(f.name) is not None]
    if own:
        raise UnsupportedError(
            f"the changes of {table.name} cannot be told: it has a column {own[0]} of its own",
            hint="give that column another name",
        )
    commits, schemas, properties = _commits(there.log, after, upto, state, state_at)
    changes: list[_Change] = []
    for commit in commits:
        properties = properties if commit.properties is None else commit.properties
        found = list(_changes(commit, state_at))
        if not any(c.kind is None for c in found) and not feeds_changes(properties):
            _check_told(table, commit, commits, fed)
        for number in {c.columns for c in found}:
            _check_columns(table, commit, schemas[number], state.schema)
        changes += found
    files = [c.file for c in changes]
    if there.fetching(files) is None and (gone := there.missing(files)):
        raise FileVanishedError(
            f"{table} lost rows whose changes have not been read yet",
            got=f"{gone[0]} is gone (vacuumed?)",
            hint="begin with a later version: starting_version => …; and start over:"
            f" {full_refresh()}",
        )
    return _added(changes, there, schemas, state.schema)


def _added(
    changes: Sequence[_Change], there: Files, schemas: Sequence[Schema], columns: Schema
) -> Added:
    files = [c.file for c in changes]
    size = sum(f.size for f in files)
    batch = _batch(changes, absolute(there.log, files), schemas, columns, there.fetching(files))
    return Added(batch, Amount(len(files), size, total(f.rows for f in files)))


# -- the versions ------------------------------------------------------------------------------


def _check_reached(log: Log, after: int, upto: int) -> None:
    """Refuse a range whose first versions the log has no more."""
    oldest = next((v for v in log.commits() if v > after), None)
    if upto > after and oldest is not None and oldest > after + 1:
        raise UnsupportedError(
            f"the log of {log.shown} no longer tells what version {after + 1} changed",
            got=f"its oldest entry is of version {oldest}",
            hint=f"begin with version {oldest}: starting_version => {oldest}; and start over:"
            f" {full_refresh()}",
        )


def _commits(
    log: Log, after: int, upto: int, state: TableState, state_at: Callable[[int], TableState]
) -> tuple[list[_Commit], list[Schema], Mapping[str, str]]:
    """The commits of a range, all columns that the table had, and its properties before them."""
    actions = {v: tuple(log.actions(v)) for v in range(after + 1, upto + 1)}
    moved = any("metaData" in a for found in actions.values() for a in found)
    before = state
    if after >= 0 and moved:
        before = state_at(after)
    schemas = [Schema(()) if after < 0 else before.schema]
    commits, text = [], ""
    for version, found in actions.items():
        number = len(schemas) - 1
        for action in found:
            if "metaData" in action and action["metaData"]["schemaString"] != text:
                text = action["metaData"]["schemaString"]
                columns = Schema.from_json(json.loads(text))
                schemas += [columns] if columns != schemas[-1] else []
        commits.append(_Commit(version, found, len(schemas) - 1, number, _time(found)))
    return commits, schemas, {} if after < 0 else before.properties


def _info(actions: Iterable[_Action]) -> _Action:
    return next((a["commitInfo"] for a in actions if "commitInfo" in a), {})


def _time(actions: Sequence[_Action]) -> str:
    info = _info(actions)
    moment = info.get("inCommitTimestamp", info.get("timestamp"))
    if moment is None:
        # The log need not say it. The files of a commit are a little older.
        moment = max((a["add"]["modificationTime"] for a in actions if "add" in a), default=0)
    return datetime.fromtimestamp(int(moment) / 1000, UTC).isoformat(" ", "milliseconds")


def _changes(commit: _Commit, state_at: Callable[[int], TableState]) -> Iterator[_Change]:
    """The files that tell what a version did."""
    told = [a["cdc"] for a in commit.actions if "cdc" in a]
    if told:
        yield from (_Change(_file(a), commit.columns, None, commit) for a in told)
        return
    removed, added = with_rows(commit.actions, "remove"), with_rows(commit.actions, "add")
    masked = [a for a in (*removed, *added) if a.get("deletionVector")]
    if masked:
        raise TableTooNewError(
            f"version {commit.version} hides rows by deletion vectors, and does not tell which",
            got=str(masked[0]["path"]),
            hint="read the table itself instead of its changes",
        )
    live: dict[str, LiveFile] = {}
    if any(a.get("partitionValues") is None for a in removed):
        # What is said of a removed file may be no more than its path.
        live = {f.path: f for f in state_at(commit.version - 1).files}
    for action in removed:
        file = live.get(action["path"]) or _file(action)
        yield _Change(file, commit.before, DELETE, commit)
    yield from (_Change(_file(a), commit.columns, INSERT, commit) for a in added)


def _file(action: _Action) -> LiveFile:
    values = action.get("partitionValues") or {}
    return LiveFile(action["path"], action.get("size") or 0, rows_of(action), values)


# -- what does not tell ------------------------------------------------------------------------


def _check_told(table: TableRef, commit: _Commit, commits: Sequence[_Commit], fed: bool) -> None:
    """Refuse a version without a feed that does not tell what it did to rows.

    Args:
        commits: all that are read.
        fed: see `TableStore.changed`.
    """
    # Files with rows that only moved are files with rows that stayed, too.
    both = bool(with_rows(commit.actions, "remove")) and any("add" in a for a in commit.actions)
    if not fed and not (both and commit.operation in _REWRITES):
        return
    since = None
    for later in commits:
        if later.version > commit.version and later.properties is not None:
            kept = feeds_changes(later.properties)
            since = (since or later.version) if kept else None
    hint = f"have the table keep one: its property {CHANGE_FEED} = true; and begin with a later"
    hint += " version: starting_version => …"
    raise UnsupportedError(
        f"{table.name} keeps no feed of changes at version {commit.version}",
        wanted=f"{CHANGE_FEED} = true",
        got=commit.operation,
        hint=hint if since is None else f"begin with version {since}: starting_version => {since}",
    )


def _check_columns(table: TableRef, commit: _Commit, before: Schema, columns: Schema) -> None:
    """Refuse changes with values that the table's columns do not hold any more."""
    for old in before.fields:
        now = columns.get(old.name)
        if now is None or now.type == grown(old.type, now.type):
            continue
        if now.type not in wider(old.type, now.type):
            raise SchemaMismatchError(
                f"the changes of {table.name} do not fit together: its column {old.name} had"
                f" another type before version {commit.version + 1}",
                wanted=str(now),
                got=str(old),
                hint="begin with the version that changed it: starting_version => …; and start"
                f" over: {full_refresh()}",
            )


# -- for an engine -----------------------------------------------------------------------------


class _Part(Frozen):
    """Files that are read together: each is among them once."""

    columns: int
    keys: tuple[str, ...]
    told: bool
    changes: dict[str, _Change] = field(default_factory=dict)


def _batch(
    changes: Sequence[_Change],
    paths: Sequence[str],
    schemas: Sequence[Schema],
    columns: Schema,
    fetch: Callable[[], None] | None,
) -> TableBatch:
    """All changes as one batch.

    Args:
        paths: absolute, of the files of the changes.
        schemas: all columns that the table had, one after the other.
        columns: those that it has.
    """
    parts: dict[tuple[object, ...], list[_Part]] = {}
    for change, path in zip(changes, paths, strict=True):
        told = change.kind is None
        keys = tuple(change.file.partition_values)
        alike = parts.setdefault((change.columns, keys, told), [])
        # A file may be added and removed, and come back.
        part = next((p for p in alike if path not in p.changes), None)
        if part is None:
            part = _Part(change.columns, keys, told)
            alike.append(part)
        part.changes[path] = change
    batches = tuple(
        _as_now(_files(part, schemas[part.columns]), schemas[part.columns + 1 :], columns)
        for part in sorted((p for found in parts.values() for p in found), key=_age)
    )
    files = tuple(f for b in batches for f in b.files)
    return TableBatch(files, _with_change_columns(columns), fetch=fetch, narrower=batches)


def _age(part: _Part) -> int:
    return next(iter(part.changes.values())).commit.version


def _with_change_columns(columns: Schema) -> Schema:
    return Schema((*columns.fields, *CHANGE_FIELDS))


def _files(part: _Part, columns: Schema) -> TableBatch:
    """The files of a part, with the columns that the table had then."""
    found = part.changes.values()
    # An empty text is NULL, says the protocol.
    told: dict[str, tuple[str | None, ...]] = {
        key: tuple(c.file.partition_values[key] or None for c in found)
        for key in part.keys
        if columns.get(key) is not None
    }
    if not part.told:
        told[CHANGE_TYPE] = tuple(c.kind for c in found)
    told[COMMIT_VERSION] = tuple(str(c.commit.version) for c in found)
    told[COMMIT_TIME] = tuple(c.commit.time for c in found)
    return TableBatch(tuple(part.changes), _with_change_columns(columns), told=told)


def _as_now(batch: TableBatch, later: Sequence[Schema], columns: Schema) -> TableBatch:
    """Rows of then with the columns of now, step by step as the table itself took them."""
    steps = [batch]
    known = Named((f.name, f) for f in batch.schema.fields)
    for schema in (*later, columns):
        known = Named([*known.items(), *((f.name, f) for f in schema.fields)])
        # A column that was away for a while, and came back, keeps its values.
        kept = (known.get(f.name) for f in columns.fields)
        steps.append(
            TableBatch((), _with_change_columns(Schema(tuple(f for f in kept if f is not None))))
        )
    *narrower, last = steps
    if all(s.schema == batch.schema for s in steps):
        return batch
    return replace(last, files=batch.files, narrower=tuple(narrower))
