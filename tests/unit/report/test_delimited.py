"""Rows as CSV, read back by Python's own reader."""

from __future__ import annotations

import csv
import io
import math
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest

from qanat.report.delimited import csv_header, csv_lines


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("", '""'),
        ("a,b", '"a,b"'),
        ('say "x"', '"say ""x"""'),
        ("two\nlines", '"two\nlines"'),
        ("two\rlines", '"two\rlines"'),
        (True, "true"),
        (2**80, str(2**80)),
        (0.1, "0.1"),
        (math.inf, "Infinity"),
        (Decimal("1.10"), "1.10"),
        (date(2013, 1, 31), "2013-01-31"),
        (datetime(2013, 1, 31, 5, tzinfo=UTC), "2013-01-31T05:00:00Z"),
        (time(5, 6), "05:06:00"),
        (b"\x00", "AA=="),
        ([1, None], '"[1, null]"'),
        ({"a": Decimal("1.0")}, '"{""a"": ""1.0""}"'),
    ],
)
def test_values(value: Any, text: str) -> None:
    assert list(csv_lines([(value, 1)])) == [f"{text},1"]


def test_what_is_written_can_be_read() -> None:
    rows = [("a,b", "x\ny"), ('"', ""), ("数据", "z")]
    text = "\n".join([csv_header(["one", "two, three"]), *csv_lines(rows)])
    read = list(csv.reader(io.StringIO(text, newline="")))
    assert read == [["one", "two, three"], *map(list, rows)]
