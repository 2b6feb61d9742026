"""AUTO CDC FROM SNAPSHOT: files, tables and functions compared with the rows of a table."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

import qanat
from qanat.errors import (
    FileChangedError,
    PlanError,
    QueryError,
    RowsLostError,
    SequenceTieError,
    SourceNotFoundError,
    UnsupportedError,
)
from qanat.run.look import show
from qanat.run.plan import plan
from qanat.run.session import Session
from tests.acceptance.crashing import beside, copy, count_steps, die_at, operate
from tests.acceptance.projects import Shop

CUSTOMERS = """
CREATE STREAMING TABLE customers{rules};
CREATE FLOW apply AS AUTO CDC INTO customers FROM SNAPSHOT read_files('crm/*.csv'{options})
  KEYS (id) STORED AS SCD TYPE 1;
"""
HISTORY = """
CREATE STREAMING TABLE history
  FLOW AUTO CDC FROM SNAPSHOT (SELECT id, name, city FROM read_files('crm/*.csv'))
  KEYS (id) STORED AS SCD TYPE 2{tracked};
"""
HEAD = "id,name,city\n"
DAYS = (
    "1,ann,Rome\n2,bob,Oslo\n3,cat,Rome\n",
    "1,anna,Rome\n3,cat,Rome\n4,dan,Bonn\n",
    "1,anna,Rome\n2,bob,Oslo\n3,cat,Bern\n4,dan,Bonn\n",
)
NEXT = """
DAYS = {days!r}

def next_day(latest):
    number = 0 if latest is None else latest
    if number == len(DAYS):
        return None
    rows = [dict(zip(("id", "name"), row)) for row in DAYS[number]]
    return rows, number + 1

dp.create_streaming_table("customers")
dp.create_auto_cdc_from_snapshot_flow("customers", next_day, ["id"]{more})
"""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    declare(shop)
    return shop


def declare(shop: Shop, rules: str = "", options: str = "", tracked: str = "") -> None:
    customers = CUSTOMERS.format(rules=rules, options=options)
    shop.sql(customers + HISTORY.format(tracked=tracked))


def put(shop: Shop, text: str) -> None:
    shop.file("crm/all.csv", HEAD + text)


def by_day(shop: Shop) -> list[tuple[Any, ...]]:
    """The rows of the history, with the number of the snapshot in the place of its moment."""
    rows = shop.rows("history")
    days = sorted({t for r in rows for t in r[-2:] if t is not None})
    numbers: dict[Any, int | None] = {None: None, **{t: n for n, t in enumerate(days, 1)}}
    return sorted(((*r[:-2], numbers[r[-2]], numbers[r[-1]]) for r in rows), key=repr)


def test_each_snapshot_is_compared_with_the_rows_there(shop: Shop) -> None:
    put(shop, DAYS[0])
    began = datetime.now(UTC)
    assert dict(shop.run()["customers"].counts.effects) == {"inserted": 3}
    put(shop, DAYS[1])
    results = shop.run()
    effects = {"inserted": 1, "updated": 1, "deleted": 1}
    assert dict(results["customers"].counts.effects) == effects
    assert shop.rows("customers") == [(1, "anna", "Rome"), (3, "cat", "Rome"), (4, "dan", "Bonn")]
    put(shop, DAYS[2])
    shop.run()
    assert by_day(shop) == [
        (1, "ann", "Rome", 1, 2), (1, "anna", "Rome", 2, None),
        (2, "bob", "Oslo", 1, 2), (2, "bob", "Oslo", 3, None),
        (3, "cat", "Bern", 3, None), (3, "cat", "Rome", 1, 3), (4, "dan", "Bonn", 2, None),
    ]  # fmt: skip
    starts = {row[-2] for row in shop.rows("history")}
    assert all(began <= start <= datetime.now(UTC) for start in starts)


def test_a_column_that_a_snapshot_lacks_is_told_once(tmp_path: Path) -> None:
    """Its values are overwritten by NULL: a snapshot has all that there is."""
    shop = Shop(tmp_path)
    shop.sql(
        "CREATE STREAMING TABLE customers"
        " FLOW AUTO CDC FROM SNAPSHOT read_files('crm/all.csv') KEYS (id)"
    )
    shop.file("crm/all.csv", "id,name,city\n1,ann,Rome\n2,bob,Oslo\n")
    assert shop.run()["customers"].notes == ()
    shop.file("crm/all.csv", "id,name\n1,ann\n2,bob\n")
    assert shop.run()["customers"].notes == ("column 'city' is in none of the new files",)
    shop.file("crm/all.csv", "id,name\n1,ann\n2,bob\n3,cat\n")
    assert shop.run()["customers"].notes == ()


def test_other_readers_see_the_changes(shop: Shop) -> None:
    for day in DAYS[:2]:
        put(shop, day)
        shop.run()
    feed = pa.table(DeltaTable(shop.table("customers")).load_cdf(starting_version=1)).to_pylist()
    assert sorted((r["_change_type"], r["id"], r["name"]) for r in feed) == [
        ("delete", 2, "bob"), ("insert", 4, "dan"),
        ("update_postimage", 1, "anna"), ("update_preimage", 1, "ann"),
    ]  # fmt: skip


def test_a_plan_says_what_a_run_does(shop: Shop) -> None:
    put(shop, DAYS[0])
    for steps in ({"create"}, {"skip"}):
        with Session.open(shop.folder) as session:
            assert {str(d.step) for d in plan(session).datasets} == steps
        statuses = {r.status for r in shop.run().values()}
        assert statuses == {"updated" if steps == {"create"} else "unchanged"}
    put(shop, DAYS[1])
    with Session.open(shop.folder) as session:
        decisions = plan(session).datasets
    assert {(str(d.step), d.reason) for d in decisions} == {("merge", "there is unread input")}
    assert [w.amount.files for d in decisions for w in d.waiting] == [1, 1]


def test_the_same_rows_in_another_file_write_nothing(shop: Shop) -> None:
    put(shop, DAYS[0])
    shop.run()
    before = sorted(Path(shop.table("customers")).glob("*.parquet"))
    put(shop, "".join(reversed(DAYS[0].splitlines(keepends=True))))
    results = shop.run()
    assert not results["customers"].counts.effects
    assert sorted(Path(shop.table("customers")).glob("*.parquet")) == before
    assert {r.status for r in shop.run().values()} == {"unchanged"}


def test_columns_whose_history_is_not_kept(shop: Shop) -> None:
    declare(shop, tracked=" TRACK HISTORY ON * EXCEPT (city)")
    for day in DAYS:
        put(shop, day)
        shop.run()
    assert (3, "cat", "Bern", 1, None) in by_day(shop)


def test_a_table_is_a_snapshot_of_itself(shop: Shop) -> None:
    """Of a view, too; one that is empty deletes all rows, as it is there and has none."""
    shop.sql(
        "CREATE MATERIALIZED VIEW now AS SELECT id, name FROM read_files('crm/*.csv')"
        " WHERE name <> 'gone';\n"
        "CREATE TEMPORARY VIEW few AS SELECT * FROM now WHERE id < 3;\n"
        "CREATE STREAMING TABLE customers;\n"
        "APPLY CHANGES INTO customers FROM SNAPSHOT now KEYS (id);\n"
        "CREATE STREAMING TABLE some FLOW AUTO CDC FROM SNAPSHOT few KEYS (id);\n"
    )
    put(shop, DAYS[0])
    shop.run()
    assert shop.rows("customers") == [(1, "ann"), (2, "bob"), (3, "cat")]
    assert shop.rows("some") == [(1, "ann"), (2, "bob")]
    put(shop, "1,gone,x\n")
    with Session.open(shop.folder) as session:
        steps = {d.dataset: str(d.step) for d in plan(session).datasets}
    assert steps == {"now": "recompute", "customers": "merge", "some": "merge"}
    assert shop.run()["customers"].counts.deleted == 3
    assert shop.rows("customers") == []
    assert shop.rows("some") == []


def test_a_folder_without_files_deletes_nothing(shop: Shop) -> None:
    """With columns declared, a query of it has no rows; but no file is no snapshot."""
    declare(shop, options=", schema => 'id BIGINT, name VARCHAR'")
    (shop.folder / "crm").mkdir()
    assert shop.run()["customers"].status == "unchanged"
    put(shop, DAYS[0])
    shop.run()
    (shop.folder / "crm/all.csv").unlink()
    assert {r.status for r in shop.run().values()} == {"unchanged"}
    assert len(shop.rows("customers")) == 3
    assert len(shop.rows("history")) == 3


def test_a_file_that_is_gone_fails(shop: Shop) -> None:
    shop.sql(
        "CREATE STREAMING TABLE customers FLOW AUTO CDC\n"
        "  FROM SNAPSHOT read_files('crm/all.csv') KEYS (id);\n"
    )
    put(shop, DAYS[0])
    shop.run()
    (shop.folder / "crm/all.csv").unlink()
    assert isinstance(shop.failures()["customers"], SourceNotFoundError)
    assert len(shop.rows("customers")) == 3


def test_a_file_without_rows_is_an_empty_snapshot(shop: Shop) -> None:
    declare(shop, options=", schema => 'id BIGINT, name VARCHAR, city VARCHAR'")
    put(shop, DAYS[0])
    shop.run()
    put(shop, "")
    assert shop.run()["customers"].counts.deleted == 3
    assert shop.rows("customers") == []


def test_a_file_without_a_byte_is_no_snapshot(shop: Shop) -> None:
    """An export that broke off at once left it."""
    put(shop, DAYS[0])
    shop.run()
    shop.file("crm/all.csv", "")
    assert shop.run()["customers"].status == "unchanged"
    assert len(shop.rows("customers")) == 3
    put(shop, DAYS[1])
    assert shop.run()["customers"].status == "updated"


def test_two_rows_with_one_key_stop_the_dataset(shop: Shop) -> None:
    put(shop, DAYS[0])
    shop.run()
    put(shop, "7,gil,Rome\n7,gus,Rome\n")
    error = shop.failures()["customers"]
    assert isinstance(error, SequenceTieError)
    assert error.message == "a snapshot of customers has several rows with id = 7"
    assert len(shop.rows("customers")) == 3


def test_unique_keeps_the_first_row_of_a_key(shop: Shop) -> None:
    declare(shop, " (CONSTRAINT one EXPECT UNIQUE (id) ON VIOLATION QUARANTINE ROW)")
    put(shop, DAYS[0])
    shop.sql(
        shop.folder.joinpath("transformations/all.sql").read_text().partition(HISTORY[:30])[0]
    )
    shop.run()
    put(shop, "1,first,Rome\n1,second,Rome\n2,bob,Oslo\n3,cat,Rome\n")
    shop.run()
    assert [r[1] for r in shop.rows("customers")] == ["first", "bob", "cat"]
    assert shop.quarantined("customers") == [(1, ["one"])]


def test_a_row_in_quarantine_is_no_deletion(shop: Shop) -> None:
    """Its key keeps the last good row; in quarantine are the bad rows of the last snapshot."""
    declare(shop, " (CONSTRAINT named EXPECT (name <> '?') ON VIOLATION QUARANTINE ROW)")
    put(shop, DAYS[0])
    shop.run()
    put(shop, "1,?,Rome\n3,cate,Rome\n9,?,Rome\n")
    results = shop.run()
    assert (results["customers"].counts.quarantined, results["customers"].counts.deleted) == (2, 1)
    assert shop.rows("customers") == [(1, "ann", "Rome"), (3, "cate", "Rome")]
    assert shop.quarantined("customers") == [(1, ["named"]), (9, ["named"])]
    put(shop, "1,?,Rome\n3,cate,Rome\n")
    shop.run()
    assert shop.quarantined("customers") == [(1, ["named"])]
    put(shop, "1,anna,Rome\n3,cate,Rome\n")
    shop.run()
    assert shop.quarantined("customers") == []
    assert shop.rows("customers") == [(1, "anna", "Rome"), (3, "cate", "Rome")]


def test_another_rule_looks_at_the_whole_snapshot_again(shop: Shop) -> None:
    rule = " (CONSTRAINT short EXPECT (length(name) < {}) ON VIOLATION {})"
    declare(shop, rule.format(4, "QUARANTINE ROW"))
    put(shop, "1,ann,Rome\n2,bobby,Oslo\n")
    shop.run()
    assert [r[0] for r in shop.rows("customers")] == [1]
    with qanat.open(shop.folder) as project, pytest.raises(PlanError, match="takes snapshots"):
        project.replay("customers")
    with qanat.open(shop.folder) as project:
        assert project.replay() == ()
    declare(shop, rule.format(9, "QUARANTINE ROW"))
    with Session.open(shop.folder) as session:
        [decision, _] = plan(session).datasets
    assert str(decision.step) == "merge"
    assert "the next snapshot is compared" in decision.consequence
    shop.run()
    assert [r[0] for r in shop.rows("customers")] == [1, 2]
    assert shop.quarantined("customers") == []
    declare(shop, rule.format(4, "DROP ROW"))
    shop.run()
    assert [r[1] for r in shop.rows("customers")] == ["ann", "bobby"], "dropped is not deleted"


def test_nothing_is_deleted_while_rows_do_not_tell_their_keys(shop: Shop) -> None:
    put(shop, DAYS[0])
    shop.run()
    put(shop, "1,anna,Rome\n,nobody,Rome\n")
    results = shop.run()
    assert shop.quarantined("customers") == [(None, ["_key"])]
    assert [r[1] for r in shop.rows("customers")] == ["anna", "bob", "cat"]
    [note] = results["customers"].notes
    assert note.startswith("2 rows that the snapshot lacks stay: rows in quarantine do not tell")
    put(shop, "1,anna,Rome\nx,broken,Rome\n")
    declare(shop, options=", schema => 'id BIGINT, name VARCHAR, city VARCHAR'")
    shop.run()
    assert shop.quarantined("customers") == [(None, ["_malformed"])]
    assert [r[1] for r in shop.rows("customers")] == ["anna", "bob", "cat"]
    put(shop, "1,anna,Rome\n")
    results = shop.run()
    assert results["customers"].counts.deleted == 2
    assert not results["customers"].notes


def test_values_that_do_not_fit_wait_and_delete_nothing(shop: Shop) -> None:
    shop.sql(
        "CREATE STREAMING TABLE customers (id BIGINT, name TINYINT) FLOW AUTO CDC\n"
        "  FROM SNAPSHOT read_files('crm/*.csv') KEYS (id) COLUMNS (id, name);\n"
    )
    put(shop, "1,1,x\n2,2,x\n3,3,x\n")
    shop.run()
    put(shop, "1,10,x\n2,300,x\n")
    results = shop.run()
    assert [rules for _, rules in shop.quarantined("customers")] == [["_failed"]]
    assert shop.rows("customers") == [(1, 10), (2, 2), (3, 3)]
    assert results["customers"].notes


@pytest.mark.parametrize("key", ["last", "rid", "s", "c", "k"])
def test_columns_may_have_any_name(shop: Shop, key: str) -> None:
    """Also those that one would think of while comparing."""
    shop.sql(
        "CREATE STREAMING TABLE customers FLOW AUTO CDC FROM SNAPSHOT read_files('crm/*.csv')\n"
        f"  KEYS ({key}) STORED AS SCD TYPE 2;\n"
    )
    others = ",".join(n for n in ("last", "rid", "s", "c", "k") if n != key)
    for rows in ("1,a,,,\n2,b,,,\n", "1,c,,,\n3,d,,,\n"):
        shop.file("crm/all.csv", f"{key},{others}\n{rows}")
        shop.run()
    assert sorted((r[0], r[1], r[-1] is None) for r in shop.rows("customers")) == [
        (1, "a", False), (1, "c", True), (2, "b", False), (3, "d", True),
    ]  # fmt: skip


def test_a_failing_rule_publishes_nothing(shop: Shop) -> None:
    declare(shop, " (CONSTRAINT named EXPECT (name <> '?') ON VIOLATION FAIL UPDATE)")
    put(shop, DAYS[0])
    shop.run()
    put(shop, "1,?,Rome\n")
    assert "named" in str(shop.failures()["customers"])
    assert len(shop.rows("customers")) == 3
    put(shop, DAYS[1])
    shop.run()
    assert [r[1] for r in shop.rows("customers")] == ["anna", "cat", "dan"]


def test_a_full_refresh_of_a_history_asks_first(shop: Shop) -> None:
    for day in DAYS[:2]:
        put(shop, day)
        shop.run()
    with pytest.raises(RowsLostError, match="its history would not come back"):
        shop.run(full_refresh=("history",))
    shop.run(full_refresh=("customers",))
    assert [r[1] for r in shop.rows("customers")] == ["anna", "cat", "dan"]
    shop.run(full_refresh=("history",), accept_loss=True)
    assert [r[-2:] for r in by_day(shop)] == [(1, None)] * 3


def test_a_full_refresh_needs_a_snapshot(shop: Shop) -> None:
    put(shop, DAYS[0])
    shop.run()
    (shop.folder / "crm/all.csv").unlink()
    error = shop.failures(full_refresh=("customers",))["customers"]
    assert isinstance(error, RowsLostError)
    assert error.message.startswith("customers cannot start over: there is no snapshot now")
    assert len(shop.rows("customers")) == 3
    put(shop, DAYS[1])
    assert shop.run()["customers"].counts.deleted == 1, "as if nobody had asked"


def test_the_spark_dialect_and_lineage(shop: Shop) -> None:
    shop.file("qanat.yml", "name: shop\nthreads: 1\ndialect: spark\n")
    shop.sql(
        "CREATE MATERIALIZED VIEW now AS SELECT id, upper(name) AS name FROM read_files('crm');\n"
        "CREATE STREAMING TABLE history;\n"
        "APPLY CHANGES INTO history FROM SNAPSHOT `now` KEYS (`id`) STORED AS SCD TYPE 2;\n"
    )
    put(shop, DAYS[0])
    shop.run()
    assert [r[:2] for r in shop.rows("history")] == [(1, "ANN"), (2, "BOB"), (3, "CAT")]
    with qanat.open(shop.folder) as project:
        name, start = (project.lineage(f"history.{c}") for c in ("name", "__START_AT"))
    assert "now.name" in str(name)
    assert "the version of the snapshot" in str(start)


def test_other_keys_need_a_full_refresh(shop: Shop) -> None:
    put(shop, DAYS[0])
    shop.run()
    shop.sql(CUSTOMERS.format(rules="", options="").replace("KEYS (id)", "KEYS (id, name)"))
    assert shop.failures()["customers"].hint == "start over: qanat run --full-refresh customers"
    shop.run(full_refresh=("customers",))
    assert len(shop.rows("customers")) == 3


def test_a_renamed_table_goes_on(shop: Shop) -> None:
    put(shop, DAYS[0])
    shop.run()
    sql = (shop.folder / "transformations/all.sql").read_text()
    shop.sql(sql.replace("TABLE history", "TABLE versions"))
    with qanat.open(shop.folder) as project:
        project.rename("history", "versions")
    assert not shop.run()["versions"].counts.effects
    put(shop, DAYS[1])
    assert shop.run()["versions"].counts.updated == 2


def test_new_columns_join(shop: Shop) -> None:
    put(shop, DAYS[0])
    shop.run()
    shop.file("crm/all.csv", "id,name,city,mail\n1,ann,Rome,a@x\n2,bob,Oslo,\n3,cat,Rome,\n")
    assert shop.run()["customers"].counts.updated == 1
    assert shop.rows("customers")[0] == (1, "ann", "Rome", "a@x")


def test_a_partitioned_table_with_several_keys(shop: Shop) -> None:
    shop.sql(
        "CREATE STREAMING TABLE t PARTITIONED BY (city);\n"
        "CREATE FLOW f AS AUTO CDC INTO t FROM SNAPSHOT read_files('crm/*.csv') KEYS (id, city)"
        " STORED AS SCD TYPE 2;\n"
    )
    put(shop, DAYS[0])
    shop.run()
    put(shop, "1,ann,Rome\n1,ann,Oslo\n2,bobby,Oslo\n3,cat,Rome\n")
    counts = shop.run()["t"].counts
    assert dict(counts.effects) == {"inserted": 2, "updated": 1}


def test_an_empty_text_is_no_key_of_a_partition(shop: Shop) -> None:
    """In a partition column it is NULL, and would match no row of the table."""
    shop.file(
        "transformations/all.sql",
        """
        CREATE STREAMING TABLE taken PARTITIONED BY (p) FLOW AUTO CDC FROM SNAPSHOT
        (SELECT * FROM read_files('dumps/*.json')) KEYS (id, p);
        CREATE STREAMING TABLE kept PARTITIONED BY (p) FLOW AUTO CDC FROM
        STREAM read_files('dumps/*.json') KEYS (id, p) SEQUENCE BY v;
        CREATE STREAMING TABLE merged KEYS (id, p) PARTITIONED BY (p)
        AS SELECT * FROM STREAM read_files('dumps/*.json');
    """,
    )
    for version in (1, 2):
        rows = (f'{{"id": {i}, "p": "{p}", "v": {version}}}\n' for i, p in ((1, ""), (2, "a")))
        for old in (shop.folder / "dumps").glob("*"):
            old.unlink()
        shop.file(f"dumps/{version}.json", "".join(rows))
        shop.run()
    for table, waiting in (("taken", 1), ("kept", 2), ("merged", 2)):
        assert shop.rows(table) == [(2, "a", 2)]
        assert [rules for _, rules in shop.quarantined(table)] == [["_key"]] * waiting


def test_dying_at_any_step(shop: Shop, tmp_path: Path) -> None:
    """What comes next finishes the epoch, or does it again: once, and at the same moment."""
    declare(shop, " (CONSTRAINT named EXPECT (name <> '?') ON VIOLATION QUARANTINE ROW)")
    put(shop, DAYS[0])
    shop.run()
    put(shop, DAYS[1] + "9,?,Rome\n")
    steps = count_steps(copy(shop.folder, beside(tmp_path, "counted")), "run")
    assert steps > 20
    wanted = [(1, "anna", "Rome"), (3, "cat", "Rome"), (4, "dan", "Bonn")]
    for step in range(1, steps + 1, 4):
        project = copy(shop.folder, beside(tmp_path, f"dies-{step}"))
        die_at(project, "run", step)
        operate(project, "run")
        with Session.open(project) as session:
            assert sorted(show(session, "customers").rows) == wanted, step
            rows = show(session, "history").rows
            assert len({t for r in rows for t in r[-2:] if t}) == 2, step
            assert len(rows) == 6, step
            assert len(show(session, "customers__quarantine").rows) == 1, step
            for name in ("customers", "history"):
                assert not session.store.orphans(session.table(name)), step


# -- snapshots that a function gives -----------------------------------------------------------

ONE = (((1, "ann"), (2, "bob")), ((1, "anna"), (3, "cat")), ((3, "cat"),))
VERSIONS = [
    (1, "ann", 1, 2), (1, "anna", 2, 3), (2, "bob", 1, 2), (3, "cat", 2, None),
]  # fmt: skip


@pytest.fixture
def daily(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    days(shop, 2)
    return shop


def days(shop: Shop, number: int, more: str = ", stored_as_scd_type=2") -> None:
    shop.python(NEXT.format(days=ONE[:number], more=more))


def test_a_function_gives_one_snapshot_after_the_other(daily: Shop) -> None:
    result = daily.run()["customers"]
    assert result.epochs == 2
    assert result.read == result.counts.written
    assert dict(result.counts.effects) == {"inserted": 4, "updated": 2}
    assert daily.run()["customers"].status == "unchanged"
    with Session.open(daily.folder) as session:
        [decision] = plan(session).datasets
        assert str(decision.step) == "skip"
    days(daily, 3)
    with Session.open(daily.folder) as session:
        [decision] = plan(session).datasets
        assert str(decision.step) == "merge"
    assert daily.run()["customers"].epochs == 1
    assert daily.rows("customers") == VERSIONS
    assert daily.columns("customers")[-2:] == ["__START_AT bigint", "__END_AT bigint"]


def test_versions_of_another_kind_do_not_fit(daily: Shop) -> None:
    days(daily, 2)
    daily.run()
    daily.file("transformations/all.py", "")
    daily.sql(
        "CREATE STREAMING TABLE customers FLOW AUTO CDC FROM SNAPSHOT"
        " (SELECT 1::BIGINT AS id, 'ann' AS name) KEYS (id) STORED AS SCD TYPE 2;"
    )
    (error,) = daily.failures().values()
    message = "the version of a snapshot of customers does not fit the rows that are there"
    assert (error.message, error.wanted, error.got) == (message, "bigint", "timestamp")
    assert error.hint == "start over: qanat run --full-refresh customers"


def test_what_the_documentation_shows(daily: Shop) -> None:
    page = Path(__file__).parents[2].joinpath("docs/how-to/cdc.md").read_text(encoding="utf-8")
    [_, shown] = page.split("### One snapshot after the other: a function")
    daily.file("transformations/all.py", shown.partition("```python\n")[2].partition("```")[0])
    for day, rows in (("2026-01-30", "1,ann\n"), ("2026-01-31", "1,anna\n")):
        daily.file(f"dumps/{day}.csv", f"id,name\n{rows}")
    daily.run()
    assert daily.rows("customer_history") == [
        (1, "ann", "2026-01-30", "2026-01-31"), (1, "anna", "2026-01-31", None),
    ]  # fmt: skip


def test_a_full_refresh_asks_for_the_first_snapshot_again(daily: Shop) -> None:
    days(daily, 3)
    daily.run()
    assert daily.run(full_refresh=("customers",))["customers"].epochs == 3
    assert daily.rows("customers") == VERSIONS


def test_a_function_that_runs_once_takes_one_snapshot(daily: Shop) -> None:
    days(daily, 2, ", once=True")
    daily.run()
    assert daily.rows("customers") == [(1, "ann"), (2, "bob")]
    assert daily.run()["customers"].status == "unchanged"


@pytest.mark.parametrize(
    ("versions", "kind"),
    [
        (("'2026-01-31'", "'2026-02-01'"), "string"),
        (("date(2026, 1, 31)", "date(2026, 2, 1)"), "date"),
        (("datetime(2026, 1, 31)", "datetime(2026, 2, 1)"), "timestamp_ntz"),
        (("datetime(2026, 1, 31, tzinfo=UTC)", "datetime(2026, 2, 1, tzinfo=UTC)"), "timestamp"),
        (("0.5", "1.5"), "double"),
    ],
)
def test_versions_of_any_kind(daily: Shop, versions: tuple[str, str], kind: str) -> None:
    first, second = versions
    daily.python(
        "from datetime import UTC, date, datetime\n"
        "dp.create_streaming_table('customers')\n"
        "def give(latest):\n"
        f"    if latest is None: return [{{'id': 1, 'n': 'a'}}], {first}\n"
        f"    assert latest in ({first}, {second}), latest\n"
        f"    return ([{{'id': 1, 'n': 'b'}}], {second}) if latest == {first} else None\n"
        "dp.create_auto_cdc_from_snapshot_flow('customers', give, ['id'], '2')\n"
    )
    daily.run()
    assert daily.columns("customers")[-1] == f"__END_AT {kind}"
    (one, two) = sorted(daily.rows("customers"), key=lambda r: str(r[1]))
    assert one[3] == two[2]
    assert two[3] is None
    assert one[2] < two[2]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return [{'id': 1}], 7", "the versions of give do not grow"),
        ("return [{'id': 1}], 7 if latest is None else 'b'", "the versions of give do not grow"),
        ("return [{'id': 1}]", "give gave no snapshot with a version"),
        ("return [{'id': 1}], None", "give gave a snapshot without a proper version"),
        ("return [{'id': 1}], True", "give gave a snapshot without a proper version"),
        ("raise SystemExit('no')", "give raised SystemExit: no"),
        ("return ('rows', 1) if latest is None else None", "give returned no table"),
    ],
)
def test_what_a_function_may_not_do(daily: Shop, body: str, message: str) -> None:
    daily.python(
        "dp.create_streaming_table('customers')\n"
        "def give(latest):\n"
        f"    {body}\n"
        "dp.create_auto_cdc_from_snapshot_flow('customers', give, ['id'])\n"
    )
    error = daily.failures()["customers"]
    assert isinstance(error, QueryError)
    assert error.message.startswith(message)
    assert error.location is not None
    assert error.location.file == "transformations/all.py"


def test_dying_between_snapshots(daily: Shop, tmp_path: Path) -> None:
    days(daily, 1)
    daily.run()
    days(daily, 3)
    steps = count_steps(copy(daily.folder, beside(tmp_path, "counted")), "run")
    for step in range(1, steps + 1, 8):
        project = copy(daily.folder, beside(tmp_path, f"dies-{step}"))
        die_at(project, "run", step)
        operate(project, "run")
        with Session.open(project) as session:
            assert sorted(show(session, "customers").rows, key=repr) == VERSIONS, step
            assert not session.store.orphans(session.table("customers")), step


def test_a_function_that_gives_another_snapshot_after_a_crash(daily: Shop, tmp_path: Path) -> None:
    """The epoch is given up, and what it gives now is taken."""
    days(daily, 1)
    daily.run()
    days(daily, 2)
    steps = count_steps(copy(daily.folder, beside(tmp_path, "counted")), "run")
    other = (daily.folder / "transformations/all.py").read_text().replace("+ 1", "+ 5")
    for step in range(1, steps + 1, 8):
        project = copy(daily.folder, beside(tmp_path, f"dies-{step}"))
        died = die_at(project, "run", step)
        (project / "transformations/all.py").write_text(
            other.replace("number == len", "number >= len")
        )
        operate(project, "run")
        with Session.open(project) as session:
            rows = sorted(show(session, "customers").rows, key=repr)
        assert [r[:2] for r in rows] == [r[:2] for r in VERSIONS[:1] + VERSIONS[1:]], (step, died)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("FROM SNAPSHOT STREAM s KEYS (id)", "a snapshot is not a stream"),
        ("FROM SNAPSHOT s", "KEYS is missing"),
        ("FROM SNAPSHOT s KEYS (id) SEQUENCE BY at", "SEQUENCE BY is not supported"),
        ("FROM SNAPSHOT s WITH VERSION (SELECT 1) KEYS (id)", "WITH VERSION is not supported"),
        ("FROM SNAPSHOT s KEYS (id) APPLY AS DELETE WHEN x", "APPLY AS DELETE WHEN is not"),
        ("FROM SNAPSHOT s KEYS (id) TRACK HISTORY ON (a)", "TRACK HISTORY ON is for SCD type 2"),
        ("FROM SNAPSHOT s KEYS (nme)", "KEYS names column 'nme', which its source does not have"),
        ("FROM SNAPSHOT v KEYS (id)", "flow t takes snapshots, and reads v as a stream"),
        ("FROM SNAPSHOT (SELECT * FROM STREAM s) KEYS (id)", "reads s as a stream"),
    ],
)
def test_what_sql_may_not_say(tmp_path: Path, sql: str, message: str) -> None:
    shop = Shop(tmp_path)
    shop.sql(
        "CREATE STREAMING TABLE s AS SELECT * FROM STREAM read_files('in/*.csv',"
        " schema => 'id BIGINT, name VARCHAR');\n"
        "CREATE TEMPORARY VIEW v AS SELECT * FROM STREAM s;\n"
        f"CREATE STREAMING TABLE t FLOW AUTO CDC {sql};\n"
    )
    shop.file("in/1.csv", "id,name\n1,a\n")
    [problem] = shop.problems()
    assert message in problem
    assert "transformations/all.sql:3:" in problem


@pytest.mark.parametrize(
    "other",
    [
        "AUTO CDC INTO t FROM SNAPSHOT read_files('erp/*.csv') KEYS (id)",
        "AUTO CDC INTO t FROM STREAM read_files('erp/*.csv') KEYS (id) SEQUENCE BY id",
        "INSERT INTO t BY NAME SELECT * FROM STREAM read_files('erp/*.csv')",
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_a_table_takes_snapshots_of_one_flow_alone(shop: Shop, other: str, first: bool) -> None:
    mine = "CREATE FLOW a AS AUTO CDC INTO t FROM SNAPSHOT read_files('crm/*.csv') KEYS (id);\n"
    flows = [mine, f"CREATE FLOW b AS {other};\n"]
    shop.sql("CREATE STREAMING TABLE t;\n" + "".join(flows if first else reversed(flows)))
    put(shop, DAYS[0])
    shop.file("erp/1.csv", HEAD)
    [problem] = shop.problems()
    assert "a snapshot would delete what the other has brought" in problem


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("'t', lambda: None, ['id']", "source takes other arguments"),
        ("'t', 5, ['id']", "source does not fit"),
        ("'t', 's', []", "keys is empty"),
        ("'t', 's', ['id'], 3", "stored_as_scd_type does not fit"),
        ("'t', __import__('functools').partial(print), ['id']", "source is no plain function"),
        ("'t', 's', ['id'], 2, ['a'], ['b']", "exclude each other"),
    ],
)
def test_what_python_may_not_say(tmp_path: Path, call: str, message: str) -> None:
    shop = Shop(tmp_path)
    shop.python(
        "dp.create_streaming_table('t')\n"
        "dp.create_streaming_table('s', schema='id BIGINT')\n"
        f"dp.apply_changes_from_snapshot({call})\n"
    )
    assert any(message in problem for problem in shop.problems())


def test_python_names_a_dataset_or_sql(shop: Shop) -> None:
    shop.sql("CREATE MATERIALIZED VIEW now AS SELECT * FROM read_files('crm/*.csv');\n")
    shop.python(
        "for name, source in (('a', 'now'), ('b', \"read_files('crm/*.csv')\"),\n"
        "                     ('c', 'SELECT id, name FROM now')):\n"
        "    dp.create_streaming_table(name)\n"
        "    dp.create_auto_cdc_from_snapshot_flow(name, source, ['id'])\n"
    )
    put(shop, DAYS[0])
    shop.run()
    assert len(shop.rows("a")) == len(shop.rows("b")) == len(shop.rows("c")) == 3


def test_iceberg_tables_cannot_change(shop: Shop) -> None:
    shop.file("qanat.yml", "name: shop\nthreads: 1\ntable_format: iceberg\n")
    put(shop, DAYS[0])
    assert isinstance(shop.failures()["customers"], UnsupportedError)


def test_a_file_that_changes_while_it_is_read_is_no_snapshot(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(shop, DAYS[0])
    from qanat.engines.duckdb.engine import DuckDBEngine

    stage = DuckDBEngine.stage

    def growing(*args: Any) -> Any:
        staged = stage(*args)
        put(shop, DAYS[1])
        return staged

    monkeypatch.setattr(DuckDBEngine, "stage", growing)
    assert {type(e) for e in shop.failures().values()} == {FileChangedError}
    monkeypatch.undo()
    shop.run()
    assert [r[1] for r in shop.rows("customers")] == ["anna", "cat", "dan"]


def test_a_function_whose_rows_lack_a_key(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.python(
        "import pyarrow as pa\n"
        "dp.create_streaming_table('t')\n"
        "def give(version):\n"
        "    return (pa.table({'idd': [1]}), 1) if version is None else None\n"
        "dp.create_auto_cdc_from_snapshot_flow('t', give, ['id'])\n"
    )
    error = str(shop.failures()["t"])
    assert error.startswith("transformations/all.py:6: t has the key 'id', which its changes do")
    assert "'idd'" in error
