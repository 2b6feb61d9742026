"""Unit tests of transformations: given rows in, expected rows out, and no table of the project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import qanat
from qanat.cli.program import main
from qanat.errors import ColumnNotFoundError, DatasetNotFoundError, PlanError, QanatError, RunError
from qanat.model.unit_test import UnitResult
from tests.acceptance.projects import Shop

SQL = """\
CREATE STREAMING TABLE orders AS SELECT id, amount, day FROM STREAM read_files('in/*.csv',
  format => 'csv', schema => 'id BIGINT, amount DECIMAL(10, 2), day DATE');
CREATE TEMPORARY VIEW large AS SELECT * FROM STREAM orders WHERE amount > 1;
CREATE STREAMING TABLE clean (
  CONSTRAINT one EXPECT UNIQUE (id) ON VIOLATION QUARANTINE ROW,
  CONSTRAINT early EXPECT (day < DATE '2030-01-01') ON VIOLATION DROP ROW
) AS SELECT id, amount * 2 AS twice, day FROM STREAM large;
CREATE MATERIALIZED VIEW total AS SELECT day, sum(twice) AS total FROM clean GROUP BY day;
CREATE STREAMING TABLE newest;
CREATE FLOW changes AS AUTO CDC INTO newest FROM STREAM orders KEYS (id) SEQUENCE BY day;
"""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    made.sql(SQL)
    return made


def units(shop: Shop, text: str, **selection: Any) -> dict[str, UnitResult]:
    shop.file("tests/some.yml", text)
    with qanat.open(shop.folder) as project:
        found = {unit.name: unit for unit in project.test(**selection).units}
    assert not (shop.folder / "storage/tables").exists()
    return found


def test_rows_that_come_out_are_compared_by_the_columns_that_are_named(shop: Shop) -> None:
    found = units(
        shop,
        """\
unit_tests:
- name: doubles
  model: clean
  given:
  - input: ref('orders')
    rows:
    - {id: 1, amount: 1.50, day: 2026-01-02}
    - {id: 2, amount: 0.50, day: 2026-01-02}
    - {id: 1, amount: 9, day: 2026-01-03}
    - {id: 3, amount: 2, day: 2031-01-01}
  expect:
    rows: [{twice: 3, id: 1}]
    quarantined: [{id: 1, twice: 18.00}]
- name: sums
  model: total
  given:
  - input: clean
    format: csv
    rows: |
      day, twice
      2026-01-02, 1.5
      2026-01-02, 2
      2026-01-03,
  expect:
    rows:
    - {day: 2026-01-03, total: null}
    - {day: 2026-01-02, total: 3.5}
""",
    )
    assert {name: unit.passed for name, unit in found.items()} == {
        "doubles": True,
        "sums": True,
    }, [(u.error, u.mismatches) for u in found.values()]


def test_a_table_is_fed_step_by_step(shop: Shop) -> None:
    found = units(
        shop,
        """\
unit_tests:
- name: unique over epochs
  model: clean
  steps:
  - given: [{input: orders, rows: [{id: 1, amount: 2, day: 2026-01-02}]}]
    expect: {rows: [{id: 1}], quarantined: []}
  - given:
    - input: orders
      rows: [{id: 1, amount: 3, day: 2026-01-02}, {id: 2, amount: 3, day: 2026-01-02}]
    expect: {rows: [{id: 1, twice: 4}, {id: 2, twice: 6}], quarantined: [{id: 1}]}
- name: newest of a key
  model: newest
  steps:
  - given: [{input: orders, rows: [{id: 1, amount: 2, day: 2026-01-02}]}]
    expect: {rows: [{id: 1, amount: 2}]}
  - given:
    - input: orders
      rows: [{id: 1, amount: 7, day: 2026-01-03}, {id: 1, amount: 5, day: 2026-01-01}]
    expect: {rows: [{id: 1, amount: 7}]}
""",
    )
    assert all(u.passed for u in found.values()), [(u.error, u.mismatches) for u in found.values()]


def test_files_and_views_can_be_given(shop: Shop) -> None:
    found = units(
        shop,
        """\
unit_tests:
- name: files
  model: orders
  given: [{input: in/*.csv, rows: [{id: 4, amount: 1.25, day: 2026-05-06}]}]
  expect: {rows: [{id: 4, amount: 1.25, day: 2026-05-06}]}
- name: a view
  model: large
  given: [{input: orders, rows: [{id: 1, amount: 1}, {id: 2, amount: 1.01}]}]
  expect: {rows: [{id: 2}]}
- name: in place of a view
  model: clean
  given: [{input: large, rows: [{id: 1, amount: 0.5, day: 2026-01-01}]}]
  expect: {rows: [{id: 1, twice: 1}]}
- name: nothing came
  model: total
  given: [{input: clean, rows: []}]
  expect: {rows: []}
""",
    )
    assert all(u.passed for u in found.values()), [(u.error, u.mismatches) for u in found.values()]


WRONG = """\
unit_tests:
- name: wrong
  model: clean
  given:
  - input: orders
    rows:
    - {id: 1, amount: 2, day: 2026-01-02}
    - {id: 2, amount: 3, day: 2026-01-02}
    - {id: 3, amount: 4, day: 2026-01-02}
  expect:
    rows:
    - {id: 1, twice: 4}
    - {id: 2, twice: 5}
    - {id: 9, twice: 9}
"""


def test_what_differs_is_shown_row_by_row(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    (mismatch,) = units(shop, WRONG)["wrong"].mismatches
    assert (mismatch.table, mismatch.columns, mismatch.matching) == ("clean", ("id", "twice"), 1)
    rows = [
        (d.expected and d.expected["id"], d.found and d.found["id"]) for d in mismatch.differences
    ]
    assert rows == [(2, 2), (9, None), (None, 3)]
    with pytest.raises(SystemExit) as ended:
        main(["test", "-C", str(shop.folder)])
    assert ended.value.code == 1
    told = capsys.readouterr().out
    assert "wrong: clean differs; 1 row as expected (tests/some.yml:2:3)" in told
    lines = [line.split() for line in told.splitlines()]
    assert ["expected", "2", "5.00"] in lines
    assert ["found", "2", "6.00"] in lines
    assert told.endswith("1 unit test ran, 1 failed.\n")


def test_tests_are_selected_by_their_datasets(shop: Shop) -> None:
    assert units(shop, WRONG, select="total") == {}
    assert units(shop, WRONG, select="cl*").keys() == {"wrong"}


@pytest.mark.parametrize(
    ("model", "given", "expect", "error", "message"),
    [
        ("clen", "[]", "{rows: []}", DatasetNotFoundError, "clen is not declared"),
        ("clean", "[{input: newest}]", "{rows: []}", PlanError, "clean does not read newest"),
        (
            "clean",
            "[{input: orders, rows: [{id: 1, amount: 2, day: 2026-01-02}]}]",
            "{rows: [{idd: 1}]}",
            ColumnNotFoundError,
            "the test expects column 'idd', which clean does not have",
        ),
        (
            "clean",
            "[{input: orders, rows: [{idd: 1, amount: 2, day: 2026-01-02}]}]",
            "{rows: []}",
            ColumnNotFoundError,
            "the test gives column 'idd', which orders does not have",
        ),
        (
            "orders",
            "[{input: in/*.csv, rows: [{idd: 1, amount: 2, day: 2026-01-02}]}]",
            "{rows: []}",
            ColumnNotFoundError,
            "the test gives column 'idd', which in/*.csv does not have",
        ),
        (
            "clean",
            "[{input: orders, rows: [{id: 1, amount: 2, day: 2026-13-02}]}]",
            "{rows: []}",
            RunError,
            "a row given to orders does not fit: column 'day': \"2026-13-02\" does not fit date",
        ),
    ],
)
def test_a_test_that_cannot_be_run_fails_and_says_why(
    shop: Shop, model: str, given: str, expect: str, error: type, message: str
) -> None:
    text = f"unit_tests: [{{name: t, model: {model}, given: {given}, expect: {expect}}}]\n"
    unit = units(shop, text)["t"]
    assert not unit.passed
    assert isinstance(unit.error, error)
    assert unit.error.message == message
    assert unit.error.location is not None
    assert unit.error.location.file == "tests/some.yml"


@pytest.mark.parametrize(
    ("text", "message", "at"),
    [
        ("unit_tests: 1", "this is no list", "tests/some.yml:1:13"),
        ("unit_tests: [{name: a, modle: b}]", "unknown key 'modle'", "tests/some.yml:1:24"),
        ("unit_test: [{name: a}]", "unknown key 'unit_test'", "tests/some.yml:1:1"),
        (
            "unit_tests: [{name: a, model: b}]",
            "a unit test expects something",
            "tests/some.yml:1:14",
        ),
        (
            "unit_tests: [{name: a, model: b, expect: {rows: [1]}}]",
            "a row is no mapping",
            "tests/some.yml:1:50",
        ),
    ],
)
def test_a_file_that_is_wrong_is_the_authors_error(
    shop: Shop, text: str, message: str, at: str
) -> None:
    shop.file("tests/some.yml", f"{text}\n")
    with qanat.open(shop.folder) as project, pytest.raises(QanatError) as raised:
        project.test()
    told = [(p.message, str(p.location)) for p in raised.value.problems]
    assert (message, at) in told
    assert raised.value.exit_code == 2


@pytest.mark.parametrize(
    "text",
    [
        "unit_test: [{name: a, model: b, expect: {rows: []}}]",
        "unit_tests: [{nmae: a, model: b, expect: {rows: []}}]",
        "unit_tests: [{name: a, modle: b, expect: {rows: []}}]",
        "unit_tests: [{name: a, model: b, expct: {rows: []}}]",
        "unit_tests: [{name: a, model: b, step: [{expect: {rows: []}}]}]",
        "unit_tests: [{name: a, model: b, given: [{inptu: c}], expect: {rows: []}}]",
        "unit_tests: [{name: a, model: b, given: [{input: c, row: []}], expect: {rows: []}}]",
        "unit_tests: [{name: a, model: b, expect: {rows: [], quarantine: []}}]",
    ],
)
def test_a_misspelt_key_is_one_mistake(shop: Shop, text: str) -> None:
    shop.file("tests/some.yml", f"{text}\n")
    with qanat.open(shop.folder) as project, pytest.raises(QanatError) as raised:
        project.test()
    (problem,) = raised.value.problems
    assert problem.message.startswith("unknown key")
    assert problem.nearest is not None


def test_a_row_that_an_outside_source_cannot_give_is_in_the_quarantine(shop: Shop) -> None:
    found = units(
        shop,
        """\
unit_tests:
- name: no number
  model: orders
  given: [{input: in/*.csv, rows: [{id: x, amount: 1}, {id: 2, amount: 1}]}]
  expect: {rows: [{id: 2}]}
""",
    )
    assert found["no number"].passed


def test_other_files_may_lie_beside_the_tests(shop: Shop) -> None:
    shop.file("tests/data.yml", "a: 1\n")
    shop.file("tests/dbt.yml", "version: 2\ndata_tests: [{name: positive}]\n")
    with qanat.open(shop.folder) as project:
        assert project.test().units == ()
        assert project.test().passed
