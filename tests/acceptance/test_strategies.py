"""Streaming tables with keys, and incremental strategies, from files to tables and back."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

import qanat
from qanat.model.event import Warned
from qanat.run.plan import plan
from qanat.run.session import Session
from tests.acceptance.crashing import beside, copy, count_steps, die_at, operate
from tests.acceptance.projects import Shop

MERGE = """
CREATE STREAMING TABLE customers
(CONSTRAINT named EXPECT (name <> '?') ON VIOLATION QUARANTINE ROW)
KEYS (id) AS SELECT * FROM STREAM read_files('data/*.csv');
"""
DELETE_INSERT = """
CREATE STREAMING TABLE lines (CONSTRAINT priced EXPECT (price > 0) ON VIOLATION QUARANTINE ROW)
KEYS (basket) TBLPROPERTIES ('qanat.incremental_strategy' = 'delete+insert')
AS SELECT * FROM STREAM read_files('data/*.csv');
"""
OVERWRITE = """
CREATE STREAMING TABLE days PARTITIONED BY (day)
TBLPROPERTIES ('qanat.incremental_strategy' = 'insert_overwrite')
AS SELECT * FROM STREAM read_files('data/*.csv');
"""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def put(shop: Shop, number: int, text: str, head: str = "id,name") -> None:
    shop.file(f"data/{number}.csv", f"{head}\n{text}")


def feed(shop: Shop, dataset: str, *columns: str) -> list[tuple[object, ...]]:
    """The changes of a table as delta-rs reads them."""
    table = DeltaTable(shop.table(dataset))
    rows = pa.table(table.load_cdf(starting_version=0)).to_pylist()
    shown = ("_commit_version", "_change_type", *columns)
    return sorted((tuple(r[c] for c in shown) for r in rows), key=repr)


def test_the_last_row_of_a_key_wins(shop: Shop) -> None:
    shop.sql(MERGE)
    put(shop, 1, "1,ann\n2,bob\n1,anna\n")
    results = shop.run()
    assert shop.rows("customers") == [(1, "anna"), (2, "bob")]
    assert dict(results["customers"].counts.effects) == {"inserted": 2}
    put(shop, 2, "2,bobby\n3,cat\n")
    put(shop, 3, "2,rob\n")
    results = shop.run()
    assert shop.rows("customers") == [(1, "anna"), (2, "rob"), (3, "cat")]
    counts = results["customers"].counts
    assert (counts.out, counts.written) == (3, 3)
    assert dict(counts.effects) == {"inserted": 1, "updated": 1}
    found = DeltaTable(shop.table("customers")).to_pyarrow_table().sort_by("id").to_pylist()
    assert [tuple(r.values()) for r in found] == [(1, "anna"), (2, "rob"), (3, "cat")]
    assert feed(shop, "customers", "id", "name") == [
        (0, "insert", 1, "anna"),
        (0, "insert", 2, "bob"),
        (1, "insert", 3, "cat"),
        (1, "update_postimage", 2, "rob"),
        (1, "update_preimage", 2, "bob"),
    ]
    assert {r.status for r in shop.run().values()} == {"unchanged"}


def test_a_row_that_is_the_same_is_no_change(shop: Shop) -> None:
    told = "CREATE STREAMING TABLE told AS SELECT * FROM STREAM table_changes('customers');"
    shop.sql(MERGE + told)
    for number, text in enumerate(("1,ann\n2,bob\n", "1,ann\n", "1,anna\n"), 1):
        put(shop, number, text)
        shop.run()
    assert shop.rows("customers") == [(1, "anna"), (2, "bob")]
    changes = [
        (0, "insert", 1, "ann"),
        (0, "insert", 2, "bob"),
        (2, "update_postimage", 1, "anna"),
        (2, "update_preimage", 1, "ann"),
    ]
    assert feed(shop, "customers", "id", "name") == changes
    assert sorted((v, k, i, n) for i, n, k, v, _ in shop.rows("told")) == changes


def test_a_full_refresh_gives_the_same_rows(shop: Shop) -> None:
    shop.sql(MERGE)
    for number, text in enumerate(("1,a\n2,a\n", "1,b\n3,b\n", "3,c\n1,c\n1,d\n"), 1):
        put(shop, number, text)
        shop.run()
    before = shop.rows("customers")
    assert before == [(1, "d"), (2, "a"), (3, "c")]
    shop.run(full_refresh=("customers",))
    assert shop.rows("customers") == before
    assert shop.count("customers") == 3


def test_a_row_without_a_key_goes_to_quarantine(shop: Shop) -> None:
    shop.sql(MERGE)
    put(shop, 1, "1,ann\n,bob\n2,?\n")
    shop.run()
    assert shop.rows("customers") == [(1, "ann")]
    assert shop.quarantined("customers") == [(2, ["named"]), (None, ["_key"])]


def test_delete_and_insert_replaces_all_rows_of_a_key(shop: Shop) -> None:
    shop.sql(DELETE_INSERT)
    put(shop, 1, "1,apple,1\n1,pear,2\n2,fig,3\n", "basket,what,price")
    shop.run()
    put(shop, 2, "1,plum,4\n3,nut,5\n3,nut,5\n", "basket,what,price")
    results = shop.run()
    rows = [(1, "plum", 4), (2, "fig", 3), (3, "nut", 5), (3, "nut", 5)]
    assert shop.rows("lines") == rows
    assert dict(results["lines"].counts.effects) == {"inserted": 3, "deleted": 2}
    assert feed(shop, "lines", "basket", "what")[3:] == [
        (1, "delete", 1, "apple"),
        (1, "delete", 1, "pear"),
        (1, "insert", 1, "plum"),
        (1, "insert", 3, "nut"),
        (1, "insert", 3, "nut"),
    ]


def test_insert_overwrite_replaces_partitions(shop: Shop) -> None:
    shop.sql(OVERWRITE)
    put(shop, 1, "1,a,2026-01-01\n2,b,2026-01-02\n3,c,\n", "id,what,day")
    shop.run()
    files = set(DeltaTable(shop.table("days")).file_uris())
    put(shop, 2, "4,d,2026-01-02\n5,e,\n6,f,2026-01-03\n", "id,what,day")
    results = shop.run()
    assert [r[:2] for r in shop.rows("days")] == [(1, "a"), (4, "d"), (5, "e"), (6, "f")]
    assert dict(results["days"].counts.effects) == {"inserted": 3, "deleted": 2}
    kept = files & set(DeltaTable(shop.table("days")).file_uris())
    assert [f for f in kept if "2026-01-01" in f], "a partition that no row touches stays as it is"


def test_a_full_refresh_file_by_file_overwrites_as_before(shop: Shop) -> None:
    shop.sql(OVERWRITE.replace("'data/*.csv'", "'data/*.csv', maxFilesPerTrigger => 1"))
    put(shop, 1, "1,a,2026-01-01\n2,b,2026-01-02\n", "id,what,day")
    put(shop, 2, "3,c,2026-01-02\n", "id,what,day")
    put(shop, 3, "4,d,2026-01-02\n", "id,what,day")
    shop.run()
    assert [r[:2] for r in shop.rows("days")] == [(1, "a"), (4, "d")]
    result = shop.run(full_refresh=("days",))["days"]
    assert [r[:2] for r in shop.rows("days")] == [(1, "a"), (4, "d")]
    assert dict(result.counts.effects) == {"inserted": 4, "deleted": 2}


def test_flows_that_insert_merge_too(shop: Shop) -> None:
    shop.sql(
        "CREATE STREAMING TABLE all_customers (id BIGINT, name STRING) KEYS (id);"
        "CREATE FLOW north AS INSERT INTO all_customers BY NAME"
        " SELECT * FROM STREAM read_files('data/*.csv');"
        "CREATE FLOW south AS INSERT INTO all_customers BY NAME"
        " SELECT * FROM STREAM read_files('south/*.csv');"
    )
    put(shop, 1, "1,ann\n2,bob\n")
    shop.file("south/1.csv", "id,name\n2,rob\n3,cat\n")
    shop.run()
    assert shop.rows("all_customers") == [(1, "ann"), (2, "rob"), (3, "cat")]
    put(shop, 2, "3,kate\n")
    shop.run()
    assert shop.rows("all_customers") == [(1, "ann"), (2, "rob"), (3, "kate")]


def test_keys_in_python(shop: Shop) -> None:
    shop.python(
        """
@dp.table(keys=["id"])
@dp.expect_or_drop("named", "name <> '?'")
def customers():
    return "SELECT * FROM STREAM read_files('data/*.csv')"

dp.create_streaming_table("lines", keys=["id"], incremental_strategy="delete+insert")

@dp.append_flow(target="lines")
def more():
    return "SELECT * FROM STREAM read_files('data/*.csv')"
"""
    )
    put(shop, 1, "1,ann\n1,anna\n2,bob\n")
    shop.run()
    put(shop, 2, "1,?\n2,rob\n")
    shop.run()
    assert shop.rows("customers") == [(1, "anna"), (2, "rob")]
    assert shop.rows("lines") == [(1, "?"), (2, "rob")]


def test_values_that_do_not_fit_wait_in_quarantine(shop: Shop) -> None:
    """Also in a later epoch, in which rows of the table are looked up."""
    shop.sql(
        "CREATE STREAMING TABLE prices (id BIGINT, price BIGINT) KEYS (id)"
        " AS SELECT * FROM STREAM read_files('data/*.csv', schema => 'id BIGINT, price STRING');"
    )
    put(shop, 1, "1,5\n2,x\n", "id,price")
    shop.run()
    put(shop, 2, "1,y\n2,6\n", "id,price")
    results = shop.run()
    assert shop.rows("prices") == [(1, 5), (2, 6)]
    assert results["prices"].counts.quarantined == 1
    assert [rules for _, rules in shop.quarantined("prices")] == [["_failed"], ["_failed"]]


# -- quarantine ------------------------------------------------------------------------------


def replayed(shop: Shop, dataset: str) -> None:
    with qanat.open(shop.folder) as project:
        project.quarantine(dataset).replay()


def test_a_replayed_row_does_not_replace_a_newer_one(shop: Shop) -> None:
    shop.sql(MERGE)
    put(shop, 1, "1,ann\n2,?\n3,cat\n4,dan\n")
    shop.run()
    put(shop, 2, "2,bob\n3,?\n4,?\n")
    shop.run()
    put(shop, 3, "4,dora\n5,?\n")
    shop.run()
    shop.sql(MERGE.replace("<> '?'", "IS NOT NULL"))
    replayed(shop, "customers")
    # 2 and 4 have newer rows by now, 3 has an older one, and 5 none.
    assert shop.rows("customers") == [(1, "ann"), (2, "bob"), (3, "?"), (4, "dora"), (5, "?")]
    assert shop.quarantined("customers") == []
    put(shop, 4, "3,kate\n")
    shop.run()
    assert shop.rows("customers")[2] == (3, "kate")


def test_a_replay_completes_a_group_of_the_same_epoch(shop: Shop) -> None:
    shop.sql(DELETE_INSERT)
    head = "basket,what,price"
    put(shop, 1, "1,apple,1\n1,pear,-2\n2,fig,-3\n2,kiwi,4\n3,nut,5\n", head)
    shop.run()
    put(shop, 2, "2,plum,6\n3,lime,-7\n", head)
    shop.run()
    shop.sql(DELETE_INSERT.replace("price > 0", "price <> 0"))
    replayed(shop, "lines")
    assert shop.rows("lines") == [
        (1, "apple", 1),
        (1, "pear", -2),
        (2, "plum", 6),
        (3, "lime", -7),
    ]


# -- what is not sound -----------------------------------------------------------------------


def test_other_keys_need_a_full_refresh(shop: Shop) -> None:
    shop.sql(MERGE)
    put(shop, 1, "1,ann\n")
    shop.run()
    for other in (
        MERGE.replace("KEYS (id)", "KEYS (name)"),
        MERGE.replace("KEYS (id)", ""),
        MERGE.replace(
            "KEYS (id)", "KEYS (id) TBLPROPERTIES ('qanat.incremental_strategy' = 'delete+insert')"
        ),
    ):
        shop.sql(other)
        with Session.open(shop.folder) as session:
            (decision,) = plan(session).datasets
        error = shop.failures()["customers"]
        assert (
            decision.reason
            == error.message
            == "the rows of customers were kept in another way than is declared now"
        )
        assert error.hint == "start over: qanat run --full-refresh customers"
    shop.run(full_refresh=("customers",))
    assert shop.rows("customers") == [(1, "ann")]


def test_the_default_may_be_written(shop: Shop) -> None:
    shop.sql(MERGE)
    put(shop, 1, "1,ann\n")
    shop.run()
    named = "KEYS (id) TBLPROPERTIES ('qanat.incremental_strategy' = 'MERGE')"
    shop.sql(MERGE.replace("KEYS (id)", named))
    put(shop, 2, "1,anna\n")
    shop.run()
    assert shop.rows("customers") == [(1, "anna")]


def test_a_stream_of_it_is_refused_with_the_ways_out(shop: Shop) -> None:
    put(shop, 1, "1,ann\n")
    shop.sql(MERGE + "CREATE STREAMING TABLE below AS SELECT * FROM STREAM customers;")
    (problem,) = shop.problems()
    assert "customers is kept by KEYS (id) and cannot be read as a stream" in problem
    assert "STREAM table_changes('customers')" in problem
    shop.sql(
        MERGE + "CREATE STREAMING TABLE below AS SELECT id, _change_type"
        " FROM STREAM table_changes('customers');"
    )
    shop.run()
    assert shop.rows("below") == [(1, "insert")]


# -- crashes, maintenance, other environments -------------------------------------------------


def test_a_crash_anywhere_leaves_the_same_rows(shop: Shop, tmp_path: Path) -> None:
    shop.sql(MERGE + DELETE_INSERT.replace("STREAM read_files('data", "STREAM read_files('lines"))
    put(shop, 1, "1,ann\n2,bob\n")
    shop.file("lines/1.csv", "basket,what,price\n1,apple,1\n1,pear,2\n2,fig,3\n")
    shop.run()
    put(shop, 2, "2,rob\n3,?\n")
    shop.file("lines/2.csv", "basket,what,price\n1,plum,1\n3,nut,-1\n")
    steps = count_steps(copy(shop.folder, beside(tmp_path, "counted")), "run")
    for step in range(1, steps + 1, 9):
        project = copy(shop.folder, beside(tmp_path, f"dies-{step}"))
        die_at(project, "run", step)
        operate(project, "run")
        after = Shop.__new__(Shop)
        after.folder = project
        assert after.rows("customers") == [(1, "ann"), (2, "rob")], step
        assert after.rows("lines") == [(1, "plum", 1), (2, "fig", 3)], step
        assert after.quarantined("customers") == [(3, ["named"])], step
        assert after.quarantined("lines") == [(3, ["priced"])], step


def test_maintenance_keeps_what_a_replay_needs(shop: Shop) -> None:
    shop.sql(MERGE)
    put(shop, 1, "1,ann\n2,?\n")
    shop.run()
    put(shop, 2, "2,bob\n3,cat\n")
    shop.run()
    put(shop, 3, "3,?\n4,dan\n")
    shop.run()
    with qanat.open(shop.folder) as project:
        project.maintain()
    assert len(DeltaTable(shop.table("customers")).file_uris()) == 1
    shop.sql(MERGE.replace("<> '?'", "IS NOT NULL"))
    replayed(shop, "customers")
    assert shop.rows("customers") == [(1, "ann"), (2, "bob"), (3, "?"), (4, "dan")]


def test_rows_come_in_the_order_of_a_table_that_is_read(shop: Shop) -> None:
    shop.sql(
        "CREATE STREAMING TABLE bronze AS SELECT * FROM STREAM read_files('data/*.csv');"
        "CREATE STREAMING TABLE silver KEYS (id) AS SELECT id, name, v FROM STREAM bronze;"
    )
    for number in range(3):
        rows = "".join(f"{n % 97},n{number},{n}\n" for n in range(3000))
        put(shop, number, rows, "id,name,v")
    shop.run()
    last = {n % 97: n for n in range(3000)}
    assert shop.rows("silver") == sorted(((n, "n2", v) for n, v in last.items()), key=repr)


def test_a_replay_knows_the_flows_of_one_update(shop: Shop) -> None:
    """Epochs of two flows have the same numbers, and the second one came later."""
    rule = "(CONSTRAINT named EXPECT (name <> '?') ON VIOLATION QUARANTINE ROW)"
    flows = "".join(
        f"CREATE FLOW {flow} AS INSERT INTO both BY NAME"
        f" SELECT * FROM STREAM read_files('{flow}/*.csv');"
        for flow in ("zoe", "amy")
    )
    strategy = "TBLPROPERTIES ('qanat.incremental_strategy' = 'delete+insert')"
    table = f"CREATE STREAMING TABLE both {rule} KEYS (id) {strategy};"
    shop.sql(table + flows)
    shop.file("zoe/1.csv", "id,name\n1,?\n2,?\n")
    shop.file("amy/1.csv", "id,name\n1,ann\n")
    shop.run()
    shop.sql(table.replace("<> '?'", "IS NOT NULL") + flows)
    replayed(shop, "both")
    assert shop.rows("both") == [(1, "ann"), (2, "?")]


@pytest.mark.parametrize("seed", range(3))
def test_random_histories_with_replays(shop: Shop, seed: int) -> None:
    """Each group has the rows of its newest epoch, whenever they came into the table."""
    chance = random.Random(seed)  # noqa: S311
    rows_of: dict[int, list[tuple[int, str]]] = {}
    bad: set[tuple[int, int]] = set()
    strict = MERGE.replace("customers", "rows") + DELETE_INSERT.replace("lines", "groups").replace(
        "priced EXPECT (price > 0)", "named EXPECT (name <> '?')"
    ).replace("(basket)", "(id)")
    for epoch in range(5):
        found = [
            (chance.randrange(5), "?" if chance.random() < 0.4 else f"n{epoch}-{line}")
            for line in range(chance.randint(1, 5))
        ]
        rows_of[epoch] = found
        bad |= {(epoch, n) for n, row in enumerate(found) if row[1] == "?"}
        put(shop, epoch, "".join(f"{n},{name}\n" for n, name in found))
        shop.sql(strict)
        shop.run()
        if chance.random() < 0.4:
            shop.sql(strict.replace("<> '?'", "IS NOT NULL"))
            replayed(shop, "rows")
            replayed(shop, "groups")
            bad.clear()
            shop.sql(strict)
        assert shop.rows("groups") == wanted_groups(rows_of, bad), (seed, epoch)
        ids = {row[0] for row in shop.rows("rows")}
        assert ids == {row[0] for row in shop.rows("groups")}
        assert len(ids) == shop.count("rows")


def wanted_groups(
    rows_of: dict[int, list[tuple[int, str]]], bad: set[tuple[int, int]]
) -> list[tuple[int, str]]:
    """For each id, those rows of its newest epoch that are not in quarantine."""
    groups: dict[int, tuple[int, list[tuple[int, str]]]] = {}
    for epoch, rows in rows_of.items():
        for number, row in enumerate(rows):
            if (epoch, number) in bad:
                continue
            newest, some = groups.get(row[0], (epoch, []))
            groups[row[0]] = (epoch, [*(some if newest == epoch else []), row])
    return sorted((row for _, some in groups.values() for row in some), key=repr)


SUBQUERIES = (
    "WHERE kind IN (SELECT kind FROM kinds)",
    "WHERE EXISTS (SELECT 1 FROM kinds AS k WHERE k.kind = a.kind)",
    "WHERE (SELECT max(x) FROM kinds AS k WHERE k.kind = a.kind) IS NOT NULL",
)


@pytest.mark.parametrize("where", SUBQUERIES)
def test_subqueries_keep_the_order_of_the_stream(shop: Shop, where: str) -> None:
    """DuckDB joins a subquery, and takes the rows of the larger side one after the other."""
    shop.sql(
        "CREATE MATERIALIZED VIEW kinds AS"
        " SELECT range AS x, 199999 - range AS kind FROM range(200000);"
        "CREATE STREAMING TABLE t KEYS (id) AS"
        f" SELECT id, v FROM STREAM read_files('data/*.csv') AS a {where};"
    )
    put(shop, 1, "".join(f"{n % 7},{n % 50},{n}\n" for n in range(3000)), "id,kind,v")
    shop.run()
    assert shop.rows("t") == [(n % 7, n) for n in sorted(range(2993, 3000), key=lambda n: n % 7)]


@pytest.mark.parametrize(
    "source",
    [
        "kinds AS k JOIN STREAM read_files('data/*.csv') AS b USING (kind)",
        "STREAM read_files('data/*.csv') AS b ASOF JOIN kinds AS k ON b.kind >= k.kind",
        "kinds AS k RIGHT JOIN STREAM read_files('data/*.csv') AS b USING (kind)",
    ],
)
def test_joins_keep_the_order_of_the_stream(shop: Shop, source: str) -> None:
    """DuckDB takes the rows of the larger side one after the other."""
    shop.sql(
        "CREATE MATERIALIZED VIEW kinds AS"
        " SELECT range AS x, 199999 - range AS kind FROM range(200000);"
        f"CREATE STREAMING TABLE t KEYS (id) AS SELECT b.id, b.v FROM {source};"
    )
    put(shop, 1, "".join(f"{n % 7},{n % 50},{n}\n" for n in range(3000)), "id,kind,v")
    shop.run()
    assert shop.rows("t") == [(n % 7, n) for n in sorted(range(2993, 3000), key=lambda n: n % 7)]


def test_a_join_that_loses_the_order_of_the_stream_is_refused(shop: Shop) -> None:
    source = "(kinds AS k JOIN STREAM bronze AS b USING (kind))"
    put(shop, 1, "1,2,3\n", "id,kind,v")
    tables = (
        "CREATE STREAMING TABLE bronze AS SELECT * FROM STREAM read_files('data/*.csv');"
        "CREATE MATERIALIZED VIEW kinds AS SELECT range AS kind FROM range(9);"
    )
    message = "KEYS (id) of t keeps the last row, and this query does not give rows in the order"
    query = f"SELECT b.id, b.v FROM {source}"
    shop.sql(f"{tables}CREATE STREAMING TABLE t KEYS (id) AS {query};")
    assert [message in p for p in shop.problems()] == [True]
    view = f"{tables}CREATE TEMPORARY VIEW w AS {query};"
    shop.sql(f"{view}CREATE STREAMING TABLE t KEYS (id) AS SELECT * FROM STREAM w;")
    assert [message in p for p in shop.problems()] == [True]
    shop.sql(f"{tables}CREATE STREAMING TABLE t KEYS (id) AS {query} ORDER BY b.v;")
    assert not shop.problems()
    shop.sql(f"{tables}CREATE STREAMING TABLE t AS {query};")
    assert not shop.problems()


# -- what is not given, and what is split ---------------------------------------------------------


def told(shop: Shop) -> list[str]:
    """The warnings of the last update."""
    with qanat.open(shop.folder) as project:
        return [e.event.message for e in project.events().events if isinstance(e.event, Warned)]


def test_a_column_that_the_query_gives_no_more_keeps_its_values(shop: Shop) -> None:
    """As in dbt's incremental merge, and Delta's `UPDATE SET *`; new rows have NULL."""
    files = "STREAM read_files('data/*.csv')"
    shop.sql(f"CREATE STREAMING TABLE t KEYS (id) AS SELECT id, name, city FROM {files};")
    put(shop, 1, "1,ann,rome\n2,bob,bari\n3,cat,como\n", "id,name,city")
    shop.run()
    shop.sql(f"CREATE STREAMING TABLE t KEYS (id) AS SELECT id, name FROM {files};")
    put(shop, 2, "1,anna,?\n4,dan,?\n1,anne,?\n", "id,name,city")
    shop.run()
    assert shop.rows("t") == [
        (1, "anne", "rome"), (2, "bob", "bari"), (3, "cat", "como"), (4, "dan", None),
    ]  # fmt: skip
    found = DeltaTable(shop.table("t")).to_pyarrow_table().sort_by("id").to_pylist()
    assert found[0] == {"id": 1, "name": "anne", "city": "rome"}


def test_flows_that_give_different_columns_make_up_one_row(shop: Shop) -> None:
    shop.sql(
        "CREATE STREAMING TABLE t KEYS (id);"
        "CREATE FLOW a AS INSERT INTO t BY NAME SELECT id, name FROM STREAM read_files('data/a*');"
        "CREATE FLOW b AS INSERT INTO t BY NAME SELECT id, city FROM STREAM read_files('data/b*');"
    )
    shop.file("data/a1.csv", "id,name\n1,ann\n2,bob\n")
    shop.file("data/b1.csv", "id,city\n1,rome\n3,como\n")
    shop.run()
    assert shop.rows("t") == [(1, "ann", "rome"), (2, "bob", None), (3, None, "como")]


@pytest.mark.parametrize("kind", ["overwrite", "delete+insert", "merge into", "keys"])
def test_a_limit_that_splits_what_belongs_together_is_told(shop: Shop, kind: str) -> None:
    """By the plan and by the update; `KEYS` do not depend on it."""
    files = "STREAM read_files('data/*.csv', maxFilesPerTrigger => 1)"
    strategy = "TBLPROPERTIES ('qanat.incremental_strategy' = '{}') AS SELECT * FROM " + files
    sql = {
        "overwrite": "CREATE STREAMING TABLE t PARTITIONED BY (day) "
        + strategy.format("insert_overwrite"),
        "delete+insert": "CREATE STREAMING TABLE t KEYS (day) " + strategy.format("delete+insert"),
        "merge into": f"CREATE STREAMING TABLE t; CREATE FLOW f AS MERGE INTO t USING {files} AS s"
        " ON t.day = s.day AND t.v = s.v WHEN NOT MATCHED THEN INSERT *",
        "keys": f"CREATE STREAMING TABLE t KEYS (v) AS SELECT * FROM {files}",
    }[kind]
    shop.sql(f"{sql};")
    put(shop, 1, "1,a\n", "day,v")
    put(shop, 2, "1,b\n", "day,v")
    replaced = "rows of a {} that come in a later one replace those of an earlier one"
    why = {
        "overwrite": replaced.format("partition"),
        "delete+insert": replaced.format("key"),
        "merge into": "rows of a later one match those that an earlier one has inserted",
    }.get(kind)
    split = (
        f"a limit of data/*.csv splits its unread input into several epochs, and {why};"
        " without the limit it is one epoch"
    )
    with Session.open(shop.folder) as session:
        (decision,) = plan(session).datasets
    assert (decision.consequence == split) is (why is not None)
    shop.run()
    assert told(shop) == ([split] if why else [])
    one = kind in ("overwrite", "delete+insert")
    assert shop.rows("t") == ([(1, "b")] if one else [(1, "a"), (1, "b")])
    shop.sql(f"{sql};".replace(", maxFilesPerTrigger => 1", ""))
    shop.run(full_refresh=("t",))
    assert told(shop) == []
    assert shop.rows("t") == [(1, "a"), (1, "b")]
