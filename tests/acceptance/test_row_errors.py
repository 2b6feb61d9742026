"""One value that a query cannot convert stops nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

import qanat
from qanat.errors import ProblemsError
from qanat.report.quarantine import replay_html, replay_text
from qanat.run.quarantine import replay
from qanat.run.session import Session
from tests.acceptance.projects import Shop

pytestmark = pytest.mark.anywhere

PIPELINE = """
CREATE STREAMING TABLE bronze AS SELECT * FROM
  STREAM read_files('data/*.csv', schema => 'id BIGINT, delay STRING');
CREATE STREAMING TABLE silver {properties} AS SELECT id, {delay} AS delay FROM STREAM bronze{more};
CREATE MATERIALIZED VIEW late AS SELECT * FROM silver WHERE delay > 5;
CREATE MATERIALIZED VIEW typed AS SELECT id, CAST(delay AS INT) AS delay FROM bronze;
CREATE MATERIALIZED VIEW total AS SELECT sum(delay) AS total FROM silver;
"""


def declare(
    shop: Shop, delay: str = "CAST(delay AS INT)", properties: str = "", more: str = ""
) -> None:
    shop.sql(PIPELINE.format(delay=delay, properties=properties, more=more))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    made.file("data/1.csv", "id,delay\n1,7\n2,abc\n3,4\n")
    declare(made)
    return made


def test_all_others_go_on(shop: Shop) -> None:
    done = shop.run()
    counts = done["silver"].counts
    assert (done["silver"].read, counts.written, counts.set_aside) == (3, 2, 1)
    assert shop.rows("silver") == [(1, 7), (3, 4)]
    assert shop.rows("late") == [(1, 7)]
    assert shop.rows("total") == [(11,)]
    assert [rules for _, rules in shop.quarantined("silver")] == [["_failed"]]
    shop.file("data/2.csv", "id,delay\n4,9\n5,x\n")
    assert shop.run()["silver"].counts.written == 1
    assert len(shop.quarantined("silver")) == 2
    # A view's quarantine is replaced each time that it is computed.
    assert len(shop.quarantined("typed")) == 2


def test_rows_come_back_once_the_query_can_compute_them(shop: Shop) -> None:
    shop.run()
    declare(shop, delay="TRY_CAST(delay AS INT)")
    with Session.open(shop.folder) as session:
        (result,) = replay(session)
        assert (result.examined, result.replayed, result.remaining) == (1, 1, 0)
        assert replay(session) == ()
    assert shop.rows("silver") == [(1, 7), (2, None), (3, 4)]
    assert shop.quarantined("silver") == []
    # The file is read; nothing comes twice.
    assert shop.run()["silver"].counts.written == 0
    assert len(shop.rows("silver")) == 3


def test_rows_with_a_new_column_wait_for_the_table_to_have_it(shop: Shop) -> None:
    shop.run()
    declare(shop, delay="delay AS said, TRY_CAST(delay AS INT)")
    for _ in range(2):
        with Session.open(shop.folder) as session:
            (result,) = replay(session, "silver")
        assert (result.replayed, result.remaining) == (0, 1)
        # Not `_malformed`: its text is no line of a file.
        assert [rules for _, rules in shop.quarantined("silver")] == [["_failed"]]
    shop.run()
    with Session.open(shop.folder) as session:
        (result,) = replay(session, "silver")
    assert (result.replayed, result.remaining) == (1, 0)
    assert shop.rows("silver") == [(1, 7, None), (2, None, "abc"), (3, 4, None)]


def test_rows_that_the_query_leaves_out_now_are_told(shop: Shop) -> None:
    shop.run()
    declare(shop, delay="TRY_CAST(delay AS INT)", more=" WHERE TRY_CAST(delay AS INT) > 0")
    with Session.open(shop.folder) as session:
        (result,) = replay(session)
    assert (result.replayed, result.left_out, result.remaining) == (0, 1, 0)
    told = replay_text([result])
    assert "Left out" in told
    assert "Left out" in replay_html([result])
    assert told.splitlines()[1].split()[:5] == ["silver", "1", "0", "1", "0"]


def test_rows_come_back_through_a_join_as_the_table_is_now(shop: Shop) -> None:
    shop.file("names.csv", "id,name\n1,a\n2,b\n2,c\n")
    join = " LEFT JOIN read_files('names.csv') AS n USING (id)"
    declare(shop, more=join)
    shop.run()
    assert shop.rows("silver") == [(1, 7), (3, 4)]
    declare(shop, delay="TRY_CAST(delay AS INT)", more=join)
    with Session.open(shop.folder) as session:
        (result,) = replay(session)
    assert (result.replayed, result.remaining) == (2, 0)
    assert shop.rows("silver") == [(1, 7), (2, None), (2, None), (3, 4)]


def test_rows_come_back_through_a_view_with_rules(shop: Shop) -> None:
    shop.file("data/2.csv", "id,delay\n4,xyz\n")
    view = (
        "CREATE STREAMING TABLE bronze AS SELECT * FROM"
        " STREAM read_files('data/*.csv', schema => 'id BIGINT, delay STRING');"
        "CREATE TEMPORARY VIEW v (CONSTRAINT r EXPECT (id < {limit}) ON VIOLATION DROP ROW)"
        " AS SELECT id, {delay} AS delay FROM STREAM bronze;"
        "CREATE STREAMING TABLE silver AS SELECT * FROM STREAM v;"
    )
    shop.sql(view.format(limit=9, delay="CAST(delay AS INT)"))
    shop.run()
    for limit, rest in ((4, ["_failed", "r"]), (9, None)):
        shop.sql(view.format(limit=limit, delay="TRY_CAST(delay AS INT)"))
        with Session.open(shop.folder) as session:
            (result,) = replay(session)
        assert (result.replayed, result.remaining) == (1, 0 if rest is None else 1)
        assert [rules for _, rules in shop.quarantined("silver")] == ([rest] if rest else [])
    assert shop.rows("silver") == [(1, 7), (2, None), (3, 4), (4, None)]


def test_rows_of_a_flow_that_runs_once_come_back(shop: Shop) -> None:
    once = (
        "CREATE STREAMING TABLE t;"
        "CREATE FLOW f AS INSERT INTO ONCE t BY NAME SELECT id, {} AS delay"
        " FROM read_files('data/*.csv', schema => 'id BIGINT, delay STRING');"
    )
    shop.sql(once.format("CAST(delay AS INT)"))
    shop.run()
    shop.sql(once.format("TRY_CAST(delay AS INT)"))
    with Session.open(shop.folder) as session:
        (result,) = replay(session)
    assert (result.replayed, result.remaining) == (1, 0)
    assert shop.rows("t") == [(1, 7), (2, None), (3, 4)]


def test_a_table_may_want_to_fail(shop: Shop) -> None:
    declare(shop, properties="TBLPROPERTIES ('qanat.on_row_error' = 'fail')")
    failed = shop.failures()
    assert failed["silver"].code == "Q2004"
    assert set(failed) == {"silver"}


def test_a_project_may_want_to_fail(shop: Shop) -> None:
    spec = "name: shop\nthreads: 1\nconfiguration:\n  qanat.on_row_error: {}\n"
    shop.file("qanat.yml", spec.format("fail"))
    assert set(shop.failures()) == {"silver", "typed"}
    # A table's own property says more.
    declare(shop, properties="TBLPROPERTIES ('qanat.on_row_error' = 'quarantine')")
    assert set(shop.failures()) == {"typed"}
    shop.file("qanat.yml", spec.format("quarantin"))
    with pytest.raises(ProblemsError, match=r"qanat.yml:4.*'quarantine'") as caught:
        qanat.open(shop.folder)
    assert "quarantine" in str(caught.value)


FILES = "read_files('data/*.csv', schema => 'id BIGINT, delay STRING')"


def views(shop: Shop, *queries: str) -> list[str]:
    """Declare views v0, v1, … beside `bronze` and `ids`."""
    shop.sql(
        f"CREATE MATERIALIZED VIEW bronze AS SELECT * FROM {FILES};"
        "CREATE MATERIALIZED VIEW ids AS SELECT id FROM bronze;"
        + "".join(f"CREATE MATERIALIZED VIEW v{n} AS {query};" for n, query in enumerate(queries))
    )
    return [f"v{n}" for n in range(len(queries))]


def test_what_combines_rows_fails_and_names_one(shop: Shop) -> None:
    """The sum of the others is another sum."""
    queries = (
        "SELECT sum(CAST(delay AS INT)) AS total FROM {}",
        "SELECT CAST(delay AS INT) AS d, count(*) AS n FROM {} GROUP BY 1",
        "SELECT DISTINCT CAST(delay AS INT) AS d FROM {}",
        "SELECT lag(CAST(delay AS INT)) OVER (ORDER BY id) AS d FROM {}",
        "SELECT count(*) AS n FROM {} WHERE CAST(delay AS INT) > 0",
        "SELECT sum(CAST(delay AS INT)) FILTER (WHERE id > 1) AS total FROM {}",
        "SELECT id FROM {} GROUP BY id HAVING max(CAST(delay AS INT)) > 0",
        "WITH c AS (SELECT * FROM {}) SELECT max(CAST(delay AS INT)) AS d FROM c",
    )
    places = {FILES: f"in {shop.folder}/data/1.csv:3", "bronze": "in a row of bronze"}
    for source, place in places.items():
        names = views(shop, *(query.format(source) for query in queries))
        failed = shop.failures()
        for name, query in zip(names, queries, strict=True):
            error = failed[name]
            assert error.code == "Q2004"
            assert error.got is not None
            assert "CAST(delay AS INT)" in error.got
            assert "delay = 'abc'" in error.got
            assert error.got.endswith("'abc'" if query.startswith("WITH") else place)


def test_what_computes_row_by_row_below_goes_on_without_the_row(shop: Shop) -> None:
    casts = "SELECT id, CAST(delay AS INT) AS d FROM bronze"
    wanted: dict[str, list[tuple[object, ...]]] = {
        f"SELECT sum(d) AS total FROM ({casts})": [(11,)],
        f"WITH c AS ({casts}) SELECT max(d) AS d FROM c": [(7,)],
        f"WITH c AS ({casts}) SELECT a.id, b.d FROM c AS a JOIN c AS b ON a.id < b.id": [(1, 4)],
        f"SELECT b.id, d FROM bronze AS b LEFT JOIN ({casts}) AS s USING (id)": [
            (1, 7),
            (2, None),
            (3, 4),
        ],
        f"{casts} UNION SELECT 3, 4": [(1, 7), (3, 4)],
    }
    names = views(shop, *wanted)
    done = shop.run()
    for name, rows in zip(names, wanted.values(), strict=True):
        assert done[name].counts.set_aside == 1
        assert shop.rows(name) == rows
        assert [rules for _, rules in shop.quarantined(name)] == [["_failed"]]


BOTH = """
CREATE STREAMING TABLE x AS SELECT * FROM
  STREAM read_files('data/*.csv', schema => 'id BIGINT, delay STRING');
CREATE STREAMING TABLE y AS SELECT * FROM
  STREAM read_files('more/*.csv', schema => 'id BIGINT, delay STRING');
CREATE STREAMING TABLE silver AS {query};
"""


@pytest.mark.parametrize(
    ("query", "many"),
    [
        ("SELECT id, {d} AS d FROM STREAM x UNION ALL SELECT id + 10, {d} FROM STREAM y", 1),
        ("SELECT id, {d} AS d FROM STREAM x UNION ALL SELECT id + 10, {d} FROM STREAM x", 1),
        (
            (
                "WITH c(id, t) AS (FROM STREAM x UNION ALL SELECT id + 10, delay FROM STREAM y)"
                " SELECT id, {d} AS d FROM c AS c(id, delay) ORDER BY d"
            ),
            1,
        ),
        (
            (
                "SELECT id, {d} AS d FROM (FROM STREAM x UNION ALL BY NAME"
                " SELECT delay, id + 10 AS id FROM STREAM y) CROSS JOIN (VALUES (1), (2)) t"
            ),
            2,
        ),
    ],
)
def test_rows_of_several_streams_come_back_each_into_its_own(
    shop: Shop, query: str, many: int
) -> None:
    shop.file("more/1.csv", "id,delay\n1,8\n2,abc\n3,5\n")
    shop.sql(BOTH.format(query=query.format(d="CAST(delay AS INT)")))
    counts = shop.run()["silver"].counts
    assert (counts.written, counts.set_aside) == (4 * many, 2)
    assert {id_ for id_, _ in shop.rows("silver")} == {1, 3, 11, 13}
    shop.sql(BOTH.format(query=query.format(d="TRY_CAST(delay AS INT)")))
    with Session.open(shop.folder) as session:
        (result,) = replay(session)
        assert (result.examined, result.remaining, result.left_out) == (2, 0, 0)
        assert replay(session) == ()
    assert [id_ for id_, d in shop.rows("silver") if d is None] == [12] * many + [2] * many
    assert shop.run()["silver"].counts.written == 0


def test_a_row_of_a_stream_that_is_not_read_any_more_stays(shop: Shop) -> None:
    shop.file("more/1.csv", "id,delay\n1,8\n2,xyz\n")
    query = "SELECT id, {d} AS d FROM STREAM x UNION ALL SELECT id + 10, {d} FROM STREAM y"
    shop.sql(BOTH.format(query=query.format(d="CAST(delay AS INT)")))
    shop.run()
    shop.sql(BOTH.format(query="SELECT id, TRY_CAST(delay AS INT) AS d FROM STREAM x"))
    with Session.open(shop.folder) as session:
        (result,) = replay(session)
    assert (result.examined, result.replayed, result.remaining) == (2, 1, 1)
    assert [id_ for id_, d in shop.rows("silver") if d is None] == [2]


def test_forms_of_queries_that_compute_row_by_row(shop: Shop) -> None:
    names = views(
        shop,
        "SELECT COLUMNS('del')::INT AS d, id FROM bronze",
        "SELECT COLUMNS(lambda c: c = 'delay')::INT FROM bronze",
        "SELECT * REPLACE (CAST(delay AS INT) AS delay) FROM bronze",
        "SELECT * EXCLUDE (delay), CAST(delay AS INT) AS d FROM bronze",
        "WITH c(i, d) AS (FROM bronze) SELECT i, CAST(d AS INT) AS d FROM c",
        "SELECT i, CAST(d AS INT) AS d FROM bronze AS b(i, d)",
        "SELECT id, CAST(delay AS INT) AS d FROM bronze NATURAL JOIN ids",
        "SELECT id, CAST(delay AS INT) AS d FROM bronze JOIN ids USING (id)",
        "SELECT id, CAST(delay AS INT) AS d FROM bronze ORDER BY d",
        "SELECT id FROM bronze ORDER BY CAST(delay AS INT)",
        "SELECT id, unnest(CAST([delay] AS INT[])) AS d FROM bronze",
        "SELECT id, CAST(x AS INT) AS d FROM bronze, UNNEST([delay]) AS t(x)",
        "SELECT id, CAST(delay AS INT) + one AS d FROM bronze, LATERAL (SELECT id + 1 AS one)",
        "WITH n AS (SELECT id, row_number() OVER (ORDER BY id) AS n FROM ids)"
        " SELECT id, n, CAST(delay AS INT) AS d FROM bronze JOIN n USING (id)",
    )
    done = shop.run()
    for name in names:
        counts = done[name].counts
        assert (counts.written, counts.set_aside) == (2, 1), name
        assert [rules for _, rules in shop.quarantined(name)] == [["_failed"]]


def test_rows_of_two_inputs_fail(shop: Shop) -> None:
    """Each is kept: they come from different tables, and have numbers of their own."""
    shop.file("more/1.csv", "id,w\n1,7\n4,xyz\n3,6\n")
    shop.sql(
        """
        CREATE STREAMING TABLE b AS
          SELECT * FROM STREAM read_files('data/*.csv', schema => 'id BIGINT, delay STRING');
        CREATE STREAMING TABLE x AS
          SELECT * FROM STREAM read_files('more/*.csv', schema => 'id BIGINT, w STRING');
        CREATE TEMPORARY VIEW v AS SELECT id, CAST(delay AS INT) AS z FROM b;
        CREATE MATERIALIZED VIEW m AS
          SELECT x.id, CAST(w AS INT) AS w, z FROM x LEFT JOIN v ON v.id = x.id;
        """
    )
    counts = shop.run()["m"].counts
    assert (counts.written, counts.set_aside) == (2, 2)
    assert shop.rows("m") == [(1, 7, 7), (3, 6, 4)]
    quarantine = shop.quarantined("m")
    assert [rules for _, rules in quarantine] == [["_failed"], ["_failed"]]


@pytest.mark.parametrize("other", ["JOIN", "LEFT JOIN"])
def test_a_table_joined_to_the_one_that_fails(shop: Shop, other: str) -> None:
    shop.sql(
        f"""
        CREATE STREAMING TABLE b AS
          SELECT * FROM STREAM read_files('data/*.csv', schema => 'id BIGINT, delay STRING');
        CREATE MATERIALIZED VIEW names AS
          SELECT * FROM (VALUES (1, 'one'), (3, 'three')) AS t(k, n);
        CREATE MATERIALIZED VIEW m AS
          SELECT b.id, CAST(b.delay AS INT) AS delay, n FROM b {other} names ON k = b.id;
        """
    )
    shop.run()
    assert shop.rows("m") == [(1, 7, "one"), (3, 4, "three")]


@pytest.mark.parametrize("expression", ["id + 9223372036854775806", "[CAST(delay AS INT)]"])
def test_what_is_never_null_can_fail_too(shop: Shop, expression: str) -> None:
    """DuckDB does not compute `x IS NULL` where it knows that x is never NULL."""
    shop.file("data/1.csv", "id,delay\n1,7\n2,abc\n")
    declare(shop, delay=expression)
    assert "silver" not in shop.failures()
    assert [rules for _, rules in shop.quarantined("silver")] == [["_failed"]]


def test_a_view_that_something_else_reads_too_loses_no_row(shop: Shop) -> None:
    """What is left out for a subquery would be missing for the rest, so the dataset fails."""
    shop.sql(
        f"CREATE MATERIALIZED VIEW bronze AS SELECT * FROM {FILES};"
        "CREATE TEMPORARY VIEW v AS SELECT * FROM bronze;"
        "CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n,"
        " (SELECT max(d) FROM (SELECT CAST(delay AS INT) AS d FROM v)) AS d FROM v;"
        "CREATE MATERIALIZED VIEW o AS SELECT v.id, x.d FROM v"
        " LEFT JOIN (SELECT id, CAST(delay AS INT) AS d FROM v) AS x USING (id);"
    )
    assert set(shop.failures()) == {"m", "o"}


@pytest.mark.parametrize(
    ("join", "kept", "failed"),
    [
        ("", [(1, 7), (3, 4)], 1),
        ("LEFT SEMI JOIN o ON a.id = o.id", [(1, 7)], 1),
        ("LEFT ANTI JOIN o ON a.id = o.id", [(3, 4)], 0),
        ("SEMI JOIN o ON a.id = o.id WHERE CAST(delay AS INT) > 0", [(1, 7)], 1),
    ],
)
def test_rows_that_spark_would_refuse(
    shop: Shop, join: str, kept: list[tuple[int, int]], failed: int
) -> None:
    """DuckDB takes the `error(…)` of translated casts for volatile, which TRY does not take."""
    shop.file("qanat.yml", "name: shop\ndialect: spark\n")
    shop.file("o.csv", "id\n1\n2\n")
    source = (
        "STREAM read_files('data/*.csv', format => 'csv', header => true,"
        " schema => 'id BIGINT, delay STRING')"
    )
    declared = (
        "CREATE MATERIALIZED VIEW o AS SELECT * FROM read_files('o.csv', format => 'csv',"
        " header => true);\n"
        "CREATE STREAMING TABLE silver AS SELECT a.id, {cast}(delay AS INT) AS delay"
        f" FROM {source} AS a {join};"
    )
    shop.sql(declared.replace("{cast}", "CAST"))
    shop.run()
    assert shop.rows("silver") == kept
    if not failed:
        return
    assert [rules for _, rules in shop.quarantined("silver")] == [["_failed"]]
    with qanat.open(shop.folder) as project:
        found = str(project.quarantine("silver").rows())
    assert "a string is no INTEGER; use try_cast for NULL instead for delay = 'abc'" in found
    shop.sql(declared.replace("{cast}", "TRY_CAST").partition(" WHERE")[0])
    with Session.open(shop.folder) as session:
        assert [r.replayed for r in replay(session)] == [1]
