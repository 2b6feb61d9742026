"""Tables whose rows are written again with wider types, in the commit that brings others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from qanat.errors import CommitConflictError
from qanat.model.schema import Decimal, Field, Primitive, Schema
from qanat.model.table import Commit
from qanat.model.work import TableBatch
from qanat.ports.store import TableStore
from tests.conformance import test_store as suite
from tests.conformance.test_store import append, ref, rows, staged

bucket, folder, server = suite.bucket, suite.folder, suite.server
store = suite.store


class Closing:
    """The gate of an update that is taken over right after it has written rows again."""

    def __init__(self, folder: Path) -> None:
        self._folders = [folder / "gone", folder]

    @property
    def folder(self) -> Path:
        return self._folders.pop()

    def confirm(self) -> None:
        """It is never asked: the table lies in a folder."""


NARROW = Schema((Field("id", Primitive("long")),))
WIDE = Schema((Field("id", Decimal(38, 6)),))

rewriting = pytest.mark.parametrize(
    "store",
    ["delta", "iceberg", pytest.param("delta s3", marks=pytest.mark.services)],
    indirect=True,
)
"""About the formats whose rows can take other files."""


def widening(store: TableStore, folder: Path, number: int, stored: int) -> Commit:
    """A commit of the row 0.5 into a table with the rows 0 to `stored`, which become wider."""
    again = f"SELECT range::DECIMAL(38, 6) AS id FROM range({stored})"
    version = store.version(ref(folder))
    return append(
        store,
        folder,
        number,
        schema=WIDE,
        files=staged(store, folder, f"new-{number}", "SELECT 0.5::DECIMAL(38, 6) AS id"),
        rewritten=staged(store, folder, f"again-{number}", again),
        rewrites=version,
    )


@rewriting
def test_rows_take_other_files_and_are_read_once(store: TableStore, folder: Path) -> None:
    store.publish(append(store, folder, 1, range(1)))
    store.publish(append(store, folder, 2, range(1, 2)))
    commit = widening(store, folder, 3, stored=2)
    done = store.publish(commit)
    assert done == store.publish(commit) == store.version(ref(folder))
    table = ref(folder)
    assert store.snapshot(table).schema == WIDE
    assert sorted(rows(store.snapshot(table).batch)) == [(0,), (0.5,), (1,)]
    assert store.snapshot(table, 1).schema == NARROW
    assert rows(store.snapshot(table, 1).batch) == [(0,), (1,)]
    assert store.sweep(table) == 0
    # Who has read all that was there finds one row; who lags behind, also those of old files.
    assert rows(store.added(table, 1, done).batch) == [(0.5,)]
    late = store.added(table, 0, done)
    assert late.amount.rows == 2
    assert isinstance(late.batch, TableBatch)
    (before,) = late.batch.narrower
    assert (rows(before), before.schema) == ([(1,)], NARROW)
    assert late.batch.files[: len(before.files)] == before.files


@rewriting
def test_only_the_rows_that_were_rewritten_go(store: TableStore, folder: Path) -> None:
    """Another writer's commit in between must not be lost; one without files does no harm."""
    store.publish(append(store, folder, 1))
    commit = widening(store, folder, 2, stored=1)
    other = append(store, folder, 1, range(7, 8), application="others", gaps=True)
    store.publish(other)
    with pytest.raises(CommitConflictError, match="written again"):
        store.publish(commit)
    assert sorted(rows(store.snapshot(ref(folder)).batch)) == [(0,), (7,)]
    store.publish(append(store, folder, 2, files=(), application="others"))
    kept = replace(commit, rewrites=1)
    with pytest.raises(CommitConflictError):
        store.publish(replace(kept, rewrites=0))
    assert store.publish(kept) >= 3


@rewriting
def test_taking_back_leaves_the_wider_types(store: TableStore, folder: Path) -> None:
    """The rows that were there are the same in their new files; only what came with them goes."""
    table = ref(folder)
    store.publish(append(store, folder, 1))
    store.publish(widening(store, folder, 2, stored=1))
    assert store.retract(table, "qanat:t", 2)
    assert store.transaction(table, "qanat:t") == 1
    assert (rows(store.snapshot(table).batch), store.snapshot(table).schema) == ([(0,)], WIDE)
    taken_back = store.version(table)
    assert taken_back is not None
    assert store.added(table, 0, taken_back).amount.files == 0
    more = staged(store, folder, "more", "SELECT 9::DECIMAL(38, 6) AS id")
    done = store.publish(append(store, folder, 2, files=more, schema=WIDE))
    assert rows(store.added(table, 0, done).batch) == [(9,)]


@pytest.mark.parametrize("store", ["iceberg"], indirect=True)
def test_an_update_that_is_taken_over_in_between_leaves_wider_types(
    store: TableStore, folder: Path
) -> None:
    """Iceberg tables take two snapshots for it; the rows are those of before after the first."""
    table = ref(folder)
    store.publish(append(store, folder, 1))
    commit = widening(store, folder, 2, stored=1)
    with pytest.raises(CommitConflictError, match="took over"):
        store.publish(replace(commit, gate=Closing(folder)))
    assert (rows(store.snapshot(table).batch), store.snapshot(table).schema) == ([(0,)], WIDE)
    assert store.transaction(table, "qanat:t") == 1
    version = store.version(table)
    assert version is not None
    assert store.added(table, 0, version).amount.files == 0
    # The same commit is tried again, or another attempt made of what is there now.
    done = store.publish(commit)
    assert sorted(rows(store.snapshot(table).batch)) == [(0,), (0.5,)]
    assert rows(store.added(table, 0, done).batch) == [(0.5,)]
