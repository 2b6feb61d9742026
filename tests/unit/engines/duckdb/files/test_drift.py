"""The types that columns get for values that do not fit."""

from __future__ import annotations

import duckdb
import pytest

from qanat.engines.duckdb.files.drift import Misfits, wider_type
from qanat.engines.duckdb.files.infer import tally
from qanat.model.schema import Array, DataType, Decimal, Primitive
from qanat.text import literal

LONG, DOUBLE, DATE = Primitive("long"), Primitive("double"), Primitive("date")


@pytest.mark.parametrize(
    ("have", "texts", "fitting", "expected"),
    [
        (LONG, ["0.5"], 9, "decimal(38,6)"),
        (LONG, ["0.5", "x"], 9, "decimal(38,6)"),
        (LONG, ["x"], 1, None),
        (LONG, ["x"], 0, "string"),
        (LONG, ["x", "x", "0.5"], 0, "string"),
        (LONG, ["x", "0.5"], 0, "decimal(38,6)"),
        (LONG, ["9" * 38], 9, "decimal(38,0)"),
        (LONG, ["9" * 39], 9, "string"),
        (LONG, ["1e300", "NaN"], 9, "double"),
        # 19 digits before the point leave 19 behind it.
        (LONG, ["0." + "1" * 18], 9, "decimal(38,18)"),
        (LONG, ["0." + "1" * 20], 9, "string"),
        (Primitive("integer"), ["3000000000"], 9, "bigint"),
        (Primitive("float"), ["0.1"], 9, "double"),
        (Decimal(38, 6), ["0.1234567"], 9, "decimal(38,12)"),
        (Decimal(38, 6), ["1e300"], 9, "double"),
        (DOUBLE, ["12345678901234567"], 9, "decimal(38,6)"),
        (DOUBLE, ["1." + "1" * 30 + "e300"], 9, "string"),
        (DATE, ["2024-01-31 10:00:00"], 9, "timestamp_ntz"),
        (DATE, ["never"], 9, None),
        (Primitive("timestamp_ntz"), ["2024-01-31 10:00:00Z"], 0, "string"),
        (Primitive("boolean"), ["yes"], 0, "string"),
        (Primitive("boolean"), ["yes"], 1, None),
        (Array(LONG), ["x"], 0, None),
        (Primitive("binary"), ["x"], 0, None),
    ],
)
def test_a_column_gets_the_next_type_that_holds_its_numbers(
    have: DataType, texts: list[str], fitting: int, expected: str | None
) -> None:
    """Texts make it text only if they are more than half."""
    rows = ", ".join(f"({literal(t)})" for t in texts)
    pairs = f"SELECT 'c' AS name, v FROM (VALUES {rows}) AS t(v)"
    with duckdb.connect() as con:
        seen = tally(con, pairs)["c"]
    found = wider_type(have, Misfits(seen, fitting))
    assert (None if found is None else str(found)) == expected
