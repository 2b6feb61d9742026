"""WATERMARK … DELAY OF behind a stream, and `window(…)`."""

from __future__ import annotations

import pytest

from qanat.errors import QanatError, SqlSyntaxError, nearest
from qanat.model.query import SqlQuery
from qanat.model.span import UNITS, microseconds
from qanat.planning.stateful import tree_of
from tests.unit.declare.test_query import parse

MINUTE = 60_000_000


def times(query: SqlQuery) -> list[tuple[str, int] | None]:
    """By input, the column of its event time and the delay in microseconds."""
    found = (r.event_time for r in query.reads)
    return [None if t is None else (t.column, t.delay_us) for t in found]


@pytest.mark.parametrize("dialect", ["duckdb", "spark"])
@pytest.mark.parametrize(
    ("sql", "wanted"),
    [
        ("SELECT a FROM STREAM t WATERMARK ts DELAY OF INTERVAL 5 MINUTES", [("ts", 5 * MINUTE)]),
        (
            "SELECT a FROM STREAM t WATERMARK ts DELAY OF INTERVAL '5' MINUTE AS x WHERE x.a > 1",
            [("ts", 5 * MINUTE)],
        ),
        (
            "SELECT a FROM STREAM t x WATERMARK ts DELAY OF INTERVAL '1 hour 30 minutes'",
            [("ts", 90 * MINUTE)],
        ),
        ("SELECT a FROM STREAM(t) WATERMARK ts DELAY OF '90 seconds' x", [("ts", 90_000_000)]),
        (
            (
                "SELECT a FROM STREAM s.t WITH (skip_change_commits) WATERMARK ts"
                " DELAY OF INTERVAL 0 SECONDS"
            ),
            [("ts", 0)],
        ),
        (
            (
                "SELECT x.a FROM STREAM t AS x WATERMARK p DELAY OF INTERVAL 1 DAY JOIN STREAM u"
                " WATERMARK q DELAY OF INTERVAL 2 DAYS AS y ON x.a = y.a"
            ),
            [("p", 24 * 60 * MINUTE), ("q", 48 * 60 * MINUTE)],
        ),
        (
            (
                "SELECT a FROM STREAM read_files('x', format => 'csv') WATERMARK ts"
                " DELAY OF INTERVAL 1 MINUTE"
            ),
            [("ts", MINUTE)],
        ),
        # A table or an alias may have that name.
        ("SELECT a FROM STREAM watermark", [None]),
        ("SELECT a FROM STREAM t AS watermark WHERE a > 1", [None]),
        ("SELECT watermark FROM STREAM t", [None]),
    ],
)
def test_the_clause_is_kept_with_its_stream(
    sql: str, wanted: list[tuple[str, int] | None], dialect: str
) -> None:
    query = parse(sql, dialect)
    assert times(query) == wanted
    # What remains is a query that the parser knows.
    assert "DELAY" not in query.sql
    tree_of(query)


@pytest.mark.parametrize(
    ("clause", "message", "at"),
    [
        ("WATERMARK ts", "WATERMARK needs a delay", "WATERMARK"),
        ("WATERMARK ts DELAY INTERVAL 5 MINUTES", "WATERMARK needs a delay", "WATERMARK"),
        ("WATERMARK ts + 1 DELAY OF INTERVAL 5 MINUTES", "a watermark is of a column", "ts + 1"),
        ("WATERMARK ts DELAY OF INTERVAL 5 MINTES", "INTERVAL 5 MINTES is no delay", "INTERVAL"),
        ("WATERMARK ts DELAY OF INTERVAL 1 MONTH", "INTERVAL 1 MONTH is no delay", "INTERVAL"),
        ("WATERMARK ts DELAY OF INTERVAL -5 MINUTES", "a delay is not negative", "INTERVAL"),
    ],
)
def test_a_wrong_clause_is_told_at_its_place(clause: str, message: str, at: str) -> None:
    sql = f"SELECT a FROM STREAM t {clause} AS x"
    with pytest.raises(QanatError) as caught:
        parse(sql)
    assert caught.value.message.startswith(message)
    assert caught.value.location is not None
    assert caught.value.location.column == sql.index(at) + 1


def test_a_misspelt_unit_has_a_nearest_one() -> None:
    with pytest.raises(QanatError) as caught:
        parse("SELECT a FROM STREAM t WATERMARK ts DELAY OF INTERVAL 5 MINTES")
    assert caught.value.nearest == nearest("MINTES", UNITS) == "MINUTES"


@pytest.mark.parametrize("dialect", ["duckdb", "spark"])
def test_window_is_a_call(dialect: str) -> None:
    sql = "SELECT window.start AS s, window FROM STREAM t GROUP BY window(ts, '5 minutes')"
    query = parse(sql, dialect)
    assert query.sql.endswith("GROUP BY event_window(ts, '5 minutes')")
    assert query.text == sql
    tree_of(query)


def test_a_window_clause_is_none() -> None:
    sql = "SELECT sum(a) OVER w AS s FROM t WINDOW w AS (PARTITION BY b)"
    assert "event_window" not in parse(sql).sql


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("10 minutes", 10 * MINUTE),
        ("INTERVAL '10' MINUTE", 10 * MINUTE),
        ("1 hour 30 seconds", 60 * MINUTE + 30_000_000),
        ("0.5 seconds", 500_000),
        ("250 ms", 250_000),
        ("1 week", 7 * 24 * 60 * MINUTE),
        ("-5 minutes", -5 * MINUTE),
        ("1 month", None),
        ("minutes", None),
        ("10", None),
        ("", None),
    ],
)
def test_spans(text: str, wanted: int | None) -> None:
    assert microseconds(text) == wanted


@pytest.mark.parametrize("read", ["t", "t AS x", "read_files('a.csv')"])
def test_a_watermark_behind_no_stream_is_told_at_its_place(read: str) -> None:
    sql = f"SELECT a FROM {read} WATERMARK ts DELAY OF INTERVAL 5 MINUTES GROUP BY a"
    with pytest.raises(SqlSyntaxError, match="WATERMARK stands behind something") as caught:
        parse(sql)
    assert caught.value.location is not None
    assert caught.value.location.column == sql.index("WATERMARK") + 1
