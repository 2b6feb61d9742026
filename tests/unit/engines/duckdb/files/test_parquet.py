"""Parquet files: read in place, converted without loss, damaged ones named."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qanat.errors import FileUnreadableError, FileVanishedError, OptionError, SchemaDriftError
from qanat.model.pipeline import Drift
from qanat.model.work import LocalFile


@pytest.fixture(autouse=True)
def _format(bench: Any) -> None:
    bench.format = "parquet"


def write(bench: Any, name: str, select: str) -> LocalFile:
    path = bench.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    bench.con.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 2048)")
    file: LocalFile = bench.file(name)
    return file


def test_one_file(bench: Any) -> None:
    bound = bench.bind(write(bench, "a.parquet", "SELECT range AS a FROM range(10000)"))
    assert bench.rows(bound) == [(i,) for i in range(10_000)]
    assert bench.lines(bound)[:2] == [1, 2]
    assert list(bench.scratch.iterdir()) == []


def test_hidden_columns_cost_nothing(bench: Any) -> None:
    bound = bench.bind(write(bench, "a.parquet", "SELECT range AS a, 'x' AS b FROM range(10)"))
    [(_, plan)] = bench.con.execute(f"EXPLAIN SELECT sum(a) FROM ({bound.relation})").fetchall()
    assert "READ_PARQUET" in plan.upper()
    assert "make_timestamp" not in plan
    assert "getvariable" not in plan
    assert "file_row_number" not in plan


def test_files_of_different_columns(bench: Any) -> None:
    one = write(bench, "a.parquet", "SELECT 1 AS a, 'x' AS b")
    two = write(bench, "b.parquet", "SELECT 2.5::DOUBLE AS A, true AS c")
    bound = bench.bind(one, two)
    assert [str(f) for f in bound.schema.fields] == ["a double", "b string", "c boolean"]
    assert bench.rows(bound) == [(1.0, "x", None), (2.5, None, True)]


def test_a_long_that_no_double_holds_is_malformed(bench: Any) -> None:
    one = write(bench, "a.parquet", "SELECT unnest([1, 9007199254740993]) AS a")
    two = write(bench, "b.parquet", "SELECT 2.5::DOUBLE AS a")
    bound = bench.bind(one, two)
    assert bench.rows(bound) == [(1.0,), (2.5,)]
    assert bench.bad(bound) == [
        (
            "a.parquet",
            2,
            '{"a":9007199254740993}',
            "column 'a': 9007199254740993 does not fit double",
        )
    ]


@pytest.mark.parametrize(
    ("want", "good", "bad"),
    [
        ("long", "1.0::DOUBLE", "1.5::DOUBLE"),
        ("integer", "1::BIGINT", "3000000000"),
        ("long", "'7'", "'x'"),
        ("decimal(5,2)", "1.25::DECIMAL(10,4)", "1.2345::DECIMAL(10,4)"),
        ("date", "TIMESTAMP '2013-01-31'", "TIMESTAMP '2013-01-31 10:00'"),
    ],
)
def test_types_that_changed(bench: Any, schema: Any, want: str, good: str, bad: str) -> None:
    file = write(bench, "a.parquet", f"SELECT unnest([{good}, {bad}, NULL]) AS v, 'k' AS k")
    known = schema(f"v {want}, k string")
    bound = bench.bind(file, known=known)
    assert len(bench.rows(bound)) == 2
    assert bench.lines(bound) == [1, 3]
    assert [(row, error[:11]) for _, row, _, error in bench.bad(bound)] == [(2, "column 'v':")]
    rescued = bench.bind(file, known=known, drift=Drift.RESCUE)
    assert [row[2] is None for row in bench.rows(rescued)] == [True, False, True]
    assert bench.rows(rescued)[1][0] is None


def test_drift(bench: Any, schema: Any) -> None:
    file = write(bench, "a.parquet", "SELECT 1::BIGINT AS a, {'k': [1]} AS extra")
    known = schema("a long, gone string")
    assert bench.rows(bench.bind(file, known=known)) == [(1, None, {"k": [1]})]
    with pytest.raises(SchemaDriftError, match="'extra'"):
        bench.bind(file, known=known, drift=Drift.FREEZE)
    bound = bench.bind(file, known=known, drift=Drift.RESCUE)
    assert bench.rows(bound) == [
        (1, None, '{"extra":{"k":[1]},"_file_path":"s3://lake/a.parquet"}')
    ]
    assert bench.bind(file, known=bound.schema, drift=Drift.RESCUE).schema == bound.schema


def test_structs_grow(bench: Any) -> None:
    one = write(bench, "a.parquet", "SELECT {'k': 1} AS s")
    two = write(bench, "b.parquet", "SELECT {'k': 2, 'j': 'x'} AS s")
    first = bench.bind(one)
    bound = bench.bind(two, known=first.schema)
    assert bench.rows(bound) == [({"k": 2, "j": "x"},)]
    bound = bench.bind(two, declared=first.schema)
    assert bench.rows(bound) == []
    assert len(bench.bad(bound)) == 1


def test_types_that_delta_does_not_have(bench: Any) -> None:
    file = write(
        bench, "a.parquet",
        "SELECT 18446744073709551615::UBIGINT AS u, '10:00'::TIME AS t, "
        "'00000000-0000-0000-0000-000000000001'::UUID AS id, INTERVAL 1 DAY AS i",
    )  # fmt: skip
    bound = bench.bind(file)
    assert [str(f.type) for f in bound.schema.fields] == [
        "decimal(20,0)", "string", "string", "string",
    ]  # fmt: skip
    assert bench.rows(bound)[0][1:] == (
        "10:00:00", "00000000-0000-0000-0000-000000000001", "1 day",
    )  # fmt: skip


def test_nanoseconds_are_not_cut_off(bench: Any) -> None:
    stamps = pa.array([1_000, 1_001], pa.timestamp("ns"))
    pq.write_table(pa.table({"t": stamps}), bench.folder / "a.parquet")
    bound = bench.bind(bench.file("a.parquet"))
    assert len(bench.rows(bound)) == 1
    assert [row for _, row, _, _ in bench.bad(bound)] == [2]


@pytest.mark.parametrize(
    ("type_", "wrap"),
    [
        (pa.timestamp("ns", "UTC"), lambda v: v),
        (pa.list_(pa.timestamp("ns")), lambda v: [None, v]),
        (pa.struct({"x": pa.list_(pa.timestamp("ns", "UTC"))}), lambda v: {"x": [v]}),
        (pa.map_(pa.string(), pa.timestamp("ns")), lambda v: [("k", v)]),
    ],
)
def test_nanoseconds_within_values_are_not_cut_off(bench: Any, type_: Any, wrap: Any) -> None:
    stamps = pa.array([wrap(1_000), wrap(1_001), None], type_)
    pq.write_table(pa.table({"t": stamps}), bench.folder / "a.parquet")
    bound = bench.bind(bench.file("a.parquet"))
    assert "timestamp" in str(bound.schema.fields[0].type)
    assert bench.lines(bound) == [1, 3]
    assert [row for _, row, _, _ in bench.bad(bound)] == [2]


@pytest.mark.parametrize(
    ("type_", "wrap"),
    [
        (pa.list_(pa.timestamp("ms")), lambda v: [None, v]),
        (pa.struct({"x": pa.timestamp("ms", "UTC"), "y": pa.int64()}), lambda v: {"x": v}),
        (pa.map_(pa.string(), pa.timestamp("us")), lambda v: [("k", v * 1000)]),
    ],
)
@pytest.mark.parametrize("statistics", [True, False])
def test_years_within_values_are_those_that_tables_have(
    bench: Any, type_: Any, wrap: Any, statistics: bool
) -> None:
    last = 253_402_300_799_999
    stamps = pa.array([wrap(last), wrap(last + 1), None], type_)
    table = pa.table({"t": stamps})
    pq.write_table(table, bench.folder / "a.parquet", write_statistics=statistics)
    bound = bench.bind(bench.file("a.parquet"))
    assert bench.lines(bound) == [1, 3]
    assert [row for _, row, _, _ in bench.bad(bound)] == [2]


@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [v]])
def test_decimals_that_duckdb_rounds_are_refused(bench: Any, wrap: Any) -> None:
    few = pa.array([wrap(Decimal("1.5"))], _wrapped(wrap, pa.decimal256(38, 4)))
    pq.write_table(pa.table({"d": few}), bench.folder / "a.parquet")
    bound = bench.bind(bench.file("a.parquet"))
    assert bench.rows(bound) == [(wrap(Decimal("1.5")),)]
    many = pa.array([wrap(Decimal("1.5"))], _wrapped(wrap, pa.decimal256(39, 4)))
    pq.write_table(pa.table({"d": many}), bench.folder / "b.parquet")
    with pytest.raises(FileUnreadableError, match=r"b\.parquet has decimals of 39 digits"):
        bench.bind(bench.file("a.parquet"), bench.file("b.parquet"))


def _wrapped(wrap: Any, type_: Any) -> Any:
    return pa.list_(type_) if isinstance(wrap(0), list) else type_


def test_names(bench: Any) -> None:
    table = pa.table([pa.array([i]) for i in range(5)], names=["a", "A", "v0", "file", 'q"q'])
    pq.write_table(table, bench.folder / "it's [1].parquet")
    bound = bench.bind(bench.file("it's [1].parquet"))
    assert bound.schema.names == ("a", "A_1", "v0", "file", 'q"q')
    assert bench.rows(bound) == [(0, 1, 2, 3, 4)]
    with pytest.raises(OptionError, match="file_row_number"):
        bench.bind(write(bench, "b.parquet", "SELECT 1 AS file_row_number"))
    with pytest.raises(OptionError, match="__qanat_file"):
        bench.bind(write(bench, "c.parquet", "SELECT 1 AS __qanat_file"))


def test_no_rows_and_no_files(bench: Any, schema: Any) -> None:
    bound = bench.bind(write(bench, "a.parquet", "SELECT 1 AS a WHERE false"))
    assert bench.rows(bound) == []
    assert bench.rows(bench.bind(known=schema("a long"))) == []


def test_columns_from_folders(bench: Any, schema: Any) -> None:
    one = write(bench, "month=1/a.parquet", "SELECT 1 AS a")
    two = write(bench, "month=2/a.parquet", "SELECT 2 AS a")
    bound = bench.bind(one, two, hive_partitioning=True)
    assert bench.rows(bound) == [(1, 1), (2, 2)]
    bound = bench.bind(one, two, hive_partitioning=True, declared=schema("month string, a long"))
    assert bench.rows(bound) == [("1", 1), ("2", 2)]
    assert bench.rows(bench.bind(one, two)) == [(1,), (2,)]


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "magic"])
def test_damaged_files_are_named(bench: Any, damage: str) -> None:
    good = write(bench, "good.parquet", "SELECT range AS a FROM range(5000)")
    data = (bench.folder / "good.parquet").read_bytes()
    content = {
        "empty": b"",
        "text": b"hello, world! " * 10,
        "cut": data[: len(data) // 2],
        "magic": b"PAR1" + b"\xff" * 100 + b"PAR1",
    }[damage]
    bad = bench.put("bad.parquet", content)
    with pytest.raises(FileUnreadableError, match=r"s3://lake/bad\.parquet as parquet"):
        bench.bind(good, bad)


def test_a_vanished_file(bench: Any) -> None:
    good = write(bench, "a.parquet", "SELECT 1 AS a")
    gone = LocalFile("s3://lake/gone", str(bench.folder / "gone.parquet"), 1, 0)
    with pytest.raises(FileVanishedError, match="s3://lake/gone is gone"):
        bench.bind(good, gone)


def test_many_files(bench: Any) -> None:
    files = [write(bench, f"{i:03d}.parquet", f"SELECT {i} AS a, {i} AS b") for i in range(150)]
    files += [write(bench, f"x{i}.parquet", f"SELECT {i} AS a") for i in range(3)]
    bound = bench.bind(*files)
    assert bench.rows(bound) == [(i, i) for i in range(150)] + [(i, None) for i in range(3)]
    assert len(bound.relation) < 5000


@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [
        ("DATE", "0001-01-01", "10000-01-01"),
        ("DATE", "9999-12-31", "infinity"),
        ("TIMESTAMP", "9999-12-31 23:59:59.999999", "10000-01-01 00:00:00"),
        ("TIMESTAMP", "0001-01-01 00:00:00", "0044-03-15 (BC) 00:00:00"),
        ("TIMESTAMPTZ", "2024-01-02 00:00:00+00", "infinity"),
    ],
)
def test_moments_that_tables_cannot_keep(
    bench: Any, type_: str, good: str, bad: str, statistics: bool
) -> None:
    file = write(
        bench, "a.parquet", f"FROM (VALUES ({type_} '{good}'), ({type_} '{bad}'), (NULL)) AS t(m)"
    )
    if not statistics:
        pq.write_table(pq.read_table(file.local), file.local, write_statistics=False)
        file = bench.file("a.parquet")
    bound = bench.bind(file)
    text = f"SELECT m::VARCHAR, __qanat_row FROM ({bound.relation}) ORDER BY 2"
    assert bench.con.execute(text).fetchall() == [(good, 1), (None, 3)]
    [(_, row, _, error)] = bench.bad(bound)
    assert row == 2
    assert error.startswith("column 'm': ")


def test_typed_numbers_fit_as_their_texts_do(bench: Any, schema: Any) -> None:
    rows = "(0.1::DOUBLE), (12345.675), (1e300), (90071992547409.93), (517), (1e18), ('nan')"
    file = write(bench, "a.parquet", f"FROM (VALUES {rows}) AS t(v)")
    for type_, texts in (
        ("decimal(18,2)", ["0.10", "90071992547409.94", "517.00"]),
        ("long", ["517", "1000000000000000000"]),
    ):
        bound = bench.bind(file, declared=schema(f"v {type_}"))
        found = bench.con.execute(f"SELECT v::VARCHAR FROM ({bound.relation})").fetchall()
        assert [v for (v,) in found] == texts
        assert len(bench.bad(bound)) == 7 - len(texts)
