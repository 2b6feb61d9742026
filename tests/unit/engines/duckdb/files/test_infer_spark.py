"""The types of a project in Spark's dialect: Spark's own, unless one would change a value.

What Spark infers was recorded from Spark 4.2.0 (`inferSchema`, session time zone UTC).
"""

from __future__ import annotations

from typing import Any

import pytest

from qanat.engines.duckdb.files.infer import survey
from qanat.model.inference import SPARK
from qanat.text import literal

SAME = (
    (("1", "-5", "0"), "int"),
    (("2147483647", "-2147483648"), "int"),
    (("1", "2147483648"), "bigint"),
    (("9223372036854775807", "-9223372036854775808"), "bigint"),
    (("1", "9223372036854775808"), "decimal(19,0)"),
    (("12345678901234567890", "1"), "decimal(20,0)"),
    (("12345678901234567890123456789012345678", "1"), "decimal(38,0)"),
    (("1.0", "2.0"), "double"),
    (("1.10", "2.25"), "double"),
    (("0.1", "1"), "double"),
    (("1e3", "2.5"), "double"),
    (("1e5", "1E6"), "double"),
    (("1.", "2.5"), "double"),
    ((".5", "2.5"), "double"),
    (("NaN", "1.5"), "double"),
    (("1", "NaN"), "double"),
    (("Inf", "-Inf", "1"), "double"),
    (("Infinity", "-Infinity", "1"), "double"),
    (("true", "False", "TRUE"), "boolean"),
    (("yes", "no"), "string"),
    (("2024-01-31", "1999-12-01"), "date"),
    (("0001-01-01", "2024-01-31"), "date"),
    (("2024/01/31", "2024/02/01"), "string"),
    (("2024", "2025"), "int"),
    (("2024-01-31 10:20:30", "2024-01-31T10:20:30"), "timestamp"),
    (("2024-01-31 10:20:30.123456", "2024-01-31 10:20:30.1"), "timestamp"),
    (("2024-01-31 10:20", "2024-01-31 10:21"), "timestamp"),
    (("2024-01-31T10:20:30Z", "2024-01-31T10:20:30+02:00"), "timestamp"),
    (("2024-01-31 10:20:30", "2024-01-31T10:20:30Z"), "timestamp"),
    (("2024-01-31", "2024-01-31 10:20:30"), "timestamp"),
    (("2024-01-31", "2024-01-31T10:20:30Z"), "timestamp"),
    (("1", "x"), "string"),
    (("1", "true"), "string"),
    (("1", "2024-01-31"), "string"),
    (("1_000", "2"), "string"),
    (("0x1F", "2"), "string"),
    (("$5", "1"), "string"),
)
OTHERS = (
    # The value that Spark would make of it, where it differs from the text.
    (("007", "008"), "int", "string"),  # 7
    (("+5", "+49123"), "int", "string"),  # 49123
    (("-0", "1"), "int", "double"),  # 0
    (("123456789012345678901234567890123456789", "1"), "double", "string"),  # …68E38
    (("0.1234567890123456789", "1"), "double", "decimal(38,24)"),  # 0.12345678901234568
    (("90071992547409.93", "1.5"), "double", "decimal(38,6)"),  # 90071992547409.94
    (("9223372036854775807", "0.5"), "double", "decimal(38,6)"),  # 9.223372036854776E18
    (("12345678901234567890", "0.5"), "double", "decimal(38,6)"),  # 1.2345678901234567E19
    (("1d", "2f"), "double", "string"),  # 1.0
    (("2024-1-3", "2024-2-1"), "timestamp", "string"),  # 2024-01-03 00:00:00
    (("2024-01", "2024-02"), "timestamp", "string"),  # 2024-01-01 00:00:00
    (("10:20:30", "11:00:00"), "timestamp", "string"),  # at that time of today
    (("2024-01-31 10:20:30.123456789",), "timestamp", "string"),  # .123456
    (("0999-01-01", "2024-01-31"), "date", "string"),  # rather the number of a part
    # No value differs; the number is what it would be without the spaces.
    ((" 5", "6 "), "double", "int"),
)


def inferred(bench: Any, texts: tuple[str, ...]) -> str:
    rows = ", ".join(f"({literal(t)})" for t in texts)
    (seen,) = survey(bench.con, f"(VALUES {rows}) AS v(t)", ("t",))
    return str(seen.type_by(SPARK))


@pytest.mark.parametrize(("texts", "spark"), SAME)
def test_sparks_type_where_it_keeps_every_value(
    bench: Any, texts: tuple[str, ...], spark: str
) -> None:
    assert inferred(bench, texts) == spark


@pytest.mark.parametrize(("texts", "spark", "ours"), OTHERS)
def test_another_type_where_sparks_would_change_a_value(
    bench: Any, texts: tuple[str, ...], spark: str, ours: str
) -> None:
    assert inferred(bench, texts) == ours != spark


JSON = (
    ("1", "bigint"),
    ("2147483648", "bigint"),
    ("12345678901234567890", "decimal(20,0)"),
    ("12345678901234567890123456789012345678", "decimal(38,0)"),
    ("1.10", "double"),
    ("1e3", "double"),
    ("true", "boolean"),
    ('"1"', "string"),
    ('"2024-01-31"', "string"),
    ('"2024-01-31T10:20:30"', "string"),
    ("[1, 2]", "array<bigint>"),
    ("[1, 2.5]", "array<double>"),
    ('{"a": 1, "b": "x"}', "struct<a:bigint,b:string>"),
    ('{"a": 12345678901234567890}', "struct<a:decimal(20,0)>"),
)


@pytest.mark.parametrize(("text", "spark"), JSON)
def test_sparks_types_of_json(bench: Any, text: str, spark: str) -> None:
    file = bench.put("a.json", f'{{"v": {text}}}\n')
    [field] = bench.bind(file, format="ndjson", inference=SPARK).schema.fields
    assert str(field.type) == spark


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ("123456789012345678901234567890123456789", "string"),
        ("0.1234567890123456789", "decimal(38,24)"),
        ("90071992547409.93", "decimal(38,6)"),
    ],
)
def test_json_that_sparks_double_would_change(bench: Any, text: str, ours: str) -> None:
    file = bench.put("a.json", f'{{"v": {text}}}\n')
    [field] = bench.bind(file, format="ndjson", inference=SPARK).schema.fields
    assert str(field.type) == ours


@pytest.mark.parametrize(
    ("first", "later", "type_"),
    [
        ("1", "2147483648", "bigint"),
        ("1", "12345678901234567890", "decimal(38,0)"),
        ("1", "2.5", "decimal(38,6)"),
        ("12345678901234567890", "123456789012345678901", "decimal(38,0)"),
        ("2024-01-31", "2024-01-31 10:20:30", "timestamp"),
        ("2024-01-31", "2024-01-31T10:20:30Z", "timestamp"),
    ],
)
def test_a_later_file_widens_what_spark_has_inferred(
    bench: Any, first: str, later: str, type_: str
) -> None:
    known = bench.bind(bench.put("a.csv", f"v\n{first}\n"), inference=SPARK).schema
    file = bench.put("b.csv", f"v\n{first}\n{later}\n")
    bound = bench.bind(file, known=known, inference=SPARK, widens=True)
    assert str(bound.schema.fields[0].type) == type_
    assert len(bench.rows(bound)) == 2
    assert bound.malformed is None


def test_a_number_behind_the_sample_widens_at_once(bench: Any) -> None:
    rows = 30_000
    text = "v\n" + "\n".join(map(str, range(rows))) + "\n3000000000\n"
    bound = bench.bind(bench.put("a.csv", text), inference=SPARK, widens=True)
    assert str(bound.schema.fields[0].type) == "bigint"
    assert (len(bench.rows(bound)), bound.malformed) == (rows + 1, None)
