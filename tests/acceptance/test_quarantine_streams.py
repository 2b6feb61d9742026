"""Streams of quarantines take no row of an epoch that is taken back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qanat import plugins
from qanat.errors import AdapterError
from qanat.model.table import Commit
from tests.acceptance.projects import Shop

ORDERS = (
    "CREATE STREAMING TABLE orders"
    " (CONSTRAINT positive EXPECT (id > 0) ON VIOLATION QUARANTINE ROW)"
    " AS SELECT * FROM STREAM read_files('data/*.csv', schema => 'id BIGINT');"
)
OF_TABLE = f"{ORDERS} CREATE STREAMING TABLE bad AS SELECT id FROM STREAM orders__quarantine;"
OF_VIEW = (
    "CREATE TEMPORARY VIEW checked"
    " (CONSTRAINT positive EXPECT (id > 0) ON VIOLATION QUARANTINE ROW)"
    " AS SELECT * FROM STREAM read_files('data/*.csv', schema => 'id BIGINT');"
    "CREATE STREAMING TABLE orders AS SELECT * FROM STREAM checked;"
    "CREATE STREAMING TABLE bad AS SELECT id FROM STREAM checked__quarantine;"
)


def spec(name: str, table_format: str = "delta", more: str = "") -> str:
    return f"name: {name}\nthreads: 1\nstorage: storage\ntable_format: {table_format}\n{more}"


def refuse_orders(
    monkeypatch: pytest.MonkeyPatch, table_format: str, meanwhile: Callable[[], object]
) -> None:
    """Let each commit to `orders` fail, once something else has been done before it."""
    store = plugins.imported(plugins.table_format(table_format).store)
    publish = store.publish

    def refusing(self: Any, commit: Commit) -> Any:
        if commit.table.name != "orders":
            return publish(self, commit)
        meanwhile()
        raise AdapterError("the disk has a bad day")

    monkeypatch.setattr(store, "publish", refusing)


@pytest.mark.parametrize("table_format", ["delta", "iceberg"])
@pytest.mark.parametrize("sql", [OF_TABLE, OF_VIEW], ids=["of a table", "of a view"])
@pytest.mark.parametrize("before", [0, 1], ids=["first epoch", "later epoch"])
def test_a_stream_that_looks_in_the_middle_of_a_failing_epoch(
    tmp_path: Path, table_format: str, sql: str, before: int
) -> None:
    shop = Shop(tmp_path)
    shop.file("qanat.yml", spec("shop", table_format))
    shop.sql(sql)
    for file in range(1, before + 1):
        shop.file(f"data/{file}.csv", f"id\n{file}\n-{file}\n")
        shop.run()
    shop.file("data/9.csv", "id\n9\n-9\n")
    seen: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        refuse_orders(
            patch,
            table_format,
            lambda: seen.append(shop.run(select=("bad",))["bad"].counts.written),
        )
        assert set(shop.failures(select=("orders",))) == {"orders"}
    assert seen == [0]
    shop.run()
    wanted = sorted([(-9,), *((-f,) for f in range(1, before + 1))], key=repr)
    assert shop.rows("bad") == wanted


@pytest.mark.parametrize("table_format", ["delta", "iceberg"])
def test_another_project_that_looks_in_the_middle_of_a_failing_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table_format: str
) -> None:
    for name in ("shop", "mart"):
        (tmp_path / name).mkdir()
    shop, mart = Shop(tmp_path / "shop"), Shop(tmp_path / "mart")
    shop.file("qanat.yml", spec("shop", table_format))
    mart.file("qanat.yml", spec("mart"))
    shop.sql(ORDERS)
    mart.sql(
        "CREATE STREAMING TABLE bad AS SELECT id FROM STREAM"
        " read_table('orders__quarantine', project => '../shop');"
    )
    shop.file("data/1.csv", "id\n1\n-1\n")
    shop.run()
    shop.file("data/2.csv", "id\n2\n-2\n")
    with monkeypatch.context() as patch:
        refuse_orders(patch, table_format, mart.run)
        assert set(shop.failures()) == {"orders"}
    assert mart.rows("bad") == [(-1,)]
    shop.run()
    mart.run()
    assert mart.rows("bad") == [(-1,), (-2,)]


@pytest.mark.parametrize("sql", [OF_TABLE, OF_VIEW], ids=["of a table", "of a view"])
def test_an_environment_that_borrows_looks_in_the_middle_of_a_failing_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    shop = Shop(tmp_path)
    environments = "environments: {prod: {storage: prod}, dev: {from: prod}}\n"
    shop.file("qanat.yml", spec("shop", more=environments))
    shop.sql(sql)
    shop.file("data/1.csv", "id\n1\n-1\n")
    shop.run("prod", select=("orders",))
    shop.file("data/2.csv", "id\n2\n-2\n")
    with monkeypatch.context() as patch:
        refuse_orders(patch, "delta", lambda: shop.run("dev", select=("bad",)))
        assert set(shop.failures(environment="prod", select=("orders",))) == {"orders"}
    assert shop.rows("bad", "dev") == [(-1,)]
    shop.run("prod", select=("orders",))
    shop.run("dev", select=("bad",))
    assert shop.rows("bad", "dev") == [(-1,), (-2,)]
