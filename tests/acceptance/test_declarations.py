"""Everything that SQL can declare, run on small data: each kind of dataset, each action."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

import qanat
from qanat.errors import NotAppendOnlyError, QanatError, TableNotFoundError
from qanat.model.schema import STRING, Decimal, Field
from qanat.run.decide import Step
from qanat.run.look import show
from qanat.run.plan import plan
from qanat.run.session import Session
from qanat.run.update import update
from tests.acceptance.projects import Shop

ORDERS = (
    "CREATE STREAMING TABLE orders AS SELECT * FROM STREAM read_files('data/*.csv',"
    " schema => 'id BIGINT, amount BIGINT, name STRING');\n"
)
JANUARY = "id,amount,name\n1,10,a\n2,-5,b\n3,,c\n2,7,d\n,8,e\n,9,f\n"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    shop.file("data/january.csv", JANUARY)
    return shop


# -- expectations ------------------------------------------------------------------------------

KINDS = {
    "streaming table": "CREATE STREAMING TABLE checked (\n{rule}\n)"
    " AS SELECT * FROM STREAM orders;",
    "materialized view": "CREATE MATERIALIZED VIEW checked (\n{rule}\n) AS SELECT * FROM orders;",
    "temporary view": "CREATE TEMPORARY VIEW v (\n{rule}\n) AS SELECT * FROM orders;"
    "CREATE MATERIALIZED VIEW checked AS SELECT * FROM v;",
    "temporary view of a stream": "CREATE TEMPORARY VIEW v (\n{rule}\n)"
    " AS SELECT * FROM STREAM orders;"
    "CREATE STREAMING TABLE checked AS SELECT * FROM STREAM v;",
}
ACTIONS = {"": 6, " ON VIOLATION DROP ROW": 4, " ON VIOLATION QUARANTINE ROW": 4}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("action", ACTIONS)
def test_actions(shop: Shop, kind: str, action: str) -> None:
    """FALSE and NULL violate a predicate, on every kind of dataset."""
    rule = f"CONSTRAINT positive EXPECT (amount > 0){action}"
    shop.sql(ORDERS + KINDS[kind].format(rule=rule))
    results = shop.run()
    assert len(shop.rows("checked")) == ACTIONS[action]
    (counted,) = results["checked"].rules
    assert (counted.rule, counted.violations) == ("positive", 2)
    owner = "v" if kind.startswith("temporary") else "checked"
    assert counted.dataset == owner
    if "QUARANTINE" in action:
        assert shop.quarantined(owner) == [(2, ["positive"]), (3, ["positive"])]


@pytest.mark.parametrize("kind", KINDS)
def test_fail(shop: Shop, kind: str) -> None:
    """Nothing is published, and the next run with better data succeeds."""
    rule = "CONSTRAINT positive EXPECT (amount > 0) ON VIOLATION FAIL UPDATE"
    shop.sql(ORDERS + KINDS[kind].format(rule=rule))
    error = shop.failures()["checked"]
    assert "2 rows of" in error.message
    assert "positive" in error.message
    assert error.location is not None
    assert not [f for f in Path(shop.table("checked")).rglob("*") if f.is_file()]
    shop.sql(ORDERS + KINDS[kind].format(rule=rule.replace("> 0", "> -10 OR amount IS NULL")))
    shop.run()
    assert len(shop.rows("checked")) == 6


def test_all_rules_of_a_row(shop: Shop) -> None:
    shop.sql(
        ORDERS + "CREATE STREAMING TABLE checked (\n"
        "CONSTRAINT positive EXPECT (amount > 0) ON VIOLATION QUARANTINE ROW,\n"
        "CONSTRAINT not_b EXPECT (name <> 'b') ON VIOLATION QUARANTINE ROW,\n"
        "CONSTRAINT not_c EXPECT (name <> 'c') ON VIOLATION DROP ROW\n"
        ") AS SELECT * FROM STREAM orders;"
    )
    counts = shop.run()["checked"].counts
    # A row that one rule drops and another quarantines goes to quarantine, so it is not lost.
    assert shop.quarantined("checked") == [
        (2, ["not_b", "positive"]),
        (3, ["not_c", "positive"]),
    ]
    assert (counts.out, counts.written, counts.quarantined, counts.dropped) == (6, 4, 2, 0)


def test_unique(shop: Shop) -> None:
    """The first row with a key stays, NULL equals nothing, also across epochs."""
    shop.sql(
        ORDERS + "CREATE STREAMING TABLE checked ("
        "CONSTRAINT one EXPECT UNIQUE (id) ON VIOLATION QUARANTINE ROW"
        ") AS SELECT * FROM STREAM orders;"
    )
    shop.run()
    assert shop.rows("checked") == [
        (1, 10, "a"),
        (2, -5, "b"),
        (3, None, "c"),
        (None, 8, "e"),
        (None, 9, "f"),
    ]
    shop.file("data/february.csv", "id,amount,name\n1,1,g\n4,2,h\n4,3,i\n,4,j\n")
    shop.run()
    assert [r for r in shop.rows("checked") if r[2] in "ghij"] == [(4, 2, "h"), (None, 4, "j")]
    assert shop.quarantined("checked") == [(1, ["one"]), (2, ["one"]), (4, ["one"])]


def test_unique_over_several_columns(shop: Shop) -> None:
    shop.sql(
        ORDERS + "CREATE MATERIALIZED VIEW checked ("
        "CONSTRAINT one EXPECT UNIQUE (id, kind) ON VIOLATION DROP ROW"
        ") AS SELECT id, CASE WHEN amount > 0 THEN 'x' END AS kind FROM orders;"
    )
    shop.run()
    assert shop.rows("checked") == [
        (1, "x"),
        (2, "x"),
        (2, None),
        (3, None),
        (None, "x"),
        (None, "x"),
    ]


def test_references(shop: Shop) -> None:
    shop.file("known.csv", "id,kind\n1,x\n4,x\n,y\n")
    shop.sql(
        ORDERS
        + "CREATE MATERIALIZED VIEW known AS SELECT * FROM read_files('known.csv');"
        + "CREATE STREAMING TABLE checked ("
        "CONSTRAINT real EXPECT (id) REFERENCES known (id) ON VIOLATION QUARANTINE ROW"
        ") AS SELECT id, name FROM STREAM orders;"
    )
    shop.run()
    # A NULL refers to nothing, so it is no violation.
    assert shop.rows("checked") == [(1, "a"), (None, "e"), (None, "f")]
    shop.file("known.csv", "id,kind\n1,x\n4,x\n5,y\n")
    shop.file("data/february.csv", "id,amount,name\n5,1,g\n6,2,h\n")
    shop.run()
    assert (5, "g") in shop.rows("checked")
    assert [k for k, _ in shop.quarantined("checked")] == [2, 2, 3, 6]


def test_references_to_what_has_not_run(shop: Shop) -> None:
    shop.sql(
        "CREATE STREAMING TABLE cities AS SELECT * FROM STREAM read_files('cities/*.csv');"
        "CREATE STREAMING TABLE t (CONSTRAINT known EXPECT (city) REFERENCES cities (city))"
        " AS SELECT * FROM STREAM read_files('data/*.csv');"
    )
    shop.file("cities/1.csv", "city\nRome\n")
    shop.file("data/1.csv", "city\nRome\n")
    error = shop.failures(select=("t",))["t"]
    assert error.hint == "run it first: qanat run --select +cities"
    shop.run(select=("+cities",))
    shop.run(select=("t",))


FILES = "read_files('later/*.csv')"
NOTHING_YET = {
    "a stream": (
        f"CREATE STREAMING TABLE bronze AS SELECT * FROM STREAM {FILES};",
        "nothing to read yet in later/*.csv",
    ),
    "a view": (
        f"CREATE MATERIALIZED VIEW bronze AS SELECT * FROM {FILES};",
        "nothing to read yet in later/*.csv",
    ),
    "once": (
        f"""
        CREATE STREAMING TABLE bronze;
        CREATE FLOW f AS INSERT INTO ONCE bronze BY NAME SELECT * FROM {FILES};
        """,
        "nothing to read yet in later/*.csv",
    ),
    "below": (
        f"""
        CREATE STREAMING TABLE first AS SELECT * FROM STREAM {FILES};
        CREATE MATERIALIZED VIEW bronze AS SELECT * FROM first;
        """,
        "first has no table yet",
    ),
}


@pytest.mark.parametrize("kind", NOTHING_YET)
def test_all_say_the_same_of_what_has_nothing_to_read_yet(shop: Shop, kind: str) -> None:
    statement, why = NOTHING_YET[kind]
    shop.file("later/readme.txt", "files come here")
    shop.sql(f"{statement}CREATE MATERIALIZED VIEW gold AS SELECT count(*) AS n FROM bronze;")
    said = f"bronze has no table yet: {why}"
    for _ in range(2):
        with qanat.open(shop.folder) as project:
            assert project.validate().problems == ()
            decided = {d.dataset: (str(d.step), d.reason) for d in project.plan().datasets}
            assert decided["bronze"] == ("skip", why)
            assert decided["gold"] == ("skip", "bronze has no table yet")
            for ask in (project.table, lambda name: project.query(f"FROM {name}")):
                with pytest.raises(TableNotFoundError, match=re.escape(said)) as raised:
                    ask("bronze").head()
                assert raised.value.hint == "qanat plan --select +bronze"
        result = {d.dataset: (d.status, d.reason) for d in shop.update().datasets}
        assert result["bronze"] == ("unchanged", why)
        assert result["gold"] == ("unchanged", "bronze has no table yet")
    shop.file("later/a.csv", "id\n1\n2\n")
    shop.run()
    assert shop.rows("gold") == [(2,)]


def test_references_that_only_warn(shop: Shop) -> None:
    shop.file("staff.csv", "id,boss\n1,\n2,1\n3,9\n")
    shop.sql(
        "CREATE MATERIALIZED VIEW staff ("
        "CONSTRAINT has_boss EXPECT (boss) REFERENCES people (id)) AS SELECT * FROM people;"
        "CREATE MATERIALIZED VIEW people AS SELECT * FROM read_files('staff.csv');"
    )
    (rule,) = shop.run()["staff"].rules
    assert rule.violations == 1


def test_predicates_of_any_form(shop: Shop) -> None:
    """Quotes, comments, Unicode, subfields: the predicate is checked as the author wrote it."""
    shop.sql(
        ORDERS
        + "CREATE MATERIALIZED VIEW checked (\n"
        "CONSTRAINT `größe ist gut` EXPECT (amount > 0 -- a comment\n),\n".replace("`", '"')
        + "CONSTRAINT text EXPECT (name NOT IN ('it''s', 'a;b')),\n"
        "CONSTRAINT part EXPECT (pair.a = id OR id IS NULL)\n"
        ") AS SELECT *, {'a': id} AS pair FROM orders;"
    )
    rules = {r.rule: r.violations for r in shop.run()["checked"].rules}
    assert rules == {"größe ist gut": 2, "text": 0, "part": 0}


# -- flows -------------------------------------------------------------------------------------


def test_several_flows_into_one_table(shop: Shop) -> None:
    shop.file("more/a.csv", "id,name\n7,x\n")
    shop.sql(
        "CREATE STREAMING TABLE everything;"
        "CREATE FLOW a AS INSERT INTO everything BY NAME SELECT * FROM STREAM"
        " read_files('data/*.csv', schema => 'id BIGINT, amount BIGINT, name STRING');"
        "CREATE FLOW b AS INSERT INTO everything BY NAME SELECT * FROM STREAM"
        " read_files('more/*.csv', schema => 'id BIGINT, name STRING');"
    )
    shop.run()
    assert len(shop.rows("everything")) == 7
    assert (7, None, "x") in shop.rows("everything")
    shop.file("more/b.csv", "id,name\n8,y\n")
    result = shop.run()["everything"]
    assert (result.files, result.counts.written) == (1, 1)
    assert len(shop.rows("everything")) == 8


def test_a_flow_that_runs_once(shop: Shop) -> None:
    shop.file("old.csv", "id,amount,name\n100,1,z\n")
    shop.sql(
        ORDERS + "CREATE FLOW backfill AS INSERT INTO ONCE orders BY NAME"
        " SELECT * FROM read_files('old.csv', schema => 'id BIGINT, amount BIGINT, name STRING');"
    )
    shop.run()
    assert len(shop.rows("orders")) == 7
    shop.file("old.csv", "id,amount,name\n100,1,z\n101,1,z\n")
    assert shop.run()["orders"].status == "unchanged"
    assert len(shop.rows("orders")) == 7
    shop.run(full_refresh=("orders",))
    assert len(shop.rows("orders")) == 8


def test_rows_given_inline(shop: Shop) -> None:
    shop.sql(
        "CREATE MATERIALIZED VIEW units AS"
        " SELECT * FROM (VALUES ('m', 1.0), ('km', 1000.0)) AS u (unit, metres);"
        "CREATE STREAMING TABLE kept;"
        "CREATE FLOW first AS INSERT INTO ONCE kept BY NAME SELECT * FROM (VALUES (1)) AS t (n);"
    )
    shop.run()
    assert [r[0] for r in shop.rows("units")] == ["km", "m"]
    assert shop.rows("kept") == [(1,)]
    assert {d.status for d in shop.run().values()} == {"unchanged"}


# -- tables ------------------------------------------------------------------------------------


def test_partitions_comments_and_properties(shop: Shop) -> None:
    shop.sql(
        "CREATE STREAMING TABLE orders (\n"
        "  id BIGINT COMMENT 'the order''s number', amount BIGINT, name STRING)\n"
        "PARTITIONED BY (name) COMMENT 'Größe: all of it'\n"
        "TBLPROPERTIES ('team' = 'sales', 'delta.appendOnly' = 'true')\n"
        "AS SELECT id, amount, name FROM STREAM read_files('data/*.csv',"
        " schema => 'id BIGINT, amount BIGINT, name STRING');"
    )
    shop.run()
    table = DeltaTable(shop.table("orders"))
    assert table.metadata().partition_columns == ["name"]
    assert table.metadata().description == "Größe: all of it"
    assert table.metadata().configuration["team"] == "sales"
    assert table.schema().fields[0].metadata == {"comment": "the order's number"}
    assert table.to_pyarrow_table().num_rows == 6
    assert len(list(Path(shop.table("orders")).glob("name=*"))) == 6


def test_declared_columns(shop: Shop) -> None:
    shop.sql(
        "CREATE MATERIALIZED VIEW typed (id SMALLINT, amount DECIMAL(9, 2)) AS"
        " SELECT amount, id FROM read_files('data/*.csv');"
    )
    shop.run()
    assert shop.columns("typed") == ["id smallint", "amount decimal(9,2)"]


def test_a_declared_column_that_joins_later(shop: Shop) -> None:
    declare = (
        "CREATE STREAMING TABLE orders (id BIGINT{}) AS"
        " SELECT id{} FROM STREAM read_files('data/*.csv');"
    )
    shop.sql(declare.format("", ""))
    shop.run()
    more = ", Half DECIMAL(5, 2) COMMENT 'why', name VARCHAR NOT NULL"
    shop.sql(declare.format(more, ", id * 0.5 AS half, id AS name"))
    shop.file("data/february.csv", "id,amount,name\n9,1,x\n")
    shop.run()
    with Session.open(shop.folder) as session:
        fields = session.store.snapshot(session.table("orders")).schema.fields
    half = Field("Half", Decimal(5, 2), comment="why")
    # The rows before have no value.
    assert fields[1:] == (half, Field("name", STRING))


def test_foreign_tables(shop: Shop) -> None:
    """A Delta table by path, and a table of another project, which has another format."""
    write_deltalake(str(shop.folder / "foreign"), pa.table({"n": [1, 2]}))
    other = Shop(shop.folder / "other")
    other.file("qanat.yml", "name: other\ntable_format: iceberg\n")
    other.sql("CREATE MATERIALIZED VIEW theirs USING ICEBERG AS SELECT 3 AS n;")
    other.run()
    shop.sql(
        "CREATE MATERIALIZED VIEW both AS SELECT n FROM delta_scan('foreign')"
        " UNION ALL SELECT n FROM read_table('theirs', project => 'other');"
        "CREATE STREAMING TABLE streamed AS SELECT * FROM STREAM delta_scan('foreign');"
    )
    shop.run()
    assert [n for (n,) in shop.rows("both")] == [1, 2, 3]
    write_deltalake(str(shop.folder / "foreign"), pa.table({"n": [4]}), mode="append")
    results = shop.run()
    assert results["streamed"].counts.written == 1
    assert [n for (n,) in shop.rows("both")] == [1, 2, 3, 4]
    write_deltalake(str(shop.folder / "foreign"), pa.table({"n": [5]}), mode="overwrite")
    error = shop.failures()["streamed"]
    assert isinstance(error, NotAppendOnlyError)
    assert error.hint is not None


def test_quarantine_is_a_table(shop: Shop) -> None:
    shop.sql(
        ORDERS + "CREATE STREAMING TABLE checked ("
        "CONSTRAINT positive EXPECT (amount > 0) ON VIOLATION QUARANTINE ROW"
        ") AS SELECT * FROM STREAM orders;"
        "CREATE MATERIALIZED VIEW faults AS SELECT id, map_keys(_quarantine_rules) AS rules"
        " FROM checked__quarantine;"
    )
    shop.run()
    assert shop.rows("faults") == [(2, ["positive"]), (3, ["positive"])]


@pytest.mark.parametrize("name", ["größe", "数据", "a b", "select", "2024"])
def test_any_name(shop: Shop, name: str) -> None:
    shop.sql(
        f'CREATE MATERIALIZED VIEW "{name}" AS SELECT 1 AS "spalte {name}";'
        f'CREATE MATERIALIZED VIEW reads AS SELECT "spalte {name}" AS n FROM "{name}";'
    )
    shop.run()
    assert shop.rows("reads") == [(1,)]
    assert shop.columns(name) == [f"spalte {name} int"]


def test_names_differ_by_more_than_case(shop: Shop) -> None:
    shop.sql(
        "CREATE MATERIALIZED VIEW Total AS SELECT 1 AS n;"
        "CREATE MATERIALIZED VIEW total AS SELECT 2 AS n;"
    )
    (problem,) = shop.problems()
    assert "two datasets are named 'total'" in problem


def test_names_are_found_whatever_their_case(shop: Shop) -> None:
    shop.sql(
        "CREATE MATERIALIZED VIEW Total AS SELECT 1 AS N;"
        "CREATE MATERIALIZED VIEW reads AS SELECT n FROM TOTAL;"
    )
    shop.run()
    assert shop.rows("reads") == [(1,)]


# -- empty inputs ------------------------------------------------------------------------------


def test_an_empty_folder_is_no_error(shop: Shop) -> None:
    (shop.folder / "data/january.csv").unlink()
    shop.sql(ORDERS + "CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM orders;")
    assert {d.status for d in shop.run().values()} == {"unchanged"}
    shop.file("data/january.csv", JANUARY)
    shop.run()
    assert shop.rows("n") == [(6,)]


@pytest.mark.parametrize("content", ["id,amount,name\n", ""])
def test_a_file_without_rows(shop: Shop, content: str) -> None:
    shop.file("data/january.csv", content)
    shop.sql(ORDERS + "CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM orders;")
    shop.run()
    assert shop.rows("n") == [(0,)]
    assert shop.columns("orders") == ["id bigint", "amount bigint", "name string"]


def test_a_file_without_anything(shop: Shop) -> None:
    """Its columns are unknown; the dataset fails with that error until another file has some."""
    shop.file("data/january.csv", "")
    shop.sql("CREATE STREAMING TABLE orders AS SELECT * FROM STREAM read_files('data/*.csv');")
    assert "no columns" in shop.failures()["orders"].message
    shop.file("data/february.csv", "id\n1\n")
    shop.run()
    assert shop.rows("orders") == [(1,)]


def test_no_rows(shop: Shop) -> None:
    shop.sql(
        ORDERS + "CREATE STREAMING TABLE none (CONSTRAINT a EXPECT UNIQUE (id) ON VIOLATION"
        " QUARANTINE ROW) AS SELECT * FROM STREAM orders WHERE false;"
        "CREATE MATERIALIZED VIEW zero AS SELECT * FROM none;"
    )
    shop.run()
    assert shop.rows("zero") == []
    assert shop.columns("zero") == ["id bigint", "amount bigint", "name string"]
    assert DeltaTable(shop.table("zero")).to_pyarrow_table().num_rows == 0


# -- what to run -------------------------------------------------------------------------------

CHAIN = (
    ORDERS + "CREATE STREAMING TABLE silver AS SELECT id FROM STREAM orders;"
    "CREATE MATERIALIZED VIEW gold AS SELECT count(*) AS n FROM silver;"
    "CREATE MATERIALIZED VIEW aside AS SELECT 1 AS n;"
)


@pytest.mark.parametrize(
    ("pattern", "taken"),
    [
        ("silver", {"silver"}),
        ("+silver", {"orders", "silver"}),
        ("silver+", {"silver", "gold"}),
        ("+silver+", {"orders", "silver", "gold"}),
        ("*l*", {"silver", "gold"}),
        ("SILVER", {"silver"}),
    ],
)
def test_select(shop: Shop, pattern: str, taken: set[str]) -> None:
    shop.sql(CHAIN)
    shop.run()
    assert set(shop.run(select=(pattern,))) == taken


def test_select_nothing(shop: Shop) -> None:
    shop.sql(CHAIN)
    with pytest.raises(QanatError, match="no dataset matches 'slver'") as caught:
        shop.update(select=("slver",))
    assert caught.value.nearest == "silver"


def test_refresh(shop: Shop) -> None:
    shop.sql(CHAIN)
    shop.run()
    results = shop.run(refresh=("gold",))
    assert {n: d.status for n, d in results.items()} == {"gold": "updated"}


def test_full_refresh_of_one(shop: Shop) -> None:
    shop.sql(CHAIN)
    shop.run()
    (shop.folder / "data/january.csv").unlink()
    shop.file("data/february.csv", "id,amount,name\n9,1,x\n")
    shop.run(full_refresh=("orders",), only=True, accept_loss=True)
    assert shop.rows("orders") == [(9, 1, "x")]
    # A reader of the table as a stream cannot know which of the rows it read still exist.
    error = shop.failures()["silver"]
    assert isinstance(error, NotAppendOnlyError)
    assert error.hint is not None
    assert "--full-refresh silver" in error.hint
    shop.run(full_refresh=("silver",))
    shop.run()
    assert shop.rows("silver") == [(9,)]
    assert shop.rows("gold") == [(1,)]


def test_a_stream_over_rows_that_were_vacuumed(shop: Shop) -> None:
    """The hint names the command, with the dataset that reads, and the command works."""
    shop.sql(CHAIN)
    shop.run()
    shop.file("data/february.csv", "id,amount,name\n9,1,x\n")
    shop.run(select=("orders",))
    orders = DeltaTable(shop.folder / "storage/tables/orders")
    orders.optimize.compact()
    orders.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    hint = shop.failures()["silver"].hint
    assert hint == "start over from what is there: qanat run --full-refresh silver"
    shop.run(full_refresh=("silver",))
    assert (9,) in shop.rows("silver")


def test_full_refresh_of_all(shop: Shop) -> None:
    shop.sql(CHAIN)
    shop.run()
    shop.file("data/january.csv", "id,amount,name\n9,1,x\n")
    results = shop.run(full_refresh_all=True)
    assert {d.status for d in results.values()} == {"updated"}
    assert shop.rows("silver") == [(9,)]
    assert shop.rows("gold") == [(1,)]
    assert {d.status for d in shop.run().values()} == {"unchanged"}


def test_environments_do_not_meet(shop: Shop) -> None:
    shop.file(
        "qanat.yml",
        "name: shop\nconfiguration:\n  least: 0\nenvironments:\n  dev: {}\n  prod:\n"
        "    storage: prod\n    configuration:\n      least: 9\n",
    )
    shop.sql("CREATE MATERIALIZED VIEW n AS SELECT ${least} AS n;")
    shop.run()
    shop.run("prod")
    assert shop.rows("n") == [(0,)]
    assert shop.rows("n", "prod") == [(9,)]


# -- what a stream has taken -------------------------------------------------------------------


def test_a_file_looked_up_has_not_been_taken_by_a_stream(shop: Shop) -> None:
    shop.file("names/1.csv", "id,name\n1,a\n2,b\n")
    shop.sql(
        "CREATE STREAMING TABLE t AS SELECT o.id, n.name FROM STREAM read_files('data/*.csv') o"
        " JOIN read_files('names/*.csv') n ON n.id = o.id;"
    )
    shop.run()
    before = shop.rows("t")
    shop.sql("CREATE STREAMING TABLE t AS SELECT id, name FROM STREAM read_files('names/*.csv');")
    shop.run()
    assert shop.rows("t") == sorted([*before, (1, "a"), (2, "b")])


def test_a_lookup_of_the_same_files_takes_none_from_the_stream(shop: Shop) -> None:
    for n in range(4):
        shop.file(f"in/{n}.csv", f"id\n{n}\n")
    shop.sql(
        "CREATE STREAMING TABLE t AS SELECT id FROM"
        " STREAM read_files('in/*.csv', max_files_per_trigger => 1)"
        " WHERE id <= (SELECT max(id) FROM read_files('in/*.csv'));"
    )
    shop.run()
    assert shop.rows("t") == [(0,), (1,), (2,), (3,)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("'in/a*.csv', max_files_per_trigger => 1", "'in/*.csv'"),
        ("'in', path_glob_filter => 'a*'", "'in', path_glob_filter => '*'"),
    ],
)
def test_each_stream_of_a_flow_takes_each_of_its_files(shop: Shop, one: str, other: str) -> None:
    def bring(*names: str) -> None:
        for name in names:
            shop.file(f"in/{name}.csv", f"name\n{name}\n")

    bring("a1", "a2", "a3", "b1")
    shop.sql(
        f"CREATE STREAMING TABLE t AS SELECT name, 1 AS n FROM STREAM read_files({one})"
        f" UNION ALL SELECT name, 2 AS n FROM STREAM read_files({other});"
    )
    shop.run()
    bring("a4", "b2")
    shop.run()
    a, b = ["a1", "a2", "a3", "a4"], ["b1", "b2"]
    assert shop.rows("t") == sorted([*((n, 1) for n in a), *((n, 2) for n in [*a, *b])])


def test_another_path_to_the_same_files_takes_none_again(shop: Shop) -> None:
    text = "CREATE STREAMING TABLE t AS SELECT id FROM STREAM read_files({0});"
    for arguments in ("'data/*.csv'", "'data/**/*.csv'", "'data', path_glob_filter => '*.csv'"):
        shop.sql(text.format(arguments))
        shop.run()
        assert len(shop.rows("t")) == 6


@pytest.mark.parametrize("source", ["orders", "read_files('data/*.csv')"])
def test_a_view_that_becomes_a_streaming_table_starts_over(shop: Shop, source: str) -> None:
    shop.sql(ORDERS + f"CREATE MATERIALIZED VIEW t AS SELECT count(*) AS id FROM {source};")
    shop.run()
    assert shop.rows("t") == [(6,)]
    shop.sql(ORDERS + f"CREATE STREAMING TABLE t AS SELECT id FROM STREAM {source};")
    with Session.open(shop.folder) as session:
        planned = {d.dataset: d for d in plan(session).datasets}["t"]
    assert (planned.step, planned.reason) == (Step.FULL_REFRESH, "it was a materialized view")
    shop.run()
    assert [i for (i,) in shop.rows("t") if i is not None] == [1, 2, 2, 3]
    assert shop.run()["t"].status == "unchanged"


def test_a_plan_says_what_stands_in_the_way(shop: Shop) -> None:
    shop.sql(CHAIN)
    shop.run()
    shop.run(full_refresh=("orders",), only=True)
    with Session.open(shop.folder) as session:
        planned = {d.dataset: d for d in plan(session).datasets}
    assert planned["orders"].step is Step.SKIP, "the others are planned all the same"
    silver = planned["silver"]
    assert silver.step is Step.FAIL
    assert "orders" in silver.reason
    assert silver.consequence.startswith("transformations/all.sql:")
    assert "--full-refresh silver" in silver.consequence
    assert [n for n, d in planned.items() if d.reason == "silver would fail"] == ["gold"]


def test_a_plan_says_that_other_partitions_need_a_full_refresh(shop: Shop) -> None:
    shop.sql(ORDERS)
    shop.run()
    shop.sql(ORDERS.replace(" AS SELECT", " PARTITIONED BY (name) AS SELECT"))
    with Session.open(shop.folder) as session:
        (planned,) = plan(session).datasets
    assert "nothing more can be added until qanat run --full-refresh orders" in planned.consequence


def test_a_struct_gains_fields(tmp_path: Path) -> None:
    (tmp_path / "transformations").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "qanat.yml").write_text("name: grow\n")
    (tmp_path / "transformations" / "all.sql").write_text(
        "CREATE STREAMING TABLE bronze AS SELECT * FROM STREAM read_files('data/*.json');\n"
        "CREATE STREAMING TABLE silver AS SELECT s, l FROM STREAM bronze;\n"
        "CREATE MATERIALIZED VIEW gold AS SELECT s.a AS a, len(l) AS n FROM silver;\n"
    )
    (tmp_path / "data" / "1.json").write_text('{"s": {"a": 1}, "l": [{"x": 1}]}\n')
    with Session.open(tmp_path) as session:
        assert update(session).status == "succeeded"
    (tmp_path / "data" / "2.json").write_text(
        '{"l": [{"y": "q"}], "s": {"b": {"c": 2}, "a": 3}}\n'
    )
    for _ in range(2):
        with Session.open(tmp_path) as session:
            assert update(session).status == "succeeded"
    found = DeltaTable(tmp_path / "storage" / "tables" / "silver").to_pyarrow_table().to_pylist()
    assert sorted(found, key=str) == [
        {"s": {"a": 1, "b": None}, "l": [{"x": 1, "y": None}]},
        {"s": {"a": 3, "b": {"c": 2}}, "l": [{"x": None, "y": "q"}]},
    ]
    with Session.open(tmp_path) as session:
        assert sorted(show(session, "gold").rows) == [(1, 1), (3, 1)]
        old = show(session, "silver", where="s.b IS NULL").rows
    assert len(old) == 1


# -- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["csv", "json"])
@pytest.mark.parametrize("name", ["t u", "tü", "Aufträge & y", "50%"])
def test_names_that_have_to_be_quoted(tmp_path: Path, name: str, format: str) -> None:
    """Names of tables, of the storage, and of folders with files that have malformed rows."""
    shop = Shop(tmp_path / "a b")
    text = {"csv": "id\n1\nx\n", "json": '{"id": 1}\n{"id": \n'}[format]
    shop.file(f"d ü & e/1.{format}", text)
    quoted = f'"{name}"'
    shop.sql(
        f"CREATE STREAMING TABLE {quoted} AS SELECT * FROM STREAM read_files('d ü & e/*',"
        f" format => '{format}', schema => 'id BIGINT');\n"
        f"CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM {quoted};"
    )
    shop.run()
    assert shop.rows(name) == [(1,)]
    assert shop.rows("n") == [(1,)]
    assert len(shop.quarantined(name)) == 1


@pytest.mark.parametrize(
    "clause",
    ["TBLPROPERTIES ('qanat.nothing' = '1') AS SELECT *, 1 AS more", "AS SELECT *, 1 AS more +"],
)
def test_columns_of_a_wrong_declaration_are_not_those_of_its_table(
    shop: Shop, clause: str
) -> None:
    """What reads a column that it gains is right, although the table has not got it yet."""
    reader = "CREATE MATERIALIZED VIEW reader AS SELECT {} FROM orders;"
    shop.sql(ORDERS + reader.format("id"))
    shop.run()
    shop.sql(ORDERS.replace("AS SELECT *", clause) + reader.format("id, more"))
    assert len(shop.problems()) == 1


@pytest.mark.parametrize("table_format", ["delta", "iceberg"])
@pytest.mark.parametrize("kind", ["STREAMING TABLE", "MATERIALIZED VIEW"])
def test_a_comment_that_is_removed_goes(tmp_path: Path, table_format: str, kind: str) -> None:
    shop = Shop(tmp_path)
    shop.file("qanat.yml", f"name: shop\ntable_format: {table_format}\n")
    stream = "STREAM " if kind.startswith("STREAM") else ""
    source = f"AS SELECT * FROM {stream}read_files('data/*.csv');"
    shop.sql(
        f"CREATE {kind} t (id BIGINT COMMENT 'why', b BIGINT COMMENT 'b') COMMENT 'all' {source}"
    )
    shop.file("data/1.csv", "id,b\n1,1\n")
    shop.run()
    with qanat.open(shop.folder) as project:
        found = project.table("t").show()
        assert (found.comment, found.schema.fields[0].comment) == ("all", "why")
    shop.sql(f"CREATE {kind} t (id BIGINT, b BIGINT COMMENT 'c') {source}")
    shop.file("data/2.csv", "id,b\n2,2\n")
    shop.run()
    with qanat.open(shop.folder) as project:
        found = project.table("t").show()
        assert found.comment is None
        assert [f.comment for f in found.schema.fields] == [None, "c"]
