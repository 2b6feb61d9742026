"""`.sql` files: what every statement declares, and every message."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from qanat.declare.library import Declared
from qanat.model.expectation import Action
from qanat.model.pipeline import DatasetKind
from qanat.model.query import SqlQuery
from qanat.model.rule import Predicate, References, Unique

Load = Callable[..., Declared]

EVERYTHING = """-- The example of the design.
CREATE OR REFRESH STREAMING TABLE silver_flights (
  id BIGINT NOT NULL COMMENT 'the key', tags map<string, int>, "Odd Name" DECIMAL(10, 2) NOT NULL,
  CONSTRAINT known_carrier   EXPECT (carrier IS NOT NULL)              ON VIOLATION DROP ROW,
  CONSTRAINT plausible_delay EXPECT (dep_delay BETWEEN -60 AND 1500)   ON VIOLATION QUARANTINE ROW,
  CONSTRAINT one_per_flight  EXPECT UNIQUE (id, "Odd Name")            ON VIOLATION QUARANTINE ROW,
  CONSTRAINT seen            EXPECT ((a > 1) OR b < (c)),
  CONSTRAINT real_airline    EXPECT (carrier) REFERENCES airlines (code) ON VIOLATION FAIL UPDATE
) PARTITIONED BY (month) CLUSTER BY (a, b) COMMENT 'One row; per ''departure'''
USING DELTA TBLPROPERTIES ('a.b' = 'c', qanat.schema_drift = 'rescue', n = 3)
AS SELECT * FROM STREAM bronze_flights;
"""


def only_problem(declared: Declared) -> str:
    (problem,) = declared.problems
    return str(problem)


def test_everything(load: Load) -> None:
    declared = load({"a.sql": EVERYTHING})
    assert declared.problems == ()
    (dataset,) = declared.pipeline.datasets
    assert dataset.name == "silver_flights"
    assert dataset.kind is DatasetKind.STREAMING_TABLE
    assert str(dataset.location) == "transformations/a.sql:2:35"
    assert [str(f) for f in dataset.schema.fields] == [
        "id bigint NOT NULL",
        "tags map<string,int>",
        "Odd Name decimal(10,2) NOT NULL",
    ]
    assert dataset.schema.fields[0].comment == "the key"
    assert [(e.name, e.rule, e.action) for e in dataset.expectations] == [
        ("id_not_null", Predicate("id IS NOT NULL", "duckdb"), Action.FAIL),
        ("Odd Name_not_null", Predicate('"Odd Name" IS NOT NULL', "duckdb"), Action.FAIL),
        ("known_carrier", Predicate("carrier IS NOT NULL", "duckdb"), Action.DROP),
        (
            "plausible_delay",
            Predicate("dep_delay BETWEEN -60 AND 1500", "duckdb"),
            Action.QUARANTINE,
        ),
        ("one_per_flight", Unique(("id", "Odd Name")), Action.QUARANTINE),
        ("seen", Predicate("(a > 1) OR b < (c)", "duckdb"), Action.WARN),
        ("real_airline", References(("carrier",), "airlines", ("code",)), Action.FAIL),
    ]
    assert dataset.partition_by == ("month",)
    assert dataset.cluster_by == ("a", "b")
    assert dataset.comment == "One row; per 'departure'"
    assert dataset.properties == (("a.b", "c"), ("qanat.schema_drift", "rescue"), ("n", "3"))
    (flow,) = declared.pipeline.flows
    assert (flow.name, flow.target, flow.once) == ("silver_flights", "silver_flights", False)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        ("CREATE STREAMING TABLE", DatasetKind.STREAMING_TABLE),
        ("create or replace streaming table", DatasetKind.STREAMING_TABLE),
        ("CREATE OR REFRESH\n STREAMING /* x */ TABLE IF NOT EXISTS", DatasetKind.STREAMING_TABLE),
        ("CREATE STREAMING LIVE TABLE", DatasetKind.STREAMING_TABLE),
        ("CREATE MATERIALIZED VIEW", DatasetKind.MATERIALIZED_VIEW),
        ("CREATE OR REFRESH MATERIALIZED VIEW", DatasetKind.MATERIALIZED_VIEW),
        ("CREATE LIVE TABLE", DatasetKind.MATERIALIZED_VIEW),
        ("CREATE TEMPORARY VIEW", DatasetKind.TEMPORARY_VIEW),
        ("CREATE OR REPLACE TEMPORARY LIVE VIEW", DatasetKind.TEMPORARY_VIEW),
        ("CREATE TEMP VIEW", DatasetKind.TEMPORARY_VIEW),
    ],
)
@pytest.mark.parametrize("spec", ["", "dialect: spark"])
def test_kinds(load: Load, head: str, kind: DatasetKind, spec: str) -> None:
    declared = load({"a.sql": f"{head} x AS SELECT 1 AS a"}, spec)
    assert declared.problems == ()
    assert [(d.name, d.kind) for d in declared.pipeline.datasets] == [("x", kind)]


def test_flows(load: Load) -> None:
    text = """
CREATE STREAMING TABLE t;
CREATE FLOW a AS INSERT INTO t BY NAME SELECT * FROM STREAM x;
CREATE FLOW b COMMENT 'once' AS INSERT INTO ONCE s.t BY NAME FROM y"""
    declared = load({"a.sql": text}, "schema: s")
    assert declared.problems == ()
    assert [(f.name, f.target, f.once) for f in declared.pipeline.flows] == [
        ("a", "t", False),
        ("b", "t", True),
    ]
    query = declared.pipeline.flows[1].query
    assert isinstance(query, SqlQuery)
    assert query.sql == 'FROM "__b_1" AS y'
    assert str(query.reads[0].location) == "transformations/a.sql:4:67"


def test_configuration_replaces_keys(load: Load) -> None:
    text = """SET limit_ = 5; SET `who` = 'me';
SET spark.sql.shuffle.partitions = 4;
CREATE MATERIALIZED VIEW v AS -- ${unknown} in a comment does no harm
SELECT ${limit_}, '${who}', ${start} FORM x"""
    declared = load({"a.sql": text}, "configuration: {start: 2013, limit_: 1}")
    # The place is right although the values are shorter than the keys.
    assert only_problem(declared) == (
        "transformations/a.sql:4:38: unexpected 'FORM' (did you mean 'FROM'?)"
    )
    declared = load({"a.sql": text.replace("FORM", "FROM")}, "configuration: {start: 2013}")
    query = declared.pipeline.flows[0].query
    assert isinstance(query, SqlQuery)
    assert query.sql == "SELECT 5, 'me', 2013 FROM \"__v_1\" AS x"
    assert str(query.reads[0].location) == "transformations/a.sql:4:43"


V = "CREATE MATERIALIZED VIEW v "
T = "CREATE STREAMING TABLE t "
CLAUSES = "  wanted: USING or PARTITIONED BY or CLUSTER BY or COMMENT or TBLPROPERTIES or AS"


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("CREAT TABLE x",
         ("1:1: unexpected 'CREAT' (did you mean 'CREATE'?)\n"
          "  wanted: CREATE or SET or APPLY CHANGES INTO")),
        ("CREATE STREEMING TABLE x AS SELECT 1",
         ("1:8: unexpected 'STREEMING' (did you mean 'STREAMING'?)\n"
         "  wanted: STREAMING TABLE or MATERIALIZED VIEW or TEMPORARY VIEW or FLOW")),
        ("CREATE MATERIALIZED VEW x AS SELECT 1",
         ("1:21: unexpected 'VEW' (did you mean 'VIEW'?)\n"
         "  wanted: STREAMING TABLE or MATERIALIZED VIEW or TEMPORARY VIEW or FLOW")),
        ("CREATE OR REFESH FLOW x", ("1:11: unexpected 'REFESH' (did you mean 'REFRESH'?)\n"
         "  wanted: OR REFRESH or OR REPLACE")),
        ("CREATE", ("1:7: the statement ends too early\n"
         "  wanted: STREAMING TABLE or MATERIALIZED VIEW or TEMPORARY VIEW or FLOW")),
        ("CREATE MATERIALIZED VIEW 'v' AS SELECT 1",
         "1:26: unexpected 'v'\n  wanted: the dataset's name"),
        ("CREATE MATERIALIZED VIEW v",
         "1:27: the statement ends too early\n  wanted: AS SELECT …"),
        (f"{V}AS", "1:30: the statement ends too early\n  wanted: SELECT …"),
        (f"{V}COMENT 'x' AS SELECT 1",
         f"1:28: unexpected 'COMENT' (did you mean 'COMMENT'?)\n{CLAUSES}"),
        (f"{V}COMMENT 'x' COMMENT 'y' AS SELECT 1", "1:40: COMMENT is given twice"),
        (f"{V}LOCATION 'x' AS SELECT 1", ("1:28: LOCATION is not supported\n"
         "  hint: tables live below the spec's storage")),
        (f"{V}USING PARQUET AS SELECT 1", ("1:34: there is no table format 'PARQUET'\n"
         "  wanted: delta\n  hint: create_sink() writes files in other formats")),
        (f"{V}USING ICBERG AS SELECT 1", ("1:34: there is no table format 'ICBERG'"
         " (did you mean 'iceberg'?)\n"
         "  wanted: delta\n  hint: create_sink() writes files in other formats")),
        (f"{V}USING Iceberg AS SELECT 1", (
         "1:34: all tables of this project have the format delta\n  got: Iceberg\n"
         "  hint: leave it out, or set `table_format: iceberg` in qanat.yml"
         " for all of them")),
        (f"{V}WITH ROW FILTER f ON (a) AS SELECT 1", ("1:28: ROW FILTER is not supported\n"
         "  hint: filter in the query")),
        (f"{V}TBLPROPERTIES ('qanat.schema_drft' = 'x') AS SELECT 1",
         "1:43: no table property 'qanat.schema_drft' (did you mean 'qanat.schema_drift'?)"),
        (f"{V}TBLPROPERTIES ('qanat.schema_drift' = 'resque') AS SELECT 1",
         ("1:43: table property 'qanat.schema_drift' does not fit (did you mean 'rescue'?)\n"
         "  wanted: evolve or freeze or rescue\n  got: 'resque'")),
        (f"{V}TBLPROPERTIES ('qanat.quarantine_limit' = '200 %') AS SELECT 1",
         ("1:43: table property 'qanat.quarantine_limit' does not fit\n"
         "  wanted: a share or a number of rows, such as 20 % or 1000\n  got: '200 %'")),
        (f"{V}TBLPROPERTIES ('pipelines.cdc.tombstoneGCThresholdInSeconds' = '-1') AS SELECT 1",
         ("1:43: table property 'pipelines.cdc.tombstoneGCThresholdInSeconds' does not fit\n"
         "  wanted: a number of seconds, such as 172800\n  got: '-1'")),
        ("CREATE TEMPORARY VIEW v PARTITIONED BY (a) AS SELECT 1",
         ("1:25: PARTITIONED BY on a temporary view is not supported\n"
         "  hint: a temporary view is not stored")),
        (f"{T}(CONSTRAINT a EXPECT (b > 1) ON VIOLATON DROP ROW) AS SELECT 1",
         ("1:58: unexpected 'VIOLATON' (did you mean 'VIOLATION'?)\n"
         "  wanted: ON VIOLATION or WHERE or NULLS PASS or TOLERATE or WITH or , or )")),
        (f"{T}(CONSTRAINT a EXPECT (b > 1) ON VIOLATION QUARANTIN ROW) AS SELECT 1",
         ("1:68: unexpected 'QUARANTIN' (did you mean 'QUARANTINE'?)\n"
         "  wanted: DROP ROW or QUARANTINE ROW or FAIL UPDATE")),
        (f"{T}(CONSTRAINT a EXPEC (b > 1))",
         "1:40: unexpected 'EXPEC' (did you mean 'EXPECT'?)\n  wanted: EXPECT"),
        (f"{T}(CONSTRAINT a EXPECT (b BETWEN 1 AND 2))",
         "1:50: unexpected 'BETWEN' (did you mean 'BETWEEN'?)"),
        (f"{T}(CONSTRAINT a EXPECT ())", ("1:48: the expectation is empty\n"
         "  wanted: a condition on a row")),
        (f"{T}(CONSTRAINT a EXPECT (sum(b) > 1))",
         ("1:48: an expectation with an aggregate or window function is not supported\n"
         "  wanted: a condition on one row\n  hint: compute it in the query, or have it about all"
         " rows together: EXPECT TABLE (condition)")),
        (f"{T}(CONSTRAINT a EXPECT (b IN (SELECT c FROM d)))",
         ("1:48: an expectation with a subquery is not supported\n"
         "  wanted: a condition on one row\n"
         "  hint: use (columns) REFERENCES dataset (columns), or join before")),
        (f"{T}(CONSTRAINT a EXPECT (b) REFERENCES d (e, f))",
         ("1:64: 1 columns cannot reference 2\n"
         "  wanted: as many columns on both sides of REFERENCES")),
        (f"{T}(CONSTRAINT a EXPECT (b > 1), CONSTRAINT A EXPECT (c > 1))",
         ("1:67: two expectations of 't' are named 'A'\n"
         "  hint: the first is at transformations/a.sql:1:38; rename one of them")),
        (f"{T}(a BIGNT)", "1:29: no type 'BIGNT' (did you mean 'BIGINT'?)"),
        (f"{T}(a)", "1:27: column 'a' has no type"),
        (f"{T}(a INT, A TEXT)", "1:34: two columns are named 'A'"),
        (f"{T}(a INT NOT NUL)", ("1:37: unexpected 'NUL' (did you mean 'NULL'?)\n"
         "  wanted: NOT NULL or COMMENT or , or )")),
        (f"{T}(a INT PRIMARY KEY)", ("1:33: PRIMARY in a column list is not supported\n"
         "  hint: CONSTRAINT name EXPECT UNIQUE (columns) is checked on every update")),
        (f"{T}(a INT, PRIMARY KEY (a))", ("1:34: PRIMARY in a column list is not supported\n"
         "  hint: CONSTRAINT name EXPECT UNIQUE (columns) is checked on every update")),
        (f"{T}(UNIQUE (a))", ("1:27: UNIQUE in a column list is not supported\n"
         "  hint: CONSTRAINT name EXPECT UNIQUE (columns) is checked on every update")),
        (f"{T}(FOREIGN KEY (a) REFERENCES o (a))",
         ("1:27: FOREIGN in a column list is not supported\n"
         "  hint: CONSTRAINT name EXPECT (columns) REFERENCES dataset (columns) is checked")),
        ("CREATE FLOW f AS INSERT INTO t SELECT 1",
         ("1:32: unexpected 'SELECT'\n  wanted: BY NAME\n"
         "  hint: columns are matched by name: INSERT INTO table BY NAME SELECT …")),
        ("CREATE FLOW f AS INSERT INTO t REPLACE WHERE a > 1 SELECT 1",
         ("1:32: INSERT INTO … REPLACE WHERE is not supported\n"
         "  hint: a materialized view is recomputed from its inputs")),
        ("SELECT 1", ("1:1: SELECT is not a declaration\n"
         "  hint: put it behind CREATE MATERIALIZED VIEW name AS")),
        ("INSERT INTO t SELECT 1", ("1:1: INSERT is not a declaration\n"
         "  hint: write CREATE FLOW name AS INSERT INTO table BY NAME SELECT …")),
        ("DROP TABLE t", "1:1: DROP is not a declaration\n  hint: remove its declaration instead"),
        ("CREATE TABLE t (a INT)", ("1:8: CREATE TABLE is not supported\n"
         "  hint: CREATE STREAMING TABLE takes each input row once, "
         "CREATE MATERIALIZED VIEW has the query's result")),
        ("CREATE PRIVATE STREAMING TABLE t", ("1:8: PRIVATE is not supported\n"
         "  hint: CREATE TEMPORARY VIEW is not stored")),
        ("SET qanat.on_row_error = fail", ("1:5: SET qanat.on_row_error is not supported\n"
         "  hint: TBLPROPERTIES ('qanat.on_row_error' = …) is for one table, the spec's"
         " configuration for all")),
        ("SET spark.sql.ansi.enabled = true", ("1:5: SET spark.sql.ansi.enabled is not supported\n"
         "  hint: leave it out; put settings of the engine into the spec")),
        (f"{V}AS SELECT ${{strat}}", ("1:38: no configuration 'strat' (did you mean 'start'?)\n"
         "  hint: add it to the spec: configuration: {strat: …}")),
        (f"{V}AS SELECT 'abc", "1:38: what begins here is never closed\n  wanted: '"),
        ('CREATE STREAMING TABLE "a/b"', ("1:24: the name 'a/b' cannot be a folder's name\n"
         "  got: character '/'")),
        ('CREATE FLOW "a/b" AS INSERT INTO t BY NAME FROM x',
         "1:13: the name 'a/b' cannot be a folder's name\n  got: character '/'"),
        ("CREATE STREAMING TABLE x__quarantine",
         ("1:24: the name 'x__quarantine' belongs to a quarantine table\n"
         "  hint: choose a name that does not end in __quarantine")),
    ],
)  # fmt: skip
def test_messages(load: Load, sql: str, message: str) -> None:
    declared = load({"a.sql": sql}, "configuration: {start: 1}")
    assert only_problem(declared) == f"transformations/a.sql:{message}"


def test_a_quote_in_a_value_is_told_where_the_key_stands(load: Load) -> None:
    sql = f"{V}AS SELECT\n  '${{name}}' AS n, 'x' AS y"
    declared = load({"a.sql": sql}, 'configuration: {name: "it\'s"}')
    assert only_problem(declared) == (
        "transformations/a.sql:2:4: the value of ${name} has the quote ', so that a quote behind"
        " it is never closed\n  hint: write '' for it in the configuration"
    )
    (view,) = load({"a.sql": sql}, "configuration: {name: \"it''s\"}").pipeline.datasets
    assert view.name == "v"


def test_one_problem_hides_no_other(load: Load) -> None:
    declared = load(
        {
            "a.sql": "CREAT x; CREATE STREAMING TABLE t (a FOO, CONSTRAINT c EXPECT (b >));"
            "\r\nDROP y;",
            "b.sql": "CREATE MATERIALIZED VIEW good AS SELECT 1",
            "c.sql": "SELECT 'unclosed",
        }
    )
    assert [str(p.location) for p in declared.problems] == [
        "transformations/a.sql:1:1",
        "transformations/a.sql:1:38",
        "transformations/a.sql:1:66",
        "transformations/a.sql:2:1",
        "transformations/c.sql:1:8",
    ]
    assert [d.name for d in declared.pipeline.datasets] == ["t", "good"]


def test_duplicates_name_both_locations(load: Load) -> None:
    declared = load(
        {
            "a.sql": "CREATE MATERIALIZED VIEW x AS SELECT 1;\n"
            "CREATE STREAMING TABLE t; CREATE FLOW f AS INSERT INTO t BY NAME FROM STREAM y;",
            "b.sql": "CREATE MATERIALIZED VIEW X AS SELECT 2;\n"
            "CREATE FLOW F AS INSERT INTO t BY NAME FROM STREAM y;",
        }
    )
    assert [str(p) for p in declared.problems] == [
        (
            "transformations/b.sql:1:26: two datasets are named 'X'\n"
            "  hint: the first is at transformations/a.sql:1:26; rename one of them"
        ),
        (
            "transformations/b.sql:2:13: two flows are named 'F'\n"
            "  hint: the first is at transformations/a.sql:2:39; rename one of them"
        ),
    ]


@pytest.mark.parametrize("text", ["", ";;", "-- only a comment", "\ufeff", "/* x */ ;"])
def test_a_file_may_be_empty(load: Load, text: str) -> None:
    declared = load({"a.sql": text})
    assert declared.problems == ()
    assert declared.pipeline.datasets == ()


def test_a_file_must_be_text(load: Load) -> None:
    declared = load({"a.sql": ""})
    (declared.pipeline.project.root / "transformations" / "a.sql").write_bytes(b"SELECT '\xff'")
    from qanat import plugins
    from qanat.declare.library import load_pipeline

    project = declared.pipeline.project
    assert only_problem(load_pipeline(project, plugins.connectors(), plugins.formats())) == (
        "transformations/a.sql: the file is not UTF-8 text\n  got: byte 8"
    )


def test_which_files_are_read(load: Load) -> None:
    view = "CREATE MATERIALIZED VIEW {} AS SELECT 1"
    names = [
        "b.sql",
        "a.sql",
        "sub/c.sql",
        ".hidden/d.sql",
        "__pycache__/e.sql",
        "f.txt",
        ".g.sql",
    ]
    files = {n: view.format(f'"{n.replace("/", " ")}"') for n in names}
    expected = ["a.sql", "b.sql", "sub c.sql"]
    for libraries in ("", "libraries: transformations/**", "libraries: [transformations]"):
        declared = load(files, libraries)
        assert declared.problems == ()
        assert [d.name for d in declared.pipeline.datasets] == expected
    sdp = "libraries: [{glob: {include: transformations/**}}, {glob: {include: nope/*.sql}}]"
    assert only_problem(load(files, sdp)) == (
        "qanat.yml: libraries: 'nope/*.sql' matches no .sql or .py file\n"
        "  hint: globs start in the folder of qanat.yml"
    )


def test_an_sdp_project_in_sql(load: Load) -> None:
    text = """
CREATE STREAMING TABLE raw (id BIGINT, ts TIMESTAMP)
AS SELECT * FROM STREAM(json.`in`);
CREATE MATERIALIZED VIEW daily PARTITIONED BY (`day`) COMMENT "by day"
AS SELECT date(ts) AS `day`, count(*) AS n FROM raw GROUP BY date(ts);
"""
    spec = "storage: file:///tmp/x\nlibraries: [{glob: {include: transformations/**}}]\n"
    declared = load({"sub/a.sql": text}, spec, "spark-pipeline.yml")
    assert declared.problems == ()
    raw, daily = declared.pipeline.datasets
    assert [str(f.type) for f in raw.schema.fields] == ["bigint", "timestamp"]
    assert (daily.partition_by, daily.comment) == (("day",), "by day")
    queries = [f.query for f in declared.pipeline.flows]
    assert [q.sql for q in queries if isinstance(q, SqlQuery)] == [
        "SELECT * FROM `__raw_1`",
        "SELECT date(ts) AS `day`, count(*) AS n FROM `__daily_1` AS raw GROUP BY date(ts)",
    ]


def test_a_query_nested_too_deeply(load: Load) -> None:
    deep = "(" * 5000 + "1" + ")" * 5000
    assert only_problem(load({"a.sql": f"CREATE MATERIALIZED VIEW v AS SELECT {deep}"})) == (
        "transformations/a.sql:1:31: the query is nested too deeply\n"
        "  hint: split it: a temporary view can hold a part"
    )


def test_a_thousand_statements_in_a_file(load: Load) -> None:
    text = "".join(
        f"CREATE MATERIALIZED VIEW v{n} AS SELECT * FROM v{n - 1};\n" for n in range(1, 1001)
    )
    declared = load({"a.sql": text})
    assert declared.problems == ()
    assert str(declared.pipeline.datasets[999].location) == "transformations/a.sql:1000:26"


def test_a_project_without_files(load: Load) -> None:
    assert only_problem(load({})) == (
        "qanat.yml: libraries: 'transformations/**' matches no .sql or .py file\n"
        "  hint: globs start in the folder of qanat.yml"
    )


@pytest.mark.parametrize("format_", ["iceberg", "lance"])
def test_the_format_of_the_project_may_be_said(load: Load, format_: str) -> None:
    """Also one that only another package knows."""
    sql = f"{V}USING {format_.upper()} AS SELECT 1"
    python = (
        f"from qanat import pipelines as dp\ndp.create_streaming_table('t', format='{format_}')"
    )
    declared = load({"a.sql": sql, "a.py": python}, f"table_format: {format_}")
    assert declared.problems == ()
