"""Profiles as text that fits, and as a page that holds nothing but itself."""

from __future__ import annotations

from decimal import Decimal
from html.parser import HTMLParser

import pytest

from qanat.model.profile import (
    Association,
    Bin,
    CandidateKey,
    ColumnProfile,
    Method,
    Numbers,
    Profile,
    Profiled,
    Quantile,
    Texts,
    ValueCount,
)
from qanat.report.profile.history import profiles_text
from qanat.report.profile.page import overview, profile_page
from qanat.report.profile.text import profile_html, profile_text
from qanat.text import Layout, cells

EVIL = "<script>alert('数据')</script>"


def number(name: str = "amount", missing: int = 10) -> ColumnProfile:
    return ColumnProfile(
        name=name,
        type="decimal(12,2)",
        rows=1000,
        nulls=missing,
        distinct=700,
        distinct_by=Method.HASHED,
        low=Decimal("1.00"),
        high=Decimal("1234567.89"),
        values_by=Method.SAMPLE,
        quantiles=tuple(Quantile(s, "12.5") for s in (0.05, 0.5, 0.95)),
        histogram=(Bin(0.0, 10.0, 900), Bin(10.0, 20.0, 0), Bin(20.0, 30.0, 100)),
        numbers=Numbers(12.25, 3.5, 1, 0),
    )


def some() -> Profile:
    text = ColumnProfile(
        name=EVIL,
        type="string",
        rows=1000,
        nulls=500,
        distinct=3,
        low=EVIL,
        high="z" * 200,
        top=(ValueCount(EVIL, 300), ValueCount(" padded\x1b[2J", 150), ValueCount("NULL", 50)),
        texts=Texts(1, 200, 12.5, 2, 150, (ValueCount("AA-9999", 500),), Method.SAMPLE),
        hints=("reads as uuids",),
    )
    day = ColumnProfile(
        name="day",
        type="date",
        rows=1000,
        nulls=0,
        distinct=2,
        low="2026-01-01",
        high="2026-01-02",
        histogram=(Bin("2026-01-01", "2026-01-02", 400), Bin("2026-01-02", "2026-01-03", 600)),
    )
    pairs = (Association("amount", "day", "correlation", -0.75),)
    keys = (CandidateKey(("amount", "day"), 400, Method.HASHED),)
    found = Profiled(1000, 500, (number(), text, day, number("other")), pairs, keys)
    return Profile("shop", found, 3, "id > 0", 0.1)


@pytest.mark.parametrize("width", [60, 80, 140])
@pytest.mark.parametrize("columns", [4, 2])
def test_text_fits_into_its_width(width: int, columns: int) -> None:
    profile = some()
    found = Profiled(1000, 500, profile.profiled.columns[:columns], profile.profiled.associations)
    text = profile_text(Profile("shop", found), Layout(width=width))
    assert max(map(cells, text.splitlines())) <= width
    assert "\x1b" not in text
    assert "█ ▁" in text


def test_text_says_what_there_is() -> None:
    text = profile_text(some())
    assert text.startswith("shop: version 3, 1,000 rows where id > 0, 4 columns\n")
    for said in ("~700", "400 of 1,000 rows", "-0.75", "AA-9999 ~50 %", "'NULL' 5 %", "50 %"):
        assert said in text, said


def test_a_column_alone_is_shown_with_all_its_bins() -> None:
    text = profile_text(Profile("t", Profiled(9, 9, (number(),))))
    assert "0 to 10   90 %  ████████████████████████" in text
    assert "20 to 30  10 %  ███" in text


class Tags(HTMLParser):
    """The tags of a page, which are closed in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.addresses += [v or "" for name, v in attrs if name in ("href", "src")]
        if tag not in ("meta", "rect", "path"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("rect", "path"):
            assert self.open.pop() == tag


def test_the_page_is_whole_and_loads_nothing() -> None:
    page = profile_page(some())
    tags = Tags()
    tags.feed(page)
    assert not tags.open
    assert not tags.seen & {"script", "img", "link", "iframe"}
    assert all(address.startswith("#") for address in tags.addresses)
    assert "alert" in page
    assert "http" not in page.replace("http://www.w3.org", "").replace("http-equiv", "")
    for said in (
        "Columns that tell rows apart",
        "-0.75",
        "2026-01-02 to 2026-01-03: 600 rows",
        "AA-9999",
    ):
        assert said in page, said


def test_a_page_of_thousands_of_columns_draws_some_and_lists_all() -> None:
    page = profile_page(Profile("t", Profiled(9, 9, tuple(number(f"c{i}") for i in range(2000)))))
    assert "c1999" in page
    assert "1,700 more columns" in page
    assert len(page) < 5_000_000


@pytest.mark.parametrize("columns", [(), (ColumnProfile("a", "bigint", 0, 0, 0),)])
def test_nothing_to_tell(columns: tuple[ColumnProfile, ...]) -> None:
    profile = Profile("t", Profiled(0, 0, columns))
    assert "0 rows" in profile_text(profile, Layout(width=60))
    assert "0 rows" in profile_page(profile)
    assert "0 rows" in profile_html(profile)


def test_bounds_are_left_out_of_an_overview_without_values() -> None:
    found = some().profiled
    assert "1,234,567.89" in overview(found)
    assert "1,234,567.89" not in overview(found, values=False)
    assert "z" * 20 not in overview(found, values=False)


def test_profiles_beside_one_another() -> None:
    newest = Profile("t", Profiled(9, 9, (number(missing=500),)), 2, update="b", at=86400.0)
    oldest = Profile("t", Profiled(9, 9, (number(missing=0),)), 1, update="a", at=0.0)
    text = profiles_text((newest, oldest))
    assert "b       1970-01-02 00:00:00 UTC" in text
    assert "50 %  ▁█" in text
    assert "qanat.profile" in profiles_text(())
