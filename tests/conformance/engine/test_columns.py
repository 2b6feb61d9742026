"""A query's columns and their types, and those of its table."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from qanat.errors import SchemaMismatchError, TypeNameError
from qanat.model.schema import NO_COLUMNS, Decimal as DecimalType, Field, Primitive, Schema
from qanat.model.staged import Staged
from qanat.model.work import Output
from tests.conformance.engine.bench import NUMBERS, Bench, local
from tests.conformance.engine.capabilities import Words, words


def _into(bench: Bench, sql: str, table: Schema, **changes: Any) -> Staged:
    work = bench.work(sql, {"t": bench.table(NUMBERS)})
    output = replace(work.output, schema=table, **changes)
    return bench.stage(sql, {"t": bench.table(NUMBERS)}, output=output)


def test_columns_join_go_missing_and_widen(bench: Bench) -> None:
    table = Schema(
        (
            Field("ID", Primitive("long"), comment="who"),
            Field("gone", Primitive("date")),
            Field("v", Primitive("double")),
            Field("d", DecimalType(12, 2)),
        )
    )
    staged = _into(
        bench, "SELECT 1.5::DECIMAL(4,1) AS d, v::INT AS v, id, 'x' AS new FROM t", table
    )
    assert staged.table.schema.names == ("ID", "gone", "v", "d", "new")
    assert staged.table.schema.fields[:4] == table.fields
    (first, *_) = bench.rows(staged.table)
    assert first == {"ID": 1, "gone": None, "v": 5.0, "d": Decimal("1.50"), "new": "x"}


@pytest.mark.parametrize(
    ("column", "type_"),
    [
        ("id::DOUBLE", "long"),
        ("id", "integer"),
        ("id::VARCHAR", "long"),
        ("id", "string"),
        ("id", "double"),
        ("now()::TIMESTAMP", "date"),
    ],
)
def test_narrowing_is_refused(bench: Bench, column: str, type_: str) -> None:
    table = Schema((Field("c", Primitive(type_)),))
    with pytest.raises(SchemaMismatchError, match="does not fit its table"):
        _into(bench, f"SELECT {column} AS c FROM t", table)
    assert bench.files() == []


def test_declared_columns_are_cast_and_complete(bench: Bench) -> None:
    declared = Schema((Field("id", Primitive("integer")), Field("v", Primitive("string"))))
    staged = _into(bench, "SELECT v, id FROM t", NO_COLUMNS, declared=declared)
    assert staged.table.schema == declared
    with pytest.raises(SchemaMismatchError, match="'v' that its query does not give"):
        _into(bench, "SELECT id FROM t", NO_COLUMNS, declared=declared)
    with pytest.raises(SchemaMismatchError, match="'w' that is not declared"):
        _into(bench, "SELECT id, v, 1 AS w FROM t", NO_COLUMNS, declared=declared)


TYPES: list[tuple[str | Words, Any]] = [
    ("true", True),
    ("(-128)::TINYINT", -128),
    (words("255::UTINYINT", postgres="arrow_cast(255, 'UInt8')"), 255),
    (words("65535::USMALLINT", postgres="arrow_cast(65535, 'UInt16')"), 65535),
    (words("4294967295::UINTEGER", postgres="arrow_cast(4294967295, 'UInt32')"), 4294967295),
    (
        words(
            "18446744073709551615::UBIGINT", postgres="arrow_cast(18446744073709551615, 'UInt64')"
        ),
        Decimal("18446744073709551615"),
    ),
    ("9223372036854775807::BIGINT", 2**63 - 1),
    (words("(-99999999999999999999999999999999999999)::HUGEINT"), Decimal("-9" + "9" * 37)),
    (words("1::UHUGEINT"), Decimal(1)),
    (words("1.5::FLOAT", postgres="1.5::REAL"), 1.5),
    ("0.1::DOUBLE", 0.1),
    ("12345678901234567890.12::DECIMAL(38,2)", Decimal("12345678901234567890.12")),
    ("'grüße 🐪'", "grüße 🐪"),
    (words("'\\x00\\xFF'::BLOB", postgres="x'00ff'"), b"\x00\xff"),
    ("'9999-12-31'::DATE", dt.date(9999, 12, 31)),
    ("'1969-12-31 23:59:59.999999'::TIMESTAMP", local(1969, 12, 31, 23, 59, 59, 999999)),
    (words("'2020-01-02 03:04:05'::TIMESTAMP_S"), local(2020, 1, 2, 3, 4, 5)),
    (words("'2020-01-02 03:04:05.678'::TIMESTAMP_MS"), local(2020, 1, 2, 3, 4, 5, 678000)),
    (
        words(
            "'2020-01-02 03:04:05.678901'::TIMESTAMP_NS",
            postgres="'2020-01-02 03:04:05.678901'::TIMESTAMP",
        ),
        local(2020, 1, 2, 3, 4, 5, 678901),
    ),
    ("'2020-01-02 03:04:05+02'::TIMESTAMPTZ", dt.datetime(2020, 1, 2, 1, 4, 5, tzinfo=dt.UTC)),
    (words("'12:34:56.789'::TIME"), "12:34:56.789"),
    (
        words("'00000000-0000-0000-0000-0000000000ff'::UUID"),
        "00000000-0000-0000-0000-0000000000ff",
    ),
    (words("'b'::ENUM('a', 'b')"), "b"),
    (words("""'{"a": [1, null]}'::JSON"""), '{"a": [1, null]}'),
    (words("'101'::BIT"), "101"),
    ("NULL", None),
    ("[1, NULL, 3]", [1, None, 3]),
    (words("[1, 2]::INT[2]", postgres="arrow_cast([1, 2], 'FixedSizeList(2, Int32)')"), [1, 2]),
    ("{'a': 1, 'b c': {'d': ['x']}}", {"a": 1, "b c": {"d": ["x"]}}),
    ("MAP {'k': {'v': 1.5::DOUBLE}}", [("k", {"v": 1.5})]),
    (words("{'u': 7::UTINYINT, 't': ['01:02:03'::TIME]}"), {"u": 7, "t": ["01:02:03"]}),
]


@pytest.mark.parametrize(("sql", "value"), TYPES, ids=str)
def test_values_of_every_type(bench: Bench, sql: str | Words, value: Any) -> None:
    column = bench.say(sql)
    inputs = {"t": bench.table({"id": [1, 2]})}
    rules = [bench.expect("first", "id = 1")]
    staged = bench.stage(f"SELECT id, {column} AS c FROM t", inputs, rules)
    (row,) = bench.rows(staged.table)
    assert row["c"] == value
    assert type(row["c"]) is type(value)
    (aside,) = bench.quarantined(staged)
    assert aside["c"] == value
    # What was written once can be appended to.
    output = Output(bench.folder / "target", uuid4().hex, schema=staged.table.schema)
    more = bench.stage(f"SELECT id, {column} AS c FROM t", inputs, output=output)
    assert more.table.schema == staged.table.schema
    assert len(bench.rows(more.table)) == 3


@pytest.mark.parametrize(
    "sql",
    [
        words("INTERVAL 1 DAY", postgres="INTERVAL '1 day'"),
        words("[INTERVAL 1 DAY]", postgres="[INTERVAL '1 day']"),
        words("union_value(a := 1)"),
    ],
    ids=str,
)
def test_types_that_tables_cannot_store(bench: Bench, sql: str | Words) -> None:
    with pytest.raises(TypeNameError, match="'c' of target has a type that tables cannot store"):
        bench.stage(f"SELECT {bench.say(sql)} AS c", {})
