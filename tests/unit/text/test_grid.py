"""Aligned tables."""

from __future__ import annotations

from qanat.text import Cell, Layout, cells, grid


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


def test_nothing_is_cut_elsewhere() -> None:
    long = "x" * 10_000
    assert grid(["a"], [[long]])[1] == long


def test_values_and_headers_cannot_steer_the_terminal() -> None:
    text = "\n".join(grid(["\x1b[2J"], [["\x1b]0;t\x07"], [Cell("a\nb")]]))
    assert "\x1b" not in text
    assert len(text.splitlines()) == 3
