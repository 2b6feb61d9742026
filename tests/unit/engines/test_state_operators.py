"""Operators with a state, epoch by epoch, against one query over all rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise

import duckdb
import pytest

from qanat.model.stateful import OutputMode
from tests.streams.cases import compare
from tests.streams.operating import Running, query_of

MINUTE = 60_000_000
CUTS = (0, 3, 40, 41, 120, 200)
AGGREGATES = (
    "count(*)", "count(x)", "sum(x)", "sum(d)", "avg(x)", "avg(d)", "min(s)", "max(u)", "max(t)",
    "bool_and(x > 2)", "bit_xor(x)", "count_if(x > 2)", "count(DISTINCT x)", "mode(s)",
    "count(DISTINCT s) FILTER (WHERE x > 1)", "string_agg(s, ',' ORDER BY x DESC, i)", "list(x)",
    "median(x)", "quantile_cont(x, 0.3)", "first(s)", "last(s)", "any_value(s)", "arg_min(s, x)",
    "arg_max(s, x)", "sum(x) FILTER (WHERE s = 'a')", "sum(1)", "approx_count_distinct(x)",
    "approx_quantile(i, 0.5)", "var_pop(i)", "stddev(i)", "corr(i, x)", "kurtosis(i)", "mad(i)",
    "percentile_cont(0.5) WITHIN GROUP (ORDER BY x)", "histogram(x)", "max(x, 2)", "product(i)",
    "list(DISTINCT x ORDER BY x)", "max(x) - min(x)", "count(*) FILTER (WHERE x IS NULL)",
    "entropy(x)", "list(s ORDER BY i DESC)", "bit_and(x)", "first(x ORDER BY i DESC)",
)  # fmt: skip


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with 200 rows in `src`, three minutes out of order, and one without time."""
    with duckdb.connect() as opened:
        opened.execute("SET threads = 1")
        opened.execute(
            """CREATE TABLE src AS SELECT i, (hash(i) % 5)::INT AS k,
            CASE WHEN hash(i * 7) % 6 = 0 THEN NULL ELSE (hash(i * 3) % 5)::BIGINT END AS x,
            (hash(i * 5) % 1000 / 100)::DECIMAL(10, 2) AS d,
            ['a', 'b', 'ü', NULL][(1 + hash(i * 11) % 4)::INT] AS s,
            CASE WHEN i <> 77 THEN TIMESTAMP '2026-01-01' + to_seconds(i * 20)
            - to_seconds((hash(i * 17) % 180)::INT) END AS t, uuid() AS u
            FROM range(200) AS r(i)"""
        )
        yield opened


def run(
    con: duckdb.DuckDBPyConnection,
    sql: str,
    delay: int | None = None,
    mode: OutputMode | None = None,
    far: bool = True,
) -> Running:
    """A query over the stream `r`, which takes `src` in epochs, and a row that closes windows."""
    con.execute("DROP TABLE IF EXISTS state")
    running = Running(query_of(sql, ["r"], {"r": ("t", delay)} if delay else None), mode, con)
    for first, end in pairwise(CUTS):
        running.take({"r": f"SELECT * FROM src WHERE i >= {first} AND i < {end} ORDER BY i"})
    if delay and far:
        running.take({"r": "SELECT * REPLACE (TIMESTAMP '2031-01-01' AS t) FROM src WHERE i = 0"})
    return running


def agrees(con: duckdb.DuckDBPyConnection, running: Running, wanted: str) -> None:
    """Raise unless the result is that of a query over all rows."""
    assert compare(con.sql(wanted).fetchall(), running.result()) is None


@pytest.mark.parametrize("aggregate", AGGREGATES)
def test_an_aggregate_is_that_of_all_rows(con: duckdb.DuckDBPyConnection, aggregate: str) -> None:
    for tail in (" GROUP BY k", ""):
        key = "k, " if tail else ""
        running = run(con, f"SELECT {key}{aggregate} AS a FROM r{tail}")
        agrees(con, running, f"SELECT {key}{aggregate} AS a FROM src{tail}")


def test_a_sum_of_whole_numbers_is_exact_beyond_64_bits(con: duckdb.DuckDBPyConnection) -> None:
    sql = "SELECT sum(x + 9223372036854775000) AS a, avg(x + 4503599627370000) AS b FROM "
    running = run(con, f"{sql} r")
    assert running.result() == con.sql(f"{sql} src").fetchall()


@pytest.mark.parametrize(
    ("select", "tail"),
    [
        ("k, count(*) AS n", "GROUP BY ALL"),
        ("s AS name, sum(x) AS n", "WHERE x > 0 GROUP BY 1 HAVING sum(x) > 20"),
        ("upper(s) AS s2, k + 1 AS k2, count(*) * 2 AS n", "GROUP BY upper(s), k"),
        ("k, sum(x) AS total, total + 1 AS more", "GROUP BY k HAVING total > 10"),
        ("k, u, any_value(i) AS i", "GROUP BY k, u"),
        ("count(*) AS n", "GROUP BY k, s"),
        ("d, count(*) AS n", "GROUP BY d"),
    ],
)
def test_what_stands_around_aggregates(
    con: duckdb.DuckDBPyConnection, select: str, tail: str
) -> None:
    running = run(con, f"SELECT {select} FROM r AS t {tail}")
    agrees(con, running, f"SELECT {select} FROM src AS t {tail}")


def test_a_group_leaves_when_having_is_no_longer_true(con: duckdb.DuckDBPyConnection) -> None:
    running = Running(query_of("SELECT k FROM r GROUP BY k HAVING count(*) = 1", ["r"]), con=con)
    running.take({"r": "SELECT 1 AS k"})
    assert running.result() == [(1,)]
    running.take({"r": "SELECT 1 AS k"})
    assert running.result() == []


def test_levels_above_and_below(con: duckdb.DuckDBPyConnection) -> None:
    sql = """WITH a AS (SELECT *, x * 2 AS y FROM {} WHERE k <> 3),
    g AS (SELECT k, sum(y) AS total FROM a GROUP BY k)
    SELECT total + 1 AS more FROM g WHERE k > 1"""
    agrees(con, run(con, sql.format("r")), sql.format("src"))


def test_a_table_joined_above_may_be_all_of_the_result(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("CREATE TABLE names AS SELECT i::INT AS k, 'n' || i AS name FROM range(4) AS r(i)")
    sql = """SELECT d.*, g.n FROM (SELECT k, count(*) AS n FROM {} GROUP BY k HAVING n > 30) AS g
    LEFT JOIN names AS d ON d.k = g.k"""
    agrees(con, run(con, sql.format("r")), sql.format("src"))


def test_zero_is_one_key(con: duckdb.DuckDBPyConnection) -> None:
    running = Running(query_of("SELECT count(*) AS n FROM r GROUP BY x", ["r"]), con=con)
    for value in ("0.0", "-0.0", "0.0", "'NaN'", "'NaN'"):
        running.take({"r": f"SELECT {value}::DOUBLE AS x"})
    assert running.result() == [(2,), (3,)]


def bucket(width: int) -> str:
    """SQL of the start of a window."""
    return f"time_bucket(INTERVAL '{width} minutes', t)"


@pytest.mark.parametrize("mode", [None, OutputMode.UPDATE])
def test_tumbling_windows(con: duckdb.DuckDBPyConnection, mode: OutputMode | None) -> None:
    sql = """SELECT window.start AS w, k, count(*) AS n FROM r
    GROUP BY event_window(t, '10 minutes'), k"""
    running = run(con, sql, 3 * MINUTE, mode, far=mode is None)
    wanted = f"SELECT {bucket(10)} AS w, k, count(*) FROM src WHERE t IS NOT NULL GROUP BY ALL"
    agrees(con, running, wanted)
    # Of the row without event time it is told.
    assert running.late == 1
    assert running.state_rows() <= (1 if mode is None else 20)


def test_overlapping_windows(con: duckdb.DuckDBPyConnection) -> None:
    sql = """SELECT window.start AS s, window."end" AS e, window_time(window) AS t, sum(x) AS n
    FROM r GROUP BY event_window(t, '10 minutes', '5 minutes')"""
    starts = f"unnest([{bucket(5)}, {bucket(5)} - INTERVAL 5 MINUTES])"
    wanted = f"""SELECT w, w + INTERVAL 10 MINUTES, w + INTERVAL '599.999999 seconds', sum(x)
    FROM (SELECT *, {starts} AS w FROM src WHERE t IS NOT NULL) GROUP BY ALL"""
    agrees(con, run(con, sql, 3 * MINUTE), wanted)


def test_results_without_names_are_called_as_they_are_written(
    con: duckdb.DuckDBPyConnection,
) -> None:
    sql = """SELECT window."end" - window.start, count(*), window_time(window)
    FROM r GROUP BY event_window(t, '1 hour')"""
    running = run(con, sql, 3 * MINUTE, OutputMode.UPDATE, far=False)
    assert len(running.result()[0]) == 3
    assert con.sql(running.stateful.named).columns[1:] == ["count_star()", "window_time"]


def test_the_whole_window_is_a_struct(con: duckdb.DuckDBPyConnection) -> None:
    sql = "SELECT window, count(*) AS n FROM r GROUP BY event_window(t, '1 day')"
    start, end = datetime(2025, 12, 31), datetime(2026, 1, 1)  # noqa: DTZ001
    assert run(con, sql, 3 * MINUTE).result()[0][0] == {"start": start, "end": end}


@pytest.mark.parametrize("key", ["time_bucket(INTERVAL '7 minutes', t)", "date_trunc('hour', t)"])
def test_keys_that_say_when_a_group_is_complete(con: duckdb.DuckDBPyConnection, key: str) -> None:
    running = run(con, f"SELECT {key} AS w, max(x) AS m FROM r GROUP BY 1", 3 * MINUTE)
    agrees(con, running, f"SELECT {key}, max(x) FROM src WHERE t IS NOT NULL GROUP BY 1")
    assert running.state_rows() == 1


SESSIONS = """WITH o AS (SELECT *, max(t) OVER ({by}ORDER BY t ROWS BETWEEN UNBOUNDED PRECEDING
AND 1 PRECEDING) + INTERVAL {gap} SECONDS AS e FROM src WHERE t IS NOT NULL),
n AS (SELECT *, count_if(e IS NULL OR t > e) OVER ({by}ORDER BY t ROWS UNBOUNDED PRECEDING) AS id
FROM o) SELECT min(t), max(t) + INTERVAL {gap} SECONDS, {k}count(*), list(i ORDER BY i) FROM n
GROUP BY {k}id"""


@pytest.mark.parametrize("gap", [20, 90])
@pytest.mark.parametrize("key", ["k, ", ""])
@pytest.mark.parametrize("mode", [None, OutputMode.UPDATE])
def test_sessions(
    con: duckdb.DuckDBPyConnection, gap: int, key: str, mode: OutputMode | None
) -> None:
    sql = f"""SELECT session_window.start AS s, session_window."end" AS e, {key}count(*) AS n,
    list(i ORDER BY i) AS l FROM r GROUP BY {key}session_window(t, '{gap} seconds')"""
    by = f"PARTITION BY {key.strip(', ')} " if key else ""
    running = run(con, sql, 3 * MINUTE, mode, far=mode is None)
    agrees(con, running, SESSIONS.format(by=by, gap=gap, k=key))


def test_a_late_row_counts_for_no_window(con: duckdb.DuckDBPyConnection) -> None:
    sql = "SELECT window.start AS w, count(*) AS n FROM r GROUP BY event_window(t, '1 minute')"
    running = Running(query_of(sql, ["r"], {"r": ("t", 0)}), con=con)

    def take(*times: str) -> Sequence[object]:
        rows = ", ".join(f"('2026-01-01 {time}'::TIMESTAMP)" for time in times)
        return [n for _, n in running.take({"r": f"SELECT * FROM (VALUES {rows}) AS v(t)"})]

    assert take("00:00:10", "00:00:50") == []
    assert take("00:01:00", "00:00:59") == [3]
    # Behind the watermark, and its window is gone.
    assert take("00:00:59") == []
    # Behind the watermark, but its window is open.
    assert take("00:01:30", "00:01:01") == []
    assert take("00:02:00") == [3]
    assert running.late == 1


TWO = "a.k = b.k AND b.t BETWEEN a.t - INTERVAL 1 MINUTE AND a.t + INTERVAL 3 MINUTES"


@pytest.mark.parametrize("kind", ["", "LEFT", "RIGHT", "FULL", "SEMI", "ANTI"])
def test_joins_of_two_streams(con: duckdb.DuckDBPyConnection, kind: str) -> None:
    con.execute("CREATE TABLE other AS SELECT * REPLACE (t + INTERVAL 7 SECONDS AS t) FROM src")
    columns = "a.i AS x, a.s" if kind in ("SEMI", "ANTI") else "a.i AS x, b.i AS y, b.s"
    sql = f"SELECT {columns} FROM {{}} AS a {kind} JOIN {{}} AS b ON {TWO}"
    marks = {"l": ("t", 3 * MINUTE), "r": ("t", 3 * MINUTE)}
    running = Running(query_of(sql.format("l", "r"), ["l", "r"], marks), con=con)
    for first, end in pairwise(CUTS):
        rows = f"WHERE i >= {first} AND i < {end}"
        running.take({"l": f"SELECT * FROM src {rows}", "r": f"SELECT * FROM other {rows}"})
    last = "SELECT * REPLACE (TIMESTAMP '2031-01-01' AS t, {} AS k) FROM src WHERE i = 0"
    running.take({"l": last.format(98), "r": last.format(99)})
    agrees(con, running, sql.format("src", "other"))
    assert (
        running.state_rows() == (1 if kind in ("SEMI", "ANTI") else 2) or running.state_rows() == 2
    )


def test_a_join_without_a_bound_keeps_its_rows(con: duckdb.DuckDBPyConnection) -> None:
    sql = "SELECT a.i AS x, b.i AS y FROM {} AS a JOIN {} AS b ON a.k = b.k WHERE a.i < b.i"
    running = Running(query_of(sql.format("l", "r"), ["l", "r"]), con=con)
    for first, end in pairwise(CUTS):
        rows = f"SELECT * FROM src WHERE i >= {first} AND i < {end}"
        running.take({"l": rows, "r": rows})
    agrees(con, running, sql.format("src", "src"))
    assert running.state_rows() == 400


@pytest.mark.parametrize(
    ("sql", "wanted"),
    [
        ("SELECT DISTINCT k, s FROM {}", ""),
        ("SELECT DISTINCT * FROM (SELECT k % 3 AS m, s FROM {})", ""),
        (
            "SELECT DISTINCT ON (k) i, s FROM {}",
            "SELECT i, s FROM {} QUALIFY row_number() OVER (PARTITION BY k ORDER BY i) = 1",
        ),
    ],
)
def test_distinct(con: duckdb.DuckDBPyConnection, sql: str, wanted: str) -> None:
    agrees(con, run(con, sql.format("r")), (wanted or sql).format("src"))


def test_keys_are_forgotten_after_the_delay(con: duckdb.DuckDBPyConnection) -> None:
    query = query_of("SELECT DISTINCT ON (k) k, t FROM r", ["r"], {"r": ("t", 60_000_000)})
    running = Running(query, con=con)

    def take(k: int, time: str) -> int:
        return len(running.take({"r": f"SELECT {k} AS k, '2026-01-01 {time}'::TIMESTAMP AS t"}))

    assert take(1, "00:00:00") == 1
    assert take(1, "00:00:50") == 0
    assert take(2, "00:05:00") == 1
    assert running.state_rows() == 1
    assert take(1, "00:05:10") == 1
    assert take(3, "00:00:00") == 0
    assert running.late == 1


def test_state_has_a_row_for_each_group(con: duckdb.DuckDBPyConnection) -> None:
    groups: Mapping[str, int] = {"k": 5, "k, s": 20, "k % 2": 2}
    for keys, most in groups.items():
        running = run(con, f"SELECT count(*) AS n FROM r GROUP BY {keys}")
        assert 0 < running.state_rows() <= most
