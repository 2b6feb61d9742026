"""Functions of a project that SQL calls."""

from __future__ import annotations

from pathlib import Path

import pytest

import qanat
from qanat.errors import DuplicateNameError, QueryError
from qanat.run.decide import DefinitionStatus
from qanat.run.plan import plan
from qanat.run.quarantine import replay
from qanat.run.session import Session
from tests.acceptance.projects import Shop

pytestmark = pytest.mark.anywhere

DIGITS = """
SHORTEST = {shortest}

@dp.udf
def digits(text: str) -> str:
    found = "".join(c for c in text if c.isdigit())
    if len(found) < SHORTEST:
        raise ValueError(f"no phone number: {{text}}")
    return found
"""
CUSTOMERS = """
CREATE STREAMING TABLE customers (
  CONSTRAINT dialled EXPECT (digits(phone) <> '000') ON VIOLATION QUARANTINE ROW
) AS SELECT id, digits(tel) AS phone FROM STREAM read_files('data/*.csv');
CREATE MATERIALIZED VIEW counts AS SELECT count(*) AS n FROM read_files('data/*.csv');
"""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    made.file("data/1.csv", "id,tel\n1,+49 123\n2,ab1\n3,0-0-0\n4,\n5,12-34\n")
    made.python(DIGITS.format(shortest=3))
    made.sql(CUSTOMERS)
    return made


def test_queries_and_rules_call_it_and_a_row_that_it_refuses_stops_nobody_else(shop: Shop) -> None:
    counts = shop.run()["customers"].counts
    assert (counts.out, counts.written, counts.quarantined) == (5, 2, 3)
    assert shop.rows("customers") == [(1, "49123"), (5, "1234")]
    # NULL is no answer: a rule that is not true is broken.
    broken = [rules for _, rules in shop.quarantined("customers")]
    assert sorted(broken) == [["_failed"], ["dialled"], ["dialled"]]


def test_it_is_part_of_the_definitions_that_name_it(shop: Shop) -> None:
    shop.run()
    shop.python(DIGITS.format(shortest=1))
    with Session.open(shop.folder) as session:
        definitions = {d.dataset: d.definition for d in plan(session).datasets}
    changed, unchanged = DefinitionStatus.CHANGED, DefinitionStatus.UNCHANGED
    assert definitions == {"customers": changed, "counts": unchanged}
    shop.run()
    with Session.open(shop.folder) as session:
        (done,) = replay(session, "customers")
    assert (done.examined, done.replayed) == (3, 1)
    assert (2, "1") in shop.rows("customers")


def test_people_ask_with_it_and_are_told_what_it_raised(shop: Shop) -> None:
    shop.run()
    with qanat.open(shop.folder) as project:
        found = project.query("SELECT digits('1-2-3') AS d, digits(NULL) AS n")
        assert found.rows() == [("123", None)]
        with pytest.raises(QueryError, match=r"digits\(\) raised ValueError: no phone number: x"):
            project.query("SELECT digits('x')").rows()


def test_null_reaches_only_parameters_that_allow_it(shop: Shop) -> None:
    shop.python(
        DIGITS.format(shortest=1) + "from decimal import Decimal\n"
        "@dp.udf('DECIMAL(10, 2)', parameters=['DECIMAL(10, 2)', 'BIGINT'])\n"
        "def gross(net, percent: int | None):\n"
        "    return net * (100 + (19 if percent is None else percent)) / 100\n"
        "@dp.udf\n"
        "def total(many: list[int]) -> int: return sum(many)\n"
    )
    with qanat.open(shop.folder) as project:
        sql = "SELECT gross(1.50, 10), gross(1.50, NULL), gross(NULL, 10), total([1, 2, 3])"
        (row,) = project.query(sql).rows()
    assert [str(value) for value in row] == ["1.65", "1.79", "None", "6"]


def test_a_whole_number_is_not_made_of_another_one(shop: Shop) -> None:
    shop.python(
        "from decimal import Decimal\n"
        "@dp.udf\ndef half(n: int) -> int: return n / 2\n"
        "@dp.udf('INT')\ndef exact(text: str): return Decimal(text)\n"
    )
    with qanat.open(shop.folder) as project:
        assert project.query("SELECT half(4), exact('7.0')").rows() == [(2, 7)]
        for call, what in (("half(3)", "1.5"), ("exact('7.5')", r"Decimal\('7.5'\)")):
            found = rf"raised TypeError: it returned {what}, which is no whole number, in "
            with pytest.raises(QueryError, match=found):
                project.query(f"SELECT {call}").rows()


def test_spark_sql_calls_it_and_keeps_its_own_functions(shop: Shop) -> None:
    shop.file("qanat.yml", "name: shop\nthreads: 1\ndialect: spark\n")
    shop.run()
    assert (5, "1234") in shop.rows("customers")
    shop.python("@dp.udf\ndef initcap(text: str) -> str: return text\n")
    problems = shop.validation().problems
    assert any(isinstance(p, DuplicateNameError) and "initcap" in str(p) for p in problems)


def test_a_function_that_sql_has_is_not_replaced(shop: Shop) -> None:
    shop.python(DIGITS.format(shortest=3) + "@dp.udf\ndef lower(text: str) -> str: return ''\n")
    assert ["SQL has a function lower() already" in p for p in shop.problems()] == [True]


@pytest.mark.parametrize("name", ["coalesce", "all", "try", "when"])
def test_a_name_that_is_no_call_in_sql_is_refused(shop: Shop, name: str) -> None:
    shop.python(
        DIGITS.format(shortest=3) + f"@dp.udf(name='{name}')\ndef f(n: int) -> int: return 7\n"
    )
    assert [f"{name}(…) means something else in SQL" in p for p in shop.problems()] == [True]


@pytest.mark.parametrize("function", ["len", "partial(max, 1)"])
def test_a_function_without_text_is_refused(shop: Shop, function: str) -> None:
    shop.python(
        "from functools import partial\n" + DIGITS.format(shortest=3) + f"dp.udf({function},"
        " name='f', parameters=['VARCHAR'], return_type='BIGINT')\n"
    )
    found = [p for p in shop.problems() if "no function" not in p]
    assert ["f() has no text" in p for p in found] == [True]


def test_none_is_null_and_what_is_not_a_number_stays_so(shop: Shop) -> None:
    shop.python(
        DIGITS.format(shortest=1) + "NAN = float('nan')\n"
        "@dp.udf\n"
        "def known(text: str) -> str | None: return None if text == '?' else text\n"
        "@dp.udf\n"
        "def root(x: float) -> float: return NAN if x < 0 else x ** 0.5\n"
        "@dp.udf\n"
        "def pair(x: float) -> list[float]: return [NAN, x]\n"
        "@dp.udf('STRUCT(a DOUBLE, b DOUBLE)')\n"
        "def named(x: float): return {'a': NAN, 'b': None}\n"
    )
    with qanat.open(shop.folder) as project:
        sql = "SELECT known('?'), known('x'), root(-1), root(4), pair(1), named(1)"
        (row,) = project.query(sql).rows()
    assert repr(row) == "(None, 'x', nan, 2.0, [nan, 1.0], {'a': nan, 'b': None})"


def test_two_of_one_name_are_a_mistake(shop: Shop) -> None:
    shop.file(
        "transformations/more.py",
        "from qanat import pipelines as dp\n" + DIGITS.format(shortest=2),
    )
    (problem,) = shop.problems()
    assert "two functions are named 'digits'" in problem


def test_a_session_takes_up_what_changed(shop: Shop) -> None:
    with qanat.open(shop.folder) as project:
        project.run()
        assert project.query("SELECT digits('1234')").rows() == [("1234",)]
        shop.python(DIGITS.format(shortest=3).replace("return found", "return found[::-1]"))
        project.run()
        assert project.query("SELECT digits('1234')").rows() == [("4321",)]


def test_a_row_that_it_refuses_says_what_it_raised(shop: Shop) -> None:
    shop.run()
    with qanat.open(shop.folder) as project:
        rows = project.query("SELECT _quarantine_rules FROM customers__quarantine").rows()
    (failed,) = (rules["_failed"] for (rules,) in rows if "_failed" in rules)
    assert failed == (
        "digits(tel) fails for tel = 'ab1': digits() raised ValueError: no phone number: ab1,"
        " in transformations/all.py:9"
    )
