"""A project that reads from PostgreSQL and sends to it, run through the public functions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

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
