"""From figures of columns to candidates: each rule with what it takes, and what it leaves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from qanat.model.expectation import Tolerance
from qanat.model.profile import (
    CandidateKey,
    ColumnProfile,
    Numbers,
    Profiled,
    Quantile,
    Texts,
    ValueCount,
)
from qanat.model.suggestion import Candidate
from qanat.quality.suggestions.complete import complete
from qanat.quality.suggestions.evidence import Evidence, Target
from qanat.quality.suggestions.history import freshness, volume
from qanat.quality.suggestions.keys import keys
from qanat.quality.suggestions.moments import moments
from qanat.quality.suggestions.numbers import numbers
from qanat.quality.suggestions.order import order
from qanat.quality.suggestions.references import fitting, references
from qanat.quality.suggestions.rules import ladders
from qanat.quality.suggestions.said import unsaid, without_implied
from qanat.quality.suggestions.texts import regular, texts

SHARES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def number(name: str, low: Any, high: Any, *, type: str = "bigint", **more: Any) -> ColumnProfile:
    """Numbers that are spread evenly."""
    span = high - low
    quantiles = tuple(Quantile(s, str(low + span * type_of(span)(s))) for s in SHARES)
    found = ColumnProfile(
        name, type, 1000, 0, 500, low=low, high=high, quantiles=quantiles,
        numbers=Numbers(0.0, 1.0, 0, 0),
    )  # fmt: skip
    return replace(found, **more)


def type_of(value: Any) -> type:
    return float if isinstance(value, int) else type(value)


def text(name: str, *patterns: tuple[str, int], **more: Any) -> ColumnProfile:
    lengths = [len(p) for p, _ in patterns] or [5]
    counted = tuple(ValueCount(p, n) for p, n in patterns)
    reads = more.pop("reads", None)
    known = Texts(min(lengths), max(lengths), 5.0, 0, 0, counted, reads_as=reads)
    found = ColumnProfile(name, "string", 1000, 0, 500, low="a", high="z", texts=known)
    return replace(found, **more)


def day(name: str, low: str, high: str, points: list[str], **more: Any) -> ColumnProfile:
    quantiles = tuple(Quantile(s, v) for s, v in zip(SHARES, points, strict=True))
    found = ColumnProfile(name, "date", 1000, 0, 90, low=low, high=high, quantiles=quantiles)
    return replace(found, **more)


def evidence(*columns: ColumnProfile, **more: Any) -> Evidence:
    many = max((c.rows for c in columns), default=1000)
    found = more.pop("keys", ())
    profiled = Profiled(many, many, columns, (), tuple(CandidateKey(k, many) for k in found))
    return Evidence(profiled, **{"typical": 200, "ended": 1e10, **more})


def said(ladders_: Any) -> list[list[tuple[str, dict[str, Any]]]]:
    """Kinds and arguments, without the column."""
    return [
        [(c.kind, {k: v for k, v in c.arguments if k != "column"}) for c in ladder]
        for ladder in ladders_
    ]


def first(ladders_: Any) -> Candidate:
    return next(iter(ladders_))[0]  # type: ignore[no-any-return]


# -- NULL ------------------------------------------------------------------------------------


def test_a_column_without_null_has_none() -> None:
    found = said(complete(evidence(), number("amount", 1, 9)))
    assert found == [[("not_null", {"columns": ["amount"]})]]


def test_a_text_without_null_is_not_empty_either_unless_another_check_says_so() -> None:
    found = said(complete(evidence(), text("name", ("Aaa", 300), ("Aaaa", 300))))
    assert found == [[("not_missing", {"values": [""]}), ("not_null", {"columns": ["name"]})]]
    code = text("code", ("AA-99", 1000))
    assert said(complete(evidence(code), code)) == [[("not_null", {"columns": ["code"]})]]


def test_a_few_nulls_are_tolerated_as_an_epoch_may_have_them_by_chance() -> None:
    column = number("amount", 1, 9, nulls=10)
    (made,) = next(complete(evidence(typical=1000), column))
    assert made.tolerance == Tolerance(share=0.025)
    (made,) = next(complete(evidence(typical=200), column))
    assert made.tolerance == Tolerance(share=0.061)
    assert not list(complete(evidence(typical=10), column))  # anything may happen in ten rows
    assert not list(complete(evidence(), number("amount", 1, 9, nulls=200)))


def test_what_the_schema_says_is_not_said_again() -> None:
    assert not list(complete(evidence(not_null=("ID",)), number("id", 1, 9)))


# -- keys ------------------------------------------------------------------------------------


def test_numbers_that_chance_would_repeat_are_a_key() -> None:
    dense = number("entry", 1, 1000, distinct=1000)
    sparse = number("cents", 1, 90_000_000, distinct=1000)
    named = number("line_id", 1, 90_000_000, distinct=1000)
    known = evidence(dense, sparse, named, keys=[("entry",), ("cents",), ("line_id",)])
    assert [c.columns for (c,) in keys(known)] == [("entry",), ("line_id",)]


def test_words_and_moments_are_no_key() -> None:
    name = text("name", ("Aaa Aaaa", 1000), distinct=1000)
    at = day("at", "2024-01-01", "2024-03-01", ["2024-01-20"] * 7, distinct=1000)
    assert not list(keys(evidence(name, at, keys=[("name",), ("at",)])))
    code = text("reference", ("AA99", 1000), distinct=1000)
    assert list(keys(evidence(code, keys=[("reference",)])))


def test_of_several_columns_the_ones_that_identify_and_only_without_another_key() -> None:
    columns = [number(n, 1, 50, distinct=50) for n in ("order_id", "line", "shelf")]
    both = [("line", "shelf"), ("order_id", "line")]
    assert [c.columns for (c,) in keys(evidence(*columns, keys=both))] == [("order_id", "line")]
    declared = Candidate("unique", (("columns", ["sku"]),))
    assert not list(keys(evidence(*columns, keys=both, known=(declared,))))
    wide = [number(n, 1, 10**9, distinct=900) for n in ("one", "other")]
    assert not list(keys(evidence(*wide, keys=[("one", "other")])))  # by chance


# -- numbers ---------------------------------------------------------------------------------


def test_numbers_of_few_values_have_these_or_something_laxer() -> None:
    column = number("rating", 1, 5, distinct=5)
    listed = tuple((n, 200) for n in range(1, 6))
    found = said(numbers(evidence(column, values={"rating": listed}), column))
    assert [each[1] for each in found[0]] == [
        {"min": 1, "max": 5}, {"min": 0, "max": 9}, {"min": 0}]  # fmt: skip
    gaps = tuple((n, 200) for n in (10, 20, 50))
    (kind, given), *_ = said(numbers(evidence(column, values={"rating": gaps}), column))[0]
    assert (kind, given) == ("one_of", {"values": [10, 20, 50]})


def test_a_value_that_one_row_has_means_that_there_may_be_others() -> None:
    column = number("rating", 1, 5, distinct=5)
    listed = ((1, 500), (2, 400), (3, 98), (4, 1), (5, 1))
    kinds = [k for k, _ in said(numbers(evidence(column, values={"rating": listed}), column))[0]]
    assert "one_of" not in kinds
    assert said(numbers(evidence(column), column))[0][0][1] == {"min": 0, "max": 9}


@pytest.mark.parametrize(
    ("name", "low", "high", "bounds"),
    [
        ("share", 0.0, 0.97, {"min": 0, "max": 1}),
        ("tax_percent", 0.0, 25.0, {"min": 0, "max": 100}),
        ("latitude", -33.5, 59.9, {"min": -90, "max": 90}),
        ("lon", -120.0, 20.5, {"min": -180, "max": 180}),
        ("ratio", 0.0, 0.2, {"min": 0, "max": 0.4}),
        ("month", 1, 8, {"min": 1, "max": 12}),
        ("clock_hour", 0, 23, {"min": 0, "max": 23}),
        ("day", 1, 400, {"min": 0, "max": 800}),
        ("year", 2010, 2024, {"min": 1990, "max": 2040}),
        ("balance", -400.0, 1200.0, {"min": -2000, "max": 3000}),
        ("temperature", -30.0, -2.0, {"min": -60, "max": 0}),
    ],
)
def test_bounds_by_meaning_and_with_room(
    name: str, low: float, high: float, bounds: dict[str, float]
) -> None:
    column = number(name, low, high, type="double" if isinstance(low, float) else "bigint")
    assert said(numbers(evidence(column), column))[0][0] == ("between", bounds)


def test_an_outlier_sets_no_bound() -> None:
    column = replace(number("amount", 0, 100), high=99_999_999)
    assert [g for _, g in said(numbers(evidence(column), column))[0]] == [{"min": 0}, {"min": 0}]
    ((first, *_),) = numbers(evidence(column), column)
    assert first.reason.endswith("the bound leaves room; none above, where outliers are far off")


def test_numbers_that_name_things_have_no_range() -> None:
    for column in (
        number("customer_id", 1, 9),
        number("entry", 1, 1000, hints=("all distinct",)),
        number("constant", 7, 7, distinct=1),
        number("x", 1.0, 9.0, type="double", numbers=Numbers(0.0, 1.0, 0, 0, not_finite=2)),
        number("few", 1, 9, rows=20),
    ):
        known = evidence(column)
        assert not [c for ladder in ladders(known) for c in ladder if c.kind == "between"], column


# -- dates -----------------------------------------------------------------------------------

DAYS = ["2024-01-02", "2024-01-05", "2024-01-20", "2024-02-01", "2024-02-10", "2024-02-27",
        "2024-02-28"]  # fmt: skip


def test_dates_are_not_in_the_future_and_not_long_ago() -> None:
    column = day("made", "2022-01-01", "2024-03-01", DAYS)
    future, past = moments(evidence(ended=1709500000.0), column)
    assert future[0].given["condition"] == "{column} <= now() + INTERVAL 1 DAY"
    assert past[0].given["min"] == "2020-01-01"


def test_dates_that_lie_ahead_or_stand_for_nothing_are_left_alone() -> None:
    due = day("due_date", "2022-01-01", "2024-03-01", DAYS)
    assert [c.kind for (c,) in moments(evidence(), due)] == ["between"]
    ahead = day("made", "2022-01-01", "2024-03-01", DAYS)
    assert [c.kind for (c,) in moments(evidence(ended=1700000000.0), ahead)] == ["between"]
    placeholder = day("made", "1900-01-01", "2024-03-01", DAYS)
    assert [c.kind for (c,) in moments(evidence(), placeholder)] == ["sql"]
    endless = day("made", "2022-01-01", "infinity", DAYS)
    assert not list(moments(evidence(), endless))


# -- texts -----------------------------------------------------------------------------------


def test_texts_of_few_values_have_these() -> None:
    column = text("status", ("aaa", 500), ("aaaa", 500), distinct=2)
    listed = (("paid", 500), ("new", 500))
    made = first(texts(evidence(column, values={"status": listed}), column))
    assert (made.kind, made.given["values"], made.tolerance) == ("one_of", ["new", "paid"], None)
    assert made.passes


def test_rare_values_beside_frequent_ones_are_slips() -> None:
    column = text("city", ("Aaaa", 1000), distinct=4)
    listed = (("Oslo", 600), ("Rome", 396), ("Olso", 2), ("Rmoe", 2))
    made = first(texts(evidence(column, values={"city": listed}), column))
    assert (made.given["values"], str(made.tolerance)) == (["Oslo", "Rome"], "5.1 %")


@pytest.mark.parametrize(
    ("column", "form"),
    [
        (text("mail", ("aaa@aaa.aaa", 600), ("aa.aa9@aaa.aa", 400)), "email"),
        (text("link", ("aaaaa://aaa.aa/a9", 1000)), "url"),
        (text("host", ("99.9.99.999", 600), ("999.99.9.9", 400)), "ipv4"),
        (text("number", ("99", 1000), reads="whole numbers"), "integer"),
        (text("made", ("9999-99-99", 1000), reads="dates"), "date"),
        (text("key", ("9a-9", 1000), reads="uuids"), "uuid"),
    ],
)
def test_texts_of_a_known_form(column: ColumnProfile, form: str) -> None:
    assert first(texts(evidence(column), column)).given["name"] == form


def test_a_pattern_that_all_or_nearly_all_share() -> None:
    whole = text("code", ("AA-9999", 1000), low="AB-1000", high="XY-9999")
    assert first(texts(evidence(whole), whole)).given["pattern"] == "^[A-Z]{2}-[0-9]{4}$"
    same = replace(whole, low="AB-1000", high="AB-9999")
    assert first(texts(evidence(same), same)).given["pattern"] == "^AB-[0-9]{4}$"
    nearly = text("code", ("AA-9999", 995), ("aa", 5))
    made = first(texts(evidence(nearly), nearly))
    assert (made.given["pattern"], str(made.tolerance)) == ("^[A-Z]{2}-[0-9]{4}$", "5.3 %")
    half = text("code", ("AA-9999", 700), ("aa", 300))
    assert not list(texts(evidence(half), half))


def test_numbers_that_grow_are_one_pattern() -> None:
    growing = text("code", ("A9", 10), ("A99", 90), ("A999", 900), low="A1", high="A999")
    assert first(texts(evidence(growing), growing)).given["pattern"] == "^A[0-9]+$"


def test_words_have_no_pattern() -> None:
    word = text("name", ("Aaaa", 1000))
    assert [c.kind for ladder in texts(evidence(word), word) for c in ladder] == ["length"]
    empty = replace(word, texts=replace(word.texts, empty=3))
    assert not list(texts(evidence(empty), empty))


def test_letters_of_patterns_that_mean_something_are_taken_literally() -> None:
    assert regular("a.9+($)") == "^[a-z][.][0-9]+[(][$][)]$"
    assert regular("A+9", "AB") == "^[A-Z]+[0-9]$"


# -- order -----------------------------------------------------------------------------------


def test_columns_are_in_order_if_chance_would_not_have_it_so() -> None:
    start = day("start", "2024-01-01", "2024-03-01", DAYS)
    later = [d.replace("-01-", "-02-") for d in DAYS]
    points = [max(a, b) for a, b in zip(DAYS, later, strict=True)]
    end = day("finish", "2024-01-02", "2024-03-05", points)
    (made,) = [c for (c,) in order(evidence(start, end))]
    assert made.given == {"column": "start", "operator": "<=", "other": "finish"}
    assert made.name == "start_before_finish"
    # Small numbers are less than large ones anyway.
    small, large = number("pieces", 1, 9), number("cents", 100, 90_000)
    assert not list(order(evidence(small, large)))
    net, gross = number("net", 0, 1000), number("gross", 10, 1200)
    assert [c.given["column"] for (c,) in order(evidence(net, gross))] == ["net"]


def test_an_order_that_follows_from_others_is_left_out() -> None:
    def compare(one: str, other: str, operator: str = "<=") -> Candidate:
        given = (("column", one), ("operator", operator), ("other", other))
        return Candidate("compare", given)

    pairs = [compare("a", "b"), compare("b", "c"), compare("a", "c")]
    assert without_implied(pairs, evidence()) == pairs[:2]
    known = evidence(known=(compare("b", "a", ">"), compare("b", "c", "<")))
    assert unsaid(known, compare("a", "c")) is None
    assert unsaid(known, compare("c", "a")) is not None


# -- other datasets, and the past ------------------------------------------------------------


def test_columns_refer_to_keys_that_are_called_so_and_have_such_values() -> None:
    column = number("customer_id", 3, 90)
    there = Target("customers", "id", "bigint", 100, 1, 100)
    made = first(references(evidence(targets=(there,)), column))
    assert made.given == {"columns": ["customer_id"], "dataset": "customers", "target": ["id"]}
    assert not list(references(evidence(targets=(replace(there, high=50),)), column))
    assert not list(references(evidence(targets=(replace(there, low="1", high="99"),)), column))
    assert not list(references(evidence(targets=(replace(there, dataset="orders"),)), column))


@pytest.mark.parametrize(
    ("column", "dataset", "key", "fits"),
    [
        ("carrier", "airlines", "carrier", True),
        ("country_code", "countries", "code", True),
        ("address_id", "addresses", "id", True),
        ("id", "orders", "id", False),
        ("name", "people", "name", False),
        ("amount", "orders", "id", False),
    ],
)
def test_names_that_refer(column: str, dataset: str, key: str, fits: bool) -> None:
    assert fitting(column, dataset, key) is fits


def test_volume_and_freshness_take_a_steady_history() -> None:
    steady = evidence(volumes=(100, 120, 90, 110, 100, 105, 95, 130))
    assert first(volume(steady)).given == {"min": 40, "of": "epoch"}
    assert first(volume(replace(steady, appends=False))).given == {"min": 40}
    assert not list(volume(replace(steady, volumes=(100,) * 7)))
    assert not list(volume(replace(steady, volumes=(1, *(100,) * 8))))
    fresh = evidence(lags={"at": (1800.0, 2000.0, 3000.0) * 3})
    assert first(freshness(fresh)).given == {"column": "at", "within": "3 hours"}
    assert not list(freshness(evidence(lags={"at": (1e8,) * 9})))


# -- what is said already --------------------------------------------------------------------


def known(kind: str, passes: bool = False, **given: Any) -> Candidate:
    return Candidate(kind, tuple(given.items()), passes=passes)


EMAIL = {"column": "a", "name": "email"}
PATTERN = {"column": "a", "pattern": "x"}
FUTURE = {"condition": "{column} <= now()", "column": "a"}


@pytest.mark.parametrize(
    ("declared", "candidate", "left"),
    [
        (known("not_null", columns=["a", "b"]), known("not_null", columns=["A"]), None),
        (known("between", column="a", min=0), known("not_null", columns=["a"]), None),
        (known("between", True, column="a", min=0), known("not_null", columns=["a"]), "itself"),
        (known("unique", columns=["a"]), known("unique", columns=["a", "b"]), None),
        (known("unique", columns=["a", "b"]), known("unique", columns=["a"]), "itself"),
        (known("one_of", column="a", values=[1]), known("between", column="a", min=0), None),
        (known("format", **EMAIL), known("matches", **PATTERN), None),
        (known("format", column="b", name="email"), known("matches", **PATTERN), "itself"),
        (known("row_count", min=1), known("row_count", min=40, of="epoch"), None),
        (known("aggregate", condition="count(*) > 0"), known("row_count", min=40), None),
        (known("sql", condition='"a" <= now()'), known("sql", **FUTURE), None),
    ],
)  # fmt: skip
def test_what_declared_checks_leave_of_a_candidate(
    declared: Candidate, candidate: Candidate, left: str | None
) -> None:
    assert unsaid(evidence(known=(declared,)), candidate) == (candidate if left else None)


def test_of_a_range_the_bound_is_left_that_nobody_has_declared() -> None:
    both = known("between", column="a", min=0, max=9)
    assert unsaid(evidence(known=(known("between", column="a", max=5),)), both) == known(
        "between", column="a", min=0
    )
    assert unsaid(replace(evidence(), keys=("ID",)), known("unique", columns=["id"])) is None
