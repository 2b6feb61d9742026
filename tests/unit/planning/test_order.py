"""Which queries may feed a streaming table."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from qanat.errors import FlowError, QanatError
from qanat.model.pipeline import Pipeline
from qanat.planning.order import build_graph

Declare = Callable[[str], Pipeline]

BASE = """
CREATE STREAMING TABLE s AS SELECT * FROM STREAM read_files('s/*.csv');
CREATE STREAMING TABLE s2 AS SELECT * FROM STREAM read_files('s2/*.csv');
CREATE MATERIALIZED VIEW dim AS SELECT * FROM read_files('dim.csv');
CREATE TEMPORARY VIEW flowing AS SELECT * FROM STREAM s;
CREATE TEMPORARY VIEW still AS SELECT * FROM dim;
"""


def problems(pipeline: Pipeline) -> tuple[QanatError, ...]:
    return build_graph(pipeline)[1]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM STREAM s",
        "SELECT upper(a) AS a FROM STREAM s WHERE b > 1 ORDER BY a",
        "SELECT * FROM STREAM s JOIN dim USING (id)",
        "SELECT * FROM STREAM s LEFT JOIN dim USING (id)",
        "SELECT s.* FROM dim RIGHT JOIN STREAM s USING (id)",
        "SELECT * FROM STREAM s SEMI JOIN dim USING (id)",
        "SELECT * FROM STREAM s ANTI JOIN dim USING (id)",
        "SELECT * FROM STREAM s LEFT SEMI JOIN dim USING (id)",
        "SELECT * FROM STREAM s ASOF JOIN dim ON s.t >= dim.t",
        "SELECT * FROM (STREAM s JOIN dim USING (id))",
        "SELECT * FROM ((STREAM s JOIN dim USING (id)) JOIN still USING (id))",
        "SELECT * FROM dim, (STREAM s JOIN still USING (id))",
        "SELECT * FROM (STREAM s LEFT JOIN dim USING (id))",
        "SELECT * FROM STREAM s JOIN (dim a JOIN dim b USING (id)) USING (id)",
        "SELECT * FROM STREAM s, dim WHERE s.id = dim.id",
        "SELECT * FROM STREAM s WHERE id IN (SELECT id FROM dim GROUP BY id)",
        "SELECT *, (SELECT max(x) FROM dim) AS m FROM STREAM s",
        "SELECT * FROM STREAM s JOIN (SELECT id, count(*) AS n FROM dim GROUP BY id) USING (id)",
        "SELECT * FROM STREAM s JOIN (SELECT DISTINCT id FROM dim LIMIT 3) USING (id)",
        "WITH d AS (SELECT id, max(x) AS x FROM dim GROUP BY id) SELECT * FROM STREAM s, d",
        "WITH new AS (SELECT * FROM STREAM s WHERE a > 0) SELECT a FROM new WHERE a < 9",
        "SELECT a FROM STREAM s UNION ALL SELECT a FROM STREAM s2",
        "SELECT a FROM (SELECT a FROM STREAM s UNION ALL BY NAME SELECT a FROM STREAM s2)",
        "SELECT list_sum(list_transform(xs, lambda x: x + 1)) AS n FROM STREAM s",
        "SELECT unnest(xs) AS x FROM STREAM s",
        "SELECT u.x FROM STREAM s, UNNEST(s.xs) AS u(x)",
        "SELECT * FROM STREAM flowing",
        "SELECT * FROM STREAM flowing JOIN still USING (id)",
        "SELECT * FROM STREAM s UNPIVOT (v FOR k IN (a, b))",
        "SELECT a AS limit_, b AS distinct_ FROM STREAM s -- GROUP BY a",
    ],
)
def test_row_by_row_is_allowed(declare: Declare, query: str) -> None:
    assert problems(declare(f"{BASE}\nCREATE STREAMING TABLE t AS {query};")) == ()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT a, count(*) AS n FROM STREAM s GROUP BY a",
        "SELECT DISTINCT a FROM STREAM s",
        "SELECT DISTINCT ON (a) a, b FROM STREAM s",
        "SELECT max(a) AS m FROM STREAM s",
        "SELECT histogram(a) AS n FROM STREAM s",
        "SELECT * FROM (SELECT a, sum(b) AS b FROM STREAM s GROUP BY a)",
        "WITH x AS (SELECT a FROM STREAM s) SELECT max(a) AS a FROM x",
        "WITH d AS (SELECT id FROM dim GROUP BY id) SELECT a FROM STREAM s, d GROUP BY a",
        "SELECT sum(a) AS a FROM (STREAM s JOIN dim USING (id))",
        "SELECT x.a FROM STREAM s x JOIN STREAM s2 y ON x.id = y.id",
    ],
)
def test_one_operator_with_a_state_is_allowed(declare: Declare, query: str) -> None:
    assert problems(declare(f"{BASE}\nCREATE STREAMING TABLE t AS {query};")) == ()


@pytest.mark.parametrize(
    ("query", "what", "at"),
    [
        ("SELECT a FROM STREAM s LIMIT 5", "LIMIT", "LIMIT"),
        ("SELECT a FROM STREAM s OFFSET 5", "OFFSET", "OFFSET"),
        ("SELECT a, row_number() OVER (ORDER BY a) AS n FROM STREAM s", "a window", "row_number"),
        ("SELECT a FROM STREAM s QUALIFY rank() OVER (ORDER BY a) = 1", "QUALIFY", "QUALIFY"),
        ("SELECT * FROM STREAM s NATURAL JOIN STREAM s2", "NATURAL in a join of", "STREAM s2"),
        ("SELECT * FROM STREAM s a, STREAM s b", "a join of two streams", "STREAM s b"),
        ("SELECT * FROM STREAM flowing NATURAL JOIN STREAM s2", "NATURAL in", "STREAM s2"),
        ("SELECT * FROM STREAM s FULL JOIN dim USING (id)", "a FULL JOIN", "JOIN"),
        ("SELECT * FROM dim LEFT JOIN STREAM s USING (id)", "a LEFT JOIN", "JOIN"),
        ("SELECT * FROM STREAM s RIGHT JOIN dim USING (id)", "a RIGHT JOIN", "JOIN"),
        ("SELECT * FROM dim SEMI JOIN STREAM s USING (id)", "a SEMI JOIN", "JOIN"),
        ("SELECT * FROM dim LEFT ANTI JOIN STREAM s USING (id)", "an ANTI JOIN on", "JOIN"),
        ("SELECT * FROM dim ANTI JOIN STREAM s USING (id)", "an ANTI JOIN", "JOIN"),
        ("SELECT * FROM dim ASOF JOIN STREAM s ON dim.t >= s.t", "an ASOF JOIN", "JOIN"),
        ("SELECT * FROM STREAM s POSITIONAL JOIN dim", "a POSITIONAL JOIN", "JOIN"),
        ("SELECT a FROM STREAM s UNION SELECT a FROM STREAM s2", "UNION without ALL", "UNION"),
        ("SELECT a FROM STREAM s EXCEPT SELECT a FROM dim", "EXCEPT", "EXCEPT"),
        ("SELECT a FROM STREAM s INTERSECT SELECT a FROM dim", "INTERSECT", "INTERSECT"),
        ("SELECT a FROM STREAM s UNION ALL SELECT a FROM dim", "UNION ALL with", "UNION"),
        ("SELECT a FROM STREAM s UNION ALL SELECT 1 AS a", "UNION ALL with", "UNION"),
        (
            "(SELECT a FROM STREAM s UNION ALL SELECT a FROM STREAM s2) UNION SELECT a FROM dim",
            "UNION without ALL",
            "UNION SELECT a FROM dim",
        ),
        ("SELECT a FROM STREAM s UNION ALL SELECT a FROM STREAM s2 LIMIT 3", "LIMIT", "LIMIT"),
        ("SELECT * FROM dim WHERE id IN (SELECT id FROM STREAM s)", "a subquery", "STREAM s)"),
        ("SELECT *, (SELECT a FROM STREAM s) AS a FROM dim", "a subquery", "STREAM s)"),
        ("SELECT * FROM (STREAM s JOIN STREAM s2 USING (id))", "a join of two", "STREAM s2"),
        (
            "SELECT * FROM ((STREAM s CROSS JOIN dim) JOIN STREAM s2 USING (i))",
            "a join",
            "STREAM s2",
        ),
        (
            "SELECT * FROM dim JOIN (STREAM s JOIN STREAM s2 USING (i)) USING (i)",
            "a join",
            "STREAM s2",
        ),
        (
            "SELECT * FROM STREAM s JOIN (dim JOIN STREAM s2 USING (i)) USING (i)",
            "a subquery in a join of streams has no name",
            "STREAM s2",
        ),
        ("SELECT * FROM (dim LEFT JOIN STREAM s USING (id))", "a LEFT JOIN", "JOIN"),
        ("SELECT * FROM (STREAM s POSITIONAL JOIN dim)", "a POSITIONAL JOIN", "JOIN"),
        (
            "WITH x AS (SELECT * FROM (STREAM s JOIN STREAM s2 USING (i))) SELECT * FROM x",
            "a join",
            "STREAM s2",
        ),
        ("SELECT * FROM STREAM s PIVOT (sum(a) FOR k IN ('x', 'y'))", "PIVOT", "PIVOT"),
    ],
)
def test_a_stateful_construct_is_refused_at_its_location(
    declare: Declare, query: str, what: str, at: str
) -> None:
    sql = f"{BASE}\nCREATE STREAMING TABLE t AS\n{query};"
    found = problems(declare(sql))
    assert len(found) == 1, found
    error = found[0]
    assert isinstance(error, FlowError)
    assert error.message.startswith(what)
    line = sql[: sql.index(query)].count("\n") + 1
    assert error.location is not None
    assert (error.location.line, error.location.column) == (line, query.rindex(at) + 1)


def test_a_location_on_a_later_line(declare: Declare) -> None:
    sql = BASE + (
        "CREATE STREAMING TABLE t AS SELECT\n  a,\n  b\n"
        "FROM STREAM read_files('x/*.csv', header => true)\n  LIMIT   5;"
    )
    (error,) = problems(declare(sql))
    assert str(error.location) == f"all.sql:{sql[: sql.index('LIMIT')].count(chr(10)) + 1}:3"


def test_a_stateful_construct_inside_a_temporary_view_is_refused(declare: Declare) -> None:
    sql = BASE + (
        "CREATE TEMPORARY VIEW counted AS SELECT a, count(*) AS n FROM STREAM s GROUP BY a;"
        "CREATE STREAMING TABLE t AS SELECT * FROM STREAM counted;"
    )
    (error,) = problems(declare(sql))
    assert "GROUP BY over a stream in counted" in error.message


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("CREATE STREAMING TABLE t AS SELECT * FROM dim;", "nothing that flow t reads"),
        ("CREATE STREAMING TABLE t AS SELECT * FROM STREAM dim;", "is a materialized view and"),
        ("CREATE STREAMING TABLE t AS SELECT * FROM STREAM still;", "still streams nothing"),
        ("CREATE STREAMING TABLE t AS SELECT * FROM STREAM s, flowing;", "must be read as one"),
        ("CREATE MATERIALIZED VIEW t AS SELECT * FROM STREAM s;", "t reads a stream"),
        ("CREATE MATERIALIZED VIEW t AS SELECT * FROM STREAM flowing;", "t reads a stream"),
        ("CREATE FLOW f AS INSERT INTO dim BY NAME SELECT * FROM s;", "flow f feeds"),
    ],
)
def test_reads_that_do_not_fit(declare: Declare, statement: str, message: str) -> None:
    found = problems(declare(BASE + statement))
    assert any(message in e.message for e in found), found


def test_a_flow_that_runs_once_may_be_stateful(declare: Declare) -> None:
    sql = BASE + (
        "CREATE STREAMING TABLE t AS SELECT a FROM STREAM s;"
        "CREATE FLOW old AS INSERT INTO ONCE t BY NAME SELECT a FROM dim GROUP BY a LIMIT 5;"
    )
    assert problems(declare(sql)) == ()


def test_a_cycle_of_temporary_views_ends(declare: Declare) -> None:
    sql = BASE + (
        "CREATE TEMPORARY VIEW a AS SELECT * FROM b; CREATE TEMPORARY VIEW b AS SELECT * FROM a;"
        "CREATE MATERIALIZED VIEW t AS SELECT * FROM a;"
    )
    found = problems(declare(sql))
    assert [type(e).__name__ for e in found] == ["CycleError"]
