"""Facts of dbt's tests of snapshots (simple_snapshot, check_cols), retyped as tables of rows.

`dbt_valid_from` and `dbt_valid_to` are `__START_AT` and `__END_AT`; a version that has not ended
has NULL there, also where dbt may be told another value (`dbt_valid_to_current`: in Qanat a view
says `coalesce(__END_AT, …)`). Strategy `check` is a snapshot with `TRACK HISTORY ON`, `timestamp`
the dumps as events in the order of `updated_at`. `hard_deletes: invalidate` is what snapshots do;
`ignore`, dbt's default, is what events do.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qanat.errors import SequenceTieError
from tests.acceptance.peers import Row, merged, snapshotted
from tests.acceptance.projects import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


# -- strategy check ----------------------------------------------------------------------------


def changed(rows: list[Row], at: int, chosen: range, change: Callable[[Any], Any]) -> list[Row]:
    """Rows with another value in one column of those with some ids."""
    return [(*r[:at], change(r[at]), *r[at + 1 :]) if r[0] in chosen else r for r in rows]


BASE = [(n, f"name {n}", f"2026-01-{n:02d}") for n in range(1, 11)]
ADDED = [(n, f"name {n}", f"2026-01-{n:02d}") for n in range(1, 21)]
DATES = changed(ADDED, 2, range(11, 21), lambda day: f"{day} 12:00")
NAMES = changed(DATES, 1, range(1, 11), lambda name: f"{name}!")
SEEDS = list(enumerate((BASE, ADDED, DATES, NAMES), 1))


@pytest.mark.parametrize(
    ("more", "counts"),
    [
        ("", [10, 20, 30, 40]),
        (', track_history_column_list=["some_date"]', [10, 20, 30, 30]),
        (', track_history_column_list=["name"]', [10, 20, 20, 30]),
    ],
)
def test_check_cols(tmp_path: Path, more: str, counts: list[int]) -> None:
    for number, count in enumerate(counts, 1):
        shop = Shop(tmp_path / str(number))
        found = snapshotted(shop, "id name some_date", SEEDS[:number], more=more)
        assert len(found) == count
        assert len([r for r in found if r[-1] is None]) == min(10 * number, 20)


def test_what_is_not_checked_is_written_into_the_version(shop: Shop) -> None:
    """dbt leaves the old value there until a checked column changes, too.

    Lakeflow, whose words these are, says that such columns are updated where they are; then the
    newest version has what the source has now.
    """
    given = [(1, [(1, "a", "one")]), (2, [(1, "a", "two")])]
    found = snapshotted(shop, "id name note", given, more=', track_history_column_list=["name"]')
    assert found == [(1, "a", "two", 1, None)]


def test_equal_values_of_several_rows(shop: Shop) -> None:
    """Rows with one email, and NULL that becomes a value: each row has its own history."""
    same = "(not provided)"
    first = [(1, "judith", same), (2, "arthur", same), (20, "phyllis", None)]
    second = [(1, "judith", same), (2, "arthur", "new"), (20, "phyllis", "pfox")]
    assert snapshotted(shop, "id name email", [(1, first), (2, second)]) == [
        (1, "judith", same, 1, None), (2, "arthur", "(not provided)", 1, 2),
        (2, "arthur", "new", 2, None), (20, "phyllis", "pfox", 2, None),
        (20, "phyllis", None, 1, 2),
    ]  # fmt: skip


def test_keys_of_several_columns(shop: Shop) -> None:
    first, second = [(1, 100, "a"), (1, 200, "b")], [(1, 100, "a"), (1, 200, "c"), (2, 100, "d")]
    found = snapshotted(shop, "id1 id2 name", [(1, first), (2, second)], ["id1", "id2"])
    assert found == [
        (1, 100, "a", 1, None), (1, 200, "b", 1, 2), (1, 200, "c", 2, None),
        (2, 100, "d", 2, None),
    ]  # fmt: skip


# -- hard deletes ------------------------------------------------------------------------------


def test_invalidate(shop: Shop) -> None:
    """Rows that are gone end, the same ones change nothing, and those that come back begin."""
    full, some = [(1, "a"), (2, "b"), (3, "c")], [(2, "b")]
    given = [(1, full), (2, some), (3, some), (4, full)]
    assert snapshotted(shop, "id name", given) == [
        (1, "a", 1, 2), (1, "a", 4, None), (2, "b", 1, None),
        (3, "c", 1, 2), (3, "c", 4, None),
    ]  # fmt: skip


def test_new_record_is_told_by_the_gaps(shop: Shop) -> None:
    """dbt adds a row with `dbt_is_deleted` for the time without the key: 2, 3 and 4 rows.

    A table of Qanat has a row for each version of a key, and none for what is not there. A view
    has dbt's rows: where a version ends and no other begins, the key is gone.
    """
    one, none = [(1, "judith"), (2, "arthur")], [(2, "arthur")]
    given = [(1, one), (2, none), (3, none), (4, one), (5, none), (6, none)]
    snapshotted(shop, "id name", given)
    shop.sql(
        "CREATE MATERIALIZED VIEW records AS\n"
        "SELECT id, name, __START_AT AS since, __END_AT AS until, FALSE AS gone FROM history\n"
        "UNION ALL\n"
        "SELECT id, name, __END_AT, next, TRUE FROM (SELECT *, lead(__START_AT) OVER (PARTITION BY"
        " id ORDER BY __START_AT) AS next FROM history)\n"
        "WHERE __END_AT IS NOT NULL AND next IS DISTINCT FROM __END_AT;\n"
    )
    shop.run()
    assert [r for r in shop.rows("records") if r[0] == 1] == [
        (1, "judith", 1, 2, False), (1, "judith", 2, 4, True),
        (1, "judith", 4, 5, False), (1, "judith", 5, None, True),
    ]  # fmt: skip


# -- new columns -------------------------------------------------------------------------------


def columns(shop: Shop, tracked: str = "") -> list[Row]:
    """The history of a file that gets a column and, at the same time, loses a row."""
    shop.sql(
        "CREATE STREAMING TABLE history FLOW AUTO CDC FROM SNAPSHOT read_files('in/all.csv')\n"
        f"  KEYS (id) STORED AS SCD TYPE 2 {tracked};\n"
    )
    shop.file("in/all.csv", "id,name\n1,john\n2,jane\n3,bob\n")
    shop.run()
    shop.file("in/all.csv", "id,name,dummy\n1,john,x\n2,jane,x\n")
    shop.run()
    with_bounds = shop.columns("history").index("__START_AT timestamp")
    rows = shop.rows("history")
    ends = [(*r[:with_bounds], r[with_bounds + 1] is None, *r[with_bounds + 2 :]) for r in rows]
    return sorted(ends, key=repr)


def test_a_new_column_and_a_deletion(shop: Shop) -> None:
    """dbt has 6 rows: with a record of the deletion of 3, see above."""
    assert columns(shop) == [
        (1, "john", False, None), (1, "john", True, "x"), (2, "jane", False, None),
        (2, "jane", True, "x"), (3, "bob", False, None),
    ]  # fmt: skip


def test_a_new_column_that_is_not_checked(shop: Shop) -> None:
    assert columns(shop, "TRACK HISTORY ON (name)") == [
        (1, "john", True, "x"), (2, "jane", True, "x"), (3, "bob", False, None),
    ]  # fmt: skip


# -- strategy timestamp ------------------------------------------------------------------------


def test_timestamp(shop: Shop) -> None:
    """Some rows get a later time and another value: the versions are those of the rows' times."""
    given = [
        ["x,9,gregory,24,U", "x,10,rachel,20,U", "x,20,,21,U"],
        ["x,9,gregory,24,U", "x,10,new rachel,25,U", "x,20,phyllis,26,U"],
    ]
    assert merged(shop, given, "KEYS (name, id) STORED AS SCD TYPE 2") == [
        ("x", 10, "new rachel", 25, None), ("x", 10, "rachel", 20, 25),
        ("x", 20, "phyllis", 26, None), ("x", 20, None, 21, 26), ("x", 9, "gregory", 24, None),
    ]  # fmt: skip


def test_timestamp_ignores_hard_deletes(shop: Shop) -> None:
    given = [["x,1,a,1,U", "x,2,b,1,U"], ["x,2,c,2,U"]]
    assert merged(shop, given, "KEYS (name, id) STORED AS SCD TYPE 2") == [
        ("x", 1, "a", 1, None), ("x", 2, "b", 1, 2), ("x", 2, "c", 2, None),
    ]  # fmt: skip


def test_a_change_without_a_later_time_is_an_error(shop: Shop) -> None:
    """dbt does not see it: the table keeps a value that the source no longer has, silently."""
    with pytest.raises(AssertionError, match="have the same sequence"):
        merged(shop, [["x,1,a,1,U"], ["x,1,b,1,U"]], "KEYS (name, id) STORED AS SCD TYPE 2")
    assert isinstance(shop.failures()["t"], SequenceTieError)
