"""Tables that are kept by changes are promoted with all that later changes need."""

from __future__ import annotations

from pathlib import Path

import pytest

from qanat.errors import PromotionError
from qanat.run.promote import Promotion, promote
from qanat.run.quarantine import replay
from qanat.run.session import Session
from tests.acceptance.projects import Shop

SPEC = "name: shop\nthreads: 1\nenvironments: {dev: {}, prod: {}, alone: {}}\n"
SOURCE = "read_files('data/*.csv', schema => 'id BIGINT, v STRING, op STRING, at BIGINT')"
VIEW = f"CREATE TEMPORARY VIEW c AS SELECT * FROM STREAM {SOURCE};\n"
CDC = (
    "CREATE STREAMING TABLE t"
    " (CONSTRAINT known EXPECT (v <> 'bad') ON VIOLATION QUARANTINE ROW);\n"
    "CREATE FLOW f AS AUTO CDC INTO t FROM STREAM c KEYS (id) APPLY AS DELETE WHEN op = 'd'"
    " SEQUENCE BY at COLUMNS {columns} STORED AS SCD TYPE {scd};\n"
)
KINDS = {
    "hidden sequence": VIEW + CDC.format(columns="(id, v)", scd=1),
    "sequence in the table": VIEW + CDC.format(columns="* EXCEPT (op)", scd=1),
    "history": VIEW + CDC.format(columns="(id, v)", scd=2),
    "keys": VIEW + "CREATE STREAMING TABLE t KEYS (id) AS SELECT id, v FROM STREAM c;\n",
    "overwritten": VIEW + "CREATE STREAMING TABLE t PARTITIONED BY (id)"
    " TBLPROPERTIES ('qanat.incremental_strategy' = 'insert_overwrite')"
    " AS SELECT v, id FROM STREAM c;\n",
    "clauses": VIEW + "CREATE STREAMING TABLE t (id BIGINT, v STRING);\n"
    "CREATE FLOW f AS MERGE INTO t USING (SELECT * FROM STREAM c) AS s ON t.id = s.id"
    " WHEN MATCHED AND s.op = 'd' THEN DELETE WHEN MATCHED THEN UPDATE SET v = s.v"
    " WHEN NOT MATCHED AND s.op <> 'd' THEN INSERT (id, v) VALUES (s.id, s.v);\n",
}
FILES = {
    "data/1.csv": "id,v,op,at\n1,a,u,10\n2,b,u,10\n3,c,u,10\n4,bad,u,10\n",
    "data/2.csv": "id,v,op,at\n2,bb,u,20\n3,x,d,30\n",
    # Late for 3, which is deleted, and for 2; newer for 1.
    "data/3.csv": "id,v,op,at\n3,late,u,20\n2,old,u,15\n1,aa,u,40\n5,e,u,1\n",
    "data/4.csv": "id,v,op,at\n5,x,d,50\n3,again,u,60\n",
}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    shop.file("qanat.yml", SPEC)
    return shop


def promoted(shop: Shop) -> None:
    with Session.open(shop.folder, "prod") as session:
        promote(session, Promotion(("t",), "dev"))


@pytest.mark.parametrize(
    ("kind", "after"), [*((kind, 2) for kind in KINDS), ("hidden sequence", 1), ("history", 3)]
)
def test_the_table_carries_on_from_there(shop: Shop, kind: str, after: int) -> None:
    """As one that has read everything itself: late events find what is newer, and tombstones."""
    shop.sql(KINDS[kind])
    for number, (name, text) in enumerate(FILES.items(), 1):
        shop.file(name, text)
        shop.run("alone")
        if number <= after:
            shop.run("dev")
        if number == after:
            promoted(shop)
            assert shop.rows("t", "prod") == shop.rows("t", "dev")
            assert {r.status for r in shop.run("prod").values()} == {"unchanged"}
        elif number > after:
            assert shop.run("prod")["t"].read > 0
        if number >= after:
            assert sorted(shop.rows("t", "prod")) == sorted(shop.rows("t", "alone"))
    if "known" in KINDS[kind]:
        assert len(shop.rows("t__quarantine", "prod")) == 1
        shop.sql(KINDS[kind].replace("v <> 'bad'", "v <> 'worse'"))
        for environment in ("prod", "alone"):
            with Session.open(shop.folder, environment) as session:
                assert [r.replayed for r in replay(session)] == [1]
        assert sorted(shop.rows("t", "prod")) == sorted(shop.rows("t", "alone"))


def test_it_takes_the_place_of_what_is_there(shop: Shop) -> None:
    shop.sql(KINDS["hidden sequence"])
    shop.file("data/1.csv", FILES["data/1.csv"])
    shop.run("prod")
    shop.file("data/2.csv", FILES["data/2.csv"])
    shop.run("dev")
    promoted(shop)
    shop.file("data/3.csv", FILES["data/3.csv"])
    shop.run("prod")
    assert sorted(shop.rows("t", "prod")) == [(1, "aa"), (2, "bb"), (5, "e")]


def test_snapshots_go_on(shop: Shop) -> None:
    shop.sql(
        "CREATE STREAMING TABLE t FLOW AUTO CDC FROM SNAPSHOT read_files('data/s.csv')"
        " KEYS (id) STORED AS SCD TYPE 2;"
    )
    shop.file("data/s.csv", "id,v\n1,a\n2,b\n")
    shop.run("dev")
    promoted(shop)
    before = shop.rows("t", "prod")
    assert before == shop.rows("t", "dev")
    shop.run("prod")
    assert shop.rows("t", "prod") == before
    shop.file("data/s.csv", "id,v\n1,aa\n")
    shop.run("prod")
    found = sorted((row[0], row[1], row[-1] is None) for row in shop.rows("t", "prod"))
    assert found == [(1, "a", False), (1, "aa", True), (2, "b", False)]


def test_iceberg_tables_cannot_take_them_over(shop: Shop) -> None:
    shop.file("qanat.yml", SPEC.replace("prod: {}", "prod: {table_format: iceberg}"))
    shop.sql(KINDS["keys"])
    shop.file("data/1.csv", FILES["data/1.csv"])
    shop.run("dev")
    with pytest.raises(PromotionError, match="only tables of Delta Lake"):
        promoted(shop)
