"""A whole project on an engine that is not DuckDB and does not speak its SQL."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from qanat import plugins
from qanat.run.quarantine import replay, summary
from qanat.run.session import Session
from tests.acceptance.projects import Shop

SILVER = """\
CREATE STREAMING TABLE silver (
  CONSTRAINT positive EXPECT (amount > {least}) ON VIOLATION QUARANTINE ROW,
  CONSTRAINT one EXPECT UNIQUE (id) ON VIOLATION DROP ROW
) PARTITIONED BY (kind)
AS SELECT id, amount, concat('k', arrow_cast(id % 2, 'Utf8')) AS kind
FROM STREAM delta_scan('orders');

CREATE MATERIALIZED VIEW gold
AS SELECT kind, count(*) AS n, sum(amount) AS total FROM silver GROUP BY kind;
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    target = "tests.conformance.datafusion_engine:DATAFUSION"
    monkeypatch.setitem(plugins.BUILTIN["engines"], "datafusion", target)
    shop = Shop(tmp_path)
    shop.file("qanat.yml", "name: shop\nengine: datafusion\n")
    write_deltalake(str(tmp_path / "orders"), _orders([1, 2, 3, 4], [5, -1, None, 7]))
    shop.sql(SILVER.format(least=0))
    return shop


def _orders(ids: list[int], amounts: list[int | None]) -> pa.Table:
    return pa.table({"id": ids, "amount": amounts})


def test_each_row_is_taken_once(shop: Shop) -> None:
    shop.run()
    assert shop.rows("silver") == [(1, 5, "k1"), (4, 7, "k0")]
    assert shop.rows("gold") == [("k0", 1, 7), ("k1", 1, 5)]
    assert shop.quarantined("silver") == [(2, ["positive"]), (3, ["positive"])]
    assert {d.status for d in shop.run().values()} == {"unchanged"}
    write_deltalake(str(shop.folder / "orders"), _orders([4, 5], [1, 2]), mode="append")
    silver = shop.run()["silver"].counts
    # 4 is in the table already.
    assert (silver.out, silver.written, silver.dropped) == (2, 1, 1)
    assert shop.rows("gold") == [("k0", 1, 7), ("k1", 2, 7)]


def test_quarantined_rows_that_pass_now_move(shop: Shop) -> None:
    shop.run()
    shop.sql(SILVER.format(least=-5))
    with Session.open(shop.folder) as session:
        (moved,) = replay(session)
        (left,) = summary(session)
    assert (moved.replayed, moved.remaining) == (1, 1)
    assert dict(left.rules) == {"positive": 1}
    assert shop.rows("silver") == [(1, 5, "k1"), (2, -1, "k0"), (4, 7, "k0")]
    assert [r[0] for r in shop.quarantined("silver")] == [3]


def test_a_mistake_is_told_with_its_place(shop: Shop) -> None:
    shop.sql(SILVER.format(least=0).replace("sum(amount)", "sum(amont)"))
    (problem,) = shop.problems()
    assert "all.sql:9:36" in problem
    assert "amont" in problem


def test_a_source_that_the_engine_cannot_read(shop: Shop) -> None:
    shop.file("in/a.csv", "id\n1\n")
    shop.sql("CREATE STREAMING TABLE bronze\nAS SELECT * FROM STREAM read_files('in/*.csv')")
    (error,) = shop.failures().values()
    assert "all.sql:2:" in str(error)
    assert "does not read csv files" in str(error)
