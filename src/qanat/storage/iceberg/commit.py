"""What one commit changes: files, columns, partitions, properties, in one exchange of metadata."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from pyiceberg.io import FileIO
from pyiceberg.manifest import ManifestEntry
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema as IcebergSchema
from pyiceberg.transforms import IdentityTransform

from qanat.disk import staged_file
from qanat.errors import CommitConflictError
from qanat.model.owner import OWNER
from qanat.model.table import Change, Commit
from qanat.storage.iceberg.catalog import Registered
from qanat.storage.iceberg.columns import Identifiers, from_iceberg, narrow_types, to_iceberg
from qanat.storage.iceberg.draft import Draft, Ending
from qanat.storage.iceberg.history import (
    APPLICATION,
    COMMENT,
    FENCE,
    MAPPING,
    NUMBER,
    RENAMES,
    RETRACTS,
    REWRITES,
    TRANSACTIONS,
    History,
    SnapshotEntry,
)
from qanat.storage.iceberg.manifests import Content, changes, content, identity, owner, staged


def drafted(commit: Commit, base: Registered, io: FileIO, staging: str) -> Draft:
    """The next draft of a commit: the same rows with wider types first, where it has any.

    Raises:
        CommitConflictError: others have changed the rows that were written again.
        QanatError: as `publishing` tells.
    """
    first = _has_to_rewrite(commit, base, io)
    return (rewriting if first else publishing)(commit, base, io, staging)


def publishing(commit: Commit, base: Registered, io: FileIO, staging: str) -> Draft:
    """The draft that makes staged files part of a table.

    Raises:
        SchemaMismatchError: an append would take away, retype or reorder what the table has.
        TableTooNewError: the table is of a version that we do not write.
        AdapterError: a staged file is not there, or has changed.
    """
    for each in commit.files:
        staged_file(Path(staging, each.path), each.size)
    draft = Draft(base, io)
    _describe(draft, commit)
    _exchange(draft, commit, io, staging)
    return draft


def _has_to_rewrite(commit: Commit, base: Registered, io: FileIO) -> bool:
    """True if the rows that are there have to take other files before the commit.

    Raises:
        CommitConflictError: they are not those any more that were written again.
    """
    if commit.rewritten is None:
        return False
    mine = _rewrites(commit)
    for made in base.history.line():
        if made.summary.get(REWRITES) == mine:
            return False
        if made.version <= (-1 if commit.rewrites is None else commit.rewrites):
            return True
        added, removed, masked = changes(io, made.manifests, made.id)
        if added or removed or masked:
            raise CommitConflictError(
                f"{commit.table.name} has changed while its rows were written again with wider"
                " types",
                wanted=f"the files of version {commit.rewrites}",
                got=f"version {made.version}",
                hint="another writer committed to the table; run again",
            )
    return base.history.newest is not None


def rewriting(commit: Commit, base: Registered, io: FileIO, staging: str) -> Draft:
    """The draft that puts files with wider types in the place of all that are there."""
    files = commit.rewritten or ()
    for each in files:
        staged_file(Path(staging, each.path), each.size)
    draft = Draft(base, io)
    _describe(draft, commit)
    made = [staged(f, f"{staging}/{f.path}", draft.schema, draft.spec) for f in files]
    ending = Ending(
        base.history.numbers, narrow_types(commit.schema), {REWRITES: _rewrites(commit)}
    )
    draft.snapshot({None: made}, lambda e: True, ending, same_rows=True)
    return draft


def _rewrites(commit: Commit) -> str:
    """For which commit rows are written again; of each attempt's the files have other names."""
    names = [f.path for f in commit.rewritten or ()]
    return json.dumps([commit.application, commit.number, *names[:1]])


def retracting(
    base: Registered, io: FileIO, made: SnapshotEntry, application: str, number: int
) -> Draft:
    """The draft that takes back what a snapshot did for an application."""
    draft = Draft(base, io)
    history = base.history
    added, removed, _ = changes(io, made.manifests, made.id)
    parts = content(io, history.head.manifests) if history.head else None
    live = {e.data_file.file_path for e in parts.entries} if parts else set()
    gone = {e.data_file.file_path for e in added}
    back = [e for e in removed if e.data_file.file_path not in live]
    before = None if made.parent is None else history.known.get(made.parent)
    types = history.types
    if back and before is not None and before.schema is not None:
        # A commit that takes rows away may have given the table other columns.
        draft.schema = draft.before.schemas[before.schema]
        draft.spec = draft.before.specs[back[0].data_file.spec_id]
        types = history.types_at(before)
    numbers = {**history.numbers, application: history.number_before(made, application, number)}
    draft.snapshot(
        {},
        lambda e: e.data_file.file_path in gone,
        Ending(numbers, types, {RETRACTS: f"{application} {number}"}),
        _as_added(history, io, before, back),
    )
    return draft


def _as_added(
    history: History, io: FileIO, before: SnapshotEntry | None, back: Sequence[ManifestEntry]
) -> list[ManifestEntry]:
    """The same files, still with the snapshots that added them (their removal names its own)."""
    if before is None or not back:
        return []
    wanted = {e.data_file.file_path for e in back}
    return [e for e in content(io, before.manifests).entries if e.data_file.file_path in wanted]


def fencing(base: Registered, io: FileIO) -> Draft:
    """A draft that changes nothing, so that no commit on top of the table as it is can succeed."""
    draft = Draft(base, io)
    history = base.history
    draft.snapshot({}, None, Ending(history.numbers, history.types, {FENCE: "true"}))
    return draft


def renaming(base: Registered, io: FileIO, old: str, new: str | None) -> Draft:
    """A draft that lets what an application has committed be another's; a fence, as no row moves.

    So it is no version of the table, and whoever reads it as a stream has nothing to read.
    """
    draft = Draft(base, io)
    history = base.history
    numbers = {a: n for a, n in history.numbers.items() if a != old}
    if new is not None:
        numbers[new] = history.numbers[old]
    more = {FENCE: "true", RENAMES: json.dumps([old, new])}
    draft.snapshot({}, None, Ending(numbers, history.types, more))
    return draft


def initial(commit: Commit) -> tuple[IcebergSchema, dict[str, str]]:
    """Columns and properties of a table before its first snapshot."""
    identifiers = Identifiers()
    schema = to_iceberg(commit.schema, identifiers, 0)
    # Others must not fence or sweep it meanwhile.
    owner = {k: v for k, v in commit.properties.items() if k == OWNER}
    return schema, {MAPPING: identifiers.mapping(), TRANSACTIONS: "{}", **owner}


def _describe(draft: Draft, commit: Commit) -> None:
    """Columns, partitions, comment and properties, as far as the commit changes them."""
    before, history = draft.before, draft.history
    if history.newest is not None and commit.change is not Change.REPLACE:
        old = from_iceberg(before.schema, history.types, commit.table.name)
        partitions = identity(before.spec, before.schema)
        commit.check_append(old, partitions, _filled(history))
    properties = history.properties
    identifiers = Identifiers.of(before.schema, properties.get(MAPPING), before.last_column)
    schema = to_iceberg(commit.schema, identifiers, max(before.schemas) + 1)
    same = (s for s in before.schemas.values() if s.fields == schema.fields)
    draft.schema = next(same, schema)
    draft.spec = _partitioned(draft, commit)
    wanted = {**commit.properties, MAPPING: identifiers.mapping()}
    if commit.comment or (commit.comment is not None and COMMENT in properties):
        wanted[COMMENT] = commit.comment
    draft.properties |= {k: v for k, v in wanted.items() if properties.get(k) != v}


def _partitioned(draft: Draft, commit: Commit) -> PartitionSpec:
    """How the table is partitioned from now on."""
    before = draft.before
    commit.check_partitions()
    earlier = (f for s in before.specs.values() for f in s.fields)
    known = {(f.source_id, str(f.transform)): f.field_id for f in earlier}
    last = before.last_partition
    fields = []
    for column in commit.partition_by:
        source = draft.schema.find_field(column).field_id
        number = known.get((source, "identity"))
        if number is None:
            number = last = last + 1
        fields.append(PartitionField(source, number, IdentityTransform(), column))
    same = (s for s in before.specs.values() if s.fields == tuple(fields))
    return next(same, None) or PartitionSpec(*fields, spec_id=max(before.specs) + 1)


def _exchange(draft: Draft, commit: Commit, io: FileIO, staging: str) -> None:
    """The files that go and those that come."""
    history = draft.history
    gone: Callable[[ManifestEntry], bool] | None = None
    if commit.change is Change.REPLACE:
        gone = lambda e: True  # noqa: E731
    elif commit.change is Change.REPLACE_OWN and history.head is not None:
        own = _own(content(io, history.head.manifests), history, io, commit.application)
        gone = lambda e: e.data_file.file_path in own  # noqa: E731
    files = [staged(f, f"{staging}/{f.path}", draft.schema, draft.spec) for f in commit.files]
    numbers = {**history.numbers, commit.application: commit.number}
    more = {**commit.info, APPLICATION: commit.application, NUMBER: str(commit.number)}
    ending = Ending(numbers, narrow_types(commit.schema), more)
    draft.snapshot({commit.application: files}, gone, ending)


def _own(parts: Content, history: History, io: FileIO, application: str) -> frozenset[str]:
    """The paths of the live files that an application has brought."""
    found: set[str] = set()
    commits = {made.id: name for made, name in history.commits_of(application)}
    # A file whose snapshot has been expired is known by the application's name when it came.
    names = {application, *commits.values()}
    for listed in parts.listed:
        expired = [e for e in listed.entries if (e.snapshot_id or 0) not in history.known]
        header = owner(io, listed.manifest) if expired else None
        for each in listed.entries:
            made = history.known.get(each.snapshot_id or 0)
            if header in names if made is None else made.id in commits:
                found.add(each.data_file.file_path)
    return frozenset(found)


def _filled(history: History) -> bool:
    """True if the table has rows, as far as that is known."""
    head = history.head
    return head is not None and head.summary.get("total-records", "1") != "0"
