"""Types that widen with the files: tables are written again, and no value changes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from pyiceberg.catalog.sql import SqlCatalog

import qanat
from qanat.model.event import Warned
from qanat.run.plan import plan
from qanat.run.session import Session
from tests.acceptance.projects import Shop

BRONZE = "CREATE STREAMING TABLE bronze AS SELECT * FROM STREAM read_files('data/*.csv');\n"
SILVER = "CREATE STREAMING TABLE silver AS SELECT id, amount FROM STREAM bronze;\n"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    shop.sql(BRONZE + SILVER)
    shop.file("data/1.csv", "id,amount\n1,10\n2,20\n")
    shop.run()
    return shop


def test_a_number_that_does_not_fit_widens_the_tables(shop: Shop) -> None:
    """The plan says so; other readers find the wider type, and the old version as it was."""
    shop.file("data/2.csv", "id,amount\n3,10.5\n4,7\n")
    foreseen = {
        "bronze": "column 'amount' widens from bigint to decimal(38,6):"
        f" 1 file, {size(shop, 'bronze')} B, is written again",
        "silver": "column 'amount' widens from bigint to decimal(38,6):"
        f" 1 file, {size(shop, 'silver')} B, is written again",
    }
    with Session.open(shop.folder) as session:
        planned = {d.dataset: d.consequence for d in plan(session).datasets}
    assert planned == foreseen
    shop.run()
    wide = [(1, Decimal(10)), (2, Decimal(20)), (3, Decimal("10.5")), (4, Decimal(7))]
    assert shop.rows("bronze") == shop.rows("silver") == wide
    assert told(shop) == [(n, t.replace(" is ", " was ")) for n, t in foreseen.items()]
    table = DeltaTable(shop.table("bronze"))
    assert table.to_pyarrow_table().schema.field("amount").type == pa.decimal128(38, 6)
    table.load_as_version(0)
    old = table.to_pyarrow_table()
    assert old.schema.field("amount").type == pa.int64()
    assert old.sort_by("id").column("amount").to_pylist() == [10, 20]
    assert {r.status for r in shop.run().values()} == {"unchanged"}
    assert not Path(shop.table("bronze__quarantine")).exists()


def size(shop: Shop, dataset: str) -> int:
    return sum(f.stat().st_size for f in Path(shop.table(dataset)).glob("*.parquet"))


def told(shop: Shop) -> list[tuple[str | None, str]]:
    """The warnings of the last update, as the ledger has kept them."""
    with qanat.open(shop.folder) as project:
        events = project.events().events
    return [(e.event.dataset, e.event.message) for e in events if isinstance(e.event, Warned)]


@pytest.mark.parametrize(
    ("first", "later", "type_", "values"),
    [
        ("1", "12345678901234567890", "decimal(38,0)", [1, 12345678901234567890]),
        ("1", "0.1234567", "decimal(38,12)", [1, Decimal("0.1234567")]),
        # A double has not every whole number of 17 digits.
        ("12345678901234567", "0.5", "decimal(38,6)", [12345678901234567, Decimal("0.5")]),
        ("0.5", "12345678901234567", "decimal(38,6)", [Decimal("0.5"), 12345678901234567]),
        ("1", "1e300", "double", [1.0, 1e300]),
        ("0.12345678901234567", "1e300", "string", ["0.12345678901234567", "1e+300"]),
        ("12345678901234567", "1e300", "string", ["12345678901234567", "1e+300"]),
        # No decimal has both.
        ("1e300", "12345678901234567", "string", ["1e+300", "12345678901234567"]),
        ("1" * 20, "0.5", "decimal(38,6)", [int("1" * 20), Decimal("0.5")]),
        ("1" * 38, "0.5", "string", ["1" * 38, "0.5"]),
        ("1", "9" * 39, "string", ["1", "9" * 39]),
        ("2024-01-31", "2024-02-01 10:00:00", "timestamp_ntz", None),
        ("2024-01-31", "soon", "string", ["2024-01-31", "soon"]),
        ("true", "7", "string", ["true", "7"]),
        ("1", "00501", "string", ["1", "00501"]),
        ("1.50", "A7", "string", ["1.5", "A7"]),
    ],
)
def test_the_first_type_that_changes_no_value(
    tmp_path: Path, first: str, later: str, type_: str, values: list[object] | None
) -> None:
    shop = Shop(tmp_path)
    shop.sql(BRONZE)
    shop.file("data/1.csv", f"id,v\n1,{first}\n")
    shop.run()
    shop.file("data/2.csv", f"id,v\n2,{later}\n")
    shop.run()
    assert shop.columns("bronze") == ["id bigint", f"v {type_}"]
    found = [v for _, v in shop.rows("bronze")]
    assert found == values or values is None
    assert len(found) == 2


def test_a_few_texts_among_numbers_are_dirt(shop: Shop) -> None:
    """A column becomes text only if more than half of its new values are none of its numbers."""
    shop.file("data/2.csv", "id,amount\n3,10.5\n4,n/a\n5,30\n")
    shop.run()
    assert shop.columns("bronze") == ["id bigint", "amount decimal(38,6)"]
    assert shop.quarantined("bronze") == [(None, ["_malformed"])]
    shop.file("data/3.csv", "id,amount\n6,n/a\n7,n/a\n8,30\n")
    shop.run()
    assert shop.columns("bronze") == ["id bigint", "amount string"]
    assert [v for _, v in shop.rows("bronze")] == ["10", "20", "10.5", "30", "n/a", "n/a", "30"]


def test_a_stream_that_lags_behind_reads_each_row_once(shop: Shop) -> None:
    """Files from before and after two widenings, read together."""
    for number, amount in ((2, "7"), (3, "10.5"), (4, "8"), (5, "x7"), (6, "9")):
        shop.file(f"data/{number}.csv", f"id,amount\n{number + 1},{amount}\n")
        shop.run(select=("bronze",))
    assert shop.columns("bronze") == ["id bigint", "amount string"]
    assert shop.columns("silver") == ["id bigint", "amount bigint"]
    shop.run()
    expected = [(1, "10"), (2, "20"), (3, "7"), (4, "10.5"), (5, "8"), (6, "x7"), (7, "9")]
    assert shop.rows("bronze") == shop.rows("silver") == expected
    shop.file("data/7.csv", "id,amount\n8,1\n")
    shop.run()
    assert shop.rows("silver") == [*expected, (8, "1")]


def test_what_a_query_or_rule_cannot_take_waits_in_quarantine(tmp_path: Path) -> None:
    """The table keeps its type, and the dataset does not fail."""
    shop = Shop(tmp_path)
    shop.sql(
        "CREATE STREAMING TABLE bronze (CONSTRAINT positive EXPECT (amount > 0)) AS"
        " SELECT id, amount, amount * 2 AS twice FROM STREAM read_files('data/*.csv');"
    )
    shop.file("data/1.csv", "id,amount\n1,10\n")
    shop.run()
    shop.file("data/2.csv", "id,amount\n2,much\n")
    shop.run()
    assert shop.columns("bronze") == ["id bigint", "amount bigint", "twice bigint"]
    assert shop.quarantined("bronze") == [(None, ["_malformed"])]
    shop.file("data/3.csv", "id,amount\n3,0.5\n")
    shop.run()
    assert shop.rows("bronze") == [
        (1, Decimal(10), Decimal(20)),
        (3, Decimal("0.5"), Decimal(1)),
    ]


def test_rules_partitions_and_quarantine_widen_along(tmp_path: Path) -> None:
    """A key is known in its new type; rows in quarantine keep their columns, for a replay."""
    shop = Shop(tmp_path)
    rules = (
        "CONSTRAINT once EXPECT UNIQUE (v) ON VIOLATION DROP ROW,"
        " CONSTRAINT small EXPECT (v < {}) ON VIOLATION QUARANTINE ROW"
    )
    sql = (
        f"CREATE STREAMING TABLE t ({rules}) PARTITIONED BY (p) AS"
        " SELECT * FROM STREAM read_files('data/*.csv');"
    )
    shop.sql(sql.format(100))
    shop.file("data/1.csv", "v,p,q\n1,1,x\n500,1,x\n2,2,x\n")
    shop.run()
    shop.file("data/2.csv", "v,p,q\n1.0,1,y\n2.5,2.5,y\n500.5,1,y\n")
    shop.run()
    assert shop.columns("t") == ["v decimal(38,6)", "p decimal(38,6)", "q string"]
    good = [(Decimal(1), Decimal(1), "x"), (Decimal(2), Decimal(2), "x")]
    new = (Decimal("2.5"), Decimal("2.5"), "y")
    assert shop.rows("t") == [*good, new]
    assert shop.count("t") == 3
    waiting = [(Decimal(500), ["small"]), (Decimal("500.5"), ["small"])]
    assert shop.quarantined("t") == waiting
    shop.sql(sql.format(1000))
    with qanat.open(shop.folder) as project:
        (replayed,) = project.replay("t")
    assert (replayed.replayed, replayed.remaining) == (2, 0)
    assert [v for v, *_ in shop.rows("t")] == [
        *(v for v, *_ in good), Decimal("2.5"), Decimal(500), Decimal("500.5"),
    ]  # fmt: skip


def test_typed_files_widen_too(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.sql("CREATE STREAMING TABLE t AS SELECT * FROM STREAM read_files('data/*.parquet');")
    (tmp_path / "data").mkdir()
    narrow = pa.schema([("id", pa.int32()), ("v", pa.int64()), ("d", pa.date32())])
    rows = {"id": [1], "v": [2**53 + 1], "d": [1]}
    pq.write_table(pa.table(rows, narrow), tmp_path / "data/1.parquet")
    shop.run()
    wide = pa.schema([("id", pa.int64()), ("v", pa.float64()), ("d", pa.timestamp("us"))])
    rows = {"id": [2**40], "v": [0.1], "d": [1]}
    pq.write_table(pa.table(rows, wide), tmp_path / "data/2.parquet")
    shop.run()
    assert shop.columns("t") == ["id bigint", "v decimal(38,6)", "d timestamp_ntz"]
    assert [v for _, v, _ in shop.rows("t")] == [2**53 + 1, Decimal("0.1")]


def test_lists_and_structs_of_typed_files_widen_too(tmp_path: Path) -> None:
    """A double is taken only where it holds what is there."""
    shop = Shop(tmp_path)
    shop.sql("CREATE STREAMING TABLE t AS SELECT * FROM STREAM read_files('data/*.parquet');")
    (tmp_path / "data").mkdir()
    narrow = pa.schema([("v", pa.list_(pa.int64())), ("s", pa.struct([("a", pa.int32())]))])
    rows = {"v": [[2**53 + 1]], "s": [{"a": 1}]}
    pq.write_table(pa.table(rows, narrow), tmp_path / "data/1.parquet")
    shop.run()
    wide = pa.schema([("v", pa.list_(pa.float64())), ("s", pa.struct([("a", pa.string())]))])
    rows = {"v": [[0.1, 7]], "s": [{"a": "x"}]}
    pq.write_table(pa.table(rows, wide), tmp_path / "data/2.parquet")
    shop.run()
    assert shop.columns("t") == ["v array<decimal(38,6)>", "s struct<a:string>"]
    with Session.open(shop.folder) as session:
        found = session.engine.fetch(session.store.snapshot(session.table("t")).batch).values
    assert sorted(found, key=repr) == [
        ([Decimal("0.1"), Decimal(7)], {"a": "x"}),
        ([Decimal(2**53 + 1)], {"a": "1"}),
    ]
    assert shop.count("t") == 2


@pytest.mark.parametrize("policy", ["freeze", "rescue"])
def test_other_policies_keep_the_types(tmp_path: Path, policy: str) -> None:
    shop = Shop(tmp_path)
    shop.sql(BRONZE.replace(" AS", f" TBLPROPERTIES ('qanat.schema_drift' = '{policy}') AS"))
    shop.file("data/1.csv", "id,amount\n1,10\n")
    shop.run()
    shop.file("data/2.csv", "id,amount\n2,10.5\n")
    shop.run()
    assert shop.columns("bronze")[1] == "amount bigint"


def test_a_declared_type_stays(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.sql(
        BRONZE.replace("csv')", "csv', schema => 'amount BIGINT')")
        + "CREATE STREAMING TABLE fixed (id BIGINT, amount BIGINT) AS"
        " SELECT * FROM STREAM read_files('data/*.csv');"
    )
    shop.file("data/1.csv", "id,amount\n1,10\n")
    shop.run()
    shop.file("data/2.csv", "id,amount\n2,10.5\n")
    shop.run()
    for dataset in ("bronze", "fixed"):
        assert "amount bigint" in shop.columns(dataset)
        assert shop.quarantined(dataset) == [(None, ["_malformed"])]


def test_two_flows_into_one_table(tmp_path: Path) -> None:
    """The flow whose files stay narrow goes on into the wider column."""
    shop = Shop(tmp_path)
    shop.sql(
        "CREATE STREAMING TABLE t;"
        "CREATE FLOW a AS INSERT INTO t BY NAME SELECT * FROM STREAM read_files('a/*.csv');"
        "CREATE FLOW b AS INSERT INTO t BY NAME SELECT * FROM STREAM read_files('b/*.csv');"
    )
    shop.file("a/1.csv", "id,v\n1,10\n")
    shop.file("b/1.csv", "id,v\n2,20\n")
    shop.run()
    shop.file("a/2.csv", "id,v\n3,x7\n")
    shop.run()
    shop.file("b/2.csv", "id,v\n4,40\n")
    shop.run()
    assert shop.rows("t") == [(1, "10"), (2, "20"), (3, "x7"), (4, "40")]


def test_a_view_takes_wider_types(tmp_path: Path) -> None:
    """It is computed anew in any case, also from the files themselves."""
    shop = Shop(tmp_path)
    shop.sql("CREATE MATERIALIZED VIEW v AS SELECT * FROM read_files('data/*.csv');")
    shop.file("data/1.csv", "id,amount\n1,10\n")
    shop.run()
    shop.file("data/2.csv", "id,amount\n2,10.5\n")
    shop.run()
    assert [a for _, a in shop.rows("v")] == [Decimal(10), Decimal("10.5")]


def test_the_authors_own_change_is_no_drift(shop: Shop) -> None:
    """A query that was changed has to fit its table, as before."""
    shop.sql(BRONZE + SILVER.replace("id, amount", "id, amount * 1.5 AS amount"))
    assert "does not fit its table" in shop.problems()[0]
    shop.file("data/2.csv", "id,amount\n3,30\n")
    assert "full-refresh silver" in str(shop.failures()["silver"].hint)


def test_validate_foresees_what_widens_downstream(shop: Shop) -> None:
    shop.file("data/2.csv", "id,amount\n3,10.5\n")
    shop.run(select=("bronze",))
    assert shop.problems() == []


@pytest.mark.parametrize(
    ("first", "later", "type_"),
    [
        ('{"a": 1}', '{"a": 0.5}', "struct<a:decimal(38,6)>"),
        (
            '{"a": {"b": [1, 2]}}',
            '{"a": {"b": [3, 0.5]}}',
            "struct<a:struct<b:array<decimal(38,6)>>>",
        ),
        ("[1]", "[12345678901234567890]", "array<decimal(38,0)>"),
        ("[0.5]", "[12345678901234567]", "array<decimal(38,6)>"),
        ('[{"a": 1, "b": 2}]', '[{"a": 2, "b": 0.1234567, "c": "x"}]',
         "array<struct<a:bigint,b:decimal(38,12),c:string>>"),
        ('{"a": 1}', '{"a": "x"}', "struct<a:string>"),
        ("[1]", '["x", 7]', "array<string>"),
    ],
)  # fmt: skip
def test_values_in_lists_and_structs_widen(
    tmp_path: Path, first: str, later: str, type_: str
) -> None:
    """Each leaf by itself; the values of earlier files are the same."""
    shop = Shop(tmp_path)
    shop.sql(
        "CREATE STREAMING TABLE t AS SELECT * FROM STREAM read_files('data/*.json');"
        "CREATE STREAMING TABLE copied AS SELECT * FROM STREAM t;"
    )
    shop.file("data/1.json", f'{{"id": 1, "v": {first}}}\n')
    shop.run()
    shop.file("data/2.json", f'{{"id": 2, "v": {later}}}\n')
    shop.run()
    assert shop.columns("t") == shop.columns("copied") == ["id bigint", f"v {type_}"]
    assert shop.rows("t") == shop.rows("copied")
    with Session.open(shop.folder) as session:
        snapshot = session.store.snapshot(session.table("t"))
        rows = session.engine.fetch(snapshot.batch).values
    expected = [json.loads(text, parse_float=Decimal) for text in (first, later)]
    assert [same(v, e) for (_, v), e in zip(sorted(rows), expected, strict=True)] == [True, True]


def same(value: object, expected: object) -> bool:
    """True if a stored value is one of JSON; a leaf that became text has its digits."""
    if isinstance(value, list) and isinstance(expected, list):
        return all(same(v, e) for v, e in zip(value, expected, strict=True))
    if isinstance(value, dict) and isinstance(expected, dict):
        return all(same(v, expected.get(k)) for k, v in value.items())
    return value == expected or value == str(expected)


@pytest.mark.parametrize(
    ("first", "later", "values"),
    [
        # A DECIMAL does not hold 1e5 and NaN, which are DOUBLE, nor a DOUBLE all longs.
        ("1e300", ("123456789012345678", "1e5"), ["1e+300", "123456789012345678", "1e5"]),
        ("0.5", ("NaN", "12345678901234567"), ["0.5", "NaN", "12345678901234567"]),
        ("5", ("1e5", "9007199254740993"), ["5", "1e5", "9007199254740993"]),
        (
            "0.5",
            ("0.1234567", "12345678901234567"),
            [Decimal("0.5"), Decimal("0.1234567"), Decimal(12345678901234567)],
        ),
        # DuckDB takes them for true.
        ("true", ("1", "y"), ["true", "1", "y"]),
    ],
)
def test_new_values_that_no_first_choice_holds_together(
    tmp_path: Path, first: str, later: tuple[str, ...], values: list[object]
) -> None:
    shop = Shop(tmp_path)
    shop.sql(BRONZE)
    shop.file("data/1.csv", f"id,v\n0,{first}\n")
    shop.run()
    shop.file("data/2.csv", "id,v\n" + "".join(f"{i},{v}\n" for i, v in enumerate(later, 1)))
    shop.run()
    assert [v for _, v in shop.rows("bronze")] == values


@pytest.mark.parametrize(
    ("first", "later", "values"),
    [
        ("0.1", "12345678901234567.5", [Decimal("0.1"), Decimal("12345678901234567.5")]),
        ("[0.1]", "[12345678901234567.5]", [[Decimal("0.1")], [Decimal("12345678901234567.5")]]),
        # Text as people write it, and not with the zeros of the type.
        ("[0.5, 12345678901234567, 7.0]", '["x"]', [["0.5", "12345678901234567", "7"], ["x"]]),
        ('{"a": [true]}', '{"a": ["y", 1]}', [{"a": ["true"]}, {"a": ["y", "1"]}]),
    ],
)  # fmt: skip
def test_no_number_or_word_of_later_json_is_changed(
    tmp_path: Path, first: str, later: str, values: list[object]
) -> None:
    shop = Shop(tmp_path)
    shop.sql("CREATE STREAMING TABLE t AS SELECT * FROM STREAM read_files('data/*.json');")
    shop.file("data/1.json", f'{{"id": 1, "v": {first}}}\n')
    shop.run()
    shop.file("data/2.json", f'{{"id": 2, "v": {later}}}\n')
    shop.run()
    with Session.open(shop.folder) as session:
        snapshot = session.store.snapshot(session.table("t"))
        found = session.engine.fetch(snapshot.batch).values
    assert [v for _, v in sorted(found, key=lambda row: int(row[0]))] == values


def test_a_reference_to_a_key_that_has_become_text(tmp_path: Path) -> None:
    """The dataset does not fail because no number is `A7`."""
    shop = Shop(tmp_path)
    shop.sql(
        "CREATE STREAMING TABLE keys AS SELECT * FROM STREAM read_files('keys/*.csv');"
        "CREATE STREAMING TABLE t (CONSTRAINT known EXPECT (key) REFERENCES keys (id)"
        " ON VIOLATION QUARANTINE ROW) AS SELECT * FROM STREAM read_files('data/*.csv');"
    )
    shop.file("keys/1.csv", "id\n1\n2\n")
    shop.file("data/1.csv", "key\n1\n9\n")
    shop.run()
    shop.file("keys/2.csv", "id\nA7\n")
    shop.file("data/2.csv", "key\n2\n8\n")
    shop.run()
    assert shop.rows("t") == [(1,), (2,)]
    assert shop.quarantined("t") == [(8, ["known"]), (9, ["known"])]


def test_the_quarantine_of_a_view_rounds_nothing(tmp_path: Path) -> None:
    """It keeps its columns: a value of another type is in the raw text alone."""
    shop = Shop(tmp_path)
    shop.sql(
        BRONZE + "CREATE TEMPORARY VIEW small (CONSTRAINT c EXPECT (v < 100)"
        " ON VIOLATION QUARANTINE ROW) AS SELECT v FROM STREAM bronze;"
        "CREATE STREAMING TABLE s AS SELECT * FROM STREAM small;"
    )
    shop.file("data/1.csv", "v\n1\n200\n")
    shop.run()
    shop.file("data/2.csv", "v\n0.5\n200.5\n")
    shop.run()
    assert shop.quarantined("small") == [(200, ["c"]), (None, ["c"])]
    assert shop.rows("s") == [(Decimal("0.5"),), (Decimal(1),)]


def test_doubles_in_lists_become_the_decimals_that_they_show(tmp_path: Path) -> None:
    """DuckDB's cast of a list gives 0.300000000000000064 for 0.30000000000000004."""
    shop = Shop(tmp_path)
    shop.sql("CREATE STREAMING TABLE t AS SELECT * FROM STREAM read_files('data/*.parquet');")
    (tmp_path / "data").mkdir()
    for number, values, type_ in (
        (1, [0.30000000000000004, None, 0.7], pa.float64()),
        (2, [2**53 + 1], pa.int64()),
    ):
        rows = pa.table({"v": pa.array([values], pa.list_(type_))})
        pq.write_table(rows, tmp_path / f"data/{number}.parquet")
        shop.run()
    with Session.open(shop.folder) as session:
        found = session.engine.fetch(session.store.snapshot(session.table("t")).batch).values
    assert sorted(found, key=repr) == [
        ([Decimal("0.30000000000000004"), None, Decimal("0.7")],),
        ([Decimal(2**53 + 1)],),
    ]


def test_decimals_in_lists_widen_beside_doubles(tmp_path: Path) -> None:
    """The first type for both may be the one that the column has, and does not hold them."""
    shop = Shop(tmp_path)
    shop.sql("CREATE STREAMING TABLE t AS SELECT * FROM STREAM read_files('data/*.parquet');")
    (tmp_path / "data").mkdir()
    narrow = pa.array([[Decimal("0.1")]], pa.list_(pa.decimal128(38, 6)))
    pq.write_table(pa.table({"v": narrow}), tmp_path / "data/1.parquet")
    shop.run()
    wide = pa.array([[1e300]], pa.list_(pa.float64()))
    pq.write_table(pa.table({"v": wide}), tmp_path / "data/2.parquet")
    shop.run()
    assert shop.columns("t") == ["v array<double>"]
    assert shop.count("t") == 2


def test_what_is_no_number_keeps_its_name(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.sql(BRONZE)
    shop.file("data/1.csv", "id,amount\n1,0.5\n2,NaN\n3,Infinity\n4,-Infinity\n")
    shop.run()
    assert shop.columns("bronze")[1] == "amount double"
    shop.file("data/2.csv", "id,amount\n5,NaN\n6,much\n7,more\n")
    shop.run()
    texts = ["0.5", "NaN", "Infinity", "-Infinity", "NaN", "much", "more"]
    assert shop.rows("bronze") == list(enumerate(texts, 1))


@pytest.mark.parametrize("nested", [False, True])
def test_a_moment_with_an_offset_is_no_timestamp(tmp_path: Path, nested: bool) -> None:
    """Of Parquet files, as of texts: the column becomes text, or the row waits in quarantine."""

    def write(number: int, type_: pa.DataType) -> None:
        moment = datetime(2024, 1, 1, 12, tzinfo=UTC if type_.tz else None)
        column = pa.array([[moment]], pa.list_(type_)) if nested else pa.array([moment], type_)
        rows = pa.table({"id": [number], "t": column})
        pq.write_table(rows, shop.file(f"data/{number}.parquet", ""))

    shop = Shop(tmp_path)
    source = "SELECT * FROM STREAM read_files('data/*.parquet'{});"
    type_ = "TIMESTAMP[]" if nested else "TIMESTAMP"
    shop.sql(
        f"CREATE STREAMING TABLE t AS {source.format('')}\nCREATE STREAMING TABLE u AS "
        + source.format(f", schema => 'id BIGINT, t {type_}'")
    )
    write(1, pa.timestamp("us"))
    shop.run()
    write(2, pa.timestamp("us", "Europe/Berlin"))
    shop.run()
    texts = ["2024-01-01 12:00:00", "2024-01-01 12:00:00+00"]
    assert shop.rows("t") == list(enumerate([[t] for t in texts] if nested else texts, 1))
    assert [i for i, _ in shop.rows("u")] == [1]
    assert shop.quarantined("u") == [(None, ["_malformed"])]


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
@pytest.mark.parametrize("partitioned", [False, True])
@pytest.mark.parametrize(
    ("folders", "type_", "values"),
    [
        (("1", "2.5"), "decimal(38,6)", ["1.000000", "2.500000"]),
        (("1", "a"), "string", ["1", "a"]),
        (("1", "2.5", "x"), "string", ["1", "2.5", "x"]),
        (("2026-01-02", "2026-01-02 03:04:05"), "timestamp", None),
        (("1", "__HIVE_DEFAULT_PARTITION__", "1e5"), "double", ["1.0", "100000.0", "None"]),
    ],
)
def test_values_of_folders_widen_their_column(
    tmp_path: Path,
    kind: str,
    partitioned: bool,
    folders: tuple[str, ...],
    type_: str,
    values: list[str] | None,
) -> None:
    shop = Shop(tmp_path)
    by = " PARTITIONED BY (m)" if partitioned else ""
    shop.sql(
        f"CREATE STREAMING TABLE bronze{by} AS SELECT * FROM"
        f" STREAM read_files('data/**/*.{kind}', hive_partitioning => true);"
    )
    _file(shop, kind, folders[0])
    shop.run()
    for value in folders[1:]:
        _file(shop, kind, value)
    with Session.open(shop.folder) as session:
        (planned,) = plan(session).datasets
    assert planned.consequence.startswith("column 'm' widens from")
    shop.run()
    with qanat.open(shop.folder) as project:
        table = project.table("bronze")
        assert str({f.name: f.type for f in table.columns}["m"]).startswith(type_)
        rows = table.arrow().to_pylist()
    assert len(rows) == len(folders)
    if values is not None:
        assert sorted(str(row["m"]) for row in rows) == values


def _file(shop: Shop, kind: str, value: str) -> None:
    name = f"data/m={value}/1.{kind}"
    if kind == "parquet":
        (shop.folder / name).parent.mkdir(parents=True)
        pq.write_table(pa.table({"id": [1]}), shop.folder / name)
        return
    shop.file(name, "id\n1\n" if kind == "csv" else '{"id": 1}\n')


@pytest.mark.parametrize("partitioned", [False, True])
@pytest.mark.parametrize(
    ("value", "type_", "read"),
    [
        ("3000000000000000000000", "decimal(38,0)", "10 3000000000000000000000"),
        ("2.5", "decimal(38,6)", "10.000000 2.500000"),
        ("1e300", "double", "10.0 1e+300"),
        ("a", "string", "10 a"),
    ],
)
def test_iceberg_tables_widen_too(
    tmp_path: Path, partitioned: bool, value: str, type_: str, read: str
) -> None:
    """Also for a stream that lags behind, in the quarantine, and for other readers."""
    shop = Shop(tmp_path)
    shop.file("qanat.yml", "name: shop\ntable_format: iceberg\n")
    by = " PARTITIONED BY (amount)" if partitioned and type_ != "double" else ""
    rule = "(CONSTRAINT known EXPECT (id > 0) ON VIOLATION QUARANTINE ROW)"
    shop.sql(
        f"CREATE STREAMING TABLE bronze {rule}{by} AS SELECT * FROM"
        " STREAM read_files('data/*.csv');\n" + SILVER
    )
    shop.file("data/1.csv", "id,amount\n-1,7\n")
    shop.run()
    shop.file("data/2.csv", "id,amount\n1,10\n")
    shop.run(select=("bronze",))
    shop.file("data/3.csv", f"id,amount\n2,{value}\n-2,{value}\n")
    with Session.open(shop.folder) as session:
        planned = {d.dataset: d.consequence for d in plan(session).datasets}
    assert planned["bronze"].startswith(f"column 'amount' widens from bigint to {type_}: 1 file")
    shop.run()
    for name in ("bronze", "silver"):
        assert " ".join(sorted(str(amount) for _, amount in shop.rows(name))) == read
        with qanat.open(shop.folder) as project:
            assert str(project.table(name).columns[1].type) == type_
    with qanat.open(shop.folder) as project:
        assert str(project.table("bronze__quarantine").columns[1].type) == type_
        assert len(project.table("bronze", 1).arrow()) == 1
    uri = f"sqlite:///{shop.folder}/storage/_qanat/iceberg.db"
    catalog = SqlCatalog("qanat", uri=uri)
    seen = catalog.load_table("default.bronze").scan().to_arrow()
    assert " ".join(sorted(str(v) for v in seen.column("amount").to_pylist())) == read
    assert {r.status for r in shop.run().values()} == {"unchanged"}
