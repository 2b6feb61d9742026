"""Datasets as Python functions: what they can take and return, and how they fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from qanat.engines.duckdb.engine import DuckDBEngine
from qanat.model.staged import Staged
from qanat.model.work import Work
from qanat.ports.engine import Progress
from qanat.run.look import show
from qanat.run.session import Session
from tests.acceptance.projects import Shop

ORDERS = (
    "CREATE STREAMING TABLE orders AS SELECT * FROM STREAM read_files('data/*.csv',"
    " schema => 'id BIGINT, amount BIGINT');\n"
)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    shop.file("data/january.csv", "id,amount\n1,10\n2,20\n3,\n")
    shop.sql(ORDERS)
    return shop


VIEWS = {
    "sql": "def v() -> str:\n    return 'SELECT id, amount * 2 AS twice FROM orders'",
    "ibis": "import ibis\n@dp.materialized_view\ndef v():\n"
    "    orders = ibis.table({'id': 'int64', 'amount': 'int64'}, name='orders')\n"
    "    return orders.select('id', twice=orders.amount * 2)",
    "arrow": "import pyarrow as pa\nimport pyarrow.compute as pc\n@dp.materialized_view\n"
    "def v(orders: pa.Table) -> pa.Table:\n"
    "    twice = pc.multiply(orders['amount'], 2)\n"
    "    return pa.table({'id': orders['id'], 'twice': twice})",
    "polars": "import polars as pl\n@dp.materialized_view\n"
    "def v(orders: pl.DataFrame) -> pl.DataFrame:\n"
    "    return orders.select('id', twice=pl.col('amount') * 2)",
    "lazy": "import polars as pl\n@dp.materialized_view\n"
    "def v(orders: pl.LazyFrame) -> pl.LazyFrame:\n"
    "    return orders.select('id', twice=pl.col('amount') * 2)",
    "pandas": "import pandas as pd\n@dp.materialized_view\n"
    "def v(orders: pd.DataFrame) -> pd.DataFrame:\n"
    "    orders['twice'] = (orders.amount * 2).astype('Int64')\n"
    "    return orders[['id', 'twice']]",
    "list": "import pyarrow as pa\n@dp.materialized_view\ndef v(orders: pa.Table):\n"
    "    return [{'id': r['id'], 'twice': r['amount'] and r['amount'] * 2}"
    " for r in orders.to_pylist()]",
}


@pytest.mark.parametrize("kind", VIEWS)
def test_views(shop: Shop, kind: str) -> None:
    code = VIEWS[kind]
    if "@dp" not in code:
        code = f"@dp.materialized_view\n{code}"
    shop.python(code + "\n")
    shop.run()
    assert shop.rows("v") == [(1, 20), (2, 40), (3, None)]
    assert shop.columns("v") == ["id bigint", "twice bigint"]
    assert shop.run()["v"].status == "unchanged"


def test_a_stream(shop: Shop) -> None:
    """The first parameter of a table's function is a stream: it gets each row once."""
    shop.python(
        "import pyarrow as pa\n"
        "from pathlib import Path\n"
        "@dp.table\n"
        "@dp.expect_or_quarantine('has_amount', 'amount IS NOT NULL')\n"
        "def kept(orders: pa.Table) -> pa.Table:\n"
        "    with open(Path(__file__).parent / 'seen.txt', 'a') as seen:\n"
        "        seen.write(f'{len(orders)} ')\n"
        "    return orders\n"
    )
    shop.run()
    shop.file("data/february.csv", "id,amount\n4,40\n")
    shop.run()
    shop.run()
    assert shop.rows("kept") == [(1, 10), (2, 20), (4, 40)]
    assert shop.quarantined("kept") == [(3, ["has_amount"])]
    assert (shop.folder / "transformations/seen.txt").read_text() == "3 1 "


def test_rules_of_every_action(shop: Shop) -> None:
    shop.python(
        "@dp.table\n"
        "@dp.expect('warns', 'id > 1')\n"
        "@dp.expect_or_drop('drops', 'amount < 20')\n"
        "@dp.expect_all_or_quarantine({'keeps': 'id <> 3', 'one': 'UNIQUE (id)'})\n"
        "@dp.expect_all_or_fail({'fails': 'id < 100'})\n"
        "def kept():\n"
        "    return 'SELECT * FROM STREAM orders'\n"
    )
    result = shop.run()["kept"]
    counted = {r.rule: (r.action, r.violations) for r in result.rules}
    assert counted == {
        "warns": ("warn", 1),
        "drops": ("drop", 2),
        "keeps": ("quarantine", 1),
        "one": ("quarantine", 0),
        "fails": ("fail", 0),
    }
    assert shop.rows("kept") == [(1, 10)]


def test_a_function_that_raises(shop: Shop) -> None:
    shop.python(
        "import pyarrow as pa\n"
        "@dp.materialized_view\n"
        "def broken(orders: pa.Table) -> pa.Table:\n"
        "    rows = len(orders)\n"
        "    raise ValueError(f'{rows} rows are too few')\n"
    )
    assert shop.problems() == []
    error = shop.failures()["broken"]
    assert "broken raised ValueError: 3 rows are too few" in error.message
    assert str(error.location) == "transformations/all.py:6"
    assert shop.rows("orders") == [(1, 10), (2, 20), (3, None)]


RAISED = {
    "sys.exit(0)": "SystemExit: 0",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    "raise Own('odd')": "Own: odd",
    "raise pl.exceptions.PanicException('index out of bounds')": "PanicException: index out",
    "return duckdb.sql('SELECT nothing').pl()": "BinderException",
    "return pa.RecordBatchReader.from_batches(ONE, late())": "ValueError: late",
    "return orders.lazy().map_batches(late_frame)": "SystemExit: 3",
}


@pytest.mark.parametrize("statement", RAISED)
@pytest.mark.parametrize("kind", ["materialized_view", "temporary_view"])
def test_whatever_a_function_raises_fails_its_dataset(
    shop: Shop, statement: str, kind: str
) -> None:
    line = 9 if "late()" in statement else 11 if "late_frame" in statement else 14
    shop.python(
        "import sys\n"
        "import duckdb\n"
        "import polars as pl\n"
        "import pyarrow as pa\n"
        "class Own(BaseException): ...\n"
        "ONE = pa.schema({'id': pa.int64()})\n"
        "def late():\n"
        "    raise ValueError('late'); yield\n"
        "def late_frame(frame):\n"
        "    sys.exit(3)\n"
        f"@dp.{kind}\n"
        f"def v(orders: pl.DataFrame):\n    {statement}\n"
    )
    shop.sql(f"{ORDERS}CREATE MATERIALIZED VIEW w AS SELECT * FROM v;\n")
    failures = shop.failures()
    failed = "w" if kind == "temporary_view" else "v"
    assert f"v raised {RAISED[statement]}" in failures[failed].message
    assert str(failures[failed].location) == f"transformations/all.py:{line}"
    assert shop.rows("orders") == [(1, 10), (2, 20), (3, None)]


def test_a_panic_outside_of_functions_fails_one_dataset(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    panic = type("PanicException", (BaseException,), {})

    def raises(engine: DuckDBEngine, work: Work, progress: Progress) -> Staged:
        if work.dataset == "v":
            raise panic("index out of bounds")
        return stage(engine, work, progress)

    stage = DuckDBEngine.stage
    monkeypatch.setattr(DuckDBEngine, "stage", raises)
    shop.sql(f"{ORDERS}CREATE MATERIALIZED VIEW v AS SELECT * FROM orders;\n")
    assert "PanicException: index out of bounds" in shop.failures()["v"].message
    assert shop.rows("orders") == [(1, 10), (2, 20), (3, None)]


def test_whatever_a_file_raises_is_a_problem_of_the_file(shop: Shop) -> None:
    shop.python("class Own(BaseException): ...\nraise Own('odd')\n")
    (problem,) = shop.problems()
    assert problem == "transformations/all.py:3: Own: odd"


def test_a_function_that_returns_no_table(shop: Shop) -> None:
    shop.python(
        "import pyarrow as pa\n@dp.materialized_view\n"
        "def broken(orders: pa.Table):\n    return 3\n"
    )
    error = shop.failures()["broken"]
    assert (error.message, error.got) == ("broken returned no table", "int")
    assert str(error.location) == "transformations/all.py:4:1"


def test_nothing_is_called_to_validate(shop: Shop) -> None:
    shop.python(
        "import pyarrow as pa\n@dp.materialized_view\n"
        "def v(orders: pa.Table) -> pa.Table:\n    raise SystemExit('called')\n"
        "@dp.materialized_view\ndef w():\n    return 'SELECT nothing FROM v'\n"
        "@dp.materialized_view\ndef x():\n    return 'SELECT idd FROM orders'\n"
    )
    (problem,) = shop.problems()
    assert "no column 'idd' (did you mean 'id'?)" in problem


def test_no_rows(shop: Shop) -> None:
    shop.file("data/january.csv", "id,amount\n")
    shop.python(
        "import polars as pl\n@dp.materialized_view\n"
        "def v(orders: pl.DataFrame) -> pl.DataFrame:\n    return orders\n"
    )
    shop.run()
    assert shop.rows("v") == []
    assert shop.columns("v") == ["id bigint", "amount bigint"]


def test_values_of_the_configuration_stand_in_every_text_of_a_decorator(shop: Shop) -> None:
    shop.file(
        "qanat.yml",
        "name: shop\nconfiguration:\n  format: csv\n  out: sent\n  type: BIGINT\n  least: 15\n"
        "  column: id\n",
    )
    shop.python(
        "dp.create_sink('out', '${format}', {'path': '${out}/here'})\n"
        "@dp.append_flow(target='out')\ndef sent():\n    return 'SELECT * FROM STREAM orders'\n"
        "@dp.materialized_view(comment='goes to ${out}', table_properties={'goes': '${out}'},\n"
        "    partition_cols=['${column}'], schema='id ${type}, amount ${type}')\n"
        "@dp.expect_or_drop('enough', 'amount > ${least}')\n"
        "def v():\n    return 'SELECT * FROM orders'\n"
    )
    shop.run()
    assert shop.rows("v") == [(2, 20)]
    assert [p.parent.parent.name for p in shop.folder.rglob("here/*.csv")] == ["sent"]
    with Session.open(shop.folder) as session:
        found = show(session, "v")
        properties = dict(session.pipeline.dataset("v").properties)
    assert (found.comment, found.partition_by) == ("goes to sent", ("id",))
    assert properties["goes"] == "sent"
    shop.python("@dp.table(comment='${cmment}')\ndef v(): return 'SELECT * FROM STREAM orders'\n")
    (problem,) = shop.problems()
    assert "no configuration 'cmment'" in problem
