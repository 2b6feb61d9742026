"""Which queries compute row by row."""

from __future__ import annotations

import pytest

from qanat.errors import Location
from qanat.model.query import Read, SqlQuery, dataset_ref
from qanat.planning.levels import copies_input, parts, paths, row_source

HERE = Location("t.sql", 1, 1)


def query(sql: str) -> SqlQuery:
    reads = tuple(Read(n, dataset_ref(n), n == "s", HERE) for n in ("s", "d"))
    return SqlQuery(sql, sql, "duckdb", reads, HERE)


@pytest.mark.parametrize(
    ("sql", "source"),
    [
        ("SELECT * FROM s", "s"),
        ("FROM s", "s"),
        ("SELECT a + 1 AS a FROM s AS x WHERE b > 0", "x"),
        ("SELECT * FROM s JOIN d USING (id)", "s"),
        ("SELECT * FROM s LEFT JOIN d USING (id)", "s"),
        ("SELECT * FROM s ASOF JOIN d ON s.t >= d.t", "s"),
        ("SELECT * FROM d JOIN s USING (id)", "s"),
        ("SELECT * FROM d AS x, s AS y", "y"),
        ("SELECT * FROM d RIGHT JOIN s USING (id)", "s"),
        ("SELECT * FROM d JOIN s USING (id) LEFT JOIN d AS e USING (id)", "s"),
        ("SELECT * FROM s ANTI JOIN d USING (id)", "s"),
        ("SELECT * FROM s JOIN (SELECT id, max(x) AS x FROM d GROUP BY id) USING (id)", "s"),
        ("WITH k AS (SELECT id FROM d) SELECT * FROM s WHERE id IN (FROM k)", "s"),
        ("SELECT list_transform(xs, lambda x: x + 1) AS xs FROM s", "s"),
        ("SELECT (SELECT max(x) FROM d) AS m FROM s", "s"),
        ("SELECT * FROM s NATURAL JOIN d", "s"),
        ("SELECT unnest(xs) AS x FROM s", "s"),
        ("SELECT generate_subscripts(xs, 1) AS i FROM s", "s"),
        ("SELECT u.x FROM s, UNNEST(s.xs) AS u(x)", "s"),
        ("SELECT * FROM s, LATERAL (SELECT s.a + 1) AS l", "s"),
    ],
)
def test_row_by_row(sql: str, source: str) -> None:
    assert row_source(query(sql)) == source


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 AS a",
        "VALUES (1)",
        "SELECT a FROM s GROUP BY a",
        "SELECT DISTINCT a FROM s",
        "SELECT max(a) AS a FROM s",
        "SELECT histogram(a) AS a FROM s",
        "SELECT sum(a) OVER () AS a FROM s",
        "SELECT a FROM s LIMIT 1",
        "SELECT a FROM s ORDER BY a",
        "SELECT a FROM s QUALIFY row_number() OVER () = 1",
        "SELECT * FROM s RIGHT JOIN d USING (id)",
        "SELECT * FROM s FULL JOIN d USING (id)",
        "SELECT * FROM d JOIN s USING (id) RIGHT JOIN d AS e USING (id)",
        "SELECT * FROM (s JOIN d USING (id))",
        "SELECT * FROM s POSITIONAL JOIN d",
        "SELECT * FROM (SELECT * FROM s)",
        "SELECT a FROM s UNION ALL SELECT a FROM d",
        "SELECT * FROM s USING SAMPLE 10%",
        "SELECT * FROM s TABLESAMPLE 10%",
        "SELECT * FROM s PIVOT (sum(a) FOR k IN ('x'))",
        "SELECT * FROM s UNPIVOT (v FOR k IN (a, b))",
        "SELECT *, random() AS r FROM s",
        "SELECT *, now() AS at FROM s",
        "SELECT * FROM s WHERE id IN (SELECT id FROM d LIMIT 3)",
        "SELECT * FROM s JOIN (SELECT DISTINCT ON (id) * FROM d) USING (id)",
        "SELECT * FROM s JOIN (SELECT id, first(x) AS x FROM d GROUP BY id) USING (id)",
        "SELECT *, (SELECT list(x) FROM d) AS xs FROM s",
        "SELECT * FROM elsewhere",
    ],
)
def test_not_row_by_row(sql: str) -> None:
    assert row_source(query(sql)) is None


@pytest.mark.parametrize(
    ("sql", "relations"),
    [
        ("SELECT a FROM s AS x", ["s"]),
        ("WITH c AS (SELECT * FROM s), e AS (FROM c) SELECT a FROM e", ["s", "c", "e"]),
        ("WITH s AS (SELECT a FROM s) SELECT * FROM s", ["s", "s"]),
        ("SELECT a FROM (SELECT * FROM (SELECT * FROM s) AS x)", ["s", "", ""]),
        ("WITH c AS (SELECT * FROM s) SELECT * FROM c JOIN c AS e ON true", []),
        ("WITH c AS (SELECT max(a) AS a FROM s) SELECT a FROM c", []),
        ("WITH c AS (SELECT a FROM s) SELECT max(a) AS a FROM c", []),
        ("WITH c AS (SELECT a FROM s) SELECT random() AS r FROM c", ["s", "c"]),
        ("WITH c AS (SELECT a FROM s LIMIT 1) SELECT a FROM c", []),
    ],
)
def test_levels_from_the_input_up(sql: str, relations: list[str]) -> None:
    found = [[level.relation for level in path] for path in paths(query(sql))]
    assert found == ([relations] if relations else [])


@pytest.mark.parametrize(
    ("sql", "relations"),
    [
        ("SELECT a FROM s UNION ALL SELECT b FROM d", [["s"], ["d"]]),
        ("FROM s UNION ALL BY NAME (FROM d) UNION ALL FROM s", [["s"], ["d"], ["s"]]),
        ("WITH c AS (FROM s UNION ALL FROM d) FROM c AS x", [["s", "c"], ["d", "c"]]),
        ("SELECT a FROM s UNION ALL SELECT a FROM d ORDER BY a", [["s"], ["d"]]),
        ("WITH c AS (FROM s) FROM c UNION ALL FROM c", [["s", "c"], ["s", "c"]]),
        ("WITH c AS (FROM s) SELECT a FROM c UNION ALL SELECT max(a) FROM c", []),
        ("WITH c AS (FROM s) FROM c WHERE a IN (SELECT a FROM c)", []),
        ("SELECT a FROM s UNION SELECT a FROM d", []),
        ("SELECT a FROM s EXCEPT ALL SELECT a FROM d", []),
        ("SELECT a FROM s UNION ALL SELECT a FROM d LIMIT 1", []),
        ("SELECT a FROM s UNION ALL (SELECT a FROM d ORDER BY a LIMIT 1)", []),
        ("SELECT a FROM s UNION ALL SELECT a FROM d ORDER BY 1", []),
        ("SELECT a FROM s UNION ALL SELECT 1", []),
        ("SELECT a FROM s UNION ALL SELECT max(a) FROM d", []),
    ],
)
def test_paths_of_several_inputs(sql: str, relations: list[list[str]]) -> None:
    assert [[level.relation for level in path] for path in paths(query(sql))] == relations


@pytest.mark.parametrize(
    ("sql", "relations"),
    [
        ("SELECT a FROM s", []),
        ("SELECT sum(a) FROM s", []),
        ("SELECT sum(a) FROM (SELECT a FROM s)", [[["s"]]]),
        ("WITH c AS (FROM s), e AS (FROM c) SELECT sum(a) FROM e", [[["s", "c"]]]),
        ("WITH c AS (FROM s) SELECT * FROM c JOIN c AS e ON true", [[["s"]]]),
        ("WITH c AS (FROM s), e AS (FROM c) SELECT * FROM c JOIN e ON true", [[["s"]]]),
        ("SELECT * FROM s JOIN (SELECT a FROM d) AS x USING (a)", [[["d"]]]),
        ("SELECT max(a) FROM (FROM s UNION ALL FROM d)", [[["s"], ["d"]]]),
        ("SELECT a FROM s UNION SELECT a FROM d", [[["s"]], [["d"]]]),
        ("SELECT a FROM (SELECT DISTINCT a FROM (FROM s))", [[["s"]]]),
        ("SELECT a FROM d WHERE a IN (SELECT a FROM (SELECT a FROM s))", []),
    ],
)
def test_parts_that_compute_row_by_row(sql: str, relations: list[list[list[str]]]) -> None:
    found = [[[e.relation for e in path] for path in part] for part in parts(query(sql))]
    assert found == relations


@pytest.mark.parametrize(
    ("sql", "copies"),
    [
        ("SELECT * FROM s", True),
        ("FROM s", True),
        ("SELECT x.*, a + 1 AS b FROM s AS x", True),
        ("SELECT a FROM s", False),  # of a column that is not read no value can be checked
        ("SELECT * EXCLUDE (a) FROM s", False),
        ("SELECT * REPLACE (a + 1 AS a) FROM s", False),
        ("SELECT * FROM s WHERE a > 0", False),
        ("SELECT *, (SELECT max(a) FROM s) AS m FROM s", False),
        ("SELECT *, random() AS r FROM s", False),
        ("SELECT * FROM s JOIN s AS t USING (a)", False),
        ("SELECT s.* FROM s JOIN (SELECT 1 AS one) c ON s.a > 0", False),
        ("SELECT s.* FROM s SEMI JOIN (SELECT 1 AS one) c ON s.a > 0", False),
        ("SELECT s.* FROM s, (SELECT 1 AS one) c", False),
        ("SELECT * FROM (SELECT * FROM s)", False),
        ("SELECT *, regexp_split_to_table(a, ',') AS p FROM s", False),
    ],
)
def test_copies(sql: str, copies: bool) -> None:
    one = SqlQuery(sql, sql, "duckdb", (Read("s", dataset_ref("s"), True, HERE),), HERE)
    assert copies_input(one) is copies
