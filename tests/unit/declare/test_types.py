"""Column types, written as in DuckDB and as in Spark."""

from __future__ import annotations

import pytest

from qanat.declare.types import parse_type
from qanat.errors import Location, TypeNameError

AT = Location("a.sql", 1, 1)


@pytest.mark.parametrize("dialect", ["duckdb", "spark"])
@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("STRING", "string"),
        ("varchar(10)", "string"),
        ("LONG", "bigint"),
        ("BYTE", "tinyint"),
        ("UBIGINT", "decimal(20,0)"),
        ("UTINYINT", "smallint"),
        ("DOUBLE PRECISION", "double"),
        ("numeric(10, 2)", "decimal(10,2)"),
        ("INT[]", "array<int>"),
        ("array<long>", "array<bigint>"),
        ("STRUCT(a INT, b VARCHAR)", "struct<a:int,b:string>"),
        ("struct<a: int, b: array<string>>", "struct<a:int,b:array<string>>"),
        ("MAP(VARCHAR, INT)", "map<string,int>"),
        ("map<string,int>", "map<string,int>"),
        ("TIMESTAMP WITH TIME ZONE", "timestamp"),
        ("timestamp_ntz", "timestamp_ntz"),
        ("BLOB", "binary"),
        ("DATE", "date"),
        ("UUID", "string"),
    ],
)
def test_types(text: str, type_: str, dialect: str) -> None:
    assert str(parse_type(text, dialect, AT)) == type_


def test_some_type_names_differ_by_dialect() -> None:
    assert str(parse_type("TIMESTAMP", "duckdb", AT)) == "timestamp_ntz"
    assert str(parse_type("TIMESTAMP", "spark", AT)) == "timestamp"
    assert str(parse_type("DECIMAL", "duckdb", AT)) == "decimal(18,3)"
    assert str(parse_type("DECIMAL", "spark", AT)) == "decimal(10,0)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("BIGNT", "no type 'BIGNT' (did you mean 'BIGINT'?)"),
        ("INT INT", "no type 'INT INT' (did you mean 'INT'?)"),
        ("", "no type ''"),
        ("1", "no type '1'"),
        ("STRUCT(a FOO)", "no type 'FOO'"),
        ("DECIMAL(39, 0)", ("DECIMAL(39, 0) cannot be stored\n"
         "  wanted: precision 1 to 38, scale 0 to precision")),
        ("TIME", ("type TIME cannot be stored in a table\n"
         "  hint: cast to a type that can, such as STRING or DECIMAL(38, 0)")),
        ("HUGEINT", ("type HUGEINT cannot be stored in a table\n"
         "  hint: cast to a type that can, such as STRING or DECIMAL(38, 0)")),
    ],
)  # fmt: skip
def test_messages(text: str, message: str) -> None:
    with pytest.raises(TypeNameError) as caught:
        parse_type(text, "duckdb", AT)
    assert str(caught.value) == f"a.sql:1:1: {message}"
