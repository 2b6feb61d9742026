"""Keys and incremental strategies as authors write them, in SQL and in Python."""

from __future__ import annotations

import pytest

from qanat.model.keyed import Keyed, Strategy
from tests.unit.declare.conftest import Load

READ = "AS SELECT * FROM STREAM read_files('in/*.json')"
HEAD = "from qanat import pipelines as dp\n"
STRATEGY = "TBLPROPERTIES ('qanat.incremental_strategy' = '{}')"


@pytest.mark.parametrize(
    ("clauses", "wanted"),
    [
        ("", None),
        (STRATEGY.format("append"), None),
        ("KEYS (id)", Keyed(Strategy.MERGE, ("id",))),
        ("(id BIGINT, at DATE) KEYS (id, at)", Keyed(Strategy.MERGE, ("id", "at"))),
        (f"KEYS (id) {STRATEGY.format('MERGE')}", Keyed(Strategy.MERGE, ("id",))),
        (
            f"PARTITIONED BY (at) {STRATEGY.format('delete+insert')} KEYS (id)",
            Keyed(Strategy.DELETE_INSERT, ("id",)),
        ),
        (
            f"PARTITIONED BY (at, b) {STRATEGY.format('insert_overwrite')}",
            Keyed(Strategy.INSERT_OVERWRITE, ("at", "b")),
        ),
    ],
)
def test_what_rows_do(load: Load, clauses: str, wanted: Keyed | None) -> None:
    declared = load({"a.sql": f"CREATE STREAMING TABLE t {clauses} {READ};"})
    assert not declared.problems
    (flow,) = declared.pipeline.flows
    assert flow.changes == wanted


def test_all_flows_into_a_table(load: Load) -> None:
    flow = "CREATE FLOW {} AS INSERT INTO t BY NAME SELECT * FROM STREAM read_files('in/*.json');"
    declared = load({"a.sql": f"{flow.format('f')} CREATE STREAMING TABLE t KEYS (id);"
                     f"{flow.format('g')}"})  # fmt: skip
    assert not declared.problems
    assert {f.changes for f in declared.pipeline.flows} == {Keyed(Strategy.MERGE, ("id",))}


def test_python(load: Load) -> None:
    declared = load(
        {
            "a.py": HEAD
            + "@dp.table(keys=['id'])\n"
            + "def one():\n    return \"SELECT * FROM STREAM read_files('in/*.json')\"\n"
            + "dp.create_streaming_table('two', keys=('a', 'b'),"
            " incremental_strategy='delete+insert')\n"
            + "@dp.append_flow(target='two')\n"
            + "def more():\n    return \"SELECT * FROM STREAM read_files('in/*.json')\"\n"
        }
    )
    assert not declared.problems
    assert [f.changes for f in declared.pipeline.flows] == [
        Keyed(Strategy.MERGE, ("id",)),
        Keyed(Strategy.DELETE_INSERT, ("a", "b")),
    ]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (f"CREATE STREAMING TABLE t {STRATEGY.format('delete+inser')} KEYS (id) {READ}",
         ("1:41: table property 'qanat.incremental_strategy' does not fit"
          " (did you mean 'delete+insert'?)\n"
          "  wanted: append or merge or delete+insert or insert_overwrite\n"
          "  got: 'delete+inser'")),
        ("CREATE STREAMING TABLE t TBLPROPERTIES ('qanat.incremental_strategie' = 'merge') "
         + READ,
         ("1:41: no table property 'qanat.incremental_strategie'"
          " (did you mean 'qanat.incremental_strategy'?)")),
        (f"CREATE STREAMING TABLE t {STRATEGY.format('merge')} {READ}",
         ("1:24: t has the strategy merge, but no keys\n"
          "  hint: say which columns identify a row: KEYS (column, …);"
          " or leave qanat.incremental_strategy out")),
        (f"CREATE STREAMING TABLE t KEYS (id) {STRATEGY.format('append')} {READ}",
         ("1:24: t has KEYS, which the strategy append does not look at\n"
          "  wanted: merge or delete+insert\n  got: append\n"
          "  hint: leave out KEYS, or the strategy")),
        (f"CREATE STREAMING TABLE t {STRATEGY.format('insert_overwrite')} {READ}",
         ("1:24: t has the strategy insert_overwrite, but no partitions to overwrite\n"
          "  hint: add PARTITIONED BY (column, …); a table that is replaced as a whole is a"
          " MATERIALIZED VIEW")),
        (f"CREATE STREAMING TABLE t KEYS (id, ID) {READ}",
         "1:24: KEYS of t names a column twice"),
        (f"CREATE STREAMING TABLE t (id INT) KEYS (idd) {READ}",
         ("1:24: KEYS of t names column 'idd', which it does not declare"
          " (did you mean 'id'?)\n  wanted: id")),
        (f"CREATE STREAMING TABLE t KEYS id {READ}", "1:31: unexpected 'id'\n  wanted: ("),
        ("CREATE MATERIALIZED VIEW t KEYS (id) AS SELECT 1 AS id",
         ("1:28: KEYS on a materialized view is not supported\n"
          "  hint: only a STREAMING TABLE takes rows epoch by epoch: leave it out")),
        (f"CREATE MATERIALIZED VIEW t {STRATEGY.format('append')} AS SELECT 1 AS id",
         ("1:26: materialized view t has qanat.incremental_strategy\n"
          "  hint: only a STREAMING TABLE takes rows epoch by epoch: leave it out")),
        (("CREATE STREAMING TABLE s AS SELECT * FROM STREAM read_files('in/*.json');"
          " CREATE STREAMING TABLE t KEYS (id) FLOW AUTO CDC FROM STREAM s KEYS (id)"
          " SEQUENCE BY at"),
         ("1:98: t has KEYS, and flow t keeps it by AUTO CDC\n"
          "  hint: leave KEYS of the table out, which is for flows that insert; or write the flow"
          " as INSERT INTO t BY NAME SELECT …")),
    ],
)  # fmt: skip
def test_messages(load: Load, statement: str, message: str) -> None:
    (problem,) = load({"a.sql": statement}).problems
    assert str(problem) == f"transformations/a.sql:{message}"
    assert problem.exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("keys='id'", "keys does not fit\n  wanted: a list of names\n  got: 'id'"),
        ("incremental_strategy='merg', keys=['id']",
         ("table property 'qanat.incremental_strategy' does not fit (did you mean 'merge'?)\n"
          "  wanted: append or merge or delete+insert or insert_overwrite\n  got: 'merg'")),
        (("incremental_strategy='append',"
          " table_properties={'qanat.incremental_strategy': 'append'}"),
         ("incremental_strategy is given twice: as an argument and as"
          " qanat.incremental_strategy in table_properties")),
    ],
)  # fmt: skip
def test_messages_of_python(load: Load, arguments: str, message: str) -> None:
    call = f"dp.create_streaming_table('t', {arguments})\n"
    (problem,) = load({"a.py": HEAD + call}).problems
    assert str(problem) == f"transformations/a.py:2: {message}"
