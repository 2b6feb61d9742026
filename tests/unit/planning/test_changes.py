"""AUTO CDC in the plan: what it cannot keep, its definition, its columns."""

from __future__ import annotations

import pytest

from qanat.model.schema import Field, Primitive, Schema
from qanat.planning.changes import missing_columns
from qanat.planning.column_lineage import column_lineage
from qanat.planning.fingerprint import definition
from qanat.planning.order import build_graph
from tests.unit.planning.conftest import Declare

TABLES = (
    "CREATE STREAMING TABLE s AS SELECT * FROM STREAM read_files('in/*.json');\n"
    "CREATE STREAMING TABLE t;\n"
)
F = "CREATE FLOW f AS AUTO CDC INTO t FROM STREAM s KEYS (id) SEQUENCE BY ts"


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        ("CREATE FLOW f AS AUTO CDC INTO t FROM s KEYS (id) SEQUENCE BY ts",
         ("3:39: nothing that flow f reads is a stream, so that it has no changes to take\n"
          "  wanted: STREAM s\n"
          "  hint: put STREAM before the input that has the changes, or write AUTO CDC ONCE INTO"
          " t for a first load")),
        (F + "; CREATE FLOW g AS INSERT INTO ONCE t BY NAME SELECT * FROM s",
         ("3:86: flow g adds rows to t, which flow f keeps by AUTO CDC\n"
          "  hint: make its rows changes, too: a first load is AUTO CDC ONCE INTO t;"
          " or give it a table of its own")),
        (F + "; CREATE FLOW g AS AUTO CDC INTO t FROM STREAM s KEYS (id, b) SEQUENCE BY ts",
         ("3:86: flows f and g keep t in different ways\n"
          "  wanted: KEYS (id), as at all.sql:3:13\n  got: KEYS (id, b)")),
        (F + "; CREATE FLOW g AS AUTO CDC INTO t FROM STREAM s KEYS (id) SEQUENCE BY (ts, n)",
         ("3:86: flows f and g keep t in different ways\n"
          "  wanted: SEQUENCE BY (ts), as at all.sql:3:13\n  got: SEQUENCE BY (ts, n)")),
        (F + "; CREATE FLOW g AS AUTO CDC INTO t FROM STREAM s KEYS (id) SEQUENCE BY ts"
         " STORED AS SCD TYPE 2",
         ("3:86: flows f and g keep t in different ways\n"
          "  wanted: SCD TYPE 1, as at all.sql:3:13\n  got: SCD TYPE 2")),
        (F + "; CREATE FLOW g AS AUTO CDC INTO t FROM STREAM s KEYS (id) SEQUENCE BY ts"
         " COLUMNS (id, a)",
         ("3:86: flows f and g keep t in different ways\n"
          "  wanted: COLUMNS *, as at all.sql:3:13\n  got: COLUMNS (id, a)")),
        (F + " STORED AS SCD TYPE 2; CREATE FLOW g AS AUTO CDC INTO t FROM STREAM s KEYS (id)"
         " SEQUENCE BY ts STORED AS SCD TYPE 2 TRACK HISTORY ON * EXCEPT (a)",
         ("3:107: flows f and g keep t in different ways\n"
          "  wanted: TRACK HISTORY ON *, as at all.sql:3:13\n"
          "  got: TRACK HISTORY ON * EXCEPT (a)")),
        (F + "; CREATE MATERIALIZED VIEW v AS SELECT * FROM t;"
         " CREATE FLOW g AS AUTO CDC INTO v FROM STREAM s KEYS (id) SEQUENCE BY ts",
         ("3:133: flow g changes the rows of materialized view v\n"
          "  hint: AUTO CDC keeps a streaming table: CREATE STREAMING TABLE v;")),
        (F + "; CREATE STREAMING TABLE w AS SELECT * FROM STREAM t",
         ("3:116: t is kept by AUTO CDC and cannot be read as a stream: its rows are changed and"
          " deleted, not only appended\n"
          "  hint: read it without STREAM in a MATERIALIZED VIEW, or its changes: STREAM"
          " table_changes('t'), or only rows that are new: STREAM t WITH (skip_change_commits)")),
        (F + "; CREATE STREAMING TABLE u (CONSTRAINT a EXPECT UNIQUE (id))"
         " FLOW AUTO CDC FROM STREAM s KEYS (id) SEQUENCE BY ts",
         ("3:111: expectation a: the rows that come to u are changes, and several may be about"
          " one row\n  got: UNIQUE (id)\n"
          "  hint: leave it out: KEYS keeps one row for each key; or check it in a MATERIALIZED"
          " VIEW over u")),
        (F + "; CREATE STREAMING TABLE u (id INT, __start_at INT)"
         " FLOW AUTO CDC FROM STREAM s KEYS (id) SEQUENCE BY ts STORED AS SCD TYPE 2",
         ("3:97: u keeps versions (SCD type 2), but has no column __END_AT\n"
          "  hint: declare it with the type of SEQUENCE BY, or declare no columns")),
    ],
)  # fmt: skip
def test_what_does_not_fit(declare: Declare, statements: str, message: str) -> None:
    _, (problem,) = build_graph(declare(TABLES + statements))
    assert str(problem) == f"all.sql:{message}"
    assert problem.exit_code == 2


@pytest.mark.parametrize(
    "statements",
    [
        F + " COLUMNS * EXCEPT (op); CREATE FLOW g AS AUTO CDC ONCE INTO t FROM s KEYS (ID)"
        " SEQUENCE BY n APPLY AS DELETE WHEN gone IGNORE NULL UPDATES",
        F + "; CREATE MATERIALIZED VIEW v AS SELECT * FROM t",
        F + "; CREATE STREAMING TABLE q AS SELECT * FROM STREAM t__quarantine",
        F + "; CREATE TEMPORARY VIEW w AS SELECT * FROM STREAM s;"
        " CREATE FLOW g AS AUTO CDC ONCE INTO t FROM w KEYS (id) SEQUENCE BY ts",
        F + "; CREATE STREAMING TABLE u (id INT, ts INT, __START_AT INT, __END_AT INT)"
        " FLOW AUTO CDC FROM STREAM s KEYS (id) SEQUENCE BY ts STORED AS SCD TYPE 2",
        F + "; CREATE STREAMING TABLE x AS SELECT s.id FROM STREAM s JOIN t USING (id)",
    ],
)
def test_what_fits(declare: Declare, statements: str) -> None:
    _, problems = build_graph(declare(TABLES + statements))
    assert problems == ()


def test_the_definition_has_every_clause(declare: Declare) -> None:
    pipeline = declare(
        TABLES + "CREATE FLOW f AS AUTO CDC ONCE INTO t FROM STREAM s KEYS (ID) "
        "IGNORE NULL UPDATES ON (b, a) APPLY AS DELETE WHEN op='D' SEQUENCE BY (ts, n)"
        " COLUMNS * EXCEPT (op) STORED AS SCD TYPE 2 TRACK HISTORY ON * EXCEPT (a)"
    )
    _, text = definition(pipeline, pipeline.dataset("t"))
    assert text == (
        "streaming table t\n"
        'flow f once as\nSELECT\n  *\nFROM "STREAM s" AS s\n'
        "changes by keys (id)\n"
        "sequence by (ts, n)\n"
        "delete when op = 'D'\n"
        "columns * EXCEPT (op)\n"
        "ignore null updates on (a, b)\n"
        "stored as SCD type 2\n"
        "track history on * EXCEPT (a)\n"
    )


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("KEYS (id) SEQUENCE BY ts", "SEQUENCE BY (ts) -- same\nKEYS (ID)", True),
        ("KEYS (id) SEQUENCE BY a+b COLUMNS (id, x)",
         "COLUMNS (X, ID) KEYS (id) SEQUENCE BY a + b STORED AS SCD TYPE 1", True),
        ("KEYS (id) SEQUENCE BY ts", "KEYS (id) SEQUENCE BY n", False),
        ("KEYS (id) SEQUENCE BY ts", "KEYS (id, n) SEQUENCE BY ts", False),
        ("KEYS (id) SEQUENCE BY ts", "KEYS (id) SEQUENCE BY ts STORED AS SCD TYPE 2", False),
        ("KEYS (id) SEQUENCE BY ts", "KEYS (id) SEQUENCE BY ts IGNORE NULL UPDATES", False),
        ("KEYS (id) SEQUENCE BY ts", "KEYS (id) SEQUENCE BY ts COLUMNS * EXCEPT (a)", False),
        ("KEYS (id) SEQUENCE BY ts APPLY AS DELETE WHEN a",
         "KEYS (id) SEQUENCE BY ts APPLY AS TRUNCATE WHEN a", False),
    ],
)  # fmt: skip
def test_fingerprints(declare: Declare, one: str, other: str, equal: bool) -> None:
    found = []
    for clauses in (one, other):
        pipeline = declare(f"{TABLES}APPLY CHANGES INTO t FROM STREAM s {clauses}")
        found.append(definition(pipeline, pipeline.dataset("t")))
    assert (found[0] == found[1]) is equal


def test_columns_that_the_source_does_not_have(declare: Declare) -> None:
    pipeline = declare(TABLES + F + " COLUMNS * EXCEPT (opp) IGNORE NULL UPDATES ON (nome)")
    (flow,) = pipeline.flows_into("t")
    given = Schema(tuple(Field(n, Primitive("string")) for n in ("ID", "op", "ts", "name")))
    assert [str(p) for p in missing_columns(flow, given)] == [
        (
            "all.sql:3:13: flow f: IGNORE NULL UPDATES names column 'nome', which its source does"
            " not have (did you mean 'name'?)\n  wanted: ID, op, ts, name"
        ),
        (
            "all.sql:3:13: flow f: COLUMNS names column 'opp', which its source does not have"
            " (did you mean 'op'?)\n  wanted: ID, op, ts, name"
        ),
    ]
    (source,) = pipeline.flows_into("s")
    assert missing_columns(source, given) == []


@pytest.mark.parametrize(
    ("column", "upstream"),
    [
        ("id", ["s.id"]),
        ("__START_AT", ["s.ts", "s.n"]),
        ("__end_at", ["s.ts", "s.n"]),
    ],
)
def test_columns_come_from_the_source(declare: Declare, column: str, upstream: list[str]) -> None:
    pipeline = declare(
        "CREATE STREAMING TABLE s (id INT, op TEXT, ts INT, n INT) AS"
        " SELECT * FROM STREAM read_files('in/*.json');\n"
        "CREATE STREAMING TABLE t FLOW AUTO CDC FROM STREAM s KEYS (id)"
        " SEQUENCE BY (ts, n + 1) COLUMNS * EXCEPT (op, n) STORED AS SCD TYPE 2"
    )
    graph, _ = build_graph(pipeline)
    lineage = column_lineage(pipeline, graph, {}, pipeline.dataset("t"), column)
    (root,) = lineage.roots
    assert [n.name for n in root.upstream] == upstream


def test_the_columns_of_a_target(declare: Declare) -> None:
    pipeline = declare(
        "CREATE STREAMING TABLE s (id INT, op TEXT, ts INT) AS"
        " SELECT * FROM STREAM read_files('in/*.json');\n"
        "CREATE STREAMING TABLE t FLOW AUTO CDC FROM STREAM s KEYS (id)"
        " SEQUENCE BY ts COLUMNS * EXCEPT (op) STORED AS SCD TYPE 2"
    )
    graph, _ = build_graph(pipeline)
    with pytest.raises(Exception, match="t has no column 'op'") as caught:
        column_lineage(pipeline, graph, {}, pipeline.dataset("t"), "op")
    assert "wanted: id, ts, __START_AT, __END_AT" in str(caught.value)


# -- keys, strategies and MERGE INTO -------------------------------------------------------------

KEYED = TABLES.replace("TABLE t;", "TABLE t KEYS (id);")
INTO = "CREATE FLOW f AS INSERT INTO t BY NAME SELECT * FROM STREAM s; "
MERGE = (
    "CREATE FLOW f AS MERGE INTO t USING STREAM s ON t.id = s.id"
    " WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, upper(s.first) || t)"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (KEYED + INTO.replace("STREAM s", "s"),
         ("3:13: nothing that flow f reads is a stream, but t is a streaming table\n"
          "  hint: put STREAM before the input whose new rows it takes, or make it a MATERIALIZED"
          " VIEW, or INSERT INTO ONCE for rows that come a single time")),
        (KEYED + INTO + "CREATE STREAMING TABLE w AS SELECT * FROM STREAM t",
         ("3:106: t is kept by KEYS (id) and cannot be read as a stream: its rows are changed and"
          " deleted, not only appended\n"
          "  hint: read it without STREAM in a MATERIALIZED VIEW, or its changes: STREAM"
          " table_changes('t'), or only rows that are new: STREAM t WITH (skip_change_commits)")),
        (TABLES + MERGE + "; CREATE FLOW g AS INSERT INTO t BY NAME SELECT * FROM STREAM s",
         ("3:149: flow g adds rows to t, which flow f keeps by MERGE INTO\n"
          "  hint: let it merge, too: MERGE INTO t USING … WHEN NOT MATCHED THEN INSERT *;"
          " or give it a table of its own")),
        (TABLES + MERGE + "; CREATE FLOW g AS AUTO CDC INTO t FROM STREAM s KEYS (id)"
         " SEQUENCE BY ts",
         ("3:149: flows f and g keep t in different ways\n"
          "  wanted: MERGE INTO, as at all.sql:3:13\n  got: AUTO CDC")),
        (TABLES + MERGE.replace("STREAM s", "s"),
         ("3:37: nothing that flow f reads is a stream, so that it has no changes to take\n"
          "  wanted: STREAM s\n"
          "  hint: put STREAM before the input that has the changes, or write MERGE INTO ONCE t"
          " for a first load")),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_otherwise(declare: Declare, text: str, message: str) -> None:
    _, problems = build_graph(declare(text))
    assert [str(p) for p in problems] == [f"all.sql:{message}"]


def test_definitions_of_strategies(declare: Declare) -> None:
    def text(tables: str, flows: str = INTO) -> str:
        pipeline = declare(tables + flows)
        return definition(pipeline, pipeline.dataset("t"))[1]

    merging = text(KEYED)
    assert "rows by merge of (id)" in merging
    written = "KEYS (ID) TBLPROPERTIES ('qanat.incremental_strategy' = 'merge')"
    assert text(KEYED.replace("KEYS (id)", written)) == merging
    assert "merge of s into t on t.id = s.id\nwhen not matched then insert id = s.id" in text(
        TABLES, MERGE
    )


@pytest.mark.parametrize(("column", "upstream"), [("id", ["s.id"]), ("name", ["s.first", "s.t"])])
def test_lineage_of_what_clauses_insert(
    declare: Declare, column: str, upstream: list[str]
) -> None:
    sources = "CREATE STREAMING TABLE s (id INT, first TEXT, t TEXT) AS SELECT * FROM STREAM"
    pipeline = declare(f"{sources} read_files('in/*.json');\nCREATE STREAMING TABLE t;\n{MERGE}")
    graph, _ = build_graph(pipeline)
    (root,) = column_lineage(pipeline, graph, {}, pipeline.dataset("t"), column).roots
    assert sorted(n.name for n in root.upstream) == upstream


def test_lineage_of_a_table_with_keys(declare: Declare) -> None:
    sources = "CREATE STREAMING TABLE s (id INT, v INT) AS SELECT * FROM STREAM"
    pipeline = declare(
        f"{sources} read_files('in/*.json');\nCREATE STREAMING TABLE t KEYS (id);\n{INTO}"
    )
    graph, _ = build_graph(pipeline)
    (root,) = column_lineage(pipeline, graph, {}, pipeline.dataset("t"), "v").roots
    assert [n.name for n in root.upstream] == ["s.v"]
