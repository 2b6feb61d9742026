"""The frame of HTML pages, and what is drawn in them."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from qanat.errors import AdapterError
from qanat.report.html import Inline
from qanat.report.page import code, contents, facts, folded, frame, head, section, table, write
from qanat.report.plots import Bin, bars, histogram, line, sparkline
from tests.unit.report.test_html import EVIL, parsed


def test_nothing_from_data_becomes_markup() -> None:
    parts = (
        head(EVIL, EVIL, "bad", EVIL),
        facts({EVIL: EVIL}),
        contents({"a": EVIL}),
        section(EVIL, folded(EVIL, code(EVIL), remark=EVIL), anchor="a", remark=EVIL),
        table([EVIL], [[EVIL], [Inline(sparkline([1, 2], EVIL))]], EVIL),
        histogram([Bin(0, 1, 2)], EVIL, remark=EVIL),
        line([1, 2], EVIL, [EVIL, EVIL], [None, (0, 1)], {1}, remark=EVIL),
        bars([EVIL], [1], EVIL),
    )
    text = frame(EVIL, *parts)
    assert "<img" not in text
    assert not re.search(r"https?://(?!www\.w3\.org)|<script|<link", text)
    found = parsed(re.sub(r"<!doctype html>|<meta[^>]*>", "", text))
    assert {"main", "h1", "h2", "nav", "details", "table", "svg", "title"} <= found.tags


def test_plots_of_nothing_are_nothing_and_odd_numbers_do_not_break_them() -> None:
    assert (histogram([], "a"), line([], "a", []), bars([], [], "a"), sparkline([], "a")) == (
        "",
    ) * 4
    assert line([None, math.nan, math.inf], "a", ["x", "y", "z"]) == ""
    for drawn in (
        line([None, 5, math.nan, 5], "a", ["w", "x", "y", "z"], marks={0, 1}),
        sparkline([3], "a", {0}),
        histogram([Bin(4, 4, 9)], "a"),
    ):
        assert not re.search(r'[ "](?:nan|inf)', drawn)


def test_a_section_without_anything_is_left_out() -> None:
    assert section("A", *[]) == ""


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write(path, "one")
    write(path, "two")
    assert path.read_text() == "two"
    with pytest.raises(AdapterError):
        write(tmp_path / "nowhere" / "page.html", "x")
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]
