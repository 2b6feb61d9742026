"""AUTO CDC as authors write it, in SQL and in Python."""

from __future__ import annotations

import pytest

from qanat import pipelines as dp
from qanat.model.changes import AutoCdc, Expression, ScdType
from qanat.model.chosen import EVERY, Chosen
from qanat.model.pipeline import Flow
from qanat.model.snapshots import Snapshots
from tests.unit.declare.conftest import Load

TABLES = (
    "CREATE STREAMING TABLE s AS SELECT * FROM STREAM read_files('in/*.json');\n"
    "CREATE STREAMING TABLE t;\n"
)
F = "CREATE FLOW f AS AUTO CDC INTO t FROM STREAM s "
HEAD = "from qanat import pipelines as dp\n"


def duck(*values: str) -> tuple[Expression, ...]:
    return tuple(Expression(v, "duckdb") for v in values)


def flow_of(load: Load, sql: str, spec: str = "") -> Flow:
    """The flow of AUTO CDC in a file that has no mistake."""
    declared = load({"a.sql": TABLES + sql}, spec)
    assert not declared.problems
    (flow,) = (f for f in declared.pipeline.flows if f.changes is not None)
    return flow


def test_every_clause(load: Load) -> None:
    flow = flow_of(
        load,
        "CREATE FLOW f COMMENT 'changes of customers' AS AUTO CDC INTO live.t\n"
        "FROM STREAM s\n"
        "KEYS (id, region)\n"
        "IGNORE NULL UPDATES ON (name)\n"
        "APPLY AS DELETE WHEN op = 'D' -- gone\n"
        "SEQUENCE BY ts\n"
        "COLUMNS * EXCEPT (op, ts)\n"
        "STORED AS SCD TYPE 2\n"
        "TRACK HISTORY ON * EXCEPT (name);",
    )
    assert (flow.name, flow.target, flow.once) == ("f", "t", False)
    assert str(flow.location) == "transformations/a.sql:3:13"
    assert flow.changes == AutoCdc(
        keys=("id", "region"),
        sequence=duck("ts"),
        deletes=duck("op = 'D'")[0],
        columns=Chosen(("op", "ts"), all_but=True),
        keeps=Chosen(("name",)),
        scd=ScdType.TWO,
        tracked=Chosen(("name",), all_but=True),
    )
    assert flow.changes.deletes is not None
    assert str(flow.changes.deletes.location) == "transformations/a.sql:7:22"
    (read,) = flow.query.reads
    assert read.streaming
    assert read.source.dataset == "s"
    assert str(flow.query.location) == "transformations/a.sql:4:1"
    assert str(read.location) == "transformations/a.sql:4:6"


def test_the_least(load: Load) -> None:
    flow = flow_of(load, F + "KEYS (id) SEQUENCE BY ts;")
    assert flow.changes == AutoCdc(("id",), duck("ts"))


def test_clauses_in_any_order(load: Load) -> None:
    flow = flow_of(
        load,
        F + "STORED AS SCD TYPE 1 SEQUENCE BY ts APPLY AS TRUNCATE WHEN op = 'T'"
        " IGNORE NULL UPDATES COLUMNS (id, name) KEYS (id)",
    )
    assert flow.changes == AutoCdc(
        ("id",),
        duck("ts"),
        truncates=duck("op = 'T'")[0],
        columns=Chosen(("id", "name")),
        keeps=EVERY,
    )


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ("ts", ("ts",)),
        ("(ts)", ("ts",)),
        ("(ts, n)", ("ts", "n")),
        ("STRUCT(ts, n)", ("ts", "n")),
        ("struct(ts AS happened, (n + 1) AS n)", ("ts", "(n + 1)")),
        ("(a + b) * (c + d)", ("(a + b) * (c + d)",)),
        ("(coalesce(a, b), [1, 2][n])", ("coalesce(a, b)", "[1, 2][n]")),
        ("CAST(ts AS TIMESTAMP)", ("CAST(ts AS TIMESTAMP)",)),
        ("keys", ("keys",)),
        ("columns", ("columns",)),
    ],
)
def test_sequences(load: Load, written: str, values: tuple[str, ...]) -> None:
    flow = flow_of(load, f"{F} SEQUENCE BY {written} KEYS (id)")
    assert flow.changes == AutoCdc(("id",), duck(*values))


@pytest.mark.parametrize(
    ("written", "text", "streaming"),
    [
        ("STREAM s", "FROM STREAM s", True),
        ("stream(live.s)", "FROM stream(live.s)", True),
        ('STREAM "s"', 'FROM STREAM "s"', True),
        ("STREAM read_files('b/*.json')", "FROM STREAM read_files('b/*.json')", True),
        ("STREAM(read_files('b/*.json'))", "FROM STREAM(read_files('b/*.json'))", True),
        ("(SELECT id, ts FROM STREAM s WHERE ts > 1)", "SELECT id, ts FROM STREAM s WHERE ts > 1",
         True),
        ("s", "FROM s", False),
    ],
)  # fmt: skip
def test_sources(load: Load, written: str, text: str, streaming: bool) -> None:
    flow = flow_of(
        load, f"CREATE FLOW f AS AUTO CDC ONCE INTO t FROM {written} KEYS (id) SEQUENCE BY ts"
    )
    assert flow.query.text == text
    assert [r.streaming for r in flow.query.reads] == [streaming]


@pytest.mark.parametrize(
    ("statement", "name", "target", "once"),
    [
        ("APPLY CHANGES INTO live.t", "t", "t", False),
        ("APPLY CHANGES INTO T", "T", "T", False),
        ("CREATE FLOW f AS APPLY CHANGES INTO t", "f", "t", False),
        ("CREATE FLOW f AS AUTO CDC ONCE INTO t", "f", "t", True),
        ("CREATE FLOW f AS AUTO CDC INTO ONCE t", "f", "t", True),
        ("CREATE OR REFRESH STREAMING TABLE u FLOW AUTO CDC", "u", "u", False),
        ("CREATE STREAMING TABLE u (id INT) COMMENT 'c' FLOW AUTO CDC ONCE", "u", "u", True),
    ],
)
def test_statements(load: Load, statement: str, name: str, target: str, once: bool) -> None:
    flow = flow_of(load, f"{statement} FROM STREAM s KEYS (id) SEQUENCE BY ts")
    assert (flow.name, flow.target, flow.once) == (name, target, once)


def test_a_table_may_be_called_once(load: Load) -> None:
    flow = flow_of(
        load,
        "CREATE STREAMING TABLE once;\n"
        "APPLY CHANGES INTO once FROM STREAM s KEYS (id) SEQUENCE BY ts",
    )
    assert (flow.target, flow.once) == ("once", False)


def test_values_of_the_configuration(load: Load) -> None:
    flow = flow_of(
        load,
        F + "KEYS (${key}) SEQUENCE BY ${key} + n APPLY AS DELETE WHEN op = '${op}'",
        "configuration: {key: id, op: D}",
    )
    assert flow.changes == AutoCdc(("id",), duck("id + n"), duck("op = 'D'")[0])
    assert str(flow.query.location) == "transformations/a.sql:3:34"


@pytest.mark.parametrize(
    ("clauses", "message"),
    [
        ("KEYS (id)", "34: SEQUENCE BY is missing\n  wanted: SEQUENCE BY column"),
        ("SEQUENCE BY ts", "34: KEYS is missing\n  wanted: KEYS (column, …)"),
        ("KEYS () SEQUENCE BY ts", "54: unexpected ')'\n  wanted: a key column"),
        ("KEYS id SEQUENCE BY ts", "53: unexpected 'id'\n  wanted: (column, …)"),
        ("KEY (id) SEQUENCE BY ts", "48: unexpected 'KEY' (did you mean 'KEYS'?)\n  wanted: KEYS"),
        ("KEYS (id, ID) SEQUENCE BY ts", "48: KEYS names 'ID' twice"),
        ("KEYS (id) SEQUENC BY ts",
         "58: unexpected 'SEQUENC' (did you mean 'SEQUENCE'?)\n  wanted: SEQUENCE BY"),
        ("KEYS (id) SEQUENCE ts", "67: unexpected 'ts'\n  wanted: SEQUENCE BY"),
        ("KEYS (id) SEQUENCE BY", "69: the statement ends too early\n  wanted: a value"),
        ("KEYS (id) SEQUENCE BY ()", "71: unexpected ')'\n  wanted: a value"),
        ("KEYS (id) SEQUENCE BY a, b", "71: several values without parentheses\n  wanted: (a, b)"),
        ("KEYS (id) SEQUENCE BY max(ts)",
         ("70: SEQUENCE BY with an aggregate or window function is not supported\n"
         "  wanted: a value on one row\n  hint: compute it in the query")),
        ("KEYS (id) SEQUENCE BY ts STORE AS SCD TYPE 2",
         "73: unexpected 'STORE' (did you mean 'STORED'?)\n  wanted: STORED AS"),
        ("KEYS (id) SEQUENCE BY ts STORED AS SCD TYPE 3", "92: unexpected '3'\n  wanted: 1 or 2"),
        ("KEYS (id) SEQUENCE BY ts STORED AS BITEMPORAL",
         ("73: STORED AS BITEMPORAL is not supported\n"
         "  hint: SCD TYPE 2 keeps versions by one time, that of SEQUENCE BY")),
        ("KEYS (id) SEQUENCE BY ts KEYS (id)", "73: KEYS is given twice"),
        ("KEYS (id) SEQUENCE BY ts STORED AS SCD TYPE 2 APPLY AS TRUNCATE WHEN a",
         ("94: APPLY AS TRUNCATE WHEN is for SCD type 1: a history is not emptied\n"
         "  hint: leave it out, or write STORED AS SCD TYPE 1")),
        ("KEYS (id) SEQUENCE BY ts TRACK HISTORY ON (a)",
         ("73: TRACK HISTORY ON is for SCD type 2: type 1 keeps no history\n"
         "  hint: leave it out, or write STORED AS SCD TYPE 2")),
        ("KEYS (id) SEQUENCE BY ts TRACK HISTROY ON (a)",
         "79: unexpected 'HISTROY' (did you mean 'HISTORY'?)\n  wanted: TRACK HISTORY ON"),
        ("KEYS (id) SEQUENCE BY ts COLUMNS (id, a) EXCEPT (b)",
         ("89: some columns are listed and others left out\n"
         "  wanted: (column, …) or * EXCEPT (column, …)")),
        ("KEYS (id) SEQUENCE BY ts COLUMNS id, a",
         "81: unexpected 'id'\n  wanted: (column, …) or * EXCEPT (column, …)"),
        ("KEYS (id) SEQUENCE BY ts COLUMNS * EXCLUDE (b)",
         "83: unexpected 'EXCLUDE' (did you mean 'EXCEPT'?)\n  wanted: EXCEPT"),
        ("KEYS (id) SEQUENCE BY ts COLUMNS * EXCEPT (id)",
         "48: KEYS names 'id', which COLUMNS leaves out"),
        ("KEYS (id) SEQUENCE BY ts COLUMNS (id) IGNORE NULL UPDATES ON (b)",
         "86: IGNORE NULL UPDATES names 'b', which COLUMNS leaves out"),
        ("KEYS (id) APPLY AS DELETE WHEN SEQUENCE BY ts",
         "79: unexpected 'SEQUENCE'\n  wanted: a condition"),
        ("KEYS (id) APPLY AS DELETE a SEQUENCE BY ts",
         "74: unexpected 'a'\n  wanted: APPLY AS DELETE WHEN or APPLY AS TRUNCATE WHEN"),
        ("KEYS (id) APPLY AS DELETE WHEN op = SEQUENCE BY ts",
         "82: something is missing after '='"),
        ("KEYS (id) APPLY AS DELETE WHEN id IN (SELECT id FROM x) SEQUENCE BY ts",
         ("79: APPLY AS DELETE WHEN with a subquery is not supported\n"
         "  wanted: a condition on one row\n"
         "  hint: look it up in a temporary view, and read that")),
        ("KEYS (id) SEQUENCE BY ts SYSTEM SEQUENCE BY x",
         ("73: SYSTEM SEQUENCE BY is not supported\n"
         "  hint: SEQUENCE BY alone says in which order changes happened")),
        ("KEYS (id) WHERE a SEQUENCE BY ts",
         ("58: WHERE is not supported\n"
         "  hint: filter before: FROM (SELECT … FROM STREAM source WHERE …)")),
    ],
)  # fmt: skip
def test_messages(load: Load, clauses: str, message: str) -> None:
    (problem,) = load({"a.sql": TABLES + F + clauses}).problems
    assert str(problem) == f"transformations/a.sql:3:{message}"
    assert problem.exit_code == 2


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("AUTO CDC INTO t FROM STREAM s",
         ("1: AUTO is not a declaration\n"
         "  hint: write CREATE FLOW name AS AUTO CDC INTO table FROM STREAM changes …")),
        ("APPLY CHANGES TO t", "15: unexpected 'TO' (did you mean 'INTO'?)\n  wanted: INTO"),
        ("CREATE FLOW f AS AUTO CD INTO t", ("23: unexpected 'CD' (did you mean 'CDC'?)\n"
         "  wanted: INSERT INTO or MERGE INTO or AUTO CDC INTO or APPLY CHANGES INTO")),
        ("CREATE FLOW f AS AUTO CDC INTO t STREAM s", "34: unexpected 'STREAM'\n  wanted: FROM"),
        ("CREATE FLOW f AS AUTO CDC INTO t FROM KEYS (id) SEQUENCE BY ts",
         ("39: unexpected 'KEYS'\n"
         "  wanted: STREAM table or STREAM read_files(…) or (SELECT … FROM STREAM …)")),
        ("CREATE MATERIALIZED VIEW v FLOW AUTO CDC FROM STREAM s", ("28: unexpected 'FLOW'\n"
         "  wanted: USING or PARTITIONED BY or CLUSTER BY or COMMENT or TBLPROPERTIES or AS")),
        (2 * "APPLY CHANGES INTO t FROM STREAM s KEYS (id) SEQUENCE BY ts; ",
         ("81: two flows are named 't'\n"
         "  hint: the first is at transformations/a.sql:3:20;"
         " write this one as CREATE FLOW name AS …")),
        ("APPLY CHANGES INTO s FROM STREAM t KEYS (id) SEQUENCE BY ts", ("20: two flows are named"
         " 's'\n  hint: the first is at transformations/a.sql:1:24;"
         " write this one as CREATE FLOW name AS …")),
    ],
)  # fmt: skip
def test_messages_of_statements(load: Load, statement: str, message: str) -> None:
    (problem,) = load({"a.sql": TABLES + statement}).problems
    assert str(problem) == f"transformations/a.sql:3:{message}"


# -- Python --------------------------------------------------------------------------------------


def in_python(load: Load, call: str) -> Flow:
    declared = load({"a.sql": TABLES, "b.py": HEAD + call})
    assert not declared.problems
    (flow,) = (f for f in declared.pipeline.flows if f.changes is not None)
    return flow


def test_every_argument(load: Load) -> None:
    flow = in_python(
        load,
        "dp.create_auto_cdc_flow(target='live.t', source='s', keys=['id'], name='f',\n"
        "    sequence_by='struct(ts, n)', apply_as_deletes=\"op = 'D'\",\n"
        "    except_column_list=['op'], stored_as_scd_type='2',\n"
        "    track_history_column_list=['name'],\n"
        "    ignore_null_updates_except_column_list=['note'])",
    )
    assert (flow.name, flow.target, flow.once) == ("f", "t", False)
    assert flow.location.file == "transformations/b.py"
    assert flow.location.line == 2
    assert flow.changes == AutoCdc(
        ("id",),
        duck("ts", "n"),
        duck("op = 'D'")[0],
        columns=Chosen(("op",), all_but=True),
        keeps=Chosen(("note",), all_but=True),
        scd=ScdType.TWO,
        tracked=Chosen(("name",)),
    )
    assert flow.query.text == 'SELECT * FROM STREAM "s"'
    assert [(r.source.dataset, r.streaming) for r in flow.query.reads] == [("s", True)]


def test_python_and_sql_mean_the_same(load: Load) -> None:
    python = in_python(
        load,
        "dp.apply_changes('t', 's', ['id'], 'ts', ignore_null_updates=True,\n"
        "    apply_as_truncates=\"op = 'T'\", column_list=['id', 'name'], once=True)",
    )
    (sql,) = load(
        {
            "b.py": "",
            "a.sql": TABLES + "CREATE FLOW t AS AUTO CDC ONCE INTO t FROM s KEYS (id)"
            " IGNORE NULL UPDATES APPLY AS TRUNCATE WHEN op = 'T' SEQUENCE BY ts"
            " COLUMNS (id, name)",
        }
    ).pipeline.flows[1:]
    assert (python.name, python.target, python.once) == (sql.name, sql.target, sql.once)
    assert python.changes == sql.changes
    assert [r.streaming for r in python.query.reads] == [r.streaming for r in sql.query.reads]


def test_without_a_project_nothing_is_declared() -> None:
    dp.create_auto_cdc_flow("t", "s", ["id"], "ts")
    dp.create_auto_cdc_from_snapshot_flow("t", "s", ["id"], 1)
    assert dp.apply_changes is dp.create_auto_cdc_flow


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("'t', 's', [], 'ts'", "keys is empty\n  wanted: the columns that identify a row"),
        ("'t', 's', 'id', 'ts'", "keys does not fit\n  wanted: a list of names\n  got: 'id'"),
        ("'t', 's', ['id', 'ID'], 'ts'", "keys names 'ID' twice"),
        ("'t', 3, ['id'], 'ts'", "source does not fit\n  wanted: text\n  got: 3"),
        ("'t', 's', ['id'], 3",
         ("sequence_by does not fit\n  wanted: a column or another expression as SQL text\n"
         "  got: 3")),
        ("'t', 's', ['id'], 'ts +'", "something is missing after '+'"),
        ("'t', 's', ['id'], 'ts', apply_as_deletes=True",
         ("apply_as_deletes does not fit\n"
         "  wanted: a condition as SQL text, such as \"op = 'D'\"\n  got: True")),
        ("'t', 's', ['id'], 'ts', column_list=['id'], except_column_list=['op']",
         "column_list and except_column_list exclude each other\n  wanted: one of the two"),
        ("'t', 's', ['id'], 'ts', stored_as_scd_type=3",
         "stored_as_scd_type does not fit\n  wanted: 1 or 2\n  got: 3"),
        ("'t', 's', ['id'], 'ts', track_history_column_list=['a']",
         ("track_history_column_list is for SCD type 2: type 1 keeps no history\n"
         "  hint: leave it out, or write stored_as_scd_type=2")),
        ("'t', 's', ['id'], 'ts', stored_as_scd_type=2, apply_as_truncates='a'",
         ("apply_as_truncates is for SCD type 1: a history is not emptied\n"
         "  hint: leave it out, or write stored_as_scd_type=1")),
        ("'t', 's', ['id'], 'ts', column_list=['name']",
         "keys names 'id', which column_list leaves out"),
        ("'t', 's', ['id'], 'ts', aply_as_deletes='a'",
         ("TypeError: create_auto_cdc_flow() got an unexpected keyword argument 'aply_as_deletes'"
         " (did you mean 'apply_as_deletes'?)")),
        ("'t', 's', ['${key}'], 'ts'", ("no configuration 'key'\n"
         "  hint: add it to the spec: configuration: {key: …}")),
    ],
)  # fmt: skip
def test_messages_in_python(load: Load, arguments: str, message: str) -> None:
    call = f"dp.create_auto_cdc_flow({arguments})"
    (problem,) = load({"a.sql": TABLES, "b.py": HEAD + call}).problems
    assert str(problem) == f"transformations/b.py:2: {message}"


def test_sql_and_python_say_the_same_of_snapshots(load: Load) -> None:
    sql = "CREATE FLOW t AS AUTO CDC INTO t FROM SNAPSHOT s KEYS (id) STORED AS SCD TYPE 2"
    call = "dp.create_auto_cdc_from_snapshot_flow('t', 's', ['id'], 2)"
    found = [
        load({"a.sql": f"{TABLES}{one}"} | ({"b.py": HEAD + two} if two else {}))
        for one, two in ((sql, ""), ("", call))
    ]
    flows = [f for each in found for f in each.pipeline.flows if f.changes is not None]
    assert [f.changes for f in flows] == 2 * [Snapshots(("id",), (), scd=ScdType.TWO)]
    assert not any(read.streaming for flow in flows for read in flow.query.reads)


def test_a_table_may_be_called_snapshot(load: Load) -> None:
    sql = "CREATE FLOW f AS AUTO CDC ONCE INTO t FROM snapshot KEYS (id) SEQUENCE BY ts;"
    tables = f"{TABLES}CREATE STREAMING TABLE snapshot;\n"
    *_, flow = load({"a.sql": tables + sql}).pipeline.flows
    assert flow.query.reads[0].source.place == "snapshot"
    assert not isinstance(flow.changes, Snapshots)
