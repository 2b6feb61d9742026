"""Streams with event time and state, from files to tables through `qanat run`."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from qanat.run.plan import plan
from qanat.run.session import Session
from tests.acceptance.projects import Shop
from tests.streams.cases import compare

COLUMNS = "id INT, k INT, ts TIMESTAMP, v STRING"
SOURCES = "".join(
    f"CREATE STREAMING TABLE {t} AS SELECT * FROM STREAM read_files('{t}/*.csv', "
    f"format => 'csv', schema => '{COLUMNS}');\n"
    for t in ("x", "y")
)
TWO = "WATERMARK ts DELAY OF INTERVAL 2 MINUTES"
JOINED = f"""FROM STREAM x {TWO} AS a {{}} JOIN STREAM y {TWO} AS b
ON a.k = b.k AND b.ts BETWEEN a.ts - INTERVAL 1 MINUTE AND a.ts + INTERVAL 3 MINUTES"""
BATCH = """FROM x AS a {} JOIN y AS b
ON a.k = b.k AND b.ts BETWEEN a.ts - INTERVAL 1 MINUTE AND a.ts + INTERVAL 3 MINUTES"""
FAR = "1001,{},2031-01-01 00:00:00,far\n"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def put(shop: Shop, number: int, first: int, end: int) -> None:
    """Files of both streams, whose rows come up to two minutes out of order."""
    for name, seed in (("x", 3), ("y", 5)):
        rows = duckdb.sql(
            f"""SELECT i, (hash(i * {seed}) % 5)::INT, TIMESTAMP '2026-01-01' + to_seconds(i * 20)
            - to_seconds((hash(i * {seed} + 7) % 120)::INT),
            ['p', 'q'][(1 + hash(i * {seed} + 1) % 2)::INT] FROM range({first}, {end}) AS r(i)"""
        ).fetchall()
        text = "".join(",".join(map(str, row)) + "\n" for row in rows)
        shop.file(f"{name}/{number}.csv", f"id,k,ts,v\n{text}")


def wanted(shop: Shop, sql: str) -> list[tuple[object, ...]]:
    """The rows of a query over all files."""
    con = duckdb.connect()
    for name in ("x", "y"):
        con.execute(
            f"CREATE VIEW {name} AS SELECT id::INT AS id, k::INT AS k, ts, v "
            f"FROM read_csv('{shop.folder}/{name}/[0-8].csv')"
        )
    return con.sql(sql).fetchall()


def run(shop: Shop, query: str, properties: str = "") -> list[tuple[object, ...]]:
    """The rows of a table after some updates, of which the last one closes all windows."""
    shop.sql(f"{SOURCES}CREATE STREAMING TABLE result {properties} AS {query};")
    for number, (first, end) in enumerate(((0, 50), (50, 60), (60, 180), (180, 200))):
        put(shop, number, first, end)
        shop.run()
    if TWO in query and not properties:
        # They match no row, and not each other.
        for key, name in enumerate(("x", "y"), 98):
            shop.file(f"{name}/9.csv", f"id,k,ts,v\n{FAR.format(key)}")
        shop.run()
    return shop.rows("result")


HOUR = "window(ts, '1 hour')"
WINDOWS = f"""SELECT window.start AS w, k, count(*) AS n FROM STREAM x {TWO}
GROUP BY window(ts, '10 minutes'), k"""
SESSIONS = f"""SELECT min(ts) AS s, session_window.end AS e, k FROM STREAM x {TWO}
GROUP BY session_window(ts, '1 day'), k"""


@pytest.mark.parametrize(
    ("query", "batch"),
    [
        (
            "SELECT k, count(*) AS n, avg(id), list(v ORDER BY id) AS l FROM STREAM x GROUP BY k",
            "SELECT k, count(*), avg(id), list(v ORDER BY id) FROM x GROUP BY k",
        ),
        ("SELECT count(DISTINCT v) AS n FROM STREAM x", "SELECT count(DISTINCT v) FROM x"),
        (
            "SELECT max(id) AS m FROM STREAM x GROUP BY k HAVING count(*) % 2 = 0",
            "SELECT max(id) FROM x GROUP BY k HAVING count(*) % 2 = 0",
        ),
        (
            WINDOWS,
            "SELECT time_bucket(INTERVAL 10 MINUTES, ts), k, count(*) FROM x GROUP BY ALL",
        ),
        (SESSIONS, "SELECT min(ts), max(ts) + INTERVAL 1 DAY, k FROM x GROUP BY k"),
        ("SELECT DISTINCT k, v FROM STREAM x", "SELECT DISTINCT k, v FROM x"),
        (
            f"SELECT a.id AS i, b.id AS j {JOINED.format('')}",
            f"SELECT a.id, b.id {BATCH.format('')}",
        ),
        (
            f"SELECT a.id AS i, b.id AS j {JOINED.format('FULL')}",
            f"SELECT a.id, b.id {BATCH.format('FULL')}",
        ),
        (f"SELECT a.* {JOINED.format('SEMI')}", f"SELECT a.* {BATCH.format('SEMI')}"),
        (
            (
                f"SELECT k, ts, a.id AS i, b.id AS j FROM STREAM x {TWO} AS a"
                f" FULL JOIN STREAM y {TWO} AS b USING (k, ts) WHERE k < 4"
            ),
            "SELECT k, ts, a.id, b.id FROM x AS a FULL JOIN y AS b USING (k, ts) WHERE k < 4",
        ),
        (
            (
                "SELECT * FROM (SELECT id, k FROM STREAM x) AS a"
                " JOIN (SELECT v, k, id AS j FROM STREAM y) AS b USING (k)"
            ),
            (
                "SELECT * FROM (SELECT id, k FROM x) AS a"
                " JOIN (SELECT v, k, id AS j FROM y) AS b USING (k)"
            ),
        ),
    ],
)
def test_epochs_give_the_batch_result(shop: Shop, query: str, batch: str) -> None:
    found = run(shop, query)
    assert compare(wanted(shop, batch), found) is None


def test_windows_as_changes(shop: Shop) -> None:
    query = f"SELECT window.start AS w, count(*) AS n FROM STREAM x {TWO} GROUP BY {HOUR}"
    found = run(shop, query, "TBLPROPERTIES ('qanat.output_mode' = 'update')")
    batch = "SELECT time_bucket(INTERVAL 1 HOUR, ts), count(*) FROM x GROUP BY 1"
    assert compare(wanted(shop, batch), found) is None


def test_windows_of_spark(shop: Shop) -> None:
    shop.file("qanat.yml", "name: shop\nthreads: 1\ndialect: spark\n")
    query = (
        f"SELECT window.end AS e, sum(id) AS n FROM STREAM x {TWO} GROUP BY window(ts, '1 hour')"
    )
    found = [(str(e)[:19], n) for e, n in run(shop, query)]
    batch = """SELECT CAST(time_bucket(INTERVAL 1 HOUR, ts) + INTERVAL 1 HOUR AS VARCHAR),
    sum(id) FROM x GROUP BY 1"""
    assert compare(wanted(shop, batch), found) is None


def test_changes_of_a_running_aggregate_are_told(shop: Shop) -> None:
    shop.sql(
        f"{SOURCES}CREATE STREAMING TABLE counts AS SELECT k, count(*) AS n FROM STREAM x "
        "GROUP BY k;"
        "CREATE STREAMING TABLE told AS SELECT k, n, _change_type AS c "
        "FROM STREAM table_changes('counts');"
    )
    put(shop, 0, 0, 0)
    shop.file("x/1.csv", "id,k,ts,v\n1,7,2026-01-01 00:00:00,a\n")
    shop.run()
    shop.file("x/2.csv", "id,k,ts,v\n2,7,2026-01-01 00:00:00,a\n")
    shop.run()
    told = [r for r in shop.rows("told") if r[2] in ("insert", "update_postimage")]
    assert told == [(7, 1, "insert"), (7, 2, "update_postimage")]


SELF = "FROM STREAM x AS a {} JOIN STREAM y AS b ON a.id {} b.id"
BOUNDLESS = f"FROM STREAM x {TWO} AS a LEFT JOIN STREAM y {TWO} AS b ON a.id = b.id"


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        (
            "SELECT n FROM (SELECT k, count(*) AS n FROM STREAM x GROUP BY k) GROUP BY n",
            "GROUP BY over a stream beside another operator with a state",
        ),
        (
            f"SELECT a.k, count(*) AS n {JOINED.format('')} GROUP BY a.k",
            "GROUP BY and JOIN in one SELECT",
        ),
        ("SELECT v, count(*) AS n FROM STREAM x GROUP BY k", "v is neither in GROUP BY"),
        ("SELECT k FROM STREAM x GROUP BY ROLLUP (k)", "ROLLUP over a stream"),
        (f"SELECT a.id {SELF.format('', '<')}", "a join of two streams needs"),
        (f"SELECT a.id {SELF.format('LEFT', '=')}", "nothing says when a row of a"),
        (
            f"SELECT a.id {BOUNDLESS}",
            "nothing says how much later than a row of a one of b may be",
        ),
        (
            "SELECT count(*) AS n FROM STREAM x GROUP BY window(ts, '1 month')",
            "window(): a span has a fixed length",
        ),
        (
            f"SELECT count(*) AS n FROM STREAM x {TWO} GROUP BY window(now(), '1 hour')",
            "the windows are of",
        ),
    ],
)
def test_what_is_refused(shop: Shop, query: str, problem: str) -> None:
    shop.sql(f"{SOURCES}CREATE STREAMING TABLE result AS {query};")
    put(shop, 0, 0, 5)
    found = shop.problems()
    assert len(found) == 1, found
    assert problem in found[0]


def test_a_state_of_another_meaning_is_refused(shop: Shop) -> None:
    query = "SELECT k, count(*) AS n FROM STREAM x GROUP BY k"
    run(shop, query)
    put(shop, 5, 200, 210)
    shop.sql(f"{SOURCES}CREATE STREAMING TABLE result AS {query.replace('count(*)', 'max(id)')};")
    assert "result" in shop.failures()
    results = shop.run(full_refresh=("result",))
    assert "result" in results
    assert (
        compare(wanted(shop, "SELECT k, max(id) FROM x GROUP BY k"), shop.rows("result")) is None
    )


def test_another_delay_is_another_definition(shop: Shop) -> None:
    run(shop, WINDOWS)
    shop.sql(
        f"{SOURCES}CREATE STREAMING TABLE result AS {WINDOWS.replace('2 MINUTES', '1 HOUR')};"
    )
    with Session.open(shop.folder) as session:
        (decision,) = (d for d in plan(session).datasets if d.dataset == "result")
    assert "delay 3600000000 us" in str(decision)


# Queries of the Nexmark benchmark: a join, an overlapping window, a window with its best, and
# a join of what two windows have.
NEXMARK = """
CREATE STREAMING TABLE person AS SELECT * FROM STREAM read_files('person/*.csv',
  format => 'csv', schema => 'id INT, name STRING, state STRING, ts TIMESTAMP');
CREATE STREAMING TABLE auction AS SELECT * FROM STREAM read_files('auction/*.csv',
  format => 'csv', schema => 'id INT, seller INT, category INT, ts TIMESTAMP');
CREATE STREAMING TABLE bid AS SELECT * FROM STREAM read_files('bid/*.csv',
  format => 'csv', schema => 'auction INT, price INT, ts TIMESTAMP');

CREATE STREAMING TABLE q3 AS
SELECT p.name, p.state, a.id FROM STREAM auction AS a JOIN STREAM person AS p ON a.seller = p.id
WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA');

CREATE STREAMING TABLE q5_counts AS
SELECT auction, window.start AS starts, window.end AS ends, count(*) AS bids
FROM STREAM bid WATERMARK ts DELAY OF INTERVAL 4 SECONDS
GROUP BY auction, window(ts, '10 seconds', '2 seconds');

CREATE STREAMING TABLE q5 AS
SELECT ends, max(bids) AS bids, arg_max(auction, bids) AS auction
FROM STREAM q5_counts GROUP BY ends;

CREATE STREAMING TABLE q7 AS
SELECT window.end AS ends, max(price) AS price, arg_max(auction, price) AS auction
FROM STREAM bid WATERMARK ts DELAY OF INTERVAL 4 SECONDS GROUP BY window(ts, '10 seconds');

CREATE STREAMING TABLE q8_people AS
SELECT id, name, time_bucket(INTERVAL '10 seconds', ts) AS starts FROM STREAM person;

CREATE STREAMING TABLE q8_sellers AS
SELECT DISTINCT seller, time_bucket(INTERVAL '10 seconds', ts) AS starts FROM STREAM auction;

CREATE STREAMING TABLE q8 AS
SELECT p.id, p.name, p.starts
FROM STREAM q8_people WATERMARK starts DELAY OF INTERVAL 20 SECONDS AS p
JOIN STREAM q8_sellers WATERMARK starts DELAY OF INTERVAL 20 SECONDS AS s
ON p.id = s.seller AND p.starts = s.starts;
"""


def test_shapes_of_nexmark(shop: Shop) -> None:
    shop.sql(NEXMARK)
    start = "2026-01-01 00:00:"
    shop.file("person/1.csv", f"id,name,state,ts\n1,ann,OR,{start}01\n2,bob,NY,{start}02\n")
    shop.file("auction/1.csv", f"id,seller,category,ts\n10,1,10,{start}03\n")
    shop.file("bid/1.csv", f"auction,price,ts\n10,5,{start}03\n10,9,{start}04\n")
    shop.run()
    shop.file("auction/2.csv", f"id,seller,category,ts\n11,1,11,{start}04\n12,2,10,{start}25\n")
    shop.file("bid/2.csv", f"auction,price,ts\n11,7,{start}08\n11,3,{start}30\n")
    shop.run()
    assert shop.rows("q3") == [("ann", "OR", 10)]
    assert [(str(e), p, a) for e, p, a in shop.rows("q7")] == [("2026-01-01 00:00:10", 9, 10)]
    assert ("2026-01-01 00:00:10", 2, 10) in [(str(e), n, a) for e, n, a in shop.rows("q5")]
    assert [(i, n) for i, n, _ in shop.rows("q8")] == [(1, "ann")]
