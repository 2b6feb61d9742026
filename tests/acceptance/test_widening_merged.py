"""Types that widen in tables whose rows change: AUTO CDC, keys, MERGE INTO, snapshots."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

import qanat
from qanat.model.event import Warned
from qanat.run.plan import plan
from qanat.run.session import Session
from qanat.text import size as shown_size
from tests.acceptance.projects import Shop

FILES = "STREAM read_files('data/*.csv')"
KEYS = f"CREATE STREAMING TABLE t KEYS (id) AS SELECT * FROM {FILES};"
OVERWRITE = (
    "CREATE STREAMING TABLE t PARTITIONED BY (p) TBLPROPERTIES ('qanat.incremental_strategy' ="
    f" 'insert_overwrite') AS SELECT * FROM {FILES};"
)
CDC = (
    "CREATE STREAMING TABLE t; CREATE FLOW f AS AUTO CDC INTO t FROM {} KEYS (id)"
    " {}SEQUENCE BY {} COLUMNS * EXCEPT (op) {}STORED AS SCD TYPE {};"
)
DELETES = "APPLY AS DELETE WHEN op = 'd' "
MERGE_INTO = (
    f"CREATE STREAMING TABLE t; CREATE FLOW f AS MERGE INTO t USING {FILES} AS s ON t.id = s.id"
)
ONE = CDC.format(FILES, DELETES, "seq", "", 1)
TWO = CDC.format(FILES, DELETES, "seq", "", 2)
HEAD = "id,v,op,seq\n"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def foreseen(shop: Shop) -> str:
    with Session.open(shop.folder) as session:
        (decision,) = plan(session).datasets
    return decision.consequence or ""


def told(shop: Shop) -> list[str]:
    with qanat.open(shop.folder) as project:
        return [e.event.message for e in project.events().events if isinstance(e.event, Warned)]


def feed(shop: Shop, *columns: str) -> list[tuple[Any, ...]]:
    """The changes of the last version as delta-rs reads them."""
    table = DeltaTable(shop.table("t"))
    rows = pa.table(table.load_cdf(starting_version=table.version())).to_pylist()
    return sorted((tuple(r[c] for c in ("_change_type", *columns)) for r in rows), key=repr)


def test_keys_widen_as_plan_says(shop: Shop) -> None:
    """Files that no row of the epoch touches are written again, too."""
    shop.sql(KEYS)
    shop.file("data/1.csv", "id,v\n1,10\n")
    shop.run()
    shop.file("data/2.csv", "id,v\n2,20\n3,30\n")
    shop.run()
    shop.file("data/3.csv", "id,v\n2,2.5\n4,7\n")
    size = sum(f.stat().st_size for f in Path(shop.table("t")).glob("*.parquet"))
    message = "column 'v' widens from bigint to decimal(38,6): 2 files, {}, {{}} written again"
    message = message.format(shown_size(size), "{}")
    assert foreseen(shop) == message.format("are")
    shop.run()
    assert told(shop) == [message.format("were")]
    wide = [(1, Decimal(10)), (2, Decimal("2.5")), (3, Decimal(30)), (4, Decimal(7))]
    assert shop.rows("t") == wide
    table = DeltaTable(shop.table("t"))
    assert table.to_pyarrow_table().schema.field("v").type == pa.decimal128(38, 6)
    assert sorted(map(tuple, (r.values() for r in table.to_pyarrow_table().to_pylist()))) == wide
    assert feed(shop, "id", "v") == [
        ("insert", 4, Decimal(7)),
        ("update_postimage", 2, Decimal("2.5")),
        ("update_preimage", 2, Decimal(20)),
    ]
    table.load_as_version(table.version() - 1)
    assert table.to_pyarrow_table().sort_by("id").column("v").to_pylist() == [10, 20, 30]
    assert {r.status for r in shop.run().values()} == {"unchanged"}
    shop.file("data/4.csv", "id,v\n1,0.5\n")
    shop.run()
    assert shop.rows("t") == [(1, Decimal("0.5")), *wide[1:]]


def test_rows_that_are_only_new_are_all_that_streams_of_changes_get(shop: Shop) -> None:
    """Rows that were written again are no news, neither to a feed nor to a stream of new rows."""
    shop.sql(
        KEYS + "CREATE STREAMING TABLE changes AS SELECT * FROM STREAM table_changes('t');"
        "CREATE STREAMING TABLE news AS SELECT * FROM STREAM t WITH (skip_change_commits);"
    )
    shop.file("data/1.csv", "id,v\n1,10\n2,20\n")
    shop.run()
    shop.file("data/2.csv", "id,v\n3,2.5\n")
    shop.run()
    assert shop.rows("news") == [(1, Decimal(10)), (2, Decimal(20)), (3, Decimal("2.5"))]
    assert [r[:3] for r in shop.rows("changes")] == [
        (1, Decimal(10), "insert"),
        (2, Decimal(20), "insert"),
        (3, Decimal("2.5"), "insert"),
    ]
    shop.file("data/3.csv", "id,v\n2,much\n")
    shop.run()
    assert shop.rows("t") == [(1, "10"), (2, "much"), (3, "2.5")]
    assert {r[:3] for r in shop.rows("changes")} == {
        (1, "10", "insert"),
        (2, "20", "insert"),
        (3, "2.5", "insert"),
        (2, "20", "update_preimage"),
        (2, "much", "update_postimage"),
    }


def test_partitions_widen(shop: Shop) -> None:
    shop.sql(OVERWRITE)
    shop.file("data/1.csv", "p,v\n1,a\n2,b\n")
    shop.run()
    shop.file("data/2.csv", "p,v\n2.5,c\n2,d\n")
    shop.run()
    assert shop.columns("t") == ["p decimal(38,6)", "v string"]
    assert sorted(shop.rows("t")) == [(Decimal(1), "a"), (Decimal(2), "d"), (Decimal("2.5"), "c")]


@pytest.mark.parametrize("scd", [1, 2])
def test_auto_cdc_widens_with_its_events(shop: Shop, scd: int) -> None:
    """The sequence, too; and what is kept beside the table still decides about late events."""
    shop.sql(ONE if scd == 1 else TWO)
    shop.file("data/1.csv", f"{HEAD}1,10,u,5\n2,20,u,5\n3,30,u,5\n")
    shop.run()
    shop.file("data/2.csv", f"{HEAD}2,20,d,7\n4,40,u,9\n4,41,d,8\n")
    shop.run()
    shop.file("data/3.csv", f"{HEAD}1,10.5,u,6.5\n5,50,u,1\n")
    shop.run()
    d = Decimal
    if scd == 1:
        assert shop.columns("t") == ["id bigint", "v decimal(38,6)", "seq decimal(38,6)"]
        assert shop.rows("t") == [
            (1, d("10.5"), d("6.5")), (3, d(30), d(5)), (4, d(40), d(9)), (5, d(50), d(1)),
        ]  # fmt: skip
    else:
        assert shop.columns("t")[-2:] == ["__START_AT decimal(38,6)", "__END_AT decimal(38,6)"]
        assert [(r[0], r[1], *r[3:]) for r in shop.rows("t")] == [
            (1, d(10), d(5), d("6.5")),
            (1, d("10.5"), d("6.5"), None),
            (2, d(20), d(5), d(7)),
            (3, d(30), d(5), None),
            (4, d(40), d(9), None),
            (5, d(50), d(1), None),
        ]
    # Late: the deletion of 2 at 7 came before.
    shop.file("data/4.csv", f"{HEAD}2,21,u,6.25\n4,42,u,7.5\n")
    shop.run()
    found = shop.rows("t")
    if scd == 1:
        assert [r[0] for r in found] == [1, 3, 4, 5]
        assert found[2] == (4, d(40), d(9))
    else:
        assert {(r[1], *r[3:]) for r in found if r[0] in (2, 4)} == {
            (d(20), d(5), d("6.25")),
            (d(21), d("6.25"), d(7)),
            (d(42), d("7.5"), d(8)),
            (d(40), d(9), None),
        }


@pytest.mark.parametrize("ignoring", ["", "IGNORE NULL UPDATES "])
@pytest.mark.parametrize("sequence", ["seq", "(seq, id)", "seq + 1"])
@pytest.mark.parametrize("scd", [1, 2])
def test_widened_in_between_is_the_same_as_all_at_once(
    tmp_path: Path, ignoring: str, sequence: str, scd: int
) -> None:
    """Whatever tells the sequence: a column, several, or a hidden one."""
    texts = (
        f"{HEAD}1,10,u,5\n2,20,u,5\n3,,u,5\n6,60,u,5\n",
        f"{HEAD}2,,d,7\n4,40,u,9\n4,,d,8\n3,3,u,4\n6,,u,8\n",
        f"{HEAD}1,10.5,u,6.5\n5,,u,1\n",
        f"{HEAD}2,21,u,6.25\n4,42,u,7.5\n3,,u,4.5\n6,61,u,7\n1,,u,12345678.5\n",
    )
    sql = CDC.format(FILES, ignoring + DELETES, sequence, "", scd)
    shop, whole = Shop(tmp_path / "a"), Shop(tmp_path / "b")
    shop.sql(sql)
    whole.sql(sql)
    for number, text in enumerate(texts):
        shop.file(f"data/{number}.csv", text)
        whole.file(f"data/{number}.csv", text)
        shop.run()
    whole.run()
    assert numbers(shop.rows("t")) == numbers(whole.rows("t"))
    assert len(shop.rows("t")) > 3


def numbers(rows: list[Any]) -> list[Any]:
    """Values without their types: read at once, the files have others."""
    return sorted((tuple(map(number, row)) for row in rows), key=repr)


def number(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: number(v) for k, v in value.items()}
    return float(value) if isinstance(value, int | float | Decimal) else value


moment = datetime.fromisoformat


def test_a_sequence_does_not_become_text(shop: Shop) -> None:
    """Texts of numbers have another order: such rows wait in quarantine."""
    shop.sql(ONE)
    shop.file("data/1.csv", f"{HEAD}1,10,u,5\n")
    shop.run()
    shop.file("data/2.csv", f"{HEAD}1,11,u,later\n1,12,u,soon\n2,1,u,6\n")
    shop.run()
    assert shop.columns("t") == ["id bigint", "v bigint", "seq bigint"]
    assert shop.rows("t") == [(1, 10, 5), (2, 1, 6)]
    assert [rules for _, rules in shop.quarantined("t")] == [["_malformed"]] * 2


def test_days_become_moments_in_a_sequence(shop: Shop) -> None:
    shop.sql(TWO)
    shop.file("data/1.csv", f"{HEAD}1,10,u,2024-01-01\n")
    shop.run()
    shop.file("data/2.csv", f"{HEAD}1,11,u,2024-01-01 10:00:00\n")
    shop.run()
    assert shop.columns("t")[-1] == "__END_AT timestamp_ntz"
    assert sorted((r[1], r[3], r[4]) for r in shop.rows("t")) == [
        (10, moment("2024-01-01 00:00"), moment("2024-01-01 10:00")),
        (11, moment("2024-01-01 10:00"), None),
    ]


CLAUSES = {
    "stars": " WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *;",
    "values": " WHEN MATCHED THEN UPDATE SET v = s.v"
    " WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.id, s.v);",
    "update": " WHEN MATCHED THEN UPDATE SET v = t.v + s.v"
    " WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.id, CAST(0 AS BIGINT));",
}


@pytest.mark.parametrize("clauses", list(CLAUSES))
def test_merge_into_widens(shop: Shop, clauses: str) -> None:
    shop.sql(MERGE_INTO + CLAUSES[clauses])
    shop.file("data/1.csv", "id,v\n1,10\n2,20\n")
    shop.run()
    before = {1: 10, 2: 20} if clauses != "update" else {1: 0, 2: 0}
    shop.file("data/2.csv", "id,v\n2,2.5\n3,1\n")
    shop.run()
    assert shop.columns("t")[1].startswith("v decimal")
    new = 1 if clauses != "update" else 0
    assert shop.rows("t") == [
        (1, Decimal(before[1])), (2, Decimal("2.5")), (3, Decimal(new)),
    ]  # fmt: skip


def test_snapshots_widen(shop: Shop) -> None:
    shop.sql(
        "CREATE STREAMING TABLE t; CREATE FLOW f AS AUTO CDC INTO t FROM SNAPSHOT"
        " read_files('data/*.csv') KEYS (id) STORED AS SCD TYPE 1;"
    )
    shop.file("data/1.csv", "id,v\n1,10\n2,20\n3,30\n")
    shop.run()
    shop.file("data/1.csv", "id,v\n1,10\n2,2.5\n")
    shop.run()
    assert shop.rows("t") == [(1, Decimal(10)), (2, Decimal("2.5"))]


def test_types_stay_where_the_author_says_so(shop: Shop) -> None:
    shop.sql(KEYS.replace("KEYS", "(id BIGINT, v BIGINT) KEYS"))
    shop.file("data/1.csv", "id,v\n1,10\n")
    shop.run()
    shop.file("data/2.csv", "id,v\n1,2.5\n2,7\n")
    shop.run()
    assert shop.rows("t") == [(1, 10), (2, 7)]
    assert len(shop.quarantined("t")) == 1


def test_a_replay_finds_the_wider_types(shop: Shop) -> None:
    """The quarantine widens along; rows that come back are no newer than before."""
    rule = "CONSTRAINT small EXPECT (v < {}) ON VIOLATION QUARANTINE ROW"
    sql = f"CREATE STREAMING TABLE t ({rule}) KEYS (id) AS SELECT * FROM {FILES};"
    shop.sql(sql.format(100))
    shop.file("data/1.csv", "id,v\n1,10\n2,500\n")
    shop.run()
    shop.file("data/2.csv", "id,v\n1,0.5\n3,600.5\n")
    shop.run()
    shop.sql(sql.format(1000))
    with qanat.open(shop.folder) as project:
        (replayed,) = project.replay("t")
    assert (replayed.replayed, replayed.remaining) == (2, 0)
    assert shop.rows("t") == [(1, Decimal("0.5")), (2, Decimal(500)), (3, Decimal("600.5"))]


@pytest.mark.parametrize("scd", [1, 2])
@pytest.mark.parametrize("first", ["1,10,d,5", "1,900,u,5"])
def test_a_table_without_rows_widens(shop: Shop, first: str, scd: int) -> None:
    """All that came was deleted, or waits in quarantine; the events that are kept still count."""
    rule = "CONSTRAINT small EXPECT (v < 100) ON VIOLATION QUARANTINE ROW"
    shop.sql((ONE if scd == 1 else TWO).replace("TABLE t;", f"TABLE t ({rule});"))
    shop.file("data/1.csv", f"{HEAD}{first}\n")
    shop.run()
    assert not shop.rows("t")
    shop.file("data/2.csv", f"{HEAD}1,5.5,u,3\n2,0.5,u,4.5\n")
    shop.run()
    late = (1, Decimal("5.5"), Decimal(3))
    found = [r[:3] for r in shop.rows("t")]
    new = (2, Decimal("0.5"), Decimal("4.5"))
    assert found == ([new] if scd == 1 and "d" in first else [late, new])


def test_keys_widen_without_rows(shop: Shop) -> None:
    rule = "CONSTRAINT small EXPECT (v < 100) ON VIOLATION QUARANTINE ROW"
    shop.sql(KEYS.replace("KEYS", f"({rule}) KEYS"))
    shop.file("data/1.csv", "id,v\n1,900\n")
    shop.run()
    shop.file("data/2.csv", "id,v\n1,5.5\n")
    shop.run()
    assert shop.rows("t") == [(1, Decimal("5.5"))]


def test_properties_that_others_set_stop_no_merge(shop: Shop) -> None:
    """delta-rs gives a table with a feed the version of mapped columns, which it has not."""
    shop.sql(KEYS)
    shop.file("data/1.csv", "id,v\n1,10\n")
    shop.run()
    kept = {"delta.logRetentionDuration": "interval 9 days"}
    DeltaTable(shop.table("t")).alter.set_table_properties(kept)
    assert DeltaTable(shop.table("t")).protocol().min_reader_version == 2
    shop.file("data/2.csv", "id,v\n1,11\n2,20\n")
    shop.run()
    assert shop.rows("t") == [(1, 11), (2, 20)]
    # A type that needs a feature which only version 3 can name.
    shop.file("data/3.csv", "id,v,at\n2,21,2024-01-01 10:00:00\n")
    shop.run()
    at = moment("2024-01-01 10:00:00")
    assert shop.rows("t") == [(1, 11, None), (2, 21, at)]
    table = DeltaTable(shop.table("t"))
    assert table.protocol().min_reader_version == 3
    assert table.metadata().configuration.items() >= kept.items()
    assert sorted(r["id"] for r in pa.table(table.scan()).to_pylist()) == [1, 2]
    shop.file("data/4.csv", "id,v,at\n3,30,2024-01-01 10:00:00\n")
    shop.run()
    assert len(shop.rows("t")) == 3
