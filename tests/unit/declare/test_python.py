"""`.py` files: decorators, what functions return and take, and every message."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import qanat
from qanat import pipelines as dp, plugins
from qanat.declare.library import Declared
from qanat.model.expectation import Action
from qanat.model.pipeline import DatasetKind, SinkTarget
from qanat.model.query import FunctionQuery, SqlQuery
from qanat.model.rule import Predicate, References, Unique

Load = Callable[..., Declared]
HEAD = "from qanat import pipelines as dp\n"


def query(declared: Declared, name: str) -> SqlQuery | FunctionQuery:
    return next(f.query for f in declared.pipeline.flows if f.name == name)


def test_decorators_return_the_function_itself() -> None:
    def f(rows: list[int]) -> int:
        return len(rows)

    for decorate in (
        dp.table,
        dp.table(name="x"),
        dp.materialized_view,
        dp.materialized_view(comment="c"),
        dp.temporary_view,
        dp.append_flow(target="t"),
        dp.expect("a", "b > 1"),
        dp.expect_all_or_fail({"a": "b >"}),
    ):
        assert decorate(f) is f
    dp.create_streaming_table("t")
    dp.create_sink("s", "nonsense")
    assert f([1, 2]) == 2
    assert vars(f) == {}


def test_two_ways_to_import() -> None:
    for name in dp.__all__:
        assert getattr(qanat, name) is getattr(dp, name)
        assert name in dir(qanat)
    with pytest.raises(AttributeError, match="has no attribute 'tabel'"):
        qanat.tabel  # type: ignore[attr-defined]  # noqa: B018


def test_importing_qanat_imports_nothing_else() -> None:
    code = "import sys, qanat; print([m for m in sys.modules if m.startswith('qanat')])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "['qanat']\n"


def test_declaring_imports_no_heavy_library() -> None:
    code = (
        "import sys, qanat.declare\n"
        "print(sorted({'duckdb', 'pyarrow', 'ibis', 'pandas', 'polars'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "[]\n"


EVERYTHING = """import qanat as dp
import helping

@dp.expect_or_drop("a", "x > 1")
@dp.table(
    name="silver",
    comment="c",
    partition_cols=["m"],
    cluster_by=("x",),
    table_properties={"qanat.schema_drift": "freeze"},
    schema="x BIGINT NOT NULL, y STRING COMMENT 'why'",
    format="delta",
)
@dp.expect("w", "y <> ''")
@dp.expect_all_or_quarantine({"u": "UNIQUE (x, y)", "r": "(x) REFERENCES other (z)"})
@dp.expect_or_fail("f", "(x) > 0")
def written() -> str:
    return f"SELECT * FROM STREAM bronze WHERE x = {helping.X} AND y = '${{start}}';"
"""


def test_a_table_with_everything(load: Load) -> None:
    before, modules = list(sys.path), set(sys.modules)
    declared = load(
        {"a.py": EVERYTHING, "helping.py": "X = 5"},
        "configuration: {start: 2013}\nlibraries: transformations/a.py",
    )
    assert declared.problems == ()
    (dataset,) = declared.pipeline.datasets
    assert (dataset.name, dataset.kind) == ("silver", DatasetKind.STREAMING_TABLE)
    assert str(dataset.location) == "transformations/a.py:17:1"
    assert [str(f) for f in dataset.schema.fields] == ["x bigint NOT NULL", "y string"]
    assert [(e.name, e.rule, e.action) for e in dataset.expectations] == [
        ("x_not_null", Predicate("x IS NOT NULL", "duckdb"), Action.FAIL),
        ("a", Predicate("x > 1", "duckdb"), Action.DROP),
        ("w", Predicate("y <> ''", "duckdb"), Action.WARN),
        ("u", Unique(("x", "y")), Action.QUARANTINE),
        ("r", References(("x",), "other", ("z",)), Action.QUARANTINE),
        ("f", Predicate("(x) > 0", "duckdb"), Action.FAIL),
    ]
    assert str(dataset.expectations[1].location) == "transformations/a.py:4"
    assert (dataset.partition_by, dataset.cluster_by, dataset.comment) == (("m",), ("x",), "c")
    assert dataset.table_property("qanat.schema_drift") == "freeze"
    found = query(declared, "silver")
    assert isinstance(found, SqlQuery)
    assert found.sql == "SELECT * FROM \"__silver_1\" AS bronze WHERE x = 5 AND y = '2013'"
    assert found.reads[0].streaming
    # Nothing of the project stays behind.
    assert sys.path == before
    assert not {m for m in set(sys.modules) - modules if "helping" in m or "_qanat" in m}


def test_two_files_may_have_helpers_of_one_name(load: Load) -> None:
    text = HEAD + "import shared\n@dp.materialized_view(name=shared.N)\ndef f(): return 'SELECT 1'"
    declared = load(
        {"a/x.py": text, "a/shared.py": "N = 'one'", "b/x.py": text, "b/shared.py": "N = 'two'"},
        "libraries: [transformations/*/x.py]",
    )
    assert declared.problems == ()
    assert [d.name for d in declared.pipeline.datasets] == ["one", "two"]


FRAMES = """
from __future__ import annotations
from typing import TYPE_CHECKING
from qanat import pipelines as dp
if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

@dp.materialized_view
def view(a: pa.Table, b: "pl.LazyFrame", c: polars.DataFrame) -> pd.DataFrame: ...
@dp.table
def first(a: pa.Table, b: pd.DataFrame): ...
@dp.table(stream="b")
def second(a: pa.Table, b: pa.Table) -> pl.LazyFrame: ...
@dp.table(stream=())
def none(a: pa.Table): ...
@dp.temporary_view
def temporary(a: pa.Table): ...
@dp.append_flow(target="first")
def more(a: pa.Table): ...
@dp.materialized_view
def inline() -> pa.Table: ...
"""


def test_functions_over_frames(load: Load) -> None:
    declared = load({"a.py": FRAMES})
    assert declared.problems == ()
    found = {}
    for flow in declared.pipeline.flows:
        assert isinstance(flow.query, FunctionQuery)
        reads = [r.name + ("*" if r.streaming else "") for r in flow.query.reads]
        found[flow.name] = (reads, flow.query.takes, flow.query.returns)
    assert found == {
        "view": (["a", "b", "c"], ("arrow", "polars.lazy", "polars"), "pandas"),
        "first": (["a*", "b"], ("arrow", "pandas"), "any"),
        "second": (["a", "b*"], ("arrow", "arrow"), "polars"),
        "none": (["a"], ("arrow",), "any"),
        "temporary": (["a"], ("arrow",), "any"),
        "more": (["a*"], ("arrow",), "any"),
        "inline": ([], (), "arrow"),
    }
    inline = query(declared, "inline")
    assert isinstance(inline, FunctionQuery)
    assert inline.text == "@dp.materialized_view\ndef inline() -> pa.Table: ...\n"


@pytest.mark.parametrize("dialect", ["duckdb", "spark"])
def test_ibis_expressions(load: Load, dialect: str) -> None:
    pytest.importorskip("ibis")
    text = HEAD + (
        "import ibis\n"
        "@dp.materialized_view\n"
        "def counts():\n"
        "    t = ibis.table({'x': 'int64'}, name='bronze')\n"
        "    return t.group_by('x').agg(n=t.count())\n"
    )
    declared = load({"a.py": text}, f"dialect: {dialect}")
    assert declared.problems == ()
    found = query(declared, "counts")
    assert isinstance(found, SqlQuery)
    quote = '"' if dialect == "duckdb" else "`"
    assert f"FROM {quote}__counts_1{quote} AS {quote}t0{quote}" in found.sql
    assert [r.source.dataset for r in found.reads] == ["bronze"]


def test_tables_and_sinks_without_functions(load: Load) -> None:
    text = HEAD + (
        "dp.create_streaming_table('t', expect_all={'a': 'b > 1'}, schema='b INT')\n"
        "dp.create_sink('s', 'CSV', {'path': 'out', 'header': 'true'})\n"
        "@dp.append_flow(target='t', name='f', once=True)\n"
        "def x(): return 'SELECT * FROM STREAM y'\n"
    )
    declared = load({"a.py": text})
    assert declared.problems == ()
    table, sink = declared.pipeline.datasets
    assert [e.name for e in table.expectations] == ["a"]
    assert sink.sink == SinkTarget("csv", (("path", "out"), ("header", "true")))
    (flow,) = declared.pipeline.flows
    assert (flow.name, flow.target, flow.once) == ("f", "t", True)


V = "@dp.materialized_view\ndef v"
WANTED = "pyarrow.Table, polars.DataFrame, polars.LazyFrame or pandas.DataFrame"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def x(:", "2:7: the file is not Python: invalid syntax"),
        ("1 / 0", "2: ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "2: SystemExit: 3"),
        (
            "import not_there",
            ("2: no module 'not_there'\n"
            "  hint: install it into the environment that qanat runs in"),
        ),
        ("@dp.table(foo=1)\ndef t(): ...", ("2: TypeError: table() got an unexpected keyword "
         "argument 'foo'")),
        ("@dp.table(unique_key=['a'])\ndef t(): ...", ("2: TypeError: table() got an unexpected "
         "keyword argument 'unique_key' (did you mean 'keys'?)")),
        (
            "dp.tabel",
            (
                "2: AttributeError: module 'qanat.pipelines' has no attribute 'tabel'"
                " (did you mean 'table'?)"
            ),
        ),
        (f"{V}():\n    return 1 / 0", "4: ZeroDivisionError: division by zero"),
        (
            f"{V}(): pass",
            ("3:1: v() returned NoneType\n"
            "  wanted: SQL text, an Ibis expression, or an Arrow, Polars or pandas table\n"
            "  hint: is a `return` missing?"),
        ),
        (f"{V}(): return 'SELECT * FORM x'",
         "3:1: unexpected 'FORM' (did you mean 'FROM'?)"),
        (f"{V}(): return ''", "3:1: v() returned empty SQL"),
        (f"{V}(): return '${{nope}}'",
         ("3:1: no configuration 'nope'\n"
         "  hint: add it to the spec: configuration: {nope: …}")),
        (
            f"{V}(a): ...",
            (f"3:1: parameter 'a' of v() is not a data frame\n  wanted: a: {WANTED}\n"
            "  hint: parameters are named after the datasets that the function reads"),
        ),
        (
            f"{V}(*a: 'pa.Table'): ...",
            (f"3:1: parameter 'a' of v() is not a data frame\n  wanted: a: {WANTED}\n"
            "  hint: parameters are named after the datasets that the function reads"),
        ),
        (
            "@dp.table(stream='b')\ndef t(a: 'pa.Table'): ...",
            "2: stream names no parameter: 'b'",
        ),
        (
            "@dp.table(stream={'b': {}})\ndef t(a: 'pa.Table'): ...",
            "2: stream names no parameter: 'b'",
        ),
        (
            "@dp.table(stream={'a': 'skip'})\ndef t(a: 'pa.Table'): ...",
            (
                "2: the options of stream 'a' do not fit\n"
                '  wanted: options by name, such as {"skip_change_commits": True}\n  got: str'
            ),
        ),
        (
            "@dp.table(stream={'a': {'skip': 1}})\ndef t(a: 'pa.Table'): ...",
            "2: a table has no option 'skip'",
        ),
        ("dp.create_streaming_table('t', partition_cols='a')",
         "2: partition_cols does not fit\n  wanted: a list of names\n  got: 'a'"),
        ("dp.create_streaming_table('t', table_properties={'a': 1})",
         "2: table_properties does not fit\n  wanted: a dict of text to text\n  got: {'a': 1}"),
        ("dp.create_streaming_table('t', schema=3)",
         ("2: schema does not fit\n"
         "  wanted: columns as text, such as 'id BIGINT NOT NULL, at TIMESTAMP'\n  got: int")),
        ("dp.create_streaming_table('t', schema='a BIGNT')",
         "2: no type 'BIGNT' (did you mean 'BIGINT'?)"),
        ("dp.create_streaming_table('t', format='parquet')",
         ("2: there is no table format 'parquet'\n  wanted: delta\n"
         "  hint: create_sink() writes files in other formats")),
        ("dp.create_streaming_table('t', expect_all={'a': 'b BETWEN 1 AND 2'})",
         "2: unexpected 'BETWEN' (did you mean 'BETWEEN'?)"),
        ("dp.create_streaming_table('t', expect_all={'a': 'UNIQUE (b) x'})",
         ("2: unexpected 'x'\n"
          "  wanted: WHERE or NULLS PASS or TOLERATE or WITH or the end of the rule")),
        ("dp.create_streaming_table('t', expect_all=['a'])",
         ("2: the expectation does not fit\n  wanted: rules by name, each as text"
          " or as a check, or a list of checks\n  got: ['a']")),
        ("dp.create_streaming_table('')",
         "2: name does not fit\n  wanted: text\n  got: ''"),
        (
            "@dp.table(spark_conf={'a': 'b'})\ndef t(): return 'SELECT 1'",
            ("2: spark_conf is not supported\n"
            "  hint: leave it out; put settings of the engine into the spec"),
        ),
        ("dp.create_sink('s', 'pulsar')",
         ("2: sinks in format 'pulsar' are not supported\n"
          f"  wanted: {' or '.join(plugins.connectors().sinks)}")),
        ("dp.create_sink('s', 'csv')",
         ("2: a sink of the format 'csv' needs the option 'path'\n"
          "  wanted: path => …: the folder to write to, relative to the project")),
        (
            "@dp.expect('a', 'b > 1')\ndef f(): ...",
            ("2: an expectation stands on a function that declares no dataset\n"
            "  hint: add @table, @materialized_view or @temporary_view, or give "
            "create_streaming_table(expect_all=…)"),
        ),
        (
            "dp.table('name')",
            ("2: @table stands before something that is not a function\n"
            "  wanted: @table or @table(name=…), then def …"),
        ),
    ],
)  # fmt: skip
def test_messages(load: Load, code: str, message: str) -> None:
    declared = load({"a.py": HEAD + code})
    (problem,) = declared.problems
    assert str(problem) == f"transformations/a.py:{message}"
    assert problem.exit_code == 2


@pytest.mark.parametrize("line", ["from pyspark.not_there import pipelines as dp", "import dlt"])
def test_files_written_for_spark_are_told_what_to_import(load: Load, line: str) -> None:
    declared = load({"a.py": line})
    (problem,) = declared.problems
    assert problem.hint == (
        "the same decorators are here: from qanat import pipelines as dp; and so is `spark`."
        " Columns of pyspark.sql.functions need pip install 'qanat[spark-frames]'"
    )


def test_one_bad_file_hides_no_other(load: Load) -> None:
    good = HEAD + "@dp.materialized_view\ndef {}(): return 'SELECT 1'"
    declared = load(
        {"a.py": "1 / 0", "b.py": good.format("b"), "c.py": good.format("B"), "d.py": "x ="}
    )
    assert [str(p) for p in declared.problems] == [
        "transformations/a.py:1: ZeroDivisionError: division by zero",
        (
            "transformations/c.py:3:1: two datasets are named 'B'\n"
            "  hint: the first is at transformations/b.py:3:1; rename one of them"
        ),
        "transformations/d.py:1:4: the file is not Python: invalid syntax",
    ]


def test_what_a_file_prints_goes_to_standard_error(
    load: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    load({"a.py": "print('hello')"})
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "hello\n")


def test_an_error_in_a_helper_has_the_helpers_line(load: Load, tmp_path: Path) -> None:
    (tmp_path / "lib_.py").write_text("\n\ndef f():\n    return {}['x']\n")
    declared = load({"a.py": "import lib_\nlib_.f()"})
    assert [str(p) for p in declared.problems] == ["lib_.py:4: KeyError: 'x'"]
