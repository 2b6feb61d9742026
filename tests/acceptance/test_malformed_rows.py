"""Rows that could not be parsed come back once their source's options say how to."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc

from qanat.run.quarantine import replay, rows
from qanat.run.results import ReplayResult
from qanat.run.session import Session
from tests.acceptance.projects import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def declare(shop: Shop, options: str, select: str = "*", path: str = "data/*.csv") -> None:
    shop.sql(
        f"CREATE STREAMING TABLE t (CONSTRAINT pos EXPECT (id > 0) ON VIOLATION QUARANTINE ROW)"
        f" AS SELECT {select} FROM STREAM read_files('{path}'{options});"
    )


def replayed(shop: Shop) -> ReplayResult:
    with Session.open(shop.folder) as session:
        (result,) = replay(session)
    return result


def reasons(shop: Shop) -> list[dict[str, str]]:
    """The rules that rows in quarantine broke, in the order of their lines."""
    with Session.open(shop.folder) as session:
        first = rows(session, "t")
    at = first.schema.names.index("_quarantine_rules")
    return [dict(row[at]) for row in first.rows]


def test_a_declared_type_is_mended(shop: Shop) -> None:
    shop.file("data/1.csv", "amount;id\n1,5;1\n2.5;2\n")
    declare(shop, ", delimiter => ';', schema => 'id BIGINT, amount DECIMAL(10, 2)'")
    shop.run()
    assert replayed(shop).remaining == 1
    declare(
        shop,
        ", delimiter => ';', schema => 'id BIGINT, amount VARCHAR'",
        "id, replace(amount, ',', '.')::DECIMAL(10, 2) AS amount",
    )
    result = replayed(shop)
    assert (result.examined, result.replayed, result.remaining) == (1, 1, 0)
    assert [(i, str(a)) for i, a in shop.rows("t")] == [(1, "1.50"), (2, "2.50")]
    # Exactly once: neither another replay nor the next update brings it again.
    with Session.open(shop.folder) as session:
        assert replay(session) == ()
    assert shop.run()["t"].counts.written == 0
    assert len(shop.rows("t")) == 2


def test_a_date_in_another_format(shop: Shop) -> None:
    shop.file("data/1.csv", "day,id\n31.01.2024,1\n2024-02-01,2\n")
    declare(shop, ", schema => 'id BIGINT, day DATE'", "id, day, _metadata.file_name AS file")
    shop.run()
    declare(
        shop,
        ", schema => 'id BIGINT, day DATE', dateFormat => 'dd.MM.yyyy'",
        "id, day, _metadata.file_name AS file",
    )
    assert replayed(shop).replayed == 1
    assert [(i, str(d), f) for i, d, f in shop.rows("t")] == [
        (1, "2024-01-31", "1.csv"),
        (2, "2024-02-01", "1.csv"),
    ]


def test_a_ragged_line_and_a_line_that_stays(shop: Shop) -> None:
    text = "id,name\n1,x\n2,'a,b'\n3,a,b\n"
    shop.file("data/1.csv", text)
    declare(shop, ", header => true, quote => '\"', schema => 'id BIGINT, name VARCHAR'")
    shop.run()
    assert len(reasons(shop)) == 2
    declare(shop, ", header => true, quote => '''', schema => 'id BIGINT, name VARCHAR'")
    result = replayed(shop)
    assert (result.replayed, result.remaining) == (1, 1)
    assert shop.rows("t") == [(1, "x"), (2, "a,b")]
    assert reasons(shop) == [{"_malformed": "expected 2 columns, found 3"}]


def test_what_stays_says_why_it_stays_now(shop: Shop) -> None:
    shop.file("data/1.csv", "id,n\n1,x\n-2,y\n3,5\n4,z\n")
    declare(shop, ", schema => 'id BIGINT, n BIGINT'")
    shop.run()
    assert [r["_malformed"][:15] for r in reasons(shop)] == ["column 'n': \"x\"", *(
        f"column 'n': \"{c}\"" for c in "yz"
    )]  # fmt: skip
    select = "id, CASE WHEN n = 'y' THEN 7 ELSE CAST(n AS BIGINT) END AS n"
    declare(shop, ", schema => 'id BIGINT, n VARCHAR'", select)
    for _ in range(2):
        assert replayed(shop).replayed == 0
        first, second, third = reasons(shop)
        assert list(first) == list(third) == ["_malformed"]
        assert first["_malformed"].startswith("the row can be parsed now, but not computed: ")
        assert "fails for n = 'x'" in first["_malformed"]
        assert second == {
            "_malformed": "the row can be parsed now, but breaks a rule",
            "pos": "id > 0",
        }
    declare(
        shop, ", schema => 'id BIGINT, n VARCHAR'", "abs(id) AS id, TRY_CAST(n AS BIGINT) AS n"
    )
    assert replayed(shop).remaining == 0
    assert shop.rows("t") == [(1, None), (2, None), (3, 5), (4, None)]


def test_an_encoding_is_said_later(shop: Shop) -> None:
    path = shop.file("data/1.csv", "")
    path.write_bytes("id,name\n1,x\n2,caf\xe9\n3,y\n".encode("latin-1"))
    declare(shop, ", schema => 'id BIGINT, name VARCHAR'")
    shop.run()
    assert reasons(shop)[0]["_malformed"].startswith("not UTF-8")
    declare(shop, ", schema => 'id BIGINT, name VARCHAR', encoding => 'latin-1'")
    assert replayed(shop).replayed == 1
    assert shop.rows("t") == [(1, "x"), (2, "caf\xe9"), (3, "y")]


@pytest.mark.parametrize("change", ["gone", "changed"])
def test_the_order_of_columns_has_to_be_known(shop: Shop, change: str) -> None:
    path = shop.file("data/1.csv", "n,id\n1,1\nx,2\n")
    declare(shop, ", schema => 'id BIGINT, n BIGINT'")
    shop.run()
    path.unlink() if change == "gone" else path.write_text("id,n\n1,1\n1,x\n")
    declare(shop, ", schema => 'id BIGINT, n VARCHAR'", "id, TRY_CAST(n AS BIGINT) AS n")
    assert replayed(shop).remaining == 1
    (why,) = reasons(shop)
    assert "is gone or has changed since" in why["_malformed"]
    assert shop.rows("t") == [(1, 1)]


def test_comments_and_rows_above_the_header_are_no_rows(shop: Shop) -> None:
    shop.file("data/1.csv", "id,n\n1,2\n# 3\n")
    declare(shop, ", header => true, schema => 'id BIGINT, n BIGINT'")
    shop.run()
    declare(shop, ", header => true, comment => '#', schema => 'id BIGINT, n BIGINT'")
    assert replayed(shop).remaining == 1
    assert reasons(shop) == [{"_malformed": "it is no row now, but blank or a comment"}]


def test_packed_files_in_a_folder_with_partitions(shop: Shop) -> None:
    folder = shop.file("data/m=3/x.csv", "").parent
    (folder / "x.csv").unlink()
    (folder / "1.csv.gz").write_bytes(gzip.compress(b"id,n\n1,1\n2,x\n"))
    declare(shop, ", hive_partitioning => true, schema => 'id BIGINT, n BIGINT'", path="data/m=3")
    shop.run()
    columns = "id, TRY_CAST(n AS BIGINT) AS n, m"
    declare(
        shop,
        ", hive_partitioning => true, schema => 'id BIGINT, n VARCHAR'",
        columns,
        path="data/m=3",
    )
    assert replayed(shop).replayed == 1
    assert shop.rows("t") == [(1, 1, 3), (2, None, 3)]


@pytest.mark.parametrize("format", ["ndjson", "json"])
@pytest.mark.parametrize("gone", [False, True])
def test_json(shop: Shop, format: str, gone: bool) -> None:
    texts = ['{"id":1,"n":1}', '{"n":2.5,"id":2}', '{"id":3,"n":']
    if format == "json":
        texts = ["[" + ",".join(texts[:2]) + "]"]
    path = shop.file(f"data/1.{format}", "\n".join(texts))
    declare(shop, ", schema => 'id BIGINT, n BIGINT'", path=f"data/*.{format}")
    shop.run()
    if gone:
        path.unlink()
    options = ", schema => 'id BIGINT, n DOUBLE'"
    select = "id, CAST(n * 2 AS BIGINT) AS n"
    declare(shop, options, select, path=f"data/*.{format}")
    result = replayed(shop)
    assert (result.replayed, result.remaining) == (1, 1 if format == "ndjson" else 0)
    assert shop.rows("t") == [(1, 1), (2, 5)]
    assert reasons(shop) == ([{"_malformed": "not valid JSON"}] if result.remaining else [])


@pytest.mark.parametrize("format", ["ndjson", "json"])
@pytest.mark.parametrize("gone", [False, True])
def test_the_encoding_of_json_is_said_later(shop: Shop, format: str, gone: bool) -> None:
    """The bytes are in the file alone; without it the row stays."""
    texts = ['{"id":1,"name":"x"}', '{"id":2,"name":"caf\xe9"}', '{"id":3,"name":"y"}']
    text = "\n".join(texts) if format == "ndjson" else "[" + ",\n".join(texts) + "]"
    path = shop.file(f"data/1.{format}", "")
    path.write_bytes(text.encode("latin-1"))
    options = ", schema => 'id BIGINT, name VARCHAR'"
    declare(shop, options, path=f"data/*.{format}")
    shop.run()
    assert reasons(shop)[0]["_malformed"].startswith("not UTF-8")
    assert replayed(shop).remaining == 1
    if gone:
        path.unlink()
    declare(shop, f"{options}, encoding => 'latin-1'", path=f"data/*.{format}")
    assert replayed(shop).replayed == (0 if gone else 1)
    assert shop.rows("t") == [(1, "x"), *([] if gone else [(2, "caf\xe9")]), (3, "y")]


@pytest.mark.parametrize("format", ["parquet", "orc"])
@pytest.mark.parametrize("gone", [False, True])
def test_rows_of_binary_files(shop: Shop, format: str, gone: bool) -> None:
    """They are read from their files again, once; without its file a row stays."""
    rows = pa.table({"id": [1, 2, 3, -4], "n": [1.0, 2.5, 3.0, 4.5], "more": ["a", "b", "c", "d"]})
    path = shop.file(f"data/1.{format}", "")
    (pq.write_table if format == "parquet" else orc.write_table)(rows, path)
    declare(shop, ", schema => 'id BIGINT, n BIGINT'", "id, n", f"data/*.{format}")
    shop.run()
    assert [list(r) for r in reasons(shop)] == [["_malformed"]] * 2
    assert replayed(shop).remaining == 2
    if gone:
        path.unlink()
    options = ", schema => 'id BIGINT, n DOUBLE'"
    declare(shop, options, "id, CAST(n * 2 AS BIGINT) AS n", f"data/*.{format}")
    result = replayed(shop)
    assert (result.replayed, result.remaining) == ((0, 2) if gone else (1, 1))
    assert shop.rows("t") == [(1, 1), *([] if gone else [(2, 5)]), (3, 3)]
    why = [{*r} for r in reasons(shop)]
    assert why == ([{"_malformed"}] * 2 if gone else [{"_malformed", "pos"}])
    assert "its file is gone" in str(reasons(shop)) or not gone
    assert replayed(shop).replayed == 0


@pytest.mark.parametrize(
    ("rows", "bad"),
    [
        (['{"id":1,"s":{"a":1,"a":2}}', '{"id":2,"s":{"a":1}}'], [1]),
        (['{"id":1,"s":{"b":{"a":1,"a":1}}}', '{"id":2,"s":{"a":1}}'], [1]),
        (['{"id":1,"s":[{"a":1},{"a":2}]}', '{"id":2,"s":[{"a":1,"a":2}]}'], [2]),
        (['{"id":1,"s":[[{"a":{"b":1,"b":2}}]]}', '{"id":2,"s":[[{"a":null}],null]}'], [1]),
        (['{"id":1,"s":{"it\'s":{"b":1,"b":2}}}', '{"id":2,"s":null}'], [1]),
        # Kept as text, with both.
        (['{"id":1,"s":{"a":1,"a":2}}', '{"id":2,"s":[1]}'], []),
    ],
)
@pytest.mark.parametrize("format", ["ndjson", "json"])
def test_a_key_of_an_inner_object_that_is_given_twice(
    shop: Shop, rows: list[str], bad: list[int], format: str
) -> None:
    """A struct would keep one of the values; so the row waits, as with a key of the row itself."""
    text = "\n".join(rows) if format == "ndjson" else "[" + ",".join(rows) + "]"
    shop.file(f"data/1.{format}", text)
    declare(shop, "", path=f"data/*.{format}")
    shop.run()
    assert [i for i, *_ in shop.rows("t")] == [i for i in (1, 2) if i not in bad]
    why = {"_malformed": "a key of an inner object is given twice"}
    if bad:
        assert reasons(shop) == [why]
    else:
        assert '"a":1,"a":2' in str(shop.rows("t"))


def test_a_text_that_was_cut_stays(shop: Shop) -> None:
    shop.file("data/1.csv", f"id,n\n1,2\n2,3,{'x' * (1 << 20)}\n")
    declare(shop, ", header => true, delimiter => ',', schema => 'id BIGINT, n BIGINT'")
    shop.run()
    assert replayed(shop).remaining == 1
    (why,) = reasons(shop)
    assert why["_malformed"].endswith("only its first 1048576 bytes are kept")


def test_a_column_that_the_table_lacks_is_not_lost(shop: Shop) -> None:
    shop.file("data/1.csv", "id,n,more\n1,2,a\n2,x,b\n")
    declare(shop, ", schema => 'id BIGINT, n BIGINT'", "id, n")
    shop.run()
    declare(shop, ", schema => 'id BIGINT, n VARCHAR'", "id, TRY_CAST(n AS BIGINT) AS n, more")
    assert replayed(shop).remaining == 1
    assert "no column 'more' yet" in str(reasons(shop))
    shop.run()
    assert replayed(shop).replayed == 1
    assert shop.rows("t") == [(1, 2, None), (2, None, "b")]


def test_flows_that_run_once(shop: Shop) -> None:
    once = (
        "CREATE STREAMING TABLE t; CREATE FLOW f AS INSERT INTO ONCE t BY NAME"
        " SELECT id, {} AS n FROM read_files('data/*.csv', schema => 'id BIGINT, n {}');"
    )
    shop.file("data/1.csv", "id,n\n1,2\n2,x\n")
    shop.sql(once.format("n", "BIGINT"))
    shop.run()
    shop.sql(once.format("TRY_CAST(n AS BIGINT)", "VARCHAR"))
    assert replayed(shop).replayed == 1
    assert shop.rows("t") == [(1, 2), (2, None)]


def test_failed_and_malformed_rows_of_one_quarantine(shop: Shop) -> None:
    shop.file("data/1.csv", "id,n\n1,2\nx,3\n3,z\n")
    declare(shop, ", schema => 'id BIGINT, n VARCHAR'", "id, CAST(n AS BIGINT) AS n")
    shop.run()
    assert sorted(str(*r) for r in reasons(shop)) == ["_failed", "_malformed"]
    declare(
        shop,
        ", schema => 'id VARCHAR, n VARCHAR'",
        "coalesce(TRY_CAST(id AS BIGINT), 9) AS id, TRY_CAST(n AS BIGINT) AS n",
    )
    assert replayed(shop).remaining == 0
    assert shop.rows("t") == [(1, 2), (3, None), (9, 3)]


def test_each_of_two_streams_takes_those_of_its_files(shop: Shop) -> None:
    shop.file("data/1.csv", "id,n\n1,2\n2,x\n")
    shop.file("more/1.csv", "id;n\n3;7\ny;8\n")
    both = (
        "CREATE STREAMING TABLE t AS SELECT id, TRY_CAST(n AS BIGINT) AS n FROM"
        " STREAM read_files('data/*.csv', schema => 'id BIGINT, n {first}') UNION ALL"
        " SELECT coalesce(TRY_CAST(id AS BIGINT), 4), n FROM"
        " STREAM read_files('more/*.csv', delimiter => ';', schema => 'id {second}, n BIGINT');"
    )
    shop.sql(both.format(first="BIGINT", second="BIGINT"))
    shop.run()
    shop.sql(both.format(first="VARCHAR", second="BIGINT"))
    assert replayed(shop).remaining == 1
    assert shop.rows("t") == [(1, 2), (2, None), (3, 7)]
    shop.sql(both.format(first="VARCHAR", second="VARCHAR"))
    assert replayed(shop).remaining == 0
    assert shop.rows("t") == [(1, 2), (2, None), (3, 7), (4, 8)]


def test_rows_of_a_file_that_two_streams_have_read_stay(shop: Shop) -> None:
    shop.file("data/1.csv", "id,n\n1,2\n2,x\n")
    both = (
        "CREATE STREAMING TABLE t AS SELECT id, TRY_CAST(n AS BIGINT) AS n FROM"
        " STREAM read_files('data/*.csv', schema => 'id BIGINT, n {}') UNION ALL SELECT id + 10, n"
        " FROM STREAM read_files('data/1.csv', schema => 'id BIGINT, n BIGINT');"
    )
    shop.sql(both.format("BIGINT"))
    shop.run()
    shop.sql(both.format("VARCHAR"))
    assert replayed(shop).remaining == 2
    assert shop.rows("t") == [(1, 2), (11, 2)]


def test_rows_of_a_file_that_is_also_looked_up_stay(shop: Shop) -> None:
    shop.file("data/1.csv", "id,n\n1,2\n2,x\n")
    read = "read_files('data/*.csv', schema => 'id BIGINT, n {}')"
    text = (
        f"CREATE STREAMING TABLE t AS SELECT a.id, TRY_CAST(a.n AS BIGINT) AS n FROM STREAM {read}"
        f" AS a LEFT JOIN {read} AS b USING (id);"
    )
    shop.sql(text.format("BIGINT", "BIGINT"))
    shop.run()
    before = len(reasons(shop))
    shop.sql(text.format("VARCHAR", "VARCHAR"))
    assert replayed(shop).remaining == before
    assert shop.rows("t") == [(1, 2)]


def test_rows_come_back_through_views_with_rules(shop: Shop) -> None:
    text = (
        "CREATE TEMPORARY VIEW v (CONSTRAINT small EXPECT (n < {}) ON VIOLATION DROP ROW) AS"
        " SELECT id, TRY_CAST(n AS BIGINT) AS n FROM"
        " STREAM read_files('data/*.csv', schema => 'id BIGINT, n {}');"
        "CREATE STREAMING TABLE t AS SELECT * FROM STREAM v;"
    )
    shop.file("data/1.csv", "id,n\n1,2\n2,7.5\n")
    shop.sql(text.format(5, "BIGINT"))
    shop.run()
    shop.sql(text.format(5, "DOUBLE"))
    assert replayed(shop).remaining == 1
    assert list(reasons(shop)[0]) == ["_malformed", "small"]
    shop.sql(text.format(9, "DOUBLE"))
    assert replayed(shop).remaining == 0
    assert shop.rows("t") == [(1, 2), (2, 8)]
