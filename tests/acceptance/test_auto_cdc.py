"""AUTO CDC from files to tables: what changes say, in whatever order and epochs they come."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

import qanat
from qanat.errors import SequenceTieError
from qanat.report.history import history_text
from qanat.run.look import history, show
from qanat.run.plan import plan
from qanat.run.session import Session
from tests.acceptance.crashing import beside, copy, count_steps, die_at, operate
from tests.acceptance.projects import Shop

CHANGES = "CREATE STREAMING TABLE changes AS SELECT * FROM STREAM read_files('data/*.csv');\n"
CUSTOMERS = """
CREATE STREAMING TABLE customers;
CREATE FLOW apply AS AUTO CDC INTO customers FROM STREAM changes
  KEYS (id) APPLY AS DELETE WHEN op = 'D' SEQUENCE BY at
  COLUMNS * EXCEPT (op, at) STORED AS SCD TYPE 1;
"""
HISTORY = """
CREATE STREAMING TABLE history;
CREATE FLOW keep AS AUTO CDC INTO history FROM STREAM changes
  KEYS (id) APPLY AS DELETE WHEN op = 'D' SEQUENCE BY at
  COLUMNS * EXCEPT (op, at) STORED AS SCD TYPE 2;
"""
HEAD = "id,name,op,at\n"
FILES = (
    "1,ann,I,10\n2,bob,I,20\n3,cat,I,30\n",
    "1,anna,U,40\n3,,D,50\n4,dan,I,60\n",
    # All of these are late: an update, what a deletion has overtaken, and a deletion before it.
    "1,an,U,35\n3,kate,U,45\n5,,D,70\n",
    "5,eve,I,65\n2,bobby,U,80\n",
)
AFTER = [(1, "anna"), (2, "bobby"), (4, "dan")]
VERSIONS = [
    (1, "an", 35, 40),
    (1, "ann", 10, 35),
    (1, "anna", 40, None),
    (2, "bob", 20, 80),
    (2, "bobby", 80, None),
    (3, "cat", 30, 45),
    (3, "kate", 45, 50),
    (4, "dan", 60, None),
    (5, "eve", 65, 70),
]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    shop.sql(CHANGES + CUSTOMERS + HISTORY)
    return shop


def put(shop: Shop, number: int) -> None:
    shop.file(f"data/{number}.csv", HEAD + FILES[number])


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
@pytest.mark.parametrize("together", [1, 2, 4])
def test_the_order_and_number_of_epochs_do_not_count(
    shop: Shop, order: tuple[int, ...], together: int
) -> None:
    for number, file in enumerate(order, 1):
        put(shop, file)
        if number % together == 0:
            shop.run()
    assert sorted(shop.rows("customers")) == AFTER
    assert sorted(shop.rows("history"), key=repr) == VERSIONS
    assert {r.status for r in shop.run().values()} == {"unchanged"}


def test_the_counts_say_what_became_of_rows(shop: Shop) -> None:
    for number in range(3):
        put(shop, number)
        results = shop.run()
    counts = results["customers"].counts
    assert (counts.out, counts.written, counts.late) == (3, 3, 2)
    assert dict(counts.effects) == {"late": 2}
    assert dict(results["history"].counts.effects) == {"inserted": 2, "updated": 2, "late": 2}
    with Session.open(shop.folder) as session:
        kept, *_ = session.ledger.epochs(dataset="history")
        text = history_text(history(session))
    assert kept.counts is not None
    assert dict(kept.counts.effects) == {"inserted": 2, "updated": 2, "late": 2}
    assert "2 inserted, 2 updated, 2 late" in text


def test_a_plan_says_that_it_merges(shop: Shop) -> None:
    put(shop, 0)
    shop.run()
    put(shop, 1)
    with Session.open(shop.folder) as session:
        steps = {d.dataset: str(d.step) for d in plan(session).datasets}
    assert steps == {"changes": "append", "customers": "merge", "history": "merge"}


def test_other_readers_see_the_table_and_its_changes(shop: Shop) -> None:
    for number in range(2):
        put(shop, number)
        shop.run()
    table = DeltaTable(shop.table("customers"))
    found = table.to_pyarrow_table().sort_by("id").to_pylist()
    assert found == [{"id": n, "name": t} for n, t in ((1, "anna"), (2, "bob"), (4, "dan"))]
    feed = pa.table(table.load_cdf(starting_version=0)).to_pylist()
    columns = ("_commit_version", "_change_type", "id", "name")
    assert sorted(tuple(r[c] for c in columns) for r in feed) == [
        (0, "insert", 1, "ann"),
        (0, "insert", 2, "bob"),
        (0, "insert", 3, "cat"),
        (1, "delete", 3, "cat"),
        (1, "insert", 4, "dan"),
        (1, "update_postimage", 1, "anna"),
        (1, "update_preimage", 1, "ann"),
    ]


def test_two_changes_with_one_sequence_stop_the_dataset_and_nothing_is_lost(shop: Shop) -> None:
    put(shop, 0)
    shop.run()
    shop.file("data/1.csv", HEAD + "1,a,U,99\n1,b,U,99\n4,dan,I,60\n")
    error = shop.failures()["customers"]
    assert isinstance(error, SequenceTieError)
    assert error.message == (
        "two changes of customers with id = 1 have the same sequence, and differ"
    )
    assert "SEQUENCE BY (" in str(error.hint)
    assert sorted(shop.rows("customers")) == [(1, "ann"), (2, "bob"), (3, "cat")]


def test_another_column_of_the_sequence_settles_a_tie(shop: Shop) -> None:
    shop.file("data/0.csv", HEAD + "1,a,U,99\n1,b,U,99\n")
    assert set(shop.failures()) == {"customers", "history"}
    shop.sql(CHANGES + (CUSTOMERS + HISTORY).replace("SEQUENCE BY at", "SEQUENCE BY (at, name)"))
    shop.run()
    assert shop.rows("customers") == [(1, "b")]


def test_what_was_delivered_twice_counts_once(shop: Shop) -> None:
    put(shop, 0)
    shop.run()
    shop.file("data/1.csv", HEAD + "1,ann,I,10\n2,bo,U,21\n2,bo,U,21\n")
    results = shop.run()
    assert dict(results["customers"].counts.effects) == {"updated": 1, "late": 1}
    assert sorted(shop.rows("customers")) == [(1, "ann"), (2, "bo"), (3, "cat")]


def test_rows_without_key_or_sequence_wait_in_quarantine(shop: Shop) -> None:
    shop.file("data/0.csv", HEAD + "1,ann,I,10\n,nobody,I,11\n2,bob,I,\n")
    results = shop.run()
    assert results["customers"].counts.quarantined == 2
    assert shop.rows("customers") == [(1, "ann")]
    assert shop.quarantined("customers") == [(2, ["_sequence"]), (None, ["_key"])]


def test_a_replay_keeps_the_order(shop: Shop) -> None:
    """A row comes back after later ones of its key, and is late."""
    rule = "(CONSTRAINT short EXPECT (op = 'D' OR length(name) < {}) ON VIOLATION QUARANTINE ROW)"
    sql = CHANGES + CUSTOMERS.replace("customers;", f"customers {rule};", 1) + HISTORY
    shop.sql(sql.format(5))
    shop.file("data/0.csv", HEAD + "1,longer,I,10\n2,longest,I,20\n")
    shop.run()
    shop.file("data/1.csv", HEAD + "1,ann,U,30\n")
    shop.run()
    assert shop.rows("customers") == [(1, "ann")]
    shop.sql(sql.format(50))
    with qanat.open(shop.folder) as project:
        [replayed] = project.replay("customers")
    assert (replayed.replayed, replayed.remaining) == (2, 0)
    assert sorted(shop.rows("customers")) == [(1, "ann"), (2, "longest")]


def test_tombstones_are_forgotten_after_their_time(shop: Shop) -> None:
    sql = CUSTOMERS.replace(
        "customers;",
        "customers TBLPROPERTIES ('pipelines.cdc.tombstoneGCThresholdInSeconds' = '0');",
        1,
    )
    shop.sql(CHANGES + sql)
    put(shop, 0)
    shop.run()
    shop.file("data/1.csv", HEAD + "3,,D,50\n")
    shop.run()
    shop.file("data/2.csv", HEAD + "1,anna,U,60\n")
    shop.run()
    assert not list(Path(shop.table("customers"), "_events").glob("*2026*"))
    shop.file("data/3.csv", HEAD + "3,kate,U,45\n")
    shop.run()
    assert sorted(shop.rows("customers")) == [(1, "anna"), (2, "bob"), (3, "kate")]


def test_other_keys_need_a_full_refresh(shop: Shop) -> None:
    put(shop, 0)
    shop.run()
    shop.sql(CHANGES + CUSTOMERS.replace("KEYS (id)", "KEYS (id, name)") + HISTORY)
    assert shop.failures()["customers"].hint == ("start over: qanat run --full-refresh customers")
    shop.run(full_refresh=("customers",))
    assert sorted(shop.rows("customers")) == [(1, "ann"), (2, "bob"), (3, "cat")]


def test_a_full_refresh_gives_the_same(shop: Shop) -> None:
    for number in range(4):
        put(shop, number)
        shop.run()
    shop.run(full_refresh=("customers", "history"))
    assert sorted(shop.rows("customers")) == AFTER
    assert sorted(shop.rows("history"), key=repr) == VERSIONS
    put(shop, 3)
    shop.file("data/5.csv", HEAD + "3,kit,U,46\n")
    shop.run()
    assert sorted(shop.rows("customers")) == AFTER


def test_new_columns_join(shop: Shop) -> None:
    put(shop, 0)
    shop.run()
    shop.file("data/1.csv", "id,name,op,at,mail\n2,bob,U,40,b@x\n7,gil,I,50,g@x\n")
    shop.run()
    assert sorted(shop.rows("customers"), key=repr) == [
        (1, "ann", None), (2, "bob", "b@x"), (3, "cat", None), (7, "gil", "g@x"),
    ]  # fmt: skip


def test_a_first_load_beside_a_running_feed(shop: Shop) -> None:
    """What the feed says counts, whichever of the two comes first."""
    load = """
    CREATE FLOW load AS AUTO CDC ONCE INTO customers
      FROM (SELECT id, name, 'I' AS op, 0 AS at FROM read_files('load/*.csv'))
      KEYS (id) APPLY AS DELETE WHEN op = 'D' SEQUENCE BY at
      COLUMNS * EXCEPT (op, at) STORED AS SCD TYPE 1;
    """
    put(shop, 0)
    put(shop, 1)
    shop.run()
    shop.sql(CHANGES + CUSTOMERS + load)
    shop.file("load/all.csv", "id,name\n1,old\n3,old\n9,old\n")
    shop.run()
    assert sorted(shop.rows("customers")) == [(1, "anna"), (2, "bob"), (4, "dan"), (9, "old")]


def test_the_spark_dialect_and_python_say_the_same(shop: Shop) -> None:
    shop.file("qanat.yml", "name: shop\nthreads: 1\ndialect: spark\n")
    shop.sql(
        "CREATE STREAMING TABLE changes AS SELECT * FROM STREAM read_files('data/*.csv');\n"
        "CREATE STREAMING TABLE customers;\n"
        "APPLY CHANGES INTO customers FROM STREAM(changes) KEYS (id) APPLY AS DELETE WHEN"
        " `op` <=> 'D' SEQUENCE BY `at` COLUMNS * EXCEPT (op, at) STORED AS SCD TYPE 1;\n"
    )
    shop.python(
        "dp.create_streaming_table('history')\n"
        "dp.create_auto_cdc_flow(target='history', source='changes', keys=['id'],"
        " sequence_by='at', apply_as_deletes=\"op = 'D'\", except_column_list=['op', 'at'],"
        " stored_as_scd_type=2)\n"
    )
    for number in range(4):
        put(shop, number)
        shop.run()
    assert sorted(shop.rows("customers")) == AFTER
    assert sorted(shop.rows("history"), key=repr) == VERSIONS


def test_dying_at_any_step(shop: Shop, tmp_path: Path) -> None:
    """What comes next finishes the merge, or does it again: once."""
    for number in range(3):
        put(shop, number)
        shop.run()
    put(shop, 3)
    steps = count_steps(copy(shop.folder, beside(tmp_path, "counted")), "run")
    assert steps > 20
    for step in range(1, steps + 1, 3):
        project = copy(shop.folder, beside(tmp_path, f"dies-{step}"))
        die_at(project, "run", step)
        operate(project, "run")
        with Session.open(project) as session:
            for name, wanted in (("customers", AFTER), ("history", VERSIONS)):
                assert sorted(show(session, name).rows, key=repr) == wanted, step
                assert not session.store.orphans(session.table(name)), step


def test_columns_that_only_the_changes_have_are_no_news(shop: Shop) -> None:
    put(shop, 0)
    shop.run()
    rule = "(CONSTRAINT kind EXPECT (op IN ('I', 'U', 'D')) ON VIOLATION DROP ROW)"
    reader = "CREATE MATERIALIZED VIEW last AS SELECT id FROM history WHERE __END_AT IS NULL;\n"
    with_rule = CUSTOMERS.replace("customers;", f"customers {rule};", 1)
    shop.sql(CHANGES + with_rule + HISTORY + reader)
    assert not shop.problems()
    results = shop.run()
    assert results["customers"].status == "unchanged"
    assert shop.rows("last") == [(1,), (2,), (3,)]


def test_values_that_do_not_fit_declared_columns_wait_in_quarantine(shop: Shop) -> None:
    """Also where the query takes all columns, and `COLUMNS` some of them away."""
    shop.sql(CHANGES + CUSTOMERS.replace("customers;", "customers (id INT, name TINYINT);", 1))
    shop.file("data/0.csv", HEAD + "1,7,I,10\n2,300,I,20\n99999999999,4,I,30\n3,999,D,40\n")
    results = shop.run()
    assert results["customers"].counts.quarantined == 2
    assert [rules for _, rules in shop.quarantined("customers")] == [["_failed"], ["_failed"]]
    assert shop.rows("customers") == [(1, 7)]
    shop.file("data/1.csv", HEAD + "1,8,U,50\n2,300,I,60\n")
    assert shop.run()["customers"].counts.quarantined == 1
    assert shop.rows("customers") == [(1, 8)]


@pytest.mark.parametrize("key", ["last", "rid", "rowid", "o", "emptied"])
@pytest.mark.parametrize("scd", [1, 2])
def test_columns_may_have_any_name(shop: Shop, key: str, scd: int) -> None:
    """Also those that one would think of while merging."""
    shop.sql(
        CHANGES + "CREATE STREAMING TABLE customers;"
        f"CREATE FLOW apply AS AUTO CDC INTO customers FROM STREAM changes KEYS ({key})"
        " APPLY AS DELETE WHEN op = 'D' SEQUENCE BY at COLUMNS * EXCEPT (op, at)"
        f" STORED AS SCD TYPE {scd};"
    )
    others = [n for n in ("last", "rid", "rowid", "file", "a", "r", "e") if n != key]
    head = ",".join((key, *others, "op", "at"))
    values = "," * (len(others) - 1)
    for number, (one, two) in enumerate((("I,1", "I,2"), ("U,3", "D,4"), ("I,2", "U,3")), 1):
        shop.file(
            f"data/{number}.csv",
            f"{head}\n1,{number}{values},{one}\n2,{number}{values},{two}\n",
        )
        shop.run()
    if scd == 1:
        assert [row[:2] for row in shop.rows("customers")] == [(1, 2)]
    else:
        found = [(row[0], row[1], *row[-2:]) for row in shop.rows("customers")]
        assert found == [(1, 1, 1, 2), (1, 2, 3, None), (1, 3, 2, 3), (2, 1, 2, 3), (2, 3, 3, 4)]


@pytest.mark.parametrize("scd", [1, 2])
def test_a_sequence_of_another_type_is_told_as_the_author_knows_it(shop: Shop, scd: int) -> None:
    view = 'CREATE TEMPORARY VIEW feed AS SELECT id, name, op, {} AS "at" FROM STREAM changes;\n'
    kept = (CUSTOMERS if scd == 1 else HISTORY).replace("STREAM changes", "STREAM feed")
    shop.sql(CHANGES + view.format('"at"') + kept)
    put(shop, 0)
    shop.run()
    put(shop, 1)
    # Texts of numbers have another order: the sequence does not become one.
    shop.sql(CHANGES + view.format('CAST("at" AS STRING)') + kept)
    name = "customers" if scd == 1 else "history"
    error = shop.failures()[name]
    assert error.message == f"SEQUENCE BY of {name} does not fit the rows that are there"
    assert error.hint == (
        "CAST it to bigint in SEQUENCE BY, or start over: qanat run --full-refresh " + name
    )
    shop.run(full_refresh=(name,))


@pytest.mark.parametrize(
    ("clauses", "mended"),
    [
        (
            "SEQUENCE BY CAST(seq AS INT)",
            "SEQUENCE BY coalesce(TRY_CAST(seq AS INT), 7)",
        ),
        (
            "APPLY AS DELETE WHEN CAST(seq AS INT) = 9 SEQUENCE BY id",
            "APPLY AS DELETE WHEN TRY_CAST(seq AS INT) = 9 SEQUENCE BY id",
        ),
    ],
)
def test_a_change_of_which_a_clause_cannot_be_computed_waits(
    tmp_path: Path, clauses: str, mended: str
) -> None:
    shop = Shop(tmp_path)
    shop.file("data/1.csv", "id,seq\n1,1\n2,x\n3,5\n")
    declared = (
        "CREATE STREAMING TABLE t; CREATE FLOW f AS AUTO CDC INTO t FROM STREAM"
        " read_files('data/*.csv', schema => 'id INT, seq STRING') KEYS (id) {};"
    )
    shop.sql(declared.format(clauses))
    shop.run()
    assert shop.rows("t") == [(1, "1"), (3, "5")]
    assert shop.quarantined("t") == [(None, ["_failed"])]
    with qanat.open(tmp_path) as project:
        ((rules,),) = project.query("SELECT _quarantine_rules FROM t__quarantine").rows()
        assert rules["_failed"].startswith("CAST(seq AS INT)")
        project.quarantine("t").replay()
    assert shop.quarantined("t") == [(None, ["_failed"])]
    shop.sql(declared.format(mended))
    with qanat.open(tmp_path) as project:
        project.quarantine("t").replay()
    assert shop.rows("t") == [(1, "1"), (2, "x"), (3, "5")]
    assert not shop.quarantined("t")


REGIONS = """
CREATE STREAMING TABLE people
  (CONSTRAINT short EXPECT (name IS NULL OR length(name) < {0}) ON VIOLATION QUARANTINE ROW);
CREATE FLOW north AS AUTO CDC INTO people FROM STREAM read_files('north/*.csv',
    schema => 'id INT, name STRING, op STRING, at INT')
  KEYS (id) APPLY AS DELETE WHEN op = 'D' SEQUENCE BY at COLUMNS * EXCEPT (op, at);
CREATE FLOW south AS AUTO CDC INTO people FROM STREAM read_files('south/*.csv',
    schema => 'id INT, name STRING, gone BOOLEAN, version INT')
  KEYS (id) APPLY AS DELETE WHEN gone SEQUENCE BY version COLUMNS * EXCEPT (gone, version);
"""


def test_a_replay_takes_each_row_as_its_flow_would(shop: Shop) -> None:
    """Flows with other clauses and other columns, some of which are none of the table."""
    shop.sql(REGIONS.format(5))
    shop.file("north/0.csv", HEAD + "1,longer,I,10\n2,bob,I,10\n3,longest,D,99\n")
    shop.file("south/0.csv", "id,name,gone,version\n2,evenlonger,false,20\n3,cat,false,10\n")
    shop.run()
    assert sorted(shop.rows("people")) == [(2, "bob"), (3, "cat")]
    assert len(shop.quarantined("people")) == 3
    shop.file("north/1.csv", HEAD + "1,ann,U,20\n")
    shop.file("south/1.csv", "id,name,gone,version\n4,muchlonger,true,20\n5,eve,false,1\n")
    shop.run()
    shop.sql(REGIONS.format(50))
    with qanat.open(shop.folder) as project:
        [replayed] = project.replay("people")
        assert (replayed.examined, replayed.replayed, replayed.remaining) == (4, 4, 0)
        assert not project.replay("people")
    assert sorted(shop.rows("people")) == [(1, "ann"), (2, "evenlonger"), (5, "eve")]
    assert shop.columns("people") == ["id int", "name string"]
    assert not shop.quarantined("people")


def test_a_replay_computes_again_what_the_flow_of_a_row_could_not(shop: Shop) -> None:
    declared = REGIONS.format(50).replace("APPLY AS DELETE WHEN op = 'D'", "{}")
    shop.sql(declared.format("APPLY AS DELETE WHEN CAST(op AS INT) = 1"))
    shop.file("north/0.csv", HEAD + "1,ann,I,10\n2,bob,0,10\n")
    shop.file("south/0.csv", "id,name,gone,version\n3,cat,maybe,10\n4,dan,false,10\n")
    shop.run()
    assert sorted(shop.rows("people")) == [(2, "bob"), (4, "dan")]
    shop.sql(declared.format("APPLY AS DELETE WHEN op = '1'"))
    with qanat.open(shop.folder) as project:
        [replayed] = project.replay("people")
    assert (replayed.replayed, replayed.remaining) == (1, 1)
    assert sorted(shop.rows("people")) == [(1, "ann"), (2, "bob"), (4, "dan")]
    assert shop.quarantined("people") == [(None, ["_malformed"])]


def test_rows_of_flows_with_other_clauses_are_discarded_alike(shop: Shop) -> None:
    shop.sql(REGIONS.format(5))
    shop.file("north/0.csv", HEAD + "1,longer,I,10\n")
    shop.file("south/0.csv", "id,name,gone,version\n2,evenlonger,false,20\n")
    shop.run()
    with qanat.open(shop.folder) as project:
        assert project.quarantine("people").discard(where="id = 2").discarded == 1
    assert [row for row, _ in shop.quarantined("people")] == [1]
