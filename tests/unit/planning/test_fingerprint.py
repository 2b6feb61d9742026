"""What changes a fingerprint, and what does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from qanat.model.pipeline import Pipeline
from qanat.planning.difference import as_written, difference
from qanat.planning.fingerprint import definition, volatile

Declare = Callable[..., Pipeline]

TABLE = """
CREATE TEMPORARY VIEW v AS SELECT a, b FROM read_files('v.csv', header => true);
CREATE MATERIALIZED VIEW dim AS SELECT 1 AS k;
CREATE MATERIALIZED VIEW t (
  CONSTRAINT positive EXPECT (a > 0 AND b <> 'x  y') ON VIOLATION DROP ROW,
  CONSTRAINT known EXPECT (k) REFERENCES dim (k)
) AS SELECT v.a, count(*) AS n FROM v JOIN dim ON v.b = dim.k WHERE v.a <> 'A  B' GROUP BY v.a;
"""


def fingerprint(pipeline: Pipeline) -> str:
    return definition(pipeline, pipeline.dataset("t"))[0]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SELECT v.a, count(*)", "select  v.a,\n\n  COUNT( * )"),
        ("FROM v JOIN", "FROM v -- the view\n JOIN /* and */"),
        ("v JOIN dim ON", "V AS v JOIN DIM AS dim ON"),
        ("a > 0 AND b", "a>0\n and -- not less\n b"),
        ("CREATE MATERIALIZED VIEW t", "CREATE OR REFRESH MATERIALIZED VIEW t"),
        (
            "CREATE MATERIALIZED VIEW dim AS SELECT 1 AS k",
            "CREATE MATERIALIZED VIEW dim AS SELECT 2 AS k",
        ),
    ],
)
def test_changes_of_layout_keep_the_fingerprint(declare: Declare, old: str, new: str) -> None:
    assert old in TABLE
    assert fingerprint(declare(TABLE.replace(old, new))) == fingerprint(declare(TABLE))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("count(*)", "count(a)"),
        ("'A  B'", "'A B'"),
        ("'A  B'", "'a  b'"),
        ("'x  y'", "'x y'"),
        ("a > 0", "a > 1"),
        ("DROP ROW", "QUARANTINE ROW"),
        ("CONSTRAINT positive", "CONSTRAINT above_zero"),
        ("dim (k)", "dim (j)"),
        ("header => true", "header => false"),
        ("'v.csv'", "'w.csv'"),
        ("SELECT a, b FROM read", "SELECT a, b + 1 AS b FROM read"),
        (") AS SELECT v.a", ") PARTITIONED BY (a) AS SELECT v.a"),
        (") AS SELECT v.a", ") TBLPROPERTIES ('x' = 'y') AS SELECT v.a"),
        ("AS n", "AS m"),
    ],
)
def test_changes_of_meaning_change_the_fingerprint(declare: Declare, old: str, new: str) -> None:
    assert old in TABLE
    assert fingerprint(declare(TABLE.replace(old, new))) != fingerprint(declare(TABLE))


def test_streaming_matters_and_other_flows_too(declare: Declare) -> None:
    base = (
        "CREATE STREAMING TABLE s AS SELECT * FROM STREAM read_files('s.csv');"
        "CREATE STREAMING TABLE r AS SELECT * FROM STREAM read_files('r.csv');"
        "CREATE STREAMING TABLE t AS SELECT a FROM STREAM s JOIN r USING (a);"
    )
    one = fingerprint(declare(base))
    other = base.replace("FROM STREAM s JOIN r", "FROM s JOIN STREAM r")
    assert fingerprint(declare(other)) != one
    more = base + "CREATE FLOW f AS INSERT INTO t BY NAME SELECT a FROM STREAM r;"
    assert fingerprint(declare(more)) != one


def test_sources_are_written_as_earlier_releases_have_kept_them(declare: Declare) -> None:
    # Otherwise an upgrade tells of definitions that changed, and computes views again.
    pipeline = declare(
        "CREATE MATERIALIZED VIEW t AS"
        " SELECT 1 FROM read_files('in', skip => 1, format => 'CSV', comment => '#')"
        " UNION ALL SELECT 2 FROM read_table('theirs', project => '../o')"
        " UNION ALL SELECT 3 FROM delta_scan('d');"
    )
    (flow,) = pipeline.flows_into("t")
    assert [r.source.text for r in flow.query.reads] == [
        "read_files('in', format => 'csv', comment => '#', skip => 1)",
        "delta_scan('theirs', project => '../o')",
        "delta_scan('d')",
    ]
    # Under these the ledger knows how far they have been read.
    keys = ["files:in", "delta:../o#theirs", "delta:d"]
    assert [r.source.key for r in flow.query.reads] == keys


def test_the_definition_is_readable_text(declare: Declare) -> None:
    pipeline = declare(TABLE)
    _, before = definition(pipeline, pipeline.dataset("t"))
    pipeline = declare(TABLE.replace("count(*)", "count(v.b)"))
    _, after = definition(pipeline, pipeline.dataset("t"))
    changed = [line for line in difference(before, after).splitlines() if line[:1] in "+-"]
    assert changed == ["-  COUNT(*) AS n", "+  COUNT(v.b) AS n"]
    assert "__t_1" not in before


def test_equal_texts_do_not_differ() -> None:
    assert difference("a\nb\n", "a\nb\n") == ""
    assert difference("", "a\n") == "+a"
    # A removed line `-- …` looks like a diff's header `--- …`, but must not be dropped.
    assert difference("-- x\na", "a") == "--- x\n a"


@pytest.mark.parametrize(
    "expression",
    [
        "now()",
        "current_date",
        "CURRENT_TIMESTAMP",
        "current_time",
        "today()",
        "random()",
        "uuid()",
        "gen_random_uuid()",
        "get_current_timestamp()",
        "transaction_timestamp()",
        "age(TIMESTAMP '2020-01-01')",
        "a + random() * 2",
        "(SELECT max(now()))",
    ],
)
def test_functions_of_time_and_chance_are_volatile(declare: Declare, expression: str) -> None:
    pipeline = declare(f"CREATE MATERIALIZED VIEW t AS SELECT {expression} AS x, 1 AS a;")
    assert volatile(next(pipeline.flows_into("t")).query)


def test_a_sample_is_volatile(declare: Declare) -> None:
    sql = "CREATE MATERIALIZED VIEW t AS SELECT * FROM read_files('a.csv') USING SAMPLE 10%;"
    assert volatile(next(declare(sql).flows_into("t")).query)


@pytest.mark.parametrize(
    "expression",
    ["upper(a)", "a AS now", "'random()'", "age(b, a)", "date '2020-01-01'", "current_dates"],
)
def test_other_queries_are_not_volatile(declare: Declare, expression: str) -> None:
    sql = f"CREATE MATERIALIZED VIEW t AS SELECT {expression} FROM read_files('a.csv');"
    assert not volatile(next(declare(sql).flows_into("t")).query)


@pytest.mark.parametrize(
    "expression", ["current_timestamp()", "rand()", "uuid()", "unix_timestamp()"]
)
def test_functions_of_time_and_chance_are_volatile_in_spark(
    declare: Declare, expression: str
) -> None:
    pipeline = declare(f"CREATE MATERIALIZED VIEW t AS SELECT {expression} AS x;", dialect="spark")
    assert volatile(next(pipeline.flows_into("t")).query)


@pytest.mark.parametrize(
    ("canonical", "written"),
    [
        ('FROM "STREAM bronze" AS bronze', "FROM STREAM bronze"),
        ('FROM "STREAM bronze" AS b', "FROM STREAM bronze AS b"),
        ('FROM "STREAM a b" AS "a b"', 'FROM STREAM "a b"'),
        ("FROM `STREAM a b` AS `a b`", "FROM STREAM `a b`"),
        ('JOIN "silver" AS silver', "JOIN silver"),
        ("FROM \"STREAM read_files('in/*.csv')\"", "FROM STREAM read_files('in/*.csv')"),
        ('FROM "a" AS a, "STREAM b" AS b', "FROM a, STREAM b"),
        ("WHERE x <> 'FROM \"STREAM y\" AS y'", "WHERE x <> 'FROM \"STREAM y\" AS y'"),
        ('SELECT\n  "a b" AS "a b"', 'SELECT\n  "a b" AS "a b"'),
    ],
)
def test_a_difference_spells_reads_as_authors_do(canonical: str, written: str) -> None:
    assert as_written(canonical) == written
