"""A project that reads from PostgreSQL and sends to it, run through the public functions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

import qanat
from qanat.connectors.postgres.sink import PostgresSink
from qanat.errors import SourceUnavailableError
from qanat.run.lineage import lineage
from qanat.run.plan import plan
from qanat.run.session import Session
from qanat.testing.postgresql import postgresql
from tests.acceptance.projects import Shop

pytestmark = pytest.mark.services

SPEC = """\
name: shop
threads: 1
configuration: {shop: '${SHOP_URL}'}
"""
SQL = """\
CREATE OR REFRESH STREAMING TABLE bronze (
  CONSTRAINT positive EXPECT (amount > 0) ON VIOLATION QUARANTINE ROW
) AS SELECT id, amount, placed FROM
STREAM read_postgres('orders', url => '${shop}', cursor => 'placed', lookback => '1 hour');

CREATE OR REFRESH MATERIALIZED VIEW customers
AS SELECT count(*) AS n FROM read_postgres('SELECT * FROM customers', url => '${shop}');
"""
PYTHON = """\
import os

dp.create_sink("report", "postgres", {"url": os.environ["SHOP_URL"], "table": "report"})


@dp.append_flow(target="report")
def reported():
    return "SELECT * FROM STREAM bronze"
"""


class PostgresShop(Shop):
    """The shop, whose orders are in a database."""

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder)
        self.url = url
        self.file("qanat.yml", SPEC)
        self.sql(SQL)
        self.python(PYTHON)
        self.query(
            "DROP SCHEMA IF EXISTS public CASCADE",
            "CREATE SCHEMA public",
            "CREATE TABLE orders (id int PRIMARY KEY, amount numeric(10,2), placed timestamptz)",
            "CREATE TABLE customers (name text)",
            "INSERT INTO customers VALUES ('ada')",
        )

    def query(self, *statements: str) -> list[Any]:
        rows: list[Any] = []
        with psycopg.connect(self.url, autocommit=True) as session:
            for statement in statements:
                cursor = session.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def order(self, id_: int, amount: str, hour: int) -> None:
        self.query(f"INSERT INTO orders VALUES ({id_}, {amount}, '2026-01-01 {hour:02}:00Z')")

    @property
    def report(self) -> list[Any]:
        return self.query("SELECT id, amount::text FROM report ORDER BY id")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.fixture
def shop(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PostgresShop:
    url = server.replace("qanat@", "qanat:hush@")
    monkeypatch.setenv("SHOP_URL", url)
    return PostgresShop(tmp_path, url)


def test_rows_pass_through_once(shop: PostgresShop) -> None:
    shop.order(1, "9.50", 1)
    shop.order(2, "-1", 2)
    done = shop.run()
    assert done["bronze"].read == 2
    assert shop.report == [(1, "9.50")]
    assert [str(amount) for _, amount, _ in shop.rows("bronze")] == ["9.50"]
    assert [row[0] for row in shop.rows("bronze__quarantine")] == [2]
    shop.order(3, "7.25", 2)
    shop.order(4, "8", 1)
    shop.order(5, "8", 0)  # too late for the lookback
    shop.run()
    assert shop.report == [(1, "9.50"), (3, "7.25"), (4, "8.00")]
    assert len(shop.rows("bronze")) == 3


def test_what_is_read_as_a_whole_is_read_when_something_was_committed(shop: PostgresShop) -> None:
    assert shop.run(select=("customers",))["customers"].status == "updated"
    assert shop.run(select=("customers",))["customers"].status != "updated"
    shop.query("INSERT INTO customers VALUES ('grace')")
    shop.run(select=("customers",))
    assert shop.rows("customers") == [(2,)]


def test_a_full_refresh_reads_everything_again(shop: PostgresShop) -> None:
    shop.order(1, "9.50", 1)
    shop.run()
    shop.run(full_refresh=("bronze",))
    assert len(shop.rows("bronze")) == 1


def test_nobody_sees_the_password(shop: PostgresShop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.order(1, "9.50", 1)
    shop.run()
    with Session.open(shop.folder) as session:
        told = [repr(plan(session)), repr(lineage(session, "bronze"))]
        told += [repr(e) for e in session.ledger.epochs()]
    shop.query("DROP TABLE orders, report CASCADE", "CREATE TABLE report (x int)")
    result = shop.update(full_refresh_all=True)
    assert {d.dataset for d in result.failed} >= {"bronze"}
    told += [str(d.error) for d in result.failed]
    for path in (shop.folder / "storage").rglob("*"):
        if path.is_file():
            assert b"hush" not in path.read_bytes(), path
    assert "hush" not in "".join([*told, *capsys.readouterr()])


def test_a_plan_says_how_many_rows_wait(shop: PostgresShop) -> None:
    shop.order(1, "9.50", 1)
    shop.order(2, "9.50", 1)
    with Session.open(shop.folder) as session:
        assert "rows=2" in repr(plan(session))


def test_declarations_are_checked(shop: PostgresShop) -> None:
    shop.sql(
        "CREATE OR REFRESH STREAMING TABLE bronze AS SELECT * FROM"
        " STREAM read_postgres('orders', url => '${shop}', cursr => 'id');"
    )
    assert "did you mean 'cursor'" in "".join(shop.problems())
    shop.sql(
        "CREATE OR REFRESH STREAMING TABLE bronze AS SELECT nonsense FROM"
        " STREAM read_postgres('orders', url => '${shop}', cursor => 'id');"
    )
    assert "nonsense" in "".join(shop.problems())
    assert "hush" not in "".join(shop.problems())


def test_columns_that_come_and_go(shop: PostgresShop) -> None:
    shop.sql(SQL.replace("id, amount, placed", "*"))
    shop.order(1, "9.50", 1)
    shop.run()
    shop.query("ALTER TABLE orders DROP COLUMN amount", "ALTER TABLE orders ADD note text")
    shop.query("ALTER TABLE report ADD note text")
    shop.query("INSERT INTO orders VALUES (2, '2026-01-01 02:00Z', 'new')")
    # The rule wants an amount, and there is none.
    shop.run()
    assert shop.columns("bronze") == [
        "id int", "amount decimal(10,2)", "placed timestamp", "note string",
    ]  # fmt: skip
    assert [row[:2] for row in shop.rows("bronze__quarantine")] == [(2, None)]


def test_a_project_in_sql_alone_is_remembered_without_its_password(
    shop: PostgresShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shop.folder / "transformations/all.py").unlink()
    monkeypatch.setenv("XDG_CACHE_HOME", str(shop.folder / "cache"))
    shop.order(1, "9.50", 1)
    shop.run()
    shop.order(2, "9.50", 2)
    shop.run()
    assert len(shop.rows("bronze")) == 2
    with Session.open(shop.folder) as session:
        (flow,) = session.pipeline.flows_into("bronze")
        (read,) = flow.query.reads
    assert read.source.option("url").text == shop.url
    assert "hush" not in repr(read.source)


CHANGING = """\
CREATE STREAMING TABLE raw AS SELECT * FROM STREAM read_files('data/*.csv');
CREATE STREAMING TABLE customers;
CREATE FLOW keep AS AUTO CDC INTO customers FROM STREAM raw KEYS (id)
APPLY AS DELETE WHEN op = 'd' SEQUENCE BY seq COLUMNS * EXCEPT (op);
"""
SENDING = """\
import os

dp.create_sink(
    "copy", "postgres", {"url": os.environ["SHOP_URL"], "table": "copy", "keys": "id"}
)


@dp.append_flow(target="copy")
def copied():
    return "SELECT * FROM STREAM table_changes('customers')"
"""


class CopyShop(PostgresShop):
    """A table that is kept by changes, which are sent to a copy of it in a database."""

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder, url)
        self.sql(CHANGING)
        self.python(SENDING)

    def events(self, number: int, *rows: str) -> None:
        self.file(f"data/{number}.csv", "\n".join(("id,name,op,seq", *rows, "")))

    @property
    def copy(self) -> list[Any]:
        return self.query("SELECT id, name, seq FROM copy ORDER BY id")


@pytest.fixture
def copying(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CopyShop:
    monkeypatch.setenv("SHOP_URL", server)
    return CopyShop(tmp_path, server)


def test_a_copy_takes_what_became_of_each_key(copying: CopyShop) -> None:
    copying.events(1, "1,ada,i,1", "2,bob,i,1", "3,cy,i,1")
    copying.run()
    assert copying.copy == [(1, "ada", 1), (2, "bob", 1), (3, "cy", 1)]
    # Two versions at once: of each key the last change counts.
    copying.events(2, "1,Ada,u,2", "2,,d,2", "4,di,i,2")
    copying.run(select=("raw", "customers"))
    copying.events(3, "2,Bob,i,3", "4,,d,3", "3,Cy,u,3")
    copying.run()
    assert copying.copy == [(1, "Ada", 2), (2, "Bob", 3), (3, "Cy", 3)]
    assert copying.copy == copying.rows("customers")
    copying.run()
    assert copying.query("SELECT epoch FROM _qanat_epochs") == [(2,)]


def test_a_copy_follows_a_full_refresh(copying: CopyShop) -> None:
    copying.events(1, "1,ada,i,1", "2,bob,i,1")
    copying.run()
    (copying.folder / "data/1.csv").unlink()
    copying.events(2, "1,Ada,i,2")
    copying.run(full_refresh=("raw", "customers"), accept_loss=True)
    copying.run()
    assert copying.copy == [(1, "Ada", 2)]


def test_a_crash_after_the_copy_was_changed_sends_nothing_twice(
    copying: CopyShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    copying.events(1, "1,ada,i,1")
    copying.run()
    copying.query(
        "CREATE TABLE log (what text)",
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO log VALUES (TG_OP); RETURN NULL; END $$",
        "CREATE TRIGGER noted AFTER INSERT OR UPDATE OR DELETE ON copy"
        " FOR EACH ROW EXECUTE FUNCTION note()",
    )
    copying.events(2, "1,Ada,u,2", "2,bob,i,2")
    publish = PostgresSink.publish

    def dying(*args: Any) -> None:
        publish(*args)
        raise SourceUnavailableError("the connection went away after the commit")

    monkeypatch.setattr(PostgresSink, "publish", dying)
    assert "copy" in copying.failures()
    monkeypatch.undo()
    monkeypatch.setenv("SHOP_URL", copying.url)
    copying.run()
    assert copying.copy == [(1, "Ada", 2), (2, "bob", 2)]
    assert sorted(copying.query("SELECT what FROM log")) == [("INSERT",), ("UPDATE",)]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT * FROM STREAM raw", "have no column _change_type"),
        (
            "SELECT * REPLACE (NULL::BIGINT AS id) FROM STREAM table_changes('customers')",
            "is NULL",
        ),
        ("SELECT * REPLACE (7 AS id) FROM STREAM table_changes('customers')", "the same key"),
        ("SELECT * EXCLUDE (id) FROM STREAM table_changes('customers')", "no column 'id'"),
    ],
)
def test_rows_that_cannot_change_a_copy(copying: CopyShop, query: str, said: str) -> None:
    copying.python(SENDING.replace("SELECT * FROM STREAM table_changes('customers')", query))
    copying.events(1, "1,ada,i,1", "2,bob,i,1")
    assert said in str(copying.failures()["copy"])
    assert copying.query("SELECT to_regclass('copy')::text") == [(None,)]


@pytest.mark.parametrize(
    ("before", "after", "value", "type_", "values"),
    [
        ("int", "bigint", "3000000000", "bigint", ["1", "3000000000"]),
        ("bigint", "numeric(10, 2)", "2.50", "decimal(21,2)", ["1.00", "2.50"]),
        ("numeric(10, 2)", "numeric(12, 4)", "2.5001", "decimal(12,4)", ["1.0000", "2.5001"]),
        ("int", "float8", "0.5", "double", ["0.5", "1.0"]),
        ("int", "text", "'a'", "string", ["1", "a"]),
        ("numeric(10, 2)", "numeric", "2.123456", "string", ["1", "2.123456"]),
        ("date", "timestamp", "'2026-01-02 03:04'", "timestamp_ntz", None),
    ],
)
def test_columns_of_a_table_widen_as_those_of_files(
    shop: PostgresShop, before: str, after: str, value: str, type_: str, values: list[str] | None
) -> None:
    first = "'2026-01-01'" if before == "date" else "1"
    shop.query(
        f"CREATE TABLE t (id int PRIMARY KEY, v {before})", f"INSERT INTO t VALUES (1, {first})"
    )
    shop.python("")
    shop.sql(
        "CREATE STREAMING TABLE bronze AS SELECT * FROM"
        " STREAM read_postgres('t', url => '${shop}', cursor => 'id');"
        "CREATE STREAMING TABLE silver AS SELECT id, v FROM STREAM bronze;"
    )
    shop.run()
    shop.query(f"ALTER TABLE t ALTER v TYPE {after}", f"INSERT INTO t VALUES (2, {value})")
    with Session.open(shop.folder) as session:
        planned = [d.consequence for d in plan(session).datasets]
    assert all(text.startswith("column 'v' widens from") for text in planned), planned
    shop.run()
    for name in ("bronze", "silver"):
        with qanat.open(shop.folder) as project:
            assert str(project.table(name).columns[1].type) == type_
        rows = shop.rows(name)
        assert len(rows) == 2
        if values is not None:
            assert sorted(str(v) for _, v in rows) == values
