"""What `table_changes` gives is what delta-rs reads as the change data feed of the same table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from arro3.core import Table
from deltalake import DeltaTable, write_deltalake

import qanat
from qanat.errors import TableNotFoundError
from qanat.model.table import TableRef
from qanat.storage.delta.store import DeltaStore
from tests.acceptance.projects import Shop

FEED = {"delta.enableChangeDataFeed": "true"}


TOLD = ["_change_type", "_commit_version", "_commit_timestamp"]


def fed(path: str | Path, after: int = 0) -> list[tuple[Any, ...]]:
    """The feed of a table as delta-rs reads it, in the order of its columns."""
    table = DeltaTable(path)
    found = pa.table(Table.from_arrow(table.load_cdf(starting_version=after)))
    return _rows(found, [f.name for f in table.schema().fields])


def seen(shop: Shop, dataset: str, columns: tuple[str, ...] = ()) -> list[tuple[Any, ...]]:
    """What a table keeps of changes; first the given columns, or those that it has."""
    found = DeltaTable(shop.table(dataset)).to_pyarrow_table()
    names = columns or [c for c in found.column_names if c not in TOLD]
    return _rows(found, names)


def _rows(found: pa.Table, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    moments = found.column(TOLD[-1]).cast(pa.timestamp("us"))
    found = found.set_column(found.column_names.index(TOLD[-1]), TOLD[-1], moments)
    rows = found.select([*columns, *TOLD]).to_pylist()
    return sorted((tuple(r.values()) for r in rows), key=repr)


def kinds(rows: list[tuple[Any, ...]]) -> list[tuple[int, str]]:
    """Of each change the version and what it was."""
    return sorted((row[-2], row[-3]) for row in rows)


# -- tables of the project ---------------------------------------------------------------------


def keeping(scd: int, more: str = "") -> str:
    return (
        "CREATE STREAMING TABLE raw AS SELECT * FROM STREAM read_files('data/*.csv');"
        f"CREATE STREAMING TABLE t {more};"
        "CREATE FLOW keep AS AUTO CDC INTO t FROM STREAM raw KEYS (id)"
        f" APPLY AS DELETE WHEN op = 'd' SEQUENCE BY seq COLUMNS * EXCEPT (op)"
        f" STORED AS SCD TYPE {scd};"
        "CREATE STREAMING TABLE each AS SELECT * FROM STREAM table_changes('t');"
        "CREATE MATERIALIZED VIEW every AS SELECT * FROM table_changes('t');"
    )


def events(shop: Shop, number: int, *rows: str) -> None:
    shop.file(f"data/{number}.csv", "\n".join(("id,name,op,seq", *rows, "")))


@pytest.mark.parametrize("scd", [1, 2])
@pytest.mark.parametrize("more", ["", "PARTITIONED BY (name)"], ids=["whole", "partitioned"])
def test_merges(tmp_path: Path, scd: int, more: str) -> None:
    shop = Shop(tmp_path)
    shop.sql(keeping(scd, more))
    events(shop, 1, "1,ada,i,1", "2,,i,1", "3,cy,i,1")
    shop.run()
    events(shop, 2, "1,Ada,u,2", "2,,d,2", "4,di,i,2")
    shop.run(select=("raw", "t"))
    events(shop, 3, "2,bob,i,3", "4,,d,3")
    shop.run()
    told = fed(shop.table("t"))
    assert seen(shop, "each") == seen(shop, "every") == told
    assert (1, "update_preimage") in kinds(told)
    # Nothing new: nothing is read again.
    assert shop.run()["each"].counts.written == 0
    assert seen(shop, "each") == told


def test_a_full_refresh_deletes_all_rows_and_inserts_others(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.sql(keeping(1))
    events(shop, 1, "1,ada,i,1", "2,bob,i,1")
    shop.run()
    shop.run(full_refresh=("t",))
    shop.run()
    told = fed(shop.table("t"))
    assert seen(shop, "each") == seen(shop, "every") == told
    assert kinds(told) == [(0, "insert")] * 2 + [(1, "delete")] * 2 + [(1, "insert")] * 2


def test_appends_and_wider_types(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.sql(
        "CREATE STREAMING TABLE t TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')"
        " AS SELECT * FROM STREAM read_files('data/*.csv');"
        "CREATE STREAMING TABLE each AS SELECT * FROM STREAM table_changes('t');"
        "CREATE MATERIALIZED VIEW every AS SELECT * FROM table_changes('t');"
    )
    shop.file("data/1.csv", "id\n1\n2\n")
    shop.run()
    shop.file("data/2.csv", "id\n1.5\n")
    shop.run()
    shop.file("data/3.csv", "id,name\nfour,d\n")
    shop.run()
    columns = ("id", "name")
    told = seen(shop, "each", columns)
    assert told == seen(shop, "every", columns)
    assert [row[:4] for row in told] == [
        ("1", None, "insert", 0),
        ("1.5", None, "insert", 1),
        ("2", None, "insert", 0),
        ("four", "d", "insert", 2),
    ]
    # delta-rs makes a text of the number in the old file by another rule (1.500000).
    assert kinds(told) == kinds(fed(shop.table("t")))


def test_what_is_taken_back_is_inserted_and_deleted(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.sql(keeping(1))
    events(shop, 1, "1,ada,i,1", "2,bob,i,1")
    shop.run(select=("raw", "t"))
    events(shop, 2, "1,Ada,u,2", "2,,d,2")
    shop.run(select=("raw", "t"))
    store = DeltaStore(owner="shop/dev")
    table = TableRef(shop.table("t"), "t")
    assert store.retract(table, "qanat:keep", 2)
    told = fed(shop.table("t"))
    shop.run(select=("every", "each"))
    assert seen(shop, "each") == seen(shop, "every") == told
    assert sum(version == 2 for version, _ in kinds(told)) == 3


def test_a_view_tells_how_it_was_replaced(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.sql(
        "CREATE MATERIALIZED VIEW v AS SELECT * FROM read_files('data/*.csv');"
        "CREATE STREAMING TABLE each AS SELECT * FROM STREAM table_changes('v');"
    )
    shop.file("data/1.csv", "id\n1\n")
    shop.run()
    shop.file("data/2.csv", "id\n2\n")
    shop.run()
    assert [row[:3] for row in seen(shop, "each")] == [
        (1, "delete", 1),
        (1, "insert", 0),
        (1, "insert", 1),
        (2, "insert", 1),
    ]


def test_from_a_version_and_up_to_one(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.sql(keeping(1))
    for number in range(1, 5):
        events(shop, number, f"1,name{number},i,{number}")
        shop.run(select=("raw", "t"))
    shop.sql(
        keeping(1) + "CREATE STREAMING TABLE late AS SELECT * FROM STREAM table_changes('t', 2);"
        "CREATE STREAMING TABLE some AS SELECT * FROM STREAM table_changes('t', 1, 2);"
        "CREATE MATERIALIZED VIEW named AS SELECT * FROM"
        " table_changes('t', starting_version => 1, ending_version => 2);"
        "CREATE STREAMING TABLE waits AS SELECT * FROM STREAM table_changes('t', 9);"
        "CREATE MATERIALIZED VIEW beyond AS SELECT * FROM table_changes('t', 9);"
        "CREATE MATERIALIZED VIEW turned AS SELECT * FROM table_changes('t', 2, 1);"
    )
    failed = shop.failures()
    assert failed.keys() == {"beyond", "turned"}
    assert "no version 9" in str(failed["beyond"])
    assert "before they begin" in str(failed["turned"])
    told = fed(shop.table("t"))
    assert seen(shop, "late") == [r for r in told if r[-2] >= 2]
    assert seen(shop, "some") == seen(shop, "named") == [r for r in told if 1 <= r[-2] <= 2]
    with pytest.raises(TableNotFoundError):
        shop.rows("waits")


def test_reads_of_one_feed_take_their_parts(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.sql(
        keeping(1) + "CREATE MATERIALIZED VIEW both AS SELECT a._commit_version AS a,"
        " b._commit_version AS b FROM table_changes('t', 0, 0) a, table_changes('t', 1) b;"
    )
    events(shop, 1, "1,ada,i,1")
    shop.run(select=("raw", "t"))
    events(shop, 2, "2,bob,i,1")
    shop.run()
    assert shop.rows("both") == [(0, 1)]
    with qanat.open(shop.folder) as project:
        asked = project.query("SELECT id, _commit_version FROM table_changes('t', 1)")
        assert asked.rows() == [(2, 1)]


# -- tables of others --------------------------------------------------------------------------


def rows(first: int, last: int, name: str = "a") -> pa.Table:
    ids = list(range(first, last))
    return pa.table({"id": pa.array(ids, pa.int64()), "name": [name] * len(ids)})


def merged(path: str) -> None:
    (
        DeltaTable(path)
        .merge(rows(2, 6, "m"), "s.id = t.id", source_alias="s", target_alias="t")
        .when_matched_update_all()
        .when_not_matched_insert_all()
        .execute()
    )


CHANGES: dict[str, Callable[[str], object]] = {
    "append": lambda path: write_deltalake(path, rows(10, 12), mode="append"),
    "merge": merged,
    "update": lambda path: DeltaTable(path).update({"name": "'u'"}, predicate="id = 1"),
    "delete": lambda path: DeltaTable(path).delete("id = 2"),
    "delete all": lambda path: DeltaTable(path).delete(),
    "overwrite": lambda path: write_deltalake(path, rows(3, 5), mode="overwrite"),
    "replace some": lambda path: write_deltalake(
        path, rows(1, 2, "r"), mode="overwrite", predicate="id = 1"
    ),
    "compact": lambda path: DeltaTable(path).optimize.compact(),
    "new column": lambda path: write_deltalake(
        path,
        rows(20, 21).append_column("more", pa.array([1], pa.int64())),
        mode="append",
        schema_mode="merge",
    ),
    "restore": lambda path: DeltaTable(path).restore(0),
}


@pytest.mark.parametrize("partitions", [None, ["name"]], ids=["whole", "partitioned"])
@pytest.mark.parametrize("last", CHANGES)
def test_tables_of_others(tmp_path: Path, last: str, partitions: list[str] | None) -> None:
    path = str(tmp_path / "theirs")
    write_deltalake(path, rows(0, 4), partition_by=partitions, configuration=FEED)
    write_deltalake(path, rows(4, 5, "b"), mode="append")
    shop = Shop(tmp_path / "shop")
    shop.sql(
        "CREATE STREAMING TABLE each AS SELECT * FROM"
        " STREAM delta_scan('../theirs', readChangeFeed => true);"
        "CREATE MATERIALIZED VIEW every AS SELECT * FROM"
        " delta_scan('../theirs', read_change_feed => true, starting_version => 1);"
    )
    shop.run()
    CHANGES[last](path)
    shop.run()
    told = fed(path)
    columns = tuple(f.name for f in DeltaTable(path).schema().fields)
    assert seen(shop, "each", columns) == told
    assert seen(shop, "every", columns) == [r for r in told if r[-2] >= 1]


def test_all_changes_one_after_the_other(tmp_path: Path) -> None:
    path = str(tmp_path / "theirs")
    write_deltalake(path, rows(0, 8), configuration=FEED)
    for change in CHANGES.values():
        change(path)
    shop = Shop(tmp_path / "shop")
    shop.sql(
        "CREATE MATERIALIZED VIEW every AS SELECT * FROM"
        " delta_scan('../theirs', read_change_feed => true);"
    )
    shop.run()
    assert seen(shop, "every") == fed(path)


def test_a_table_without_a_feed(tmp_path: Path) -> None:
    path = str(tmp_path / "theirs")
    write_deltalake(path, rows(0, 4))
    DeltaTable(path).alter.set_table_properties(FEED)
    write_deltalake(path, rows(4, 5), mode="append")
    shop = Shop(tmp_path / "shop")
    read = "CREATE STREAMING TABLE each AS SELECT * FROM STREAM delta_scan('../theirs',"
    shop.sql(f"{read} read_change_feed => true);")
    problem = str(shop.failures()["each"])
    assert "theirs keeps no feed of changes at version 0" in problem
    assert "begin with version 1: starting_version => 1" in problem
    shop.sql(f"{read} read_change_feed => true, starting_version => 1);")
    shop.run()
    assert seen(shop, "each") == fed(path, 1)
