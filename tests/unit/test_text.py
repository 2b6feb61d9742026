"""How values are written for people: sizes, characters that must not steer a terminal, tables."""

from __future__ import annotations

import unicodedata

import pytest

from qanat.text import SIZE, Cell, Layout, cells, clip, grid, parse_size, printable, size

# -- sizes -----------------------------------------------------------------------------------


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


# -- characters ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[31mred\x1b[0m",
        "\x1b]0;title\x07",
        "\x9b2J",
        "a\rb",
        "a\x08b",
        "\u202egnp.exe",
        "\u2066isolate\u2069",
        "zero\u200bwidth",
        "\ud800",
        "\U000e0041tag",
        "\ufeffbom",
    ],
)
def test_nothing_steers_the_terminal(text: str) -> None:
    shown = printable(text)
    assert shown != text
    assert all(unicodedata.category(c) not in ("Cc", "Cf", "Cs") for c in shown)


@pytest.mark.parametrize("text", ["naïve", "数据", "شهر", "👍🏽", "e\u0301", "a b"])
def test_letters_of_all_scripts_stay(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize("text", ["数据数据数据", "abcdef", "👍🏽👍🏽👍🏽", "e\u0301" * 10])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 5])
def test_clipped_text_fits(text: str, width: int) -> None:
    assert cells(clip(text, width)) <= max(width, 1)


def test_short_text_is_not_clipped() -> None:
    assert clip("数据", 4) == "数据"


# -- tables ----------------------------------------------------------------------------------


def test_wide_characters_line_up() -> None:
    lines = grid(["city", "n"], [["北京", 1], ["Yazd", 20], ["e\u0301", 300]])
    assert [cells(line) for line in lines] == [9 - 0] * 4
    assert lines[1] == "北京    1"


def test_a_column_with_text_is_aligned_to_the_left() -> None:
    assert grid(["n"], [[1], ["text"]]) == ["n", "1", "text"]
    assert grid(["n"], [[1], [None], [1000]]) == ["    n", "    1", "    –", "1,000"]


def test_no_rows() -> None:
    assert grid(["a", "b"], []) == ["a  b"]


def test_everything_fits_a_terminal() -> None:
    headers = [f"column_{n}" for n in range(30)]
    rows = [["数" * 5000] * 30, ["x"] * 30]
    for width in (10, 20, 80, 200):
        assert all(cells(line) <= width for line in grid(headers, rows, Layout(width=width)))


def test_long_values_take_the_room_that_is_left() -> None:
    name, why = "orders." + "x" * 43, "y" * 100
    wide, narrow = (
        grid(["Check", "Rows", "Why"], [[name, 7, why]], Layout(width=n)) for n in (120, 90)
    )
    assert wide[1] == f"{name}     7  {'y' * 61}…"
    # Both are cut before a column is left out.
    assert narrow[1] == f"{name[:41]}…     7  {'y' * 39}…"
    assert grid(["n"], [["z" * 50]], Layout(width=60))[1] == "z" * 50


def test_nothing_is_cut_elsewhere() -> None:
    long = "x" * 10_000
    assert grid(["a"], [[long]])[1] == long


def test_values_and_headers_cannot_steer_the_terminal() -> None:
    text = "\n".join(grid(["\x1b[2J"], [["\x1b]0;t\x07"], [Cell("a\nb")]]))
    assert "\x1b" not in text
    assert len(text.splitlines()) == 3
