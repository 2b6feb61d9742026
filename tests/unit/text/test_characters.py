"""Nothing that comes from data may steer a terminal."""

from __future__ import annotations

import unicodedata

import pytest

from qanat.text import cells, clip, printable


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
