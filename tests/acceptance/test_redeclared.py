"""Columns that are declared anew with wider types: tables are written again, as a plan says."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import qanat
from qanat.run.plan import plan
from qanat.run.session import Session
from tests.acceptance.projects import Shop

READ = "read_files('data/*.csv', schema => 'id BIGINT, v STRING')"
ROWS = f"SELECT id, TRY_CAST(v AS {{}}) AS v FROM STREAM {READ}"
RULE = "CONSTRAINT known EXPECT (id > 0) ON VIOLATION QUARANTINE ROW"
PLAIN = f"CREATE STREAMING TABLE t (id BIGINT, v {{}}, {RULE}) AS {ROWS};\n"
KEYED = f"CREATE STREAMING TABLE t (id BIGINT, v {{}}, {RULE}) KEYS (id) AS {ROWS};\n"
MERGED = (
    "CREATE STREAMING TABLE t (id BIGINT, v {});\n"
    f"CREATE FLOW f AS MERGE INTO t USING (SELECT id, TRY_CAST(v AS {{}}) AS v FROM STREAM {READ})"
    " AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET v = s.v"
    " WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.id, s.v);\n"
)
CHANGED = (
    "CREATE STREAMING TABLE t (id BIGINT, v {}, at BIGINT);\n"
    "CREATE FLOW f AS AUTO CDC INTO t FROM STREAM c KEYS (id) SEQUENCE BY at;\n"
    f"CREATE TEMPORARY VIEW c AS SELECT id, TRY_CAST(v AS {{}}) AS v, id AS at FROM STREAM {READ};"
)


def declare(shop: Shop, kind: str, type_: str) -> None:
    below = "CREATE STREAMING TABLE below AS SELECT id, v FROM STREAM t;\n"
    shop.sql(kind.format(type_, type_) + (below if kind is PLAIN else ""))


@pytest.mark.parametrize(
    ("table_format", "kind"),
    [
        ("delta", PLAIN),
        ("iceberg", PLAIN),
        ("delta", KEYED),
        ("delta", MERGED),
        ("delta", CHANGED),
    ],
)
@pytest.mark.parametrize(
    ("before", "after", "more", "type_", "values"),
    [
        ("INT", "BIGINT", "3000000000", "bigint", [1, 2, 3000000000]),
        ("BIGINT", "DECIMAL(10, 2)", "2.55", "decimal(10,2)", ["1.00", "2.00", "2.55"]),
        ("DECIMAL(6, 2)", "DECIMAL(10, 4)", "2.5", "decimal(10,4)", ["1.0", "2.0", "2.5"]),
        ("INT", "STRING", "x", "string", ["1", "2", "x"]),
        ("FLOAT", "DOUBLE", "0.1", "double", [1.0, 2.0, 0.1]),
    ],
)  # fmt: skip
def test_a_wider_type(
    tmp_path: Path,
    table_format: str,
    kind: str,
    before: str,
    after: str,
    more: str,
    type_: str,
    values: list[Any],
) -> None:
    shop = Shop(tmp_path)
    shop.file("qanat.yml", f"name: shop\ntable_format: {table_format}\n")
    declare(shop, kind, before)
    shop.file("data/1.csv", "id,v\n1,1\n-1,1\n")
    shop.run()
    shop.file("data/2.csv", "id,v\n2,2\n")
    shop.run()
    declare(shop, kind, after)
    shop.file("data/3.csv", f"id,v\n3,{more}\n-3,{more}\n")
    assert shop.problems() == []
    with Session.open(shop.folder) as session:
        planned = {d.dataset: d for d in plan(session).datasets}
    assert "column 'v' widens from " in planned["t"].consequence
    shop.run()
    rows = {row[0]: row[1] for row in shop.rows("t")}
    wanted = [Decimal(v) if "decimal" in type_ else v for v in values]
    assert [rows[id_] for id_ in (1, 2, 3)] == wanted
    with qanat.open(shop.folder) as project:
        assert str(project.table("t").columns[1].type) == type_
    if kind is PLAIN:
        assert [row[1] for row in sorted(shop.rows("below"))] == wanted
    assert {r.status for r in shop.run().values()} == {"unchanged"}


def test_values_that_would_change_stop_it(tmp_path: Path) -> None:
    """A DECIMAL(4, 2) has no room for 12345: the table cannot take it without a full refresh."""
    shop = Shop(tmp_path)
    declare(shop, PLAIN, "BIGINT")
    shop.file("data/1.csv", "id,v\n1,12345\n")
    shop.run()
    declare(shop, PLAIN, "DECIMAL(4, 2)")
    shop.file("data/2.csv", "id,v\n2,1.5\n")
    (problem,) = shop.problems()
    assert "column 'v' of t does not fit its table" in problem
    assert "does not fit its table" in str(shop.failures()["t"])
    assert shop.rows("t") == [(1, 12345)]
