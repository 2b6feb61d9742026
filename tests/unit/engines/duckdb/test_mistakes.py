"""Names in one query that mean nothing: all are told, and nothing that comes of replacing them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from qanat.engines.duckdb.faults import explained
from qanat.engines.duckdb.mistakes import all_told
from qanat.errors import Location, ProblemsError, QanatError
from qanat.model.query import SqlQuery
from qanat.model.work import Output, Work

TABLE = "CREATE TABLE t AS SELECT 1 AS id, 'x' AS name, {'a': 1} AS st"


@pytest.fixture
def ask() -> Callable[[Work], list[str]]:
    con = duckdb.connect()
    con.sql(TABLE)

    def columns(work: Work) -> list[str]:
        assert isinstance(work.query, SqlQuery)
        with explained(work.query, ("id", "name", "st")):
            return con.sql(work.query.sql).columns

    return columns


def work(sql: str, file: str = "a.sql") -> Work:
    query = SqlQuery(sql, sql, "duckdb", (), Location(file, 1, 1))
    nowhere = Output(Path("t"), "p")
    return Work("f", 0, "", "t", query, {}, nowhere, nowhere, Path("s"), 0)


def told(ask: Callable[[Work], list[str]], sql: str, file: str = "a.sql") -> list[str]:
    with pytest.raises(QanatError) as caught:
        all_told(work(sql, file), ask)
    error = caught.value
    problems = error.problems if isinstance(error, ProblemsError) else (error,)
    return [f"{p.location}: {p.message}" for p in problems]


def test_nothing_is_asked_twice_where_nothing_is_wrong(ask: Callable[[Work], list[str]]) -> None:
    assert all_told(work("SELECT id FROM t"), ask) == ["id"]


@pytest.mark.parametrize(
    ("sql", "problems"),
    [
        (
            "SELECT idd, t.nmae, lenght(name), CAST(id AS BIGNT) FROM t WHERE x > 1",
            [
                "a.sql:1:66: no column 'x'",
                "a.sql:1:8: no column 'idd'",
                "a.sql:1:15: no column 'nmae' in t",
                "a.sql:1:21: no function 'lenght'",
                "a.sql:1:46: no type 'BIGNT'",
            ],
        ),
        ("SELECT st.b, st.c FROM t", ["a.sql:1:11: no field 'b'", "a.sql:1:17: no field 'c'"]),
        # What is told only because a name was replaced is not the author's mistake.
        ("SELECT sum(idd) + name FROM t", ["a.sql:1:12: no column 'idd'"]),
        ("SELECT * EXCLUDE (idd) FROM t", ["a.sql:1:19: no column 'idd'"]),
    ],
)
def test_all_names_are_told(
    ask: Callable[[Work], list[str]], sql: str, problems: list[str]
) -> None:
    found = told(ask, sql)
    assert len(found) == len(problems), found
    for message in problems:
        assert any(f.startswith(message) for f in found), found


def test_also_where_the_query_has_no_place_in_its_file(ask: Callable[[Work], list[str]]) -> None:
    found = told(ask, "SELECT idd, nmae FROM t", "a.py")
    assert found == ["a.py:1:1: no column 'idd'", "a.py:1:1: no column 'nmae'"]
