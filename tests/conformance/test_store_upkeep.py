"""Tables whose files are written again, and whose past is deleted as far as nothing needs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from qanat.errors import CommitConflictError, TableCorruptError
from qanat.model.table import Change, Commit
from qanat.model.upkeep import Layout, Needed, Policy
from qanat.ports.store import TableStore
from tests.conformance import test_store as suite
from tests.conformance.test_store import append, by_others, files_of, ref, rows, staged

bucket, folder, server = suite.bucket, suite.folder, suite.server
store = suite.store

maintained = pytest.mark.parametrize(
    "store", ["delta", pytest.param("delta s3", marks=pytest.mark.services)], indirect=True
)
"""About the formats that are maintained."""
AT_ONCE = Policy(kept_files=0, kept_log=0)


def grow(store: TableStore, folder: Path, upto: int, interval: int = 100) -> None:
    """So many commits of a row each."""
    kept = {"delta.checkpointInterval": str(interval)}
    for number in range(1, upto + 1):
        commit = append(store, folder, number, range(number - 1, number))
        store.publish(replace(commit, properties=kept))


def compaction(
    store: TableStore, folder: Path, values: Sequence[int], number: int = 1
) -> tuple[Layout, Commit]:
    """The plan to write all small files again, and the commit that does."""
    layout = store.layout(ref(folder), Policy())
    (found,) = layout.bins
    select = f"SELECT unnest({list(values)})::BIGINT AS id"
    new = staged(store, folder, f"again-{number}", select)
    commit = append(store, folder, number, files=(), application="qanat:t::maintain", gaps=True)
    return layout, replace(
        commit,
        change=Change.REARRANGE,
        rewritten=tuple(replace(f, since_ms=found.since_ms) for f in new),
        removed=found.files,
    )


@maintained
def test_rows_are_the_same_in_other_files(store: TableStore, folder: Path) -> None:
    table = ref(folder)
    grow(store, folder, 3)
    layout, commit = compaction(store, folder, [0, 1, 2])
    assert (layout.version, layout.files, layout.gone, layout.new) == (2, 3, 3, 1)
    assert store.publish(commit) == 3
    assert store.publish(commit) == 3
    assert rows(store.snapshot(table).batch) == [(0,), (1,), (2,)]
    assert by_others(store, folder).num_rows == 3
    # Nothing is new, to nobody.
    assert (store.last_change(table), store.same_rows(table, 2)) == (2, 3)
    assert store.same_rows(table, 1) == 1
    assert rows(store.added(table, 0, 3).batch) == [(1,), (2,)]
    assert store.added(table, 2, 3).amount.files == 0
    assert not store.layout(table, Policy()).bins
    store.publish(append(store, folder, 4, range(3, 4)))
    assert rows(store.snapshot(table).batch) == [(0,), (1,), (2,), (3,)]
    assert (store.last_change(table), store.transaction(table, "qanat:t")) == (4, 4)


@maintained
def test_a_file_written_again_keeps_its_place(store: TableStore, folder: Path) -> None:
    """Between those before and after it, which streams and snapshots read in that order."""
    grow(store, folder, 2)
    _, commit = compaction(store, folder, [0, 1])
    store.publish(append(store, folder, 3, range(2, 3)))
    before = files_of(store.snapshot(ref(folder)).batch)
    store.publish(commit)
    found = files_of(store.snapshot(ref(folder)).batch)
    assert (len(found), found[-1]) == (2, before[-1])


@maintained
def test_rows_that_went_meanwhile_do_not_come_back(store: TableStore, folder: Path) -> None:
    grow(store, folder, 2)
    _, commit = compaction(store, folder, [0, 1])
    store.publish(append(store, folder, 3, range(5, 6), change=Change.REPLACE))
    with pytest.raises(CommitConflictError, match="written again"):
        store.publish(commit)
    assert rows(store.snapshot(ref(folder)).batch) == [(5,)]


@maintained
def test_what_may_be_taken_back_is_left_alone(store: TableStore, folder: Path) -> None:
    table = ref(folder)
    grow(store, folder, 4)
    (found,) = store.layout(table, Policy(), settled=2).bins
    assert found.files == files_of(store.snapshot(table).batch)[:3]
    assert not store.layout(table, Policy(), settled=0).bins


@maintained
def test_the_past_goes_as_far_as_nothing_needs_it(store: TableStore, folder: Path) -> None:
    table = ref(folder)
    grow(store, folder, 8, interval=2)
    store.publish(compaction(store, folder, range(8))[1])
    assert store.stale(table, Policy(), Needed()).idle
    # A stream has read up to version 5: two files, the entries that name them, and what says how
    # the table was at version 5.
    found = store.stale(table, AT_ONCE, Needed(after=5))
    done = store.clean(table, AT_ONCE, Needed(after=5))
    assert (done, done.files, done.oldest) == (found, 6, 4)
    assert rows(store.added(table, 5, 8).batch) == [(6,), (7,)]
    assert store.clean(table, AT_ONCE, Needed(after=5)).idle
    store.publish(append(store, folder, 9, range(8, 9)))
    done = store.clean(table, AT_ONCE, Needed(after=9))
    assert (done.files, done.oldest) == (2, 8)
    assert rows(store.snapshot(table).batch) == [(n,) for n in range(9)]
    assert by_others(store, folder).num_rows == 9
    assert store.transaction(table, "qanat:t") == 9
    assert store.sweep(table) == 0
    with pytest.raises(TableCorruptError):
        store.added(table, 5, 8)
    assert not store.missing(table)


@maintained
def test_versions_that_open_epochs_read_stay(store: TableStore, folder: Path) -> None:
    table = ref(folder)
    grow(store, folder, 4, interval=2)
    before = store.snapshot(table, 2)
    store.publish(compaction(store, folder, range(4))[1])
    done = store.clean(table, AT_ONCE, Needed(versions=(2,)))
    assert (done.files, done.oldest) == (1, 2)
    assert rows(before.batch) == rows(store.snapshot(table, 2).batch) == [(0,), (1,), (2,)]


@maintained
def test_a_commit_is_taken_back_whose_past_is_cleaned_up(store: TableStore, folder: Path) -> None:
    """What it replaced, and the columns of then, only a checkpoint tells."""
    table = ref(folder)
    grow(store, folder, 6, interval=2)
    store.publish(append(store, folder, 7, range(50, 51), change=Change.REPLACE, comment="new"))
    assert store.clean(table, AT_ONCE, Needed(settled=5)).oldest > 0
    assert store.retract(table, "qanat:t", 7)
    assert rows(store.snapshot(table).batch) == [(n,) for n in range(6)]
    assert store.snapshot(table).comment is None
    assert store.transaction(table, "qanat:t") == 6


@maintained
def test_nothing_is_deleted_once_the_lease_is_lost(store: TableStore, folder: Path) -> None:
    table = ref(folder)
    grow(store, folder, 4, interval=2)
    store.publish(compaction(store, folder, range(4))[1])

    def lost() -> None:
        raise CommitConflictError("taken over")

    with pytest.raises(CommitConflictError):
        store.clean(table, AT_ONCE, Needed(), lost)
    assert store.stale(table, AT_ONCE, Needed()).files == 4


@pytest.mark.parametrize("store", ["iceberg"], indirect=True)
def test_a_format_that_is_not_maintained_says_so(store: TableStore, folder: Path) -> None:
    store.publish(append(store, folder, 1))
    layout = store.layout(ref(folder), Policy())
    assert (store.maintains, layout.bins) == (False, ())
    assert "does not maintain" in layout.why_not
    assert store.clean(ref(folder), AT_ONCE, Needed()).idle
