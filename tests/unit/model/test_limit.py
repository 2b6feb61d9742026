"""What a limit of quarantined rows means."""

from __future__ import annotations

import pytest

from qanat.model.limit import LIMIT, parse_limit


@pytest.mark.parametrize(
    ("text", "aside", "of", "allowed"),
    [
        ("20 %", 1, 5, True),
        ("20%", 2, 9, False),
        ("0 %", 0, 0, True),
        ("0 %", 1, 1_000_000, False),
        ("100 %", 7, 7, True),
        (" 0.1 % ", 1, 1000, True),
        ("0.1 %", 2, 1000, False),
        ("10", 10, 10, True),
        ("10 rows", 11, 1_000, False),
        ("1 Row", 1, 1, True),
    ],
)
def test_shares_and_numbers_of_rows(text: str, aside: int, of: int, allowed: bool) -> None:
    assert parse_limit(text).allows(aside, of) is allowed


@pytest.mark.parametrize("text", ["", "20 percent", "101 %", "-1", "1e3", "0,5 %", "1.5", "%"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=LIMIT):
        parse_limit(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("20%", "20 %"), ("0.125 %", "0.125 %"), ("1", "1 row"), ("5000", "5000 rows")],
)
def test_it_is_shown_as_it_would_be_written(text: str, shown: str) -> None:
    assert str(parse_limit(text)) == shown
