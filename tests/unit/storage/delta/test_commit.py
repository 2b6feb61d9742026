"""Neutral statistics in the words of Delta's log: loose perhaps, never wrong."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Sequence
from decimal import Decimal as Number
from typing import Any

import pytest

from qanat.model.schema import STRING, DataType, Decimal, Field, Primitive, Schema
from qanat.model.staged import ColumnStatistics, DataFile
from qanat.storage.delta.statistics import statistics_text

LONG = Primitive("long")
Found = dict[str, ColumnStatistics]


def rendered(found: Found, fields: Sequence[tuple[str, DataType]], *keys: str) -> dict[str, Any]:
    file = DataFile("a.parquet", 100, 3, {}, found)
    schema = Schema(tuple(Field(n, t) for n, t in fields))
    text: dict[str, Any] = json.loads(statistics_text(file, schema, keys))
    return text


def bounds(type_: DataType, low: Any, high: Any) -> tuple[Any, Any] | None:
    text = rendered({"v": ColumnStatistics(0, low, high)}, [("v", type_)])
    return (text["minValues"]["v"], text["maxValues"]["v"]) if "minValues" in text else None


def at(*parts: int) -> dt.datetime:
    return dt.datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001


@pytest.mark.parametrize(
    ("type_", "low", "high", "wanted"),
    [
        (LONG, -7, 2**63 - 1, (-7, 2**63 - 1)),
        (Primitive("boolean"), False, True, (False, True)),
        (Primitive("double"), -0.5, 1e300, (-0.5, 1e300)),
        (Primitive("double"), 2.0, math.inf, None),
        (STRING, "", "ü", ("", "ü")),
        (STRING, "a" * 40, "b" * 40, ("a" * 32, "b" * 32 + "\U0010ffff")),
        (Primitive("date"), dt.date(1, 1, 1), dt.date(9999, 12, 31), ("0001-01-01", "9999-12-31")),
        (
            Primitive("timestamp_ntz"),
            at(1969, 12, 31, 23, 59, 59, 999_001),
            at(2020, 1, 1, 0, 0, 0, 1),
            ("1969-12-31T23:59:59.999", "2020-01-01T00:00:00.001"),
        ),
        (
            Primitive("timestamp"),
            dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
            dt.datetime(2020, 1, 1, 0, 0, 0, 999_999, dt.UTC),
            ("2020-01-01T00:00:00.000Z", "2020-01-01T00:00:01.000Z"),
        ),
        # There is no later millisecond to round up to.
        (Primitive("timestamp_ntz"), at(2020, 1, 1), at(9999, 12, 31, 23, 59, 59, 999_999), None),
        (Decimal(9, 2), Number("-1.75"), Number("0.10"), (-1.75, 0.1)),
    ],
)
def test_bounds_of_every_type(type_: DataType, low: Any, high: Any, wanted: Any) -> None:
    assert bounds(type_, low, high) == wanted


@pytest.mark.parametrize(
    ("low", "high"),
    [("-12345678901234567890.123", "0.001"), ("0.001", "99999999999999999999.999"), ("-2", "2")],
)
def test_numbers_of_many_digits_lie_within_their_bounds(low: str, high: str) -> None:
    found = bounds(Decimal(38, 3), Number(low), Number(high))
    assert found is not None
    # As doubles, which is how readers take them.
    assert Number(float(found[0])) <= Number(low)
    assert Number(high) <= Number(float(found[1]))


def test_a_column_without_bounds_leaves_none_to_others() -> None:
    fields = [("a", LONG), ("b", Primitive("double"))]
    text = rendered({"a": ColumnStatistics(0, 1, 2), "b": ColumnStatistics(1)}, fields)
    assert text == {"numRecords": 3, "nullCount": {"a": 0, "b": 1}}


def test_a_column_of_nulls_alone_needs_no_bounds() -> None:
    text = rendered(
        {"a": ColumnStatistics(0, 1, 2), "b": ColumnStatistics(3)}, [("a", LONG), ("b", LONG)]
    )
    assert (text["minValues"], text["nullCount"]) == ({"a": 1}, {"a": 0, "b": 3})


def test_neither_partition_columns_nor_those_far_behind() -> None:
    fields = [(f"n{i}", LONG) for i in range(40)]
    text = rendered({n: ColumnStatistics(0, 1, 2) for n, _ in fields}, fields, "n0")
    assert list(text["minValues"]) == [f"n{i}" for i in range(1, 33)]


def test_nothing_known() -> None:
    assert rendered({}, [("a", LONG)]) == {"numRecords": 3}


def test_a_bound_has_no_more_digits_than_its_type() -> None:
    """1 is no DECIMAL(5,5): readers make NULL of such a bound, and skip the file."""
    assert bounds(Decimal(5, 5), Number("0.00004"), Number("0.99999")) is None
