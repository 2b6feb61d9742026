"""A query says the same with hidden columns as without: names, types and rows."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

import qanat
from qanat.engines.duckdb.hidden import POSITIONS, carry
from qanat.errors import Location, UnsupportedError
from qanat.model.query import Read, SqlQuery, dataset_ref

AT = Location("a.sql", 1, 1)
HIDDEN = dict.fromkeys(("s", "u"), ("_metadata", *POSITIONS))

CARRIED = [
    "SELECT * FROM s",
    "SELECT ALL * FROM s -- the end",
    "FROM s",
    "FROM s WHERE id > 1",
    "TABLE s",
    "FROM s SELECT id, *",
    "FROM s AS x SELECT x.*",
    "SELECT s.*, s.id + 1 FROM s",
    "SELECT S.* FROM s",
    "SELECT * EXCLUDE (id) FROM s",
    "SELECT * EXCLUDE id FROM s",
    "SELECT * EXCLUDE s.id, v FROM s",
    "SELECT * EXCLUDE (id, label) REPLACE (v + 1 AS v) FROM s",
    "SELECT * RENAME (id AS größe) FROM s",
    "SELECT s.* EXCLUDE (v) RENAME (id AS x) FROM s",
    "SELECT * LIKE '%i%' FROM s",
    "SELECT * NOT LIKE '%i%' FROM s",
    "SELECT * ILIKE '%I%' FROM s",
    "SELECT * SIMILAR TO '.*i.*' FROM s",
    "SELECT COLUMNS(*) FROM s",
    "SELECT COLUMNS(s.*) FROM s",
    "SELECT COLUMNS(* EXCLUDE label)::VARCHAR FROM s",
    "SELECT COLUMNS(['id', 'v']) FROM s",
    "SELECT concat_ws('|', *COLUMNS(*)) FROM s",
    "SELECT id, list_value(*COLUMNS(* EXCLUDE (label))) AS l FROM s",
    "SELECT * FROM s WHERE (COLUMNS(* EXCLUDE label) > 0)",
    "SELECT 'größe', id, v ** 2, v NOTNULL, .5, label[1], CAST(v AS VARCHAR) FROM s",
    "SELECT date_trunc('month', DATE '2020-02-02'), extract(doy FROM DATE '2020-02-02') FROM s",
    "SELECT log2(v), 1 // 2, v::DECIMAL(9, 2), INTERVAL 1 YEAR FROM s",
    "/* a */ SELECT /* b */ id /* c */, * /* d */ FROM /* e */ s",
    "SELECT *, * FROM s",
    'SELECT "id", "s"."v" FROM s',
    "SELECT x.* FROM s AS x JOIN r ON x.id = r.id",
    "SELECT * FROM s JOIN r USING (id)",
    "SELECT * FROM s LEFT JOIN u ON s.id = u.id",
    "SELECT *, (SELECT max(w) FROM r WHERE r.id = s.id) FROM s",
    "SELECT id FROM s WHERE EXISTS (FROM r WHERE r.id = s.id)",
    "WITH c AS (SELECT * FROM r) SELECT s.*, c.w FROM s, c WHERE s.id = c.id",
    "SELECT id FROM s WHERE id IN (SELECT id FROM r)",
    "FROM s, r",
    "FROM s, r SELECT s.id, w WHERE w > 3",
    "FROM s LEFT JOIN r USING (id)",
    "SELECT x.* FROM s, (SELECT s.*) x",
    "SELECT x.* EXCLUDE (v) FROM s, (SELECT S.*) x",
    "SELECT id, (SELECT to_json(x) FROM (SELECT s.*) x)::VARCHAR AS j FROM s",
    "SELECT s.id, x.* FROM s, (SELECT s.* FROM r AS s) x",
    # CTEs and subqueries
    "WITH c AS (SELECT * FROM s) SELECT * FROM c",
    "WITH c AS (FROM s) FROM c",
    "WITH c AS MATERIALIZED (SELECT id, v + 1 FROM s AS x), d AS (FROM c) SELECT d.*, 1 FROM d",
    "WITH s AS (SELECT id, v FROM s) SELECT * FROM s",
    "WITH c AS (SELECT (SELECT max(w) FROM r) AS m, * EXCLUDE (v) FROM s) FROM c AS k SELECT *, 1",
    'WITH "Größe" AS (SELECT * FROM s) SELECT * FROM größe',
    "WITH k AS (SELECT id FROM r), c AS (FROM s) SELECT * FROM c WHERE id IN (SELECT id FROM k)",
    "WITH c AS (SELECT * FROM s) SELECT * FROM c JOIN r USING (id)",
    "WITH c AS (SELECT * FROM s JOIN r USING (id)) SELECT *, id * 2 FROM c",
    "SELECT * FROM (SELECT id, v FROM s)",
    "SELECT * FROM (SELECT * FROM (FROM s) AS a WHERE v > 1) AS b LEFT JOIN r USING (id)",
    "SELECT id, lower(label) AS l FROM (SELECT *, v ** 2 FROM s) WHERE id > 0",
    "SELECT q.* FROM (WITH c AS (SELECT * FROM s) SELECT ALL * FROM c) q",
    "WITH c AS (SELECT 'FROM (SELECT' AS t, id /* SELECT */ FROM s) SELECT t, id FROM c",
    # columns that get names one by one
    "WITH c(i, j, k) AS (SELECT * FROM s) SELECT * FROM c",
    "WITH c(i, j) AS (SELECT * FROM s) SELECT j, i, label FROM c",
    'WITH c("i", j) AS NOT MATERIALIZED (FROM s), d(k) AS (FROM c) SELECT * FROM d WHERE k > 1',
    "SELECT * FROM (SELECT * FROM s) AS c(i, j, k)",
    "WITH c(i, j) AS (FROM s) SELECT x.*, q + 1 FROM c AS x(q, r)",
    "SELECT a, b FROM s AS x(a, b)",
    "WITH c(i, j) AS (SELECT id, v FROM s UNION ALL SELECT v, id FROM s) SELECT i + j, * FROM c",
    # patterns
    "SELECT COLUMNS('i.*') FROM s",
    "SELECT COLUMNS('a')::VARCHAR, COLUMNS('l') || 'x' FROM s",
    "SELECT COLUMNS('i') AS 'x_\\0' FROM s",
    "SELECT COLUMNS(lambda c: c LIKE '%i%' OR c LIKE 'l%') FROM s",
    "SELECT id FROM s WHERE (COLUMNS('i|v') > 1)",
    "SELECT list_value(*COLUMNS('i|v')) AS l FROM s",
    "WITH c AS (SELECT COLUMNS('i|v') FROM s) SELECT COLUMNS('.') + 1 FROM c",
    # joins
    "SELECT * FROM s NATURAL JOIN r",
    "SELECT *, w + 1 FROM s NATURAL LEFT JOIN r WHERE id > 1",
    "SELECT * FROM s, LATERAL (SELECT s.id + 1 AS k) x",
    "SELECT s.id, x.w FROM s JOIN LATERAL (SELECT w FROM r WHERE r.id = s.id) x ON true",
    "SELECT s.*, u.x FROM s, UNNEST([s.id, v]) AS u(x)",
    "SELECT id, unnest([id, v]) AS x FROM s",
    # order
    "SELECT * FROM s ORDER BY v DESC, id + 1",
    "WITH c AS (FROM s ORDER BY v) SELECT * FROM c ORDER BY lower(label)",
    "SELECT id, v FROM s UNION ALL SELECT id, w FROM s JOIN r USING (id) ORDER BY id",
    # UNION ALL
    "SELECT * FROM s UNION ALL SELECT * FROM s",
    "FROM s UNION ALL FROM s",
    "SELECT id, v FROM s UNION ALL BY NAME SELECT v, id FROM s",
    "(SELECT id FROM s) UNION ALL (SELECT v FROM s WHERE id > 1)",
    "SELECT id, v ** 2 FROM s UNION ALL SELECT ALL v, id FROM s UNION ALL (FROM s SELECT id, 1)",
    "SELECT id FROM s UNION ALL (SELECT v FROM s UNION ALL SELECT id + v FROM s)",
    "SELECT * FROM (SELECT * FROM s UNION ALL SELECT * FROM s)",
    "SELECT u.*, 1 FROM (SELECT *, 'a' FROM s UNION ALL SELECT *, 'b' FROM s) u JOIN r USING (id)",
    "WITH c AS (SELECT * FROM s) SELECT id FROM c WHERE id > 1 UNION ALL SELECT v FROM c",
    "WITH c AS (SELECT * FROM s) FROM c UNION ALL FROM c",
    "WITH k AS (FROM r), c AS (FROM s UNION ALL FROM s) FROM c WHERE id IN (SELECT id FROM k)",
    "SELECT * EXCLUDE (label) FROM s UNION ALL SELECT * EXCEPT (label) FROM s",
    "SELECT id FROM s WHERE id IN (SELECT id FROM r UNION SELECT 1) UNION ALL SELECT v FROM s",
]
AS_A_WHOLE = [
    "SELECT s FROM s",
    "SELECT to_json(s) AS j FROM s",
    "SELECT md5(s::VARCHAR) AS l FROM s",
    "SELECT x.id, hash(x) AS l FROM s AS x",
    "SELECT s.to_json() AS l FROM s",
    "SELECT unnest(s) FROM s",
    "SELECT COLUMNS('(i)(.*)') AS 'x_\\2' FROM s",
    "SELECT id, (SELECT to_json(s)) AS j FROM s",
]


@pytest.fixture(scope="module")
def con() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("CREATE TABLE s AS FROM (VALUES (1, 3, 'a'), (2, 9, 'bc')) AS t(id, v, label)")
    con.execute("CREATE TABLE r AS FROM (VALUES (1, 3), (2, 4)) AS t(id, w)")
    con.execute("CREATE TABLE u AS FROM r")
    return con


def query(sql: str) -> SqlQuery:
    reads = tuple(Read(name, dataset_ref(name), False, AT) for name in ("s", "u"))
    return SqlQuery(sql, sql, "duckdb", reads, AT)


def over(
    con: duckdb.DuckDBPyConnection, sql: str, full: tuple[str, ...]
) -> duckdb.DuckDBPyRelation:
    """The query where these inputs have their hidden columns."""
    places = (
        "{'file_name': 'f.csv'} AS _metadata, 'f.csv' AS __qanat_file, 1::BIGINT AS __qanat_row,"
        " rowid AS __qanat_rid, 'f.csv' AS __qanat_source,"
        " rowid AS __qanat_place"
    )
    inputs = [
        f"{n} AS (SELECT *{f', {places}' if n in full else ''} FROM memory.main.{n})"
        for n in ("s", "u")
    ]
    return con.sql(f"WITH {', '.join(inputs)} FROM (\n{sql}\n)")


@pytest.mark.parametrize("sql", CARRIED)
def test_a_query_says_the_same_with_positions_in_front(
    con: duckdb.DuckDBPyConnection, sql: str
) -> None:
    plain = over(con, sql, ())
    text, needs, carried = carry(query(sql), HIDDEN, positions=True)
    found = over(con, text, needs)
    assert carried[:2] == POSITIONS[:2]
    skip = len(carried)
    assert found.columns == [*carried, *plain.columns]
    assert found.types[skip:] == plain.types
    assert sorted(map(str, (r[skip:] for r in found.fetchall()))) == sorted(
        map(str, plain.fetchall())
    )


@pytest.mark.parametrize(
    "sql",
    ["SELECT *, now() AS at FROM s", "WITH c AS (SELECT *, random() AS r FROM s) SELECT * FROM c"],
)
def test_rows_that_are_others_each_time_have_no_identifier(sql: str) -> None:
    _, _, carried = carry(query(sql), HIDDEN, positions=True)
    assert carried == (*POSITIONS[:2], *POSITIONS[3:])


@pytest.mark.parametrize("sql", ["FROM s, r", "SELECT * FROM s, r", "FROM s JOIN r ON true"])
def test_rows_that_a_join_repeats_have_no_identifier(sql: str) -> None:
    _, _, carried = carry(query(sql), HIDDEN, positions=True)
    assert carried == (*POSITIONS[:2], *POSITIONS[3:])


@pytest.mark.parametrize("sql", AS_A_WHOLE)
def test_rows_taken_as_a_whole_do_not_show_where_they_came_from(
    con: duckdb.DuckDBPyConnection, sql: str
) -> None:
    assert over(con, sql, ()).fetchall()
    assert carry(query(sql), HIDDEN, positions=True) == (sql, (), ())


@pytest.mark.parametrize(
    "sql",
    [
        "WITH c AS (SELECT * FROM s) SELECT a.* FROM c AS a, c AS b",
        "WITH c AS (SELECT * FROM s) SELECT * FROM c WHERE id IN (SELECT id FROM c)",
        "WITH c AS (SELECT max(v) AS v FROM s) SELECT * FROM c",
        "WITH c AS (SELECT DISTINCT v FROM s) SELECT * FROM c",
        "WITH RECURSIVE c AS (SELECT * FROM s) SELECT * FROM c",
        "SELECT * FROM (SELECT * FROM s UNION SELECT * FROM s)",
        "SELECT * FROM s UNION ALL SELECT max(id), max(v), max(label) FROM s",
        "SELECT * FROM s UNION ALL SELECT 1, 2, 'three'",
        "SELECT id FROM s UNION ALL SELECT id FROM s LIMIT 1",
        "SELECT id FROM s ORDER BY 1",
        "SELECT id FROM s ORDER BY ALL",
        "SELECT id FROM s UNION ALL SELECT id FROM s ORDER BY 1",
        "SELECT * FROM (SELECT * FROM s LIMIT 1)",
        "SELECT to_json(c) AS j FROM (SELECT * FROM s) AS c",
    ],
)
def test_rows_of_other_nested_queries_do_not_tell(
    con: duckdb.DuckDBPyConnection, sql: str
) -> None:
    assert over(con, sql, ()).fetchall()
    assert carry(query(sql), HIDDEN, positions=True) == (sql, (), ())


@pytest.mark.parametrize(
    ("sql", "needs"),
    [
        ("SELECT *, _metadata.file_name FROM s", ("s",)),
        ("SELECT a.id, v, w, a._metadata.file_name AS f FROM s a NATURAL JOIN u b", ("s",)),
        ("SELECT * FROM s JOIN u USING (id) WHERE u._metadata.file_name IS NOT NULL", ("u",)),
        ("WITH c AS (FROM s) SELECT * FROM c", ()),
        ("WITH c AS (SELECT *, _metadata.file_name AS n FROM s) FROM c", ("s",)),
        ("SELECT * FROM s WHERE label <> '_metadata'", ()),
        ("SELECT count(*), _metadata.file_name FROM s GROUP BY ALL", ("s",)),
        ("SELECT x.*, _metadata.file_name AS f FROM s, (SELECT s.*) x", ("s",)),
        ("SELECT x.*, _metadata.file_name AS f FROM s, LATERAL (SELECT s.*) x", ("s",)),
        ("SELECT *, _metadata.file_name FROM s UNION BY NAME SELECT * FROM u", ("s", "u")),
    ],
)
def test_metadata_shows_where_it_is_asked_for(
    con: duckdb.DuckDBPyConnection, sql: str, needs: tuple[str, ...]
) -> None:
    text, found, carried = carry(query(sql), HIDDEN, positions=False)
    assert (found, carried) == (needs, ())
    relation = over(con, text, found)
    assert not [c for c in relation.columns if c.startswith(("_metadata", "__"))]
    assert len(relation.fetchall()) in (1, 2, 4)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT v, _metadata.file_name FROM s NATURAL JOIN u",
        "SELECT s, s._metadata.file_name FROM s",
        "SELECT COLUMNS('(i)(.*)') AS 'x_\\2', _metadata.file_name FROM s",
    ],
)
def test_metadata_that_would_show_elsewhere_is_refused(sql: str) -> None:
    with pytest.raises(UnsupportedError, match="_metadata cannot be read together with"):
        carry(query(sql), HIDDEN, positions=False)


SQL = """
CREATE STREAMING TABLE raw AS SELECT id, v ** 2 FROM STREAM read_files('data/*.csv');
CREATE MATERIALIZED VIEW told AS SELECT *, v + 1 FROM read_files('data/*.csv');
"""
RULED = "told (CONSTRAINT a EXPECT (id < 2) ON VIOLATION QUARANTINE ROW) AS"


def test_a_new_rule_does_not_rename_columns(tmp_path: Path) -> None:
    sql = tmp_path / "transformations" / "all.sql"
    for path, text in (
        (tmp_path / "qanat.yml", "name: hidden\n"),
        (tmp_path / "data" / "1.csv", "id,v\n1,3\n"),
        (sql, SQL),
    ):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    with qanat.open(tmp_path) as project:
        project.run()
        before = {name: columns(project, name) for name in ("raw", "told")}
        for name, rule in (("raw", '"(v ** 2)" < 20'), ("told", "id < 100")):
            rules = f"{name} (CONSTRAINT a EXPECT ({rule}) ON VIOLATION QUARANTINE ROW) AS"
            sql.write_text(sql.read_text().replace(f"{name} AS", rules))
        (tmp_path / "data" / "2.csv").write_text("id,v\n2,4\n3,5\n")
        project.run()
        assert {name: columns(project, name) for name in before} == before
        assert project.query("FROM raw ORDER BY id").rows() == [(1, 9.0), (2, 16.0)]
        aside = project.query("SELECT id, _quarantine_source.row FROM raw__quarantine")
        assert aside.rows() == [(3, 3)]


def columns(project: qanat.Project, table: str) -> list[object]:
    return [row[0] for row in project.query(f"SELECT * FROM (DESCRIBE (FROM {table}))").rows()]


def test_a_query_that_cannot_carry_positions_runs_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever DuckDB does not take of what was put in, the author did not write."""

    def wrong(query: SqlQuery, hidden: object, positions: bool) -> object:
        return ("SELECT nothing", ("raw",), POSITIONS) if positions else (query.sql, (), ())

    monkeypatch.setattr("qanat.engines.duckdb.hidden.carry", wrong)
    for path, text in (
        (tmp_path / "qanat.yml", "name: hidden\n"),
        (tmp_path / "data" / "1.csv", "id,v\n1,3\n2,4\n"),
        (tmp_path / "transformations" / "all.sql", SQL.replace("told AS", RULED)),
    ):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    with qanat.open(tmp_path) as project:
        project.run()
        assert project.query("FROM told").rows() == [(1, 3, 4)]
        assert project.query("SELECT id FROM told__quarantine").rows() == [(2,)]
