"""Numbers that JSON has not: at any depth they are written as texts."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from qanat.engines.duckdb.jsonable import jsonable
from qanat.engines.duckdb.types import to_duckdb
from qanat.model.schema import Array, DataType, Field, MapType, Primitive, Schema, Struct

DOUBLE, FLOAT, LONG = Primitive("double"), Primitive("float"), Primitive("long")
PAIR = Struct((Field("x y", DOUBLE), Field("n", LONG)))


@pytest.mark.parametrize(
    ("type_", "value", "found"),
    [
        (DOUBLE, "'nan'", "NaN"),
        (DOUBLE, "'inf'", "Infinity"),
        (FLOAT, "'-inf'", "-Infinity"),
        (DOUBLE, "1e300", 1e300),
        (DOUBLE, "0.1", 0.1),
        (DOUBLE, "NULL", None),
        (Array(DOUBLE), "['nan', '1.5', NULL]", ["NaN", 1.5, None]),
        (Array(DOUBLE), "NULL", None),
        (PAIR, "{'x y': 'inf', 'n': 1}", {"x y": "Infinity", "n": 1}),
        (PAIR, "NULL", None),
        (Array(PAIR), "[{'x y': 'nan', 'n': NULL}, NULL]", [{"x y": "NaN", "n": None}, None]),
        (MapType(Primitive("string"), DOUBLE), "MAP {'k': 'nan'}", {"k": "NaN"}),
        (MapType(Primitive("string"), DOUBLE), "NULL", None),
        (LONG, "7", 7),
    ],
)
def test_values(tmp_path: Path, type_: DataType, value: str, found: object) -> None:
    target = tmp_path / "a.json"
    select = f'SELECT CAST({value} AS {to_duckdb(type_)}) AS "a b", 1 AS n'
    schema = Schema((Field("a b", type_), Field("n", LONG)))
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({jsonable(select, schema)}) TO '{target}' (FORMAT json)")

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    assert json.loads(target.read_text(), parse_constant=refuse) == {"a b": found, "n": 1}
