"""Large queries, in the shapes of TPC-H and TPC-DS, compile and run."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from qanat.dialect import to_engine, unsupported
from qanat.errors import Location
from qanat.model.query import SqlQuery

_TABLES = """
CREATE TABLE lineitem (l_orderkey BIGINT, l_partkey BIGINT, l_suppkey BIGINT, l_quantity DOUBLE,
  l_extendedprice DECIMAL(15,2), l_discount DECIMAL(15,2), l_tax DECIMAL(15,2),
  l_returnflag VARCHAR, l_linestatus VARCHAR, l_shipdate DATE, l_commitdate DATE,
  l_receiptdate DATE, l_shipmode VARCHAR);
CREATE TABLE orders (o_orderkey BIGINT, o_custkey BIGINT, o_totalprice DECIMAL(15,2),
  o_orderdate DATE, o_orderpriority VARCHAR, o_shippriority INT, o_comment VARCHAR);
CREATE TABLE customer (c_custkey BIGINT, c_name VARCHAR, c_nationkey INT, c_phone VARCHAR,
  c_acctbal DECIMAL(15,2), c_mktsegment VARCHAR);
CREATE TABLE nation (n_nationkey INT, n_name VARCHAR);
INSERT INTO lineitem VALUES
  (1, 1, 1, 10, 100.50, 0.05, 0.02, 'A', 'F', '1994-03-01', '1994-02-01', '1994-03-05', 'MAIL'),
  (1, 2, 1, 5, 50.00, 0.06, 0.00, 'N', 'O', '1994-04-01', '1994-05-01', '1994-04-05', 'SHIP'),
  (2, 1, 2, 7, 70.00, 0.10, 0.01, 'A', 'F', '1995-03-16', '1995-03-01', '1995-03-20', 'MAIL');
INSERT INTO orders VALUES (1, 1, 150.50, '1994-01-01', '1-URGENT', 0, 'x special y requests'),
  (2, 2, 70.00, '1995-03-10', '5-LOW', 0, 'plain'), (3, 1, 10.00, '1996-01-01', '5-LOW', 0, NULL);
INSERT INTO customer VALUES (1, 'ann', 1, '13-555', 10.00, 'BUILDING'),
  (2, 'bob', 2, '31-555', 20.00, 'BUILDING'), (3, 'cid', 1, '13-777', 99.00, 'AUTO');
INSERT INTO nation VALUES (1, 'FRANCE'), (2, 'GERMANY');
"""

_QUERIES = {
    "pricing summary": (
        """SELECT l_returnflag, l_linestatus, sum(l_quantity) AS sum_qty,
             sum(l_extendedprice * (1 - l_discount)) AS disc, avg(l_quantity) AS avg_qty,
             count(*) AS n
           FROM lineitem WHERE l_shipdate <= DATE '1998-12-01' - INTERVAL 90 DAYS
           GROUP BY l_returnflag, l_linestatus ORDER BY l_returnflag, l_linestatus""",
        2,
    ),
    "shipping priority": (
        """SELECT l_orderkey, sum(l_extendedprice * (1 - l_discount)) AS revenue, o_orderdate
           FROM customer, orders, lineitem
           WHERE c_mktsegment = 'BUILDING' AND c_custkey = o_custkey
             AND l_orderkey = o_orderkey AND o_orderdate < DATE '1995-03-15'
           GROUP BY l_orderkey, o_orderdate ORDER BY revenue DESC, o_orderdate LIMIT 10""",
        2,
    ),
    "order priority": (
        """SELECT o_orderpriority, count(*) AS n FROM orders
           WHERE o_orderdate >= '1993-01-01' AND EXISTS (SELECT * FROM lineitem
             WHERE l_orderkey = o_orderkey AND l_commitdate < l_receiptdate)
           GROUP BY o_orderpriority ORDER BY o_orderpriority""",
        2,
    ),
    "forecast": (
        """SELECT sum(l_extendedprice * l_discount) AS revenue FROM lineitem
           WHERE l_shipdate BETWEEN '1994-01-01' AND '1994-12-31'
             AND l_discount BETWEEN 0.05 AND 0.07 AND l_quantity < 24""",
        1,
    ),
    "customer distribution": (
        """SELECT c_count, count(*) AS custdist FROM (
             SELECT c_custkey, count(o_orderkey) AS c_count FROM customer
             LEFT OUTER JOIN orders ON c_custkey = o_custkey
               AND o_comment NOT LIKE '%special%requests%' GROUP BY c_custkey) AS c_orders
           GROUP BY c_count ORDER BY custdist DESC, c_count DESC""",
        2,
    ),
    "shipping modes": (
        """SELECT l_shipmode, sum(CASE WHEN o_orderpriority = '1-URGENT' OR
             o_orderpriority = '2-HIGH' THEN 1 ELSE 0 END) AS high_line_count
           FROM orders JOIN lineitem ON o_orderkey = l_orderkey
           WHERE l_shipmode IN ('MAIL', 'SHIP') GROUP BY l_shipmode ORDER BY l_shipmode""",
        2,
    ),
    "global sales opportunity": (
        """SELECT cntrycode, count(*) AS numcust, sum(c_acctbal) AS total FROM (
             SELECT substring(c_phone, 1, 2) AS cntrycode, c_acctbal FROM customer
             WHERE substring(c_phone, 1, 2) IN ('13', '31')
               AND NOT EXISTS (SELECT * FROM orders WHERE o_custkey = c_custkey)) AS sale
           GROUP BY cntrycode ORDER BY cntrycode""",
        1,
    ),
    "volume by nation": (
        """WITH shipping AS (SELECT n_name AS supp, year(l_shipdate) AS l_year,
             l_extendedprice * (1 - l_discount) AS volume
             FROM lineitem JOIN orders ON o_orderkey = l_orderkey
             JOIN customer ON c_custkey = o_custkey JOIN nation ON c_nationkey = n_nationkey)
           SELECT supp, l_year, sum(volume) AS revenue FROM shipping
           GROUP BY supp, l_year ORDER BY supp, l_year""",
        2,
    ),
    "share of class": (
        """SELECT c_mktsegment, c_name, sum(o_totalprice) AS revenue,
             rank() OVER (PARTITION BY c_mktsegment ORDER BY sum(o_totalprice) DESC) AS place,
             CAST(sum(o_totalprice) AS DOUBLE) * 100
               / sum(CAST(sum(o_totalprice) AS DOUBLE)) OVER (PARTITION BY c_mktsegment) AS share
           FROM customer JOIN orders ON o_custkey = c_custkey
           GROUP BY c_mktsegment, c_name ORDER BY place""",
        2,
    ),
    "year over year": (
        """WITH ssales AS (SELECT year(o_orderdate) AS y, o_custkey, sum(o_totalprice) AS s
             FROM orders GROUP BY 1, 2)
           SELECT a.o_custkey, a.s, b.s AS before,
             lag(a.s) OVER (PARTITION BY a.o_custkey ORDER BY a.y) AS lagged
           FROM ssales a LEFT JOIN ssales b ON a.o_custkey = b.o_custkey AND a.y = b.y + 1""",
        3,
    ),
    "rollup": (
        """SELECT c_mktsegment, c_name, grouping(c_mktsegment) + grouping(c_name) AS depth,
             count(*) AS n FROM customer GROUP BY ROLLUP (c_mktsegment, c_name)
           ORDER BY depth DESC, c_mktsegment, c_name""",
        6,
    ),
    "in both": (
        """SELECT count(*) AS n FROM (SELECT o_custkey FROM orders INTERSECT
             SELECT c_custkey FROM customer EXCEPT SELECT 2)""",
        1,
    ),
}


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(_TABLES)
    yield connection
    connection.close()


@pytest.mark.parametrize("name", _QUERIES)
def test_a_known_shape_runs(con: duckdb.DuckDBPyConnection, name: str) -> None:
    sql, rows = _QUERIES[name]
    query = SqlQuery(sql, sql, "spark", (), Location("q.sql", 1, 1))
    assert unsupported(query, "duckdb") == []
    assert len(con.sql(to_engine(query, "duckdb").sql).fetchall()) == rows


def test_a_join_of_columns_stays_a_hash_join(con: duckdb.DuckDBPyConnection) -> None:
    sql = "SELECT count(*) AS n FROM orders LEFT JOIN customer ON o_custkey = c_custkey"
    query = SqlQuery(sql, sql, "spark", (), Location("q.sql", 1, 1))
    plan = con.sql("EXPLAIN " + to_engine(query, "duckdb").sql).fetchall()[0][1]
    assert "hash join" in plan.casefold()


def test_a_filter_still_reaches_the_scan(con: duckdb.DuckDBPyConnection) -> None:
    sql = "SELECT o_comment FROM orders WHERE o_orderkey = 2"
    query = SqlQuery(sql, sql, "spark", (), Location("q.sql", 1, 1))
    plan = con.sql("EXPLAIN " + to_engine(query, "duckdb").sql).fetchall()[0][1]
    assert "CASE" not in plan
    assert "Filters: o_orderkey = 2" in plan
