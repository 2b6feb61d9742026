"""Facts of SQLMesh's tests of SCD type 2, by time and by column, as snapshots with versions.

What SQLMesh calls the execution time is the version of the snapshot. Its first load begins in
1970; a version of Qanat begins with the snapshot that has shown it first, as nothing is known of
the time before. Each test says what else differs, and why.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.acceptance.peers import merged, snapshotted
from tests.acceptance.projects import Shop

FIRST, SECOND = datetime(2023, 1, 1, tzinfo=UTC), datetime(2023, 1, 5, tzinfo=UTC)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_by_column(shop: Shop) -> None:
    """A changed name, a row that is gone, one as it was, a changed status, a new one."""
    found = snapshotted(
        shop,
        "id name status",
        [
            (FIRST, [(1, "a", "on"), (2, "b", "off"), (3, "c", "on"), (4, "d", "on")]),
            (SECOND, [(1, "x", "on"), (3, "c", "on"), (4, "d", "off"), (5, "e", "off")]),
        ],
        more=', track_history_column_list=["name", "status"]',
    )
    assert found == [
        (1, "a", "on", FIRST, SECOND), (1, "x", "on", SECOND, None),
        (2, "b", "off", FIRST, SECOND), (3, "c", "on", FIRST, None),
        (4, "d", "off", SECOND, None), (4, "d", "on", FIRST, SECOND),
        (5, "e", "off", SECOND, None),
    ]  # fmt: skip


def test_by_column_with_columns_that_the_table_does_not_have(shop: Shop) -> None:
    """A query leaves them out; so they make no version when they change."""
    shop.sql(
        "CREATE STREAMING TABLE history FLOW AUTO CDC FROM SNAPSHOT\n"
        "  (SELECT id, name FROM read_files('in/all.csv')) KEYS (id) STORED AS SCD TYPE 2;\n"
    )
    for more in ("p", "q"):
        shop.file("in/all.csv", f"id,name,ignored\n1,a,{more}\n")
        shop.run()
    assert [r[:2] for r in shop.rows("history")] == [(1, "a")]


def test_by_time_of_the_snapshot(shop: Shop) -> None:
    """The column with the time of a change is a column like others.

    SQLMesh ends the version of 1 on 4 January, as `updated_at` says; the snapshot of 5 January has
    shown it, and Qanat takes the word of the snapshot for all rows: those that are gone have none.
    """
    found = snapshotted(
        shop,
        "id name updated_at",
        [
            (FIRST, [(1, "a", "01-01"), (2, "b", "01-02"), (3, "c", "01-03")]),
            (SECOND, [(1, "x", "01-04"), (3, "c", "01-03"), (4, "d", "01-04")]),
        ],
    )
    assert found == [
        (1, "a", "01-01", FIRST, SECOND), (1, "x", "01-04", SECOND, None),
        (2, "b", "01-02", FIRST, SECOND), (3, "c", "01-03", FIRST, None),
        (4, "d", "01-04", SECOND, None),
    ]  # fmt: skip


def test_by_time_of_the_rows(shop: Shop) -> None:
    """With `updated_at_as_valid_from`: the same dumps as events, in the order of that time.

    A row that is gone is no event: as with `invalidate_hard_deletes: false`, its version goes on.
    """
    given = [["x,1,a,1,U", "x,2,b,2,U", "x,3,c,3,U"], ["x,1,z,4,U", "x,3,c,3,U", "x,4,d,4,U"]]
    assert merged(shop, given, "KEYS (name, id) STORED AS SCD TYPE 2") == [
        ("x", 1, "a", 1, 4), ("x", 1, "z", 4, None), ("x", 2, "b", 2, None),
        ("x", 3, "c", 3, None), ("x", 4, "d", 4, None),
    ]  # fmt: skip


def test_what_was_gone_comes_back(shop: Shop) -> None:
    """Deleted and inserted again: two versions with a gap, in both kinds."""
    third = datetime(2023, 1, 9, tzinfo=UTC)
    found = snapshotted(
        shop,
        "id name",
        [(FIRST, [(1, "a"), (2, "b")]), (SECOND, [(1, "a")]), (third, [(1, "a"), (2, "b")])],
    )
    assert found == [
        (1, "a", FIRST, None), (2, "b", FIRST, SECOND), (2, "b", third, None),
    ]  # fmt: skip


def test_a_null_is_a_value(shop: Shop) -> None:
    """To NULL and back are changes; NULL stays NULL without one."""
    third = datetime(2023, 1, 9, tzinfo=UTC)
    first, second = [(1, "a"), (2, None)], [(1, None), (2, None)]
    found = snapshotted(shop, "id name", [(FIRST, first), (SECOND, second), (third, first)])
    assert found == [
        (1, "a", FIRST, SECOND), (1, "a", third, None), (1, None, SECOND, third),
        (2, None, FIRST, None),
    ]  # fmt: skip
