"""MERGE INTO from files to tables: what its clauses say, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

import qanat
from qanat.errors import AmbiguousMergeError
from qanat.run.plan import plan
from qanat.run.session import Session
from tests.acceptance.projects import Shop

SOURCE = "CREATE STREAMING TABLE changes AS SELECT * FROM STREAM read_files('data/*.csv');\n"
TABLE = "CREATE STREAMING TABLE customers (id BIGINT, name STRING, visits BIGINT);\n"
MERGE = """
CREATE FLOW apply AS MERGE INTO customers AS t USING STREAM changes AS s
  ON t.id = s.id
  WHEN MATCHED AND s.op = 'D' THEN DELETE
  WHEN MATCHED AND s.name IS NULL THEN UPDATE SET visits = t.visits + 1
  WHEN MATCHED THEN UPDATE SET name = s.name, visits = CASE WHEN t.visits > 8 THEN 0
    ELSE t.visits + 1 END
  WHEN NOT MATCHED AND s.op <> 'D' THEN INSERT (id, name, visits) VALUES (s.id, s.name, 1);
"""
LAST = MERGE[MERGE.index("WHEN NOT") :].rstrip(";\n")
HEAD = "id,name,op\n"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    shop.sql(SOURCE + TABLE + MERGE)
    return shop


def put(shop: Shop, number: int, text: str, head: str = HEAD) -> None:
    shop.file(f"data/{number}.csv", head + text)


def test_the_first_clause_counts_that_is_about_a_row(shop: Shop) -> None:
    put(shop, 1, "1,ann,I\n2,bob,I\n3,cat,I\n9,,D\n")
    results = shop.run()
    assert shop.rows("customers") == [(1, "ann", 1), (2, "bob", 1), (3, "cat", 1)]
    put(shop, 2, "1,,U\n2,rob,U\n3,,D\n4,dan,I\n")
    results = shop.run()
    assert shop.rows("customers") == [(1, "ann", 2), (2, "rob", 2), (4, "dan", 1)]
    counts = results["customers"].counts
    assert (counts.out, counts.written) == (4, 4)
    assert dict(counts.effects) == {"inserted": 1, "updated": 2, "deleted": 1}
    table = DeltaTable(shop.table("customers"))
    found = table.to_pyarrow_table().sort_by("id").to_pylist()
    assert [tuple(r.values()) for r in found] == shop.rows("customers")
    feed = pa.table(table.load_cdf(starting_version=1)).to_pylist()
    assert sorted((r["_change_type"], r["id"], r["visits"]) for r in feed) == [
        ("delete", 3, 1),
        ("insert", 4, 1),
        ("update_postimage", 1, 2),
        ("update_postimage", 2, 2),
        ("update_preimage", 1, 1),
        ("update_preimage", 2, 1),
    ]
    assert {r.status for r in shop.run().values()} == {"unchanged"}


def test_several_rows_for_one_row_are_an_error_that_names_it(shop: Shop) -> None:
    put(shop, 1, "1,ann,I\n")
    shop.run()
    put(shop, 2, "1,a,U\n1,b,U\n2,bob,I\n")
    error = shop.failures()["customers"]
    assert isinstance(error, AmbiguousMergeError)
    assert error.message == (
        "2 rows of the source change the same row of customers: id = 1, name = ann, visits = 1"
    )
    assert error.location is not None
    assert (error.location.line, error.location.column) == (5, 6)
    assert shop.rows("customers") == [(1, "ann", 1)]


def test_several_rows_may_delete_one(shop: Shop) -> None:
    put(shop, 1, "1,ann,I\n2,bob,I\n")
    shop.run()
    put(shop, 2, "1,,D\n1,a,D\n")
    shop.run()
    assert shop.rows("customers") == [(2, "bob", 1)]


def test_stars_take_all_columns_and_a_column_that_is_new(shop: Shop) -> None:
    shop.sql(
        "CREATE STREAMING TABLE t;"
        "CREATE FLOW f AS MERGE INTO t USING STREAM read_files('data/*.csv') s ON t.id = s.id"
        " WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED BY TARGET THEN INSERT *"
    )
    put(shop, 1, "1,ann\n2,bob\n", "id,name\n")
    shop.run()
    put(shop, 2, "2,rob,Ulm\n3,cat,Bonn\n", "id,name,city\n")
    shop.run()
    assert shop.rows("t") == [(1, "ann", None), (2, "rob", "Ulm"), (3, "cat", "Bonn")]


def test_a_row_that_stays_the_same_is_not_written_again(shop: Shop) -> None:
    shop.sql(
        "CREATE STREAMING TABLE t;"
        "CREATE FLOW f AS MERGE INTO t USING STREAM read_files('data/*.csv') s ON t.id = s.id"
        " WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
    )
    put(shop, 1, "1,ann\n", "id,name\n")
    shop.run()
    files = DeltaTable(shop.table("t")).file_uris()
    put(shop, 2, "1,ann\n", "id,name\n")
    assert dict(shop.run()["t"].counts.effects) == {}
    assert DeltaTable(shop.table("t")).file_uris() == files


def test_several_flows_merge_into_one_table_and_one_runs_once(shop: Shop) -> None:
    first = (
        "CREATE FLOW first AS MERGE INTO ONCE customers USING changes"
        " ON customers.id = changes.id"
        " WHEN NOT MATCHED THEN INSERT (id, name, visits) VALUES (id, name, 3);"
    )
    put(shop, 1, "1,ann,I\n2,bob,I\n")
    shop.sql(SOURCE + TABLE + first + MERGE)
    shop.run()
    assert shop.rows("customers") == [(1, "ann", 4), (2, "bob", 4)]


def test_expectations_come_first_and_a_replay_merges(shop: Shop) -> None:
    expects = "(id BIGINT, name STRING, visits BIGINT, CONSTRAINT good EXPECT (id < 9)"
    table = f"CREATE STREAMING TABLE customers {expects} ON VIOLATION QUARANTINE ROW);\n"
    shop.sql(SOURCE + table + MERGE)
    put(shop, 1, "1,ann,I\n10,bob,I\n")
    shop.run()
    assert shop.rows("customers") == [(1, "ann", 1)]
    assert shop.quarantined("customers") == [(10, ["good"])]
    shop.sql(SOURCE + table.replace("id < 9", "id < 99") + MERGE)
    with qanat.open(shop.folder) as project:
        project.quarantine("customers").replay()
    assert shop.rows("customers") == [(1, "ann", 1), (10, "bob", 1)]
    assert shop.quarantined("customers") == []


def test_spark_spells_it_like_that(shop: Shop) -> None:
    shop.file("qanat.yml", "name: shop\nthreads: 1\ndialect: spark\n")
    shop.sql(
        "CREATE STREAMING TABLE t;"
        "CREATE FLOW f AS MERGE WITH SCHEMA EVOLUTION INTO t"
        " USING (SELECT id, name FROM STREAM read_files('data/*.csv', format => 'csv')) AS s"
        " ON t.id <=> s.id"
        " WHEN MATCHED AND NOT rlike(s.name, '^a') THEN UPDATE SET t.name = concat(s.name, `s`.id)"
        " WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, upper(s.name))"
    )
    put(shop, 1, "1,bob\n2,ann\n", "id,name\n")
    shop.run()
    put(shop, 2, "1,rob\n2,anna\n", "id,name\n")
    shop.run()
    assert shop.rows("t") == [(1, "rob1"), (2, "ANN")]


def test_values_that_a_star_takes_and_that_do_not_fit_wait_in_quarantine(shop: Shop) -> None:
    shop.sql(
        "CREATE STREAMING TABLE prices (id BIGINT, price BIGINT);"
        "CREATE FLOW f AS MERGE INTO prices AS t USING STREAM"
        " read_files('data/*.csv', schema => 'id BIGINT, price STRING') AS s ON t.id = s.id"
        " WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
    )
    put(shop, 1, "1,5\n2,x\n", "id,price\n")
    shop.run()
    put(shop, 2, "1,y\n2,6\n", "id,price\n")
    shop.run()
    assert shop.rows("prices") == [(1, 5), (2, 6)]
    assert [rules for _, rules in shop.quarantined("prices")] == [["_failed"], ["_failed"]]


def test_an_expression_that_fails_publishes_nothing(shop: Shop) -> None:
    put(shop, 1, "1,ann,I\n2,bob,I\n")
    shop.run()
    shop.sql(SOURCE + TABLE + MERGE.replace("visits = t.visits + 1\n", "visits = s.name::INT\n"))
    put(shop, 2, "1,,U\n2,rob,U\n3,cat,I\n")
    shop.run()
    rows = shop.rows("customers")
    shop.sql(SOURCE + TABLE + MERGE.replace("name = s.name,", "name = s.op::INT,"))
    put(shop, 3, "2,rob,U\n4,dan,I\n")
    assert "does not fit: could not convert string 'U' to INT" in str(shop.failures()["customers"])
    assert shop.rows("customers") == rows


def test_a_plan_says_that_it_merges(shop: Shop) -> None:
    put(shop, 1, "1,ann,I\n")
    shop.run()
    put(shop, 2, "1,a,U\n")
    with Session.open(shop.folder) as session:
        steps = {d.dataset: str(d.step) for d in plan(session).datasets}
    assert steps == {"changes": "append", "customers": "merge"}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("t.id = s.id", "t.id = s.idd"), "all.sql:5:15: no column 'idd' in s"),
        (("s.op = 'D' THEN DELETE", "s.opp = 'D' THEN DELETE"), "no column 'opp'"),
        (("SET name = s.name,", "SET nam = s.name,"), "customers has no column 'nam'"),
        (("(s.id, s.name, 1)", "(t.id, s.name, 1)"), "all.sql:10:"),
        ((LAST, "WHEN NOT MATCHED BY SOURCE THEN DELETE"),
         "has WHEN NOT MATCHED BY SOURCE, and reads changes as a stream"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_where_it_stands(
    shop: Shop, change: tuple[str, str], problem: str
) -> None:
    put(shop, 1, "1,ann,I\n")
    assert change[0] in MERGE
    shop.sql(SOURCE + TABLE + MERGE.replace(*change))
    problems = shop.problems()
    assert len(problems) == 1, problems
    assert problem in problems[0]


# -- rows that the source lacks -----------------------------------------------------------------

WHOLE = """
CREATE STREAMING TABLE t (
  CONSTRAINT small EXPECT (v < 100) ON VIOLATION QUARANTINE ROW
);
CREATE FLOW f AS MERGE INTO t USING {source} AS s ON t.id = s.id
WHEN MATCHED THEN UPDATE SET v = s.v
WHEN NOT MATCHED THEN INSERT (id, v, kind) VALUES (s.id, s.v, s.kind)
WHEN NOT MATCHED BY SOURCE AND t.kind = 'kept' THEN UPDATE SET v = t.v + 1000
WHEN NOT MATCHED BY SOURCE THEN DELETE;
"""


def test_rows_that_the_source_lacks(tmp_path: Path) -> None:
    """The source is read as a whole, whenever it has changed."""
    shop = Shop(tmp_path)
    shop.sql(WHOLE.format(source="read_files('data/*.csv')"))
    shop.file("data/1.csv", "id,v,kind\n1,10,a\n2,20,a\n3,30,kept\n4,40,a\n")
    shop.run()
    assert {r.status for r in shop.run().values()} == {"unchanged"}
    # One row has changed, one breaks a rule, and so is not missing; two are.
    shop.file("data/1.csv", "id,v,kind\n1,11,a\n2,200,a\n5,50,b\n")
    counts = shop.run()["t"].counts
    assert dict(counts.effects) == {"inserted": 1, "updated": 2, "deleted": 1}
    assert shop.rows("t") == [(1, 11, "a"), (2, 20, "a"), (3, 1030, "kept"), (5, 50, "b")]
    assert shop.quarantined("t") == [(2, ["small"])]
    found = DeltaTable(shop.table("t"))
    feed = pa.table(found.load_cdf(starting_version=found.version())).to_pylist()
    assert sorted((r["_change_type"], r["id"]) for r in feed) == [
        ("delete", 4), ("insert", 5), ("update_postimage", 1), ("update_postimage", 3),
        ("update_preimage", 1), ("update_preimage", 3),
    ]  # fmt: skip
    assert {r.status for r in shop.run().values()} == {"unchanged"}


def test_nothing_is_missing_that_could_not_be_read(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    source = "read_files('data/*.csv', schema => 'id BIGINT, v BIGINT, kind STRING')"
    shop.sql(WHOLE.format(source=source))
    shop.file("data/1.csv", "id,v,kind\n1,10,a\n2,20,a\n")
    shop.run()
    shop.file("data/1.csv", "id,v,kind\n1,11,a\ntwo,20,a\n")
    notes = shop.run()["t"].notes
    assert any("1 row that the source lacks stays" in n for n in notes), notes
    assert shop.rows("t") == [(1, 11, "a"), (2, 20, "a")]
    shop.file("data/1.csv", "id,v,kind\n1,11,a\n")
    shop.run()
    assert shop.rows("t") == [(1, 11, "a")]


def test_a_table_may_be_the_source(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    bronze = "CREATE MATERIALIZED VIEW bronze AS SELECT * FROM read_files('data/*.csv');"
    shop.sql(bronze + WHOLE.format(source="bronze"))
    shop.file("data/1.csv", "id,v,kind\n1,10,a\n2,20,a\n")
    shop.run()
    shop.file("data/1.csv", "id,v,kind\n2,21,a\n")
    shop.run()
    assert shop.rows("t") == [(2, 21, "a")]


def test_a_replay_merges_the_rows_of_each_flow_by_its_own_clauses(shop: Shop) -> None:
    declared = (
        "CREATE STREAMING TABLE customers (id BIGINT, name STRING, visits BIGINT,"
        " CONSTRAINT good EXPECT (id < {}) ON VIOLATION QUARANTINE ROW);"
        "CREATE FLOW names AS MERGE INTO customers USING STREAM read_files('data/*.csv',"
        " schema => 'id BIGINT, name STRING') s ON customers.id = s.id"
        " WHEN NOT MATCHED THEN INSERT (id, name, visits) VALUES (id, name, 0);"
        "CREATE FLOW visits AS MERGE INTO customers USING STREAM read_files('visits/*.csv',"
        " schema => 'id BIGINT, number BIGINT') s ON customers.id = s.id"
        " WHEN MATCHED THEN UPDATE SET visits = visits + number"
    )
    shop.sql(declared.format(9))
    put(shop, 1, "1,ann\n10,bob\n", "id,name\n")
    shop.file("visits/1.csv", "id,number\n1,2\n10,3\n11,4\n")
    shop.run()
    assert shop.rows("customers") == [(1, "ann", 2)]
    assert [row for row, _ in shop.quarantined("customers")] == [10, 10, 11]
    shop.sql(declared.format(99))
    with qanat.open(shop.folder) as project:
        project.quarantine("customers").replay()
    assert shop.rows("customers") == [(1, "ann", 2), (10, "bob", 3)]
    assert shop.quarantined("customers") == []
