"""Options of `read_files` as this connector takes them, formats and declared columns."""

from __future__ import annotations

import pytest

from qanat.connectors.files.format import shapes
from qanat.connectors.files.options import read_options
from qanat.declare.described import columns
from qanat.errors import OptionError, TypeNameError
from qanat.model.query import SourceRef
from qanat.testing.reading import reference


def read(**options: object) -> SourceRef:
    return reference("files", "in/*", **options)


def test_names_in_any_case_and_style() -> None:
    options = read_options(
        read(recursiveFileLookup=True, MAX_FILES_PER_TRIGGER="7", sep=";", nullStr="-")
    )
    assert (options.recursive, options.max_files) == (True, 7)
    assert options.engine == (("delimiter", ";"), ("null_value", "-"))


@pytest.mark.parametrize(
    ("text", "count"),
    [("10b", 10), ("1k", 1024), ("2 MB", 2 * 10**6), ("3GiB", 3 * 2**30), (5, 5)],
)
def test_sizes(text: object, count: int) -> None:
    assert read_options(read(maxBytesPerTrigger=text)).max_bytes == count


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_bytes_per_trigger", "much"),
        ("max_bytes_per_trigger", "0"),
        ("max_files_per_trigger", 0),
        ("max_files_per_trigger", True),
        ("max_files_per_trigger", -1),
        ("modified_after", "yesterday"),
    ],
)
def test_values_that_do_not_fit(name: str, value: object) -> None:
    with pytest.raises(OptionError, match=name):
        read_options(read(**{name: value}))


def test_times_are_utc_unless_they_say_else() -> None:
    options = read_options(
        read(modified_after="1970-01-01T00:00:01.5", modifiedBefore="1970-01-01T01:00:00+01:00")
    )
    assert options.modified_after_ns == 1_500_000_000
    assert options.modified_before_ns == 0


def test_files_of_two_formats() -> None:
    with pytest.raises(OptionError, match="2 formats") as caught:
        shapes(["in/a.csv", "in/b.json.gz"], "in/*", None, None)
    assert "b.json.gz" in (caught.value.got or "")
    assert shapes(["in/a.csv", "in/b.json.gz"], "in/*", "csv", None)[0] == "csv"


def test_a_name_that_tells_nothing() -> None:
    with pytest.raises(OptionError, match="does not tell"):
        shapes(["in/csv"], "in/*", None, None)
    with pytest.raises(OptionError, match="does not tell"):
        shapes([], "in/*", None, None)
    assert shapes([], "in/*.parquet", None, None) == ("parquet", ())


def test_the_compression_said_wins_over_the_name() -> None:
    assert shapes(["a.csv.gz"], "a.csv.gz", None, "none")[1][0].compression is None
    assert shapes(["a.csv"], "a.csv", None, "gzip")[1][0].compression == "gzip"
    assert shapes(["a.parquet"], "a.parquet", None, "zstd")[1][0].compression is None
    with pytest.raises(OptionError, match="compression"):
        shapes(["a.csv"], "a.csv", None, "zip")


def test_formats_by_name() -> None:
    assert read_options(read(format="JSONL")).format == "ndjson"
    with pytest.raises(OptionError) as caught:
        read(format="parkuet")
    assert caught.value.nearest == "parquet"


@pytest.mark.parametrize(
    ("text", "types"),
    [
        ("a BIGINT, b VARCHAR, c DECIMAL(10, 2)", ["bigint", "string", "decimal(10,2)"]),
        ("a LONG, b STRING, c BYTE", ["bigint", "string", "tinyint"]),
        ("a INT[], b MAP(VARCHAR, INT)", ["array<int>", "map<string,int>"]),
        ("a ARRAY<INT>, b STRUCT<x: DATE, y: STRING>", ["array<int>", "struct<x:date,y:string>"]),
        ("a STRUCT(x INT, y STRUCT(z BLOB))", ["struct<x:int,y:struct<z:binary>>"]),
        ("a TIMESTAMP, b TIMESTAMPTZ", ["timestamp_ntz", "timestamp"]),
        ("a UBIGINT, b HUGEINT, c DECIMAL", ["decimal(20,0)", "decimal(38,0)", "decimal(18,3)"]),
        ('"ü b" REAL, `c` DOUBLE', ["float", "double"]),
    ],
)
def test_declared_columns(text: str, types: list[str]) -> None:
    dialect = "spark" if "`" in text else "duckdb"
    if dialect == "spark":
        text = text.replace('"', "`").replace("REAL", "FLOAT")
    assert [str(f.type) for f in columns(text, dialect).fields] == types


def test_what_spark_means() -> None:
    schema = columns("a TIMESTAMP, b TIMESTAMP_NTZ, c DECIMAL, d INT COMMENT 'x'", "spark")
    types = ["timestamp", "timestamp_ntz", "decimal(10,0)", "int"]
    assert [str(f.type) for f in schema.fields] == types
    assert schema.fields[3].comment == "x"


@pytest.mark.parametrize(
    "text",
    [
        "id",
        "",
        "id BIGINT name",
        "a INT) AS SELECT (1",
        "a INT, A INT",
        "(",
        "a INT) USING csv --",
    ],
)
def test_texts_that_are_no_columns(text: str) -> None:
    with pytest.raises((OptionError, TypeNameError)):
        columns(text, "duckdb")


@pytest.mark.parametrize("type_", ["BIGNIT", "TIME", "INTERVAL", "DECIMAL(50,2)", "DECIMAL(3,5)"])
def test_types_that_no_table_holds(type_: str) -> None:
    with pytest.raises(TypeNameError) as caught:
        columns(f"id {type_}", "duckdb")
    if type_ == "BIGNIT":
        assert caught.value.nearest == "BIGINT"
