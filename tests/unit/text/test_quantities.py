"""Sizes and durations that people write."""

from __future__ import annotations

import pytest

from qanat.text import SIZE, parse_size, size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("4096", 4096),
        ("1 B", 1),
        ("12 bytes", 12),
        ("1kB", 1000),
        ("1KB", 1000),
        ("1KiB", 1024),
        ("1GB", 10**9),
        ("1gb", 10**9),
        ("1GiB", 2**30),
        ("1.5 GB", 1_500_000_000),
        (" 2TB ", 2 * 10**12),
        ("10g", 10 * 2**30),
        ("1K", 1024),
        ("0.1GB", 100_000_000),
        ("9007199254740993", 9007199254740993),
    ],
)
def test_sizes(text: str, expected: int) -> None:
    assert parse_size(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "B",
        "GB",
        "-1GB",
        "1e9",
        "1 i",
        "1ib",
        "1gi",
        "1XB",
        "1GB 1MB",
        "inf",
        "nan",
        "٣GB",
        "1,5GB",
    ],
)
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match=SIZE):
        parse_size(text)


@pytest.mark.parametrize("bytes", [0, 999, 4_100_000, 2_000_000_000])
def test_what_is_written_can_be_read(bytes: int) -> None:
    assert parse_size(size(bytes)) == bytes
