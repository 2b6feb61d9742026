"""Few rows are split by one look as by the passes that many take."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import duckdb
import pytest

from qanat.engines.duckdb import glance
from qanat.engines.duckdb.files.bound import RID
from qanat.engines.duckdb.split import Split, Splitter
from qanat.errors import ConversionError, Location
from qanat.model.expectation import Action, Expectation, Nulls, Tolerance
from qanat.model.rule import Monotonic, Predicate, Unique

CONDITIONS = ("a > 2", "b <> 'x' -- no x", "a + c > 3", "c IS NOT NULL", "b IN ('y', 'z')")
FILTERS = (None, "c > 2", "b = 'x' -- only x", "a IS NULL")


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    """A connection with 300 rows that have NULLs."""
    con = duckdb.connect()
    con.execute(
        f"""CREATE TABLE t AS SELECT i AS {RID}, nullif((hash(i) % 7)::INT, 6) AS a,
        ['x', 'y', 'z', NULL][(1 + hash(i + 1) % 4)::INT] AS b,
        nullif((hash(i + 2) % 5)::INT, 3) AS c
        FROM range(300) AS r(i)"""
    )
    return con


def expectations(seed: int, number: int) -> list[Expectation]:
    draw = random.Random(seed)  # noqa: S311
    found = []
    for index in range(number):
        where = draw.choice(FILTERS)
        found.append(
            Expectation(
                f"r{index}",
                Predicate(draw.choice(CONDITIONS), "duckdb"),
                draw.choice(list(Action)),
                Location("t.sql"),
                None if where is None else Predicate(where, "duckdb"),
                draw.choice(list(Nulls)),
                draw.choice((None, Tolerance(rows=20), Tolerance(share=0.5))),
            )
        )
    return found


def split(
    con: duckdb.DuckDBPyConnection, rules: Sequence[Expectation], few: bool
) -> tuple[Split, list[Any]]:
    """How the rows are split, and which ones are removed."""
    found = Splitter(con, "t", "t", "SELECT * FROM t", rules, None, {}, few=few).split()
    if found.removed is None:
        return found, []
    rows = con.execute(
        f"SELECT {RID}, {', '.join(found.masks)}, quarantined FROM {found.removed} ORDER BY {RID}"
    )
    return found, rows.fetchall()


@pytest.mark.parametrize("number", [1, 4, 16, 70])
@pytest.mark.parametrize("seed", range(4))
def test_of_conditions(con: duckdb.DuckDBPyConnection, number: int, seed: int) -> None:
    rules = expectations(seed, number)
    assert split(con, rules, few=True) == split(con, rules, few=False)


def test_beside_rules_about_other_rows(con: duckdb.DuckDBPyConnection) -> None:
    """What one look has found is known to the rules that come later."""
    here = Location("t.sql")
    rules = [
        *expectations(5, 4),
        Expectation("once", Unique(("a", "b", "c")), Action.DROP, here),
        Expectation("later", Monotonic("a"), Action.WARN, here, Predicate("c = 1", "duckdb")),
    ]
    assert split(con, rules, few=True) == split(con, rules, few=False)
    assert split(con, rules[4:], few=True) == split(con, rules[4:], few=False)


def test_a_filter_keeps_a_condition_from_values_that_it_cannot_take(
    con: duckdb.DuckDBPyConnection,
) -> None:
    rule = Expectation(
        "whole",
        Predicate("CAST(b AS INT) > 0", "duckdb"),
        Action.FAIL,
        Location("t.sql"),
        Predicate("b IS NULL", "duckdb"),
        Nulls.PASS,
    )
    [count] = split(con, [rule], few=True)[0].rules
    assert (count.violations, count.rows) == (0, con.sql("FROM t WHERE b IS NULL").shape[0])
    with pytest.raises(ConversionError, match="whole"):
        split(con, [replace(rule, where=None)], few=True)


def test_more_broken_rows_than_fit_into_lists(
    con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A join makes many rows of few."""
    monkeypatch.setattr(glance, "_MOST", 10)
    rules = expectations(7, 6)
    assert split(con, rules, few=True) == split(con, rules, few=False)
