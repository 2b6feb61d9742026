"""MERGE INTO as authors write it."""

from __future__ import annotations

import pytest

from qanat.model.changes import Expression
from qanat.model.merge_into import Clause, Does, MergeInto
from qanat.model.pipeline import Flow
from tests.unit.declare.conftest import Load

TABLES = (
    "CREATE STREAMING TABLE s AS SELECT * FROM STREAM read_files('in/*.json');\n"
    "CREATE STREAMING TABLE t;\n"
)
F = "CREATE FLOW f AS MERGE INTO t USING STREAM s ON t.id = s.id "
INSERT = "WHEN NOT MATCHED THEN INSERT *"


def sql(text: str) -> Expression:
    return Expression(text, "duckdb")


def flow_of(load: Load, text: str, spec: str = "") -> Flow:
    """The flow that merges in a file that has no mistake."""
    declared = load({"a.sql": TABLES + text}, spec)
    assert not declared.problems
    (flow,) = (f for f in declared.pipeline.flows if f.changes is not None)
    return flow


def changes_of(load: Load, text: str, spec: str = "") -> MergeInto:
    changes = flow_of(load, text, spec).changes
    assert isinstance(changes, MergeInto)
    return changes


def test_every_part(load: Load) -> None:
    flow = flow_of(
        load,
        "CREATE FLOW f COMMENT 'visits' AS MERGE INTO live.t AS kept\n"
        "USING (SELECT id, v FROM STREAM s) came\n"
        "ON kept.id = came.id -- the key\n"
        "WHEN MATCHED AND CASE WHEN came.v > 1 THEN true ELSE false END THEN DELETE\n"
        "WHEN MATCHED AND came.v < 0 THEN DO NOTHING\n"
        "WHEN MATCHED THEN UPDATE SET kept.v = least(came.v, 9), n = CASE WHEN n > 1 THEN 2 END\n"
        "WHEN NOT MATCHED BY TARGET AND came.v > 0 THEN INSERT (id, v) VALUES (id, f(v, 1))\n"
        "WHEN NOT MATCHED THEN INSERT *;",
    )
    assert (flow.name, flow.target, flow.once) == ("f", "t", False)
    assert str(flow.location) == "transformations/a.sql:3:13"
    changes = flow.changes
    assert isinstance(changes, MergeInto)
    assert (changes.table, changes.source) == ("kept", "came")
    assert changes.condition == sql("kept.id = came.id")
    assert str(changes.condition.location) == "transformations/a.sql:5:4"
    assert [(c.matched, c.does, c.condition, c.sets, c.every) for c in changes.clauses] == [
        (True, Does.DELETE, sql("CASE WHEN came.v > 1 THEN true ELSE false END"), (), False),
        (True, Does.NOTHING, sql("came.v < 0"), (), False),
        (
            True,
            Does.UPDATE,
            None,
            (("v", sql("least(came.v, 9)")), ("n", sql("CASE WHEN n > 1 THEN 2 END"))),
            False,
        ),
        (
            False,
            Does.INSERT,
            sql("came.v > 0"),
            (("id", sql("id")), ("v", sql("f(v, 1)"))),
            False,
        ),
        (False, Does.INSERT, None, (), True),
    ]
    assert str(changes.clauses[-1].location) == "transformations/a.sql:10:1"
    (read,) = flow.query.reads
    assert (read.streaming, read.source.dataset) == (True, "s")
    assert str(read.location) == "transformations/a.sql:4:26"


@pytest.mark.parametrize(
    ("statement", "table", "source"),
    [
        ("t USING STREAM s ON t.id = s.id", "t", "s"),
        ("t x USING STREAM s y ON x.id = y.id", "x", "y"),
        ("live.t USING STREAM live.s ON t.id = s.id", "t", "s"),
        ("t USING STREAM s WITH (skip_change_commits) ON t.id = s.id", "t", "s"),
        ("t USING (SELECT * FROM STREAM s) ON t.id = id", "t", "__qanat_source"),
        ("t USING STREAM read_files('in/*.csv') AS c ON t.id = c.id", "t", "c"),
        ("t USING STREAM read_files('in/*.csv') ON true", "t", "__qanat_source"),
    ],
)
def test_what_rows_are_called(load: Load, statement: str, table: str, source: str) -> None:
    changes = changes_of(load, f"CREATE FLOW f AS MERGE INTO {statement} {INSERT}")
    assert (changes.table, changes.source) == (table, source)


def test_a_first_load(load: Load) -> None:
    text = f"CREATE FLOW f AS MERGE INTO ONCE t USING s ON t.id = s.id {INSERT}"
    flow = flow_of(load, text)
    assert flow.once
    assert not flow.query.reads[0].streaming


def test_a_table_may_be_called_once(load: Load) -> None:
    declared = load(
        {
            "a.sql": TABLES.replace(" t;", " once;")
            + f"CREATE FLOW f AS MERGE INTO once USING STREAM s ON true {INSERT}"
        }
    )
    assert not declared.problems
    assert declared.pipeline.flows[-1].target == "once"


def test_spark_spellings(load: Load) -> None:
    changes = changes_of(
        load,
        "CREATE FLOW f AS MERGE WITH SCHEMA EVOLUTION INTO `t` USING STREAM s AS `c d`"
        ' ON t.id <=> `c d`.id WHEN MATCHED THEN UPDATE SET `a b` = "x"',
        "dialect: spark\n",
    )
    assert changes.source == "c d"
    assert changes.clauses == (
        Clause(
            True,
            Does.UPDATE,
            changes.clauses[0].location,
            sets=(("a b", Expression('"x"', "spark")),),
        ),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (F, "60: the statement ends too early\n  wanted: WHEN MATCHED or WHEN NOT MATCHED"),
        (F + "WHEN MATCHD THEN DELETE",
         ("66: unexpected 'MATCHD' (did you mean 'MATCHED'?)\n"
          "  wanted: WHEN NOT MATCHED BY TARGET or WHEN NOT MATCHED BY SOURCE or WHEN MATCHED or"
          " WHEN NOT MATCHED")),
        (F + "WHEN MATCHED DELETE", "74: unexpected 'DELETE'\n  wanted: THEN"),
        (F + "WHEN MATCHED THEN INSERT *",
         "79: unexpected 'INSERT'\n  wanted: UPDATE SET or DELETE"),
        (F + "WHEN NOT MATCHED THEN DELETE", "83: unexpected 'DELETE'\n  wanted: INSERT"),
        (F + "WHEN MATCHED THEN UPDATE SET a",
         "91: the statement ends too early\n  wanted: ="),
        (F + "WHEN MATCHED THEN UPDATE SET a = ",
         "93: the statement ends too early\n  wanted: a value"),
        (F + "WHEN MATCHED THEN UPDATE SET s.a = 1",
         "90: only columns of the table get values\n  wanted: t.a"),
        (F + "WHEN MATCHED THEN UPDATE SET a = 1, A = 2", "61: SET names column 'A' twice"),
        (F + "WHEN MATCHED AND THEN DELETE", "78: unexpected 'THEN'\n  wanted: a condition"),
        (F + "WHEN MATCHED AND t.id IN (SELECT 1) THEN DELETE",
         ("78: WHEN MATCHED AND with a subquery is not supported\n"
          "  wanted: a condition on one row\n"
          "  hint: look it up in a temporary view, and read that")),
        (F + "WHEN NOT MATCHED THEN INSERT (a, b) VALUES (1)",
         "90: INSERT does not have as many values as columns\n  wanted: 2, for a, b\n  got: 1"),
        (F + "WHEN NOT MATCHED THEN INSERT VALUES (1)",
         "90: unexpected 'VALUES'\n  wanted: * or (column, …) VALUES (value, …)"),
        (F + f"{INSERT} WHEN NOT MATCHED AND s.id > 1 THEN DO NOTHING",
         ("92: this clause never counts: one before it is about all such rows\n"
          "  hint: give the one at transformations/a.sql:3:61 a condition (AND …), or put it"
          " last")),
        (F + "WHEN MATCHED THEN DO NOTHING", "29: MERGE INTO does nothing"),
        (F + "WHEN NOT MATCHED BY SOURCE THEN UPDATE SET *",
         "104: unexpected '*'\n  wanted: a column"),
        (F + "WHEN NOT MATCHED BY SOURCE THEN INSERT *",
         "93: unexpected 'INSERT'\n  wanted: UPDATE SET or DELETE"),
        ("CREATE FLOW f AS MERGE INTO t USNG STREAM s ON true " + INSERT,
         "31: unexpected 'USNG' (did you mean 'USING'?)\n  wanted: USING"),
        ("CREATE FLOW f AS MERGE INTO t USING STREAM s AS t ON true " + INSERT,
         ("29: the table and the source are both called 't'\n"
          "  hint: give one of them an alias: MERGE INTO table AS t USING STREAM source AS s")),
        ("MERGE INTO t USING STREAM s ON true " + INSERT,
         ("1: MERGE is not a declaration\n"
          "  hint: write CREATE FLOW name AS MERGE INTO table USING STREAM source ON …")),
    ],
)  # fmt: skip
def test_messages(load: Load, text: str, message: str) -> None:
    (problem,) = load({"a.sql": TABLES + text}).problems
    assert str(problem) == f"transformations/a.sql:3:{message}"
    assert problem.exit_code == 2
