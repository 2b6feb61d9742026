"""Queries: which inputs are found, and the executable text."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from qanat import plugins
from qanat.declare.calls import NOT_BUILT
from qanat.declare.cursor import SqlText
from qanat.declare.query import parse_query
from qanat.declare.registry import quoted
from qanat.errors import QanatError, UnsupportedError
from qanat.model.adapter import Connector, Connectors, Option, OptionTable, TableFunction
from qanat.model.pipeline import ProjectSpec
from qanat.model.query import SourceRef, SqlQuery, dataset_ref


def parse(sql: str, dialect: str = "duckdb", connectors: Connectors | None = None) -> SqlQuery:
    root = Path("/p")
    project = ProjectSpec(
        "p", root, root / "qanat.yml", root / "s", (), dialect, catalog="cat", schema="sch"
    )
    source = SqlText.of_file(sql, "a.sql")
    return parse_query(
        source, source.tokens(dialect), "o", project, connectors or plugins.connectors()
    )


def files(place: str, format: str | None = None, **options: object) -> SourceRef:
    given = {} if format is None else {"format": format}
    return plugins.connector("files").refer(place, given | options)


def delta(place: str) -> SourceRef:
    return plugins.connector("delta").refer(place, {})


@pytest.mark.parametrize(
    ("sql", "executable", "reads"),
    [
        ("SELECT 1", "SELECT 1", []),
        ("VALUES (1), (2)", "VALUES (1), (2)", []),
        ("SELECT * FROM STREAM b", 'SELECT * FROM "__o_1" AS b', ["*b"]),
        ("select * from stream(b) t", 'select * from "__o_1" t', ["*b"]),
        ("FROM STREAM a JOIN STREAM (b) USING (i), STREAM c",
         'FROM "__o_1" AS a JOIN "__o_2" AS b USING (i), "__o_3" AS c', ["*a", "*b", "*c"]),
        ("FROM (STREAM a JOIN b USING (c))",
         'FROM ("__o_1" AS a JOIN "__o_2" AS b USING (c))', ["*a", "b"]),
        # A table or column that is really named stream.
        ("SELECT stream FROM stream", 'SELECT stream FROM "__o_1" AS stream', ["stream"]),
        ("SELECT stream.a FROM stream JOIN x USING (a)",
         'SELECT stream.a FROM "__o_1" AS stream JOIN "__o_2" AS x USING (a)', ["stream", "x"]),
        ("FROM stream AS s", 'FROM "__o_1" AS s', ["stream"]),
        ('FROM "stream" s', 'FROM "__o_1" s', ["stream"]),
        ("SELECT a, stream b FROM x", 'SELECT a, stream b FROM "__o_1" AS x', ["x"]),
        ("FROM STREAM stream", 'FROM "__o_1" AS stream', ["*stream"]),
        ("FROM STREAM b WITH (skip_change_commits) t WHERE true",
         'FROM "__o_1" t WHERE true', ["*b"]),
        ("FROM STREAM(sch.b) WITH ('skipChangeCommits' = 'true', readChangeFeed false), c",
         'FROM "__o_1" AS b, "__o_2" AS c', ["*b", "c"]),
        ("FROM STREAM table_changes('b', 2) WHERE true",
         'FROM "__o_1" AS "b" WHERE true', ["*b"]),
        ("FROM table_changes('cat.sch.b') AS t", 'FROM "__o_1" AS t', ["b"]),
        # Common table expressions, in their scope only.
        ("WITH x AS (SELECT * FROM x), y AS (FROM x) FROM y, z",
         'WITH x AS (SELECT * FROM "__o_1" AS x), y AS (FROM x) FROM y, "__o_2" AS z', ["x", "z"]),
        ("WITH a AS (WITH b AS (FROM a) FROM b) FROM a, b",
         'WITH a AS (WITH b AS (FROM "__o_1" AS a) FROM b) FROM a, "__o_2" AS b', ["a", "b"]),
        ("WITH RECURSIVE r AS (SELECT 1 UNION ALL FROM r) FROM R",
         "WITH RECURSIVE r AS (SELECT 1 UNION ALL FROM r) FROM R", []),
        ("WITH c AS (SELECT 1) SELECT (SELECT max(i) FROM c) FROM sch.c",
         'WITH c AS (SELECT 1) SELECT (SELECT max(i) FROM c) FROM "__o_1" AS c', ["c"]),
        ('WITH "SS X" AS (SELECT 1) FROM "ß x", "ss x"',
         'WITH "SS X" AS (SELECT 1) FROM "__o_1" AS "ß x", "ss x"', ["ß x"]),
        # Subqueries, set operations, laterals, functions, samples, pivots.
        ("SELECT (SELECT max(a) FROM m) FROM x UNION ALL SELECT * FROM y WHERE a IN (FROM z)",
         ('SELECT (SELECT max(a) FROM "__o_1" AS m) FROM "__o_2" AS x UNION ALL '
         'SELECT * FROM "__o_3" AS y WHERE a IN (FROM "__o_4" AS z)'), ["m", "x", "y", "z"]),
        ("FROM x t(a, b), LATERAL (SELECT * FROM z)",
         'FROM "__o_1" t(a, b), LATERAL (SELECT * FROM "__o_2" AS z)', ["x", "z"]),
        ("FROM range(3) r, unnest([1]) u, generate_series(1, 2)",
         "FROM range(3) r, unnest([1]) u, generate_series(1, 2)", []),
        ("FROM x TABLESAMPLE 10%", 'FROM "__o_1" AS x TABLESAMPLE 10%', ["x"]),
        ("PIVOT x ON a USING sum(b)", 'PIVOT "__o_1" AS x ON a USING sum(b)', ["x"]),
        # Where the grammar has no place for an alias.
        ("TABLE x", 'TABLE "__o_1"', ["x"]),
        ("FROM (DESCRIBE x)", 'FROM (DESCRIBE "__o_1")', ["x"]),
        ("FROM (DESCRIBE TABLE x)", 'FROM (DESCRIBE TABLE "__o_1")', ["x"]),
        ("FROM (SUMMARIZE sch.x) s", 'FROM (SUMMARIZE "__o_1") s', ["x"]),
        ("FROM (DESCRIBE FROM x)", 'FROM (DESCRIBE FROM "__o_1" AS x)', ["x"]),
        # Names.
        ("SELECT sch.t.a, t.b FROM cat.sch.u, sch.t",
         'SELECT t.a, t.b FROM "__o_1" AS u, "__o_2" AS t', ["u", "t"]),
        ("FROM live.x, other.y", 'FROM "__o_1" AS x, "__o_2" AS y', ["x", "other.y"]),
        ('FROM "Straße x", ä', 'FROM "__o_1" AS "Straße x", "__o_2" AS ä', ["Straße x", "ä"]),
        ("FROM x, x AS y", 'FROM "__o_1" AS x, "__o_2" AS y', ["x", "x"]),
        ("FROM read_table('z')", 'FROM "__o_1" AS "z"', ["z"]),
        ("SELECT now() -- from z\nFROM x /* from y */",
         'SELECT now() -- from z\nFROM "__o_1" AS x', ["x"]),
    ],
)  # fmt: skip
def test_inputs(sql: str, executable: str, reads: list[str]) -> None:
    query = parse(sql)
    assert query.sql == executable
    found = [("*" if r.streaming else "") + r.source.dataset
             for r in query.reads if r.source.dataset]  # fmt: skip
    assert found == reads
    assert [r.name for r in query.reads] == [f"__o_{n + 1}" for n in range(len(reads))]


@pytest.mark.parametrize(
    ("table", "dialect", "source"),
    [
        ("read_files('a')", "duckdb", files("a")),
        ("read_files('a/*.csv', format => 'CSV', header => true, skip => 2)", "duckdb",
         files("a/*.csv", "csv", header=True, skip=2)),
        ("read_files('a', maxFilesPerTrigger => 10, sep => ';', recursiveFileLookup => 'true')",
         "duckdb", files("a", max_files_per_trigger=10, delimiter=";", recursive=True)),
        ("read_files('a', format => 'json')", "duckdb", files("a", "json")),
        ("read_files('a', format => 'json')", "spark", files("a", "json", dialect="spark")),
        ("read_files('a', format => 'json', multiLine => true)", "spark",
         files("a", "json", multi_line=True, dialect="spark")),
        ("read_files('a', schema => 'id INT')", "spark",
         files("a", schema="id INT", dialect="spark")),
        ("read_csv('x.csv', delim = ';')", "duckdb",
         files("x.csv", "csv", delimiter=";")),
        ("read_csv_auto('x.csv', columns = {'a': 'INT'})", "duckdb",
         files("x.csv", "csv", schema='"a" INT', dialect="duckdb")),
        ("parquet_scan('x')", "duckdb", files("x", "parquet")),
        ("read_ndjson('x')", "duckdb", files("x", "ndjson")),
        ("'data/x.csv'", "duckdb", files("data/x.csv")),
        ("csv.`/a/*`", "spark", files("/a/*", "csv", dialect="spark")),
        ("JSON.`/a`", "spark", files("/a", "json", dialect="spark")),
        ("orc.`/a`", "spark", files("/a", "orc", dialect="spark")),
        ("delta.`/a`", "spark", delta("/a")),
        ("csv.t", "spark", dataset_ref("csv.t")),
        ("delta_scan('../t')", "duckdb", delta("../t")),
        ("read_table('t', project => '../o')", "duckdb",
         plugins.connector("project").refer("t", {"project": "../o"})),
    ],
)  # fmt: skip
@pytest.mark.parametrize("streaming", [False, True])
def test_sources(table: str, dialect: str, source: object, streaming: bool) -> None:
    query = parse(f"SELECT * FROM {'STREAM ' if streaming else ''}{table}", dialect)
    (read,) = query.reads
    assert (read.source, read.streaming) == (source, streaming)
    assert (read.location.line, read.location.column) == (1, 15)


def test_metadata_needs_no_alias() -> None:
    query = parse("SELECT _metadata.file_path FROM STREAM(read_files('a')) WHERE true")
    assert query.sql == 'SELECT _metadata.file_path FROM "__o_1" WHERE true'


def test_text_stays_as_written() -> None:
    sql = "SELECT  a,\n  b -- why\nFROM STREAM\tx"
    query = parse(sql)
    assert query.text == sql
    assert query.sql == 'SELECT  a,\n  b -- why\nFROM "__o_1" AS x'


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT * FORM x", "a.sql:1:10: unexpected 'FORM' (did you mean 'FROM'?)"),
        ("SELEC a FROM x", "a.sql:1:1: unexpected 'SELEC' (did you mean 'SELECT'?)"),
        ("SELECT a FROM x\nGROUPP BY a",
         "a.sql:2:1: unexpected 'GROUPP' (did you mean 'GROUP'?)"),
        ("SELECT a FROM x WHERE", "a.sql:1:17: something is missing after 'WHERE'"),
        ("SELECT a FROM (SELECT 1", "a.sql:1:23: ')' is missing at the end of the query"),
        ("SELECT ) FROM x", "a.sql:1:8: unexpected ')'"),
        ("SELECT 'it''s', 'abc", "a.sql:1:17: what begins here is never closed\n  wanted: '"),
        ("SELECT 1 /* x", "a.sql:1:10: what begins here is never closed\n  wanted: */"),
        ("INSERT INTO x SELECT 1", ("a.sql:1:1: not a query: INSERT\n"
         "  wanted: SELECT, WITH, FROM, VALUES or PIVOT")),
        ("FROM STREAM (SELECT 1)",
         ("a.sql:1:6: STREAM does not stand before something that can be read as a stream\n"
         "  wanted: STREAM table or STREAM read_files(…)")),
        ("FROM read_files('a', hedder => true)",
         "a.sql:1:22: read_files has no option 'hedder' (did you mean 'header'?)"),
        ("FROM read_files('a', header => 3)",
         ("a.sql:1:22: the option 'header' of read_files does not fit\n"
         "  wanted: true or false\n  got: 3")),
        ("FROM read_files('a', ignore_errors => true)",
         ("a.sql:1:22: read_files has no option 'ignore_errors'\n"
         "  hint: malformed rows always go to quarantine, with file and line")),
        ("FROM read_files('a', format => 'cvs')",
         ("a.sql:1:22: the option 'format' of read_files does not fit (did you mean 'csv'?)\n"
         "  wanted: csv or tsv or json or ndjson or parquet or orc\n  got: 'cvs'")),
        ("FROM read_files('a' || 'b')",
         ("a.sql:1:17: read_files: the path must be a literal\n  got: 'a' || 'b'\n"
         "  hint: use ${key} for a value from the spec's configuration")),
        ("FROM read_csv(['a', 'b'])",
         ("a.sql:1:16: read_csv: the path must be a literal\n  got: ARRAY('a', 'b')\n"
         "  hint: use a glob for several files, or several flows into one table")),
        ("FROM read_files()",
         "a.sql:1:6: read_files needs a path\n  wanted: read_files('path', …)"),
        ("FROM read_files('a', header => true, header => false)",
         "a.sql:1:22: read_files: 'header' is given twice"),
        ("FROM read_text('a')",
         ("a.sql:1:6: read_text() cannot be read incrementally\n"
         "  hint: use read_files('path', format => '…'), read_table('name') or "
         "delta_scan('path')")),
        ("FROM postgres_scan('a', 'b', 'c')",
         ("a.sql:1:6: postgres_scan() cannot be read incrementally\n"
         "  hint: use read_postgres('table or query', url => …)")),
        ("FROM iceberg_scan('a')",
         ("a.sql:1:6: iceberg_scan() cannot be read incrementally\n"
         "  hint: use read_table('name', project => …)")),
        ("FROM read_kinesis('a')",
         ("a.sql:1:6: read_kinesis() is not built yet\n"
         "  hint: let something else write files, and read those with read_files; or install a "
         "package whose connector has this function")),
        ("FROM read_table('t', projct => 'x')",
         "a.sql:1:22: read_table has no option 'projct' (did you mean 'project'?)"),
    ],
)  # fmt: skip
def test_messages(sql: str, message: str) -> None:
    with pytest.raises(QanatError) as caught:
        parse(sql)
    assert str(caught.value) == message


@pytest.mark.parametrize("function", NOT_BUILT)
def test_what_is_not_built_says_so(function: str) -> None:
    with pytest.raises(UnsupportedError, match=rf"{function}\(\) is not built yet"):
        parse(f"FROM STREAM {function}(topic => 'x')")


def test_a_connector_of_another_package_has_a_function_that_we_have_not() -> None:
    options = OptionTable("read_kinesis", (Option("region", "where it is", required=True),))
    kinesis = Connector("kinesis", "stream", options, functions={"read_kinesis": TableFunction()})
    known = Connectors({**plugins.connectors().by_name, "kinesis": kinesis})
    (read,) = parse("FROM STREAM read_kinesis('clicks', region => 'x')", "duckdb", known).reads
    assert read.source == kinesis.refer("clicks", {"region": "x"})


def test_names_are_quoted_as_the_dialect_does() -> None:
    assert quoted("a`b", "spark") == "`a``b`"
    assert quoted('a"b', "duckdb") == quoted('a"b', "postgres") == '"a""b"'
    assert quoted("a`b", "mysql") == "`a``b`"


def test_spark_text_files_are_refused() -> None:
    with pytest.raises(QanatError) as caught:
        parse("SELECT * FROM text.`/a`", "spark")
    assert str(caught.value) == (
        "a.sql:1:15: cannot read text files\n"
        "  hint: read_files reads csv, json, ndjson, parquet and orc"
    )


def test_sqlglot_s_warnings_do_not_reach_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])  # pytest's, which take warnings, too
    with pytest.raises(QanatError, match="not a query: SHOW"):
        parse("SHOW orders")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("dialect", ["duckdb", "spark"])
@pytest.mark.parametrize(
    ("read", "options"),
    [
        ("STREAM b", {}),
        ("STREAM b WITH (skip_change_commits)", {"skip_change_commits": True}),
        ("STREAM (b) WITH ('skipChangeCommits' = 'true')", {"skip_change_commits": True}),
        (
            "STREAM b WITH ('readChangeFeed' = true, startingVersion 3)",
            {"read_change_feed": True, "starting_version": 3},
        ),
        (
            "STREAM table_changes('b', 1, 4)",
            {"read_change_feed": True, "starting_version": 1, "ending_version": 4},
        ),
        (
            "STREAM read_table('b', read_change_feed => true)",
            {"read_change_feed": True},
        ),
    ],
)
def test_options_of_tables(read: str, options: dict[str, object], dialect: str) -> None:
    (found,) = parse(f"SELECT * FROM {read}", dialect).reads
    assert found.source == plugins.connector("dataset").refer("b", options)
    assert found.streaming
    changes = bool(options.get("read_change_feed"))
    assert found.source.survives == bool(options)
    assert [f.name for f in found.source.adds] == (
        ["_change_type", "_commit_version", "_commit_timestamp"] if changes else []
    )
    assert found.source.label == ("changes of b" if changes else "b")


def test_options_of_tables_outside() -> None:
    (found,) = parse("FROM STREAM delta_scan('t') WITH (skip_change_commits)").reads
    assert found.source.survives
    assert found.source.key == delta("t").key
    (found,) = parse("FROM delta_scan('t', readChangeFeed => 'true')").reads
    assert found.source.key == "delta:t?readchangefeed=True"
    (found,) = parse(
        "FROM STREAM read_table('t', project => '../p', read_change_feed => true)"
    ).reads
    assert found.source.label == "changes of ../p:t"


@pytest.mark.parametrize(
    ("read", "message"),
    [
        ("STREAM b WITH (skip)", "a table has no option 'skip'"),
        ("STREAM b WITH (skip_change_commits = 3)", "does not fit"),
        ("STREAM b WITH (skip_change_commits skip)", "not an option of a stream"),
        ("STREAM b WITH (skip_change_commits = )", "not an option of a stream"),
        ("STREAM b WITH (, a)", "not an option of a stream"),
        ("STREAM b WITH (skip_change_commits, skipChangeCommits)", "is given twice"),
        ("STREAM table_changes('b') WITH (read_change_feed)", "is given twice"),
        ("STREAM b WITH (skip_change_commits", "is missing at the end of the query"),
        ("b WITH (skip_change_commits)", "only a stream has options"),
    ],
)
def test_options_that_are_none(read: str, message: str) -> None:
    with pytest.raises(QanatError, match=message):
        parse(f"SELECT * FROM {read}")
