"""Sizes and durations that people write."""

from __future__ import annotations

import pytest

from qanat.text import DURATION, SIZE, parse_duration, parse_size, size


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("90", 90),
        ("0.5", 0.5),
        ("500ms", 0.5),
        ("30s", 30),
        ("30 SECONDS", 30),
        ("1 second", 1),
        ("5 min", 300),
        ("5m", 300),
        ("1h 30m", 5400),
        ("1h30m", 5400),
        ("1 hour 5 minutes", 3900),
        ("2 days", 172_800),
        ("1w", 604_800),
    ],
)
def test_durations(text: str, expected: float) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "s", "-1s", "1 fortnight", "1h, 2m", "1h 30", "m 5", "1 ss"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=DURATION):
        parse_duration(text)
