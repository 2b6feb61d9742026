"""The order of datasets, and the problems that make it impossible."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from qanat.errors import CycleError, DatasetNotFoundError, FlowError, Location, SelectionError
from qanat.model.pipeline import Dataset, DatasetKind, Flow, Pipeline, ProjectSpec
from qanat.model.query import Read, SourceRef, SqlQuery, dataset_ref
from qanat.planning.graph import select
from qanat.planning.order import build_graph

Declare = Callable[[str], Pipeline]

DIAMOND = """
CREATE MATERIALIZED VIEW bottom AS SELECT * FROM left_ JOIN right_ USING (id);
CREATE MATERIALIZED VIEW left_ AS SELECT * FROM Top;
CREATE MATERIALIZED VIEW right_ AS SELECT * FROM TOP;
CREATE MATERIALIZED VIEW top AS SELECT * FROM read_files('a.csv');
"""


def wide_and_deep(size: int) -> Pipeline:
    """A chain of datasets; number n reads number n - 1 and, besides, number n / 2."""
    where = Location("all.sql", 1, 1)
    datasets, flows = [], []
    for i in range(size):
        inputs = sorted({i - 1, i // 2}) if i else []
        reads = [Read(f"__{i}_{j}", dataset_ref(f"d{j}"), False, where) for j in inputs]
        reads = reads or [Read("__0_0", SourceRef("files", "a.csv"), False, where)]
        sql = " UNION ALL ".join(f'SELECT * FROM "{r.name}"' for r in reads)
        datasets.append(Dataset(f"d{i}", DatasetKind.MATERIALIZED_VIEW, where))
        flows.append(
            Flow(f"d{i}", f"d{i}", SqlQuery(sql, sql, "duckdb", tuple(reads), where), where)
        )
    here = Path("/project")
    project = ProjectSpec("p", here, here / "qanat.yml", here / "storage", ())
    # Declared in reverse, so that the right order differs from that of declaration.
    return Pipeline(project, tuple(reversed(datasets)), tuple(reversed(flows)))


QUARANTINE = """
CREATE MATERIALIZED VIEW reader AS SELECT * FROM v__quarantine;
CREATE STREAMING TABLE target AS SELECT * FROM STREAM w;
CREATE TEMPORARY VIEW w AS SELECT * FROM STREAM v;
CREATE TEMPORARY VIEW v AS SELECT * FROM STREAM read_files('a.csv');
CREATE MATERIALIZED VIEW below AS SELECT * FROM reader;
"""


def test_who_fills_the_quarantine_of_a_view_comes_before_its_readers(declare: Declare) -> None:
    graph, problems = build_graph(declare(QUARANTINE))
    assert problems == ()
    assert graph.order == ("v", "w", "target", "reader", "below")
    assert graph.upstream("below") == {"v", "w", "target", "reader"}
    assert graph.downstream("target") == {"reader", "below"}
    assert graph.readers["target"] == ()
    # No order helps those that read each other so.
    circle = QUARANTINE.replace("STREAM w;", "STREAM w, reader;")
    graph, problems = build_graph(declare(circle))
    assert problems == ()
    assert graph.order == ("v", "reader", "w", "target", "below")


def test_inputs_come_first(declare: Declare) -> None:
    graph, problems = build_graph(declare(DIAMOND))
    assert problems == ()
    assert graph.order == ("top", "left_", "right_", "bottom")
    assert graph.reads["bottom"] == ("left_", "right_")
    assert graph.readers["top"] == ("left_", "right_")
    assert graph.upstream("bottom") == {"top", "left_", "right_"}
    assert graph.downstream("top") == {"left_", "right_", "bottom"}
    assert graph.upstream("top") == frozenset()


def test_a_dataset_comes_after_those_that_its_rules_refer_to(declare: Declare) -> None:
    graph, problems = build_graph(
        declare(
            "CREATE MATERIALIZED VIEW a (CONSTRAINT r EXPECT (k) REFERENCES b (k))"
            " AS SELECT 1 AS k; CREATE MATERIALIZED VIEW b AS SELECT 1 AS k;"
        )
    )
    assert problems == ()
    assert graph.order == ("b", "a")


def test_a_thousand_datasets_deep() -> None:
    graph, problems = build_graph(wide_and_deep(1000))
    assert problems == ()
    assert graph.order == tuple(f"d{i}" for i in range(1000))
    assert len(graph.upstream("d999")) == 999


def test_a_cycle_names_every_dataset_in_it(declare: Declare) -> None:
    pipeline = declare(
        "CREATE MATERIALIZED VIEW a AS SELECT * FROM b;\n"
        "CREATE MATERIALIZED VIEW b AS SELECT * FROM c;\n"
        "CREATE MATERIALIZED VIEW c AS SELECT * FROM a;\n"
        "CREATE MATERIALIZED VIEW d AS SELECT * FROM c;\n"
    )
    graph, (error,) = build_graph(pipeline)
    assert isinstance(error, CycleError)
    assert error.message == "datasets read each other in a circle: a → b → c → a"
    assert str(error.location) == "all.sql:1:45"
    assert error.got == (
        "a reads b (all.sql:1:45); b reads c (all.sql:2:45); c reads a (all.sql:3:45)"
    )
    assert set(graph.order) == {"a", "b", "c", "d"}


def test_a_dataset_that_reads_itself(declare: Declare) -> None:
    _, (error,) = build_graph(declare("CREATE MATERIALIZED VIEW a AS SELECT * FROM A;"))
    assert isinstance(error, CycleError)
    assert error.message.endswith("circle: a → a")


def test_a_dataset_may_read_its_own_quarantine(declare: Declare) -> None:
    graph, problems = build_graph(
        declare(
            "CREATE STREAMING TABLE a AS SELECT * FROM STREAM read_files('a.csv');"
            "CREATE FLOW mend AS INSERT INTO a BY NAME SELECT * FROM STREAM a__quarantine;"
        )
    )
    assert problems == ()
    assert graph.order == ("a",)


def test_unknown_inputs_are_named_with_the_nearest(declare: Declare) -> None:
    _, problems = build_graph(
        declare(
            "CREATE MATERIALIZED VIEW silver (CONSTRAINT r EXPECT (k) REFERENCES slver (k)) AS\n"
            "SELECT * FROM silvr JOIN nowhere_near USING (k);"
        )
    )
    assert [type(p) for p in problems] == [DatasetNotFoundError] * 3
    assert [p.nearest for p in problems] == ["silver", None, "silver"]
    assert str(problems[0].location) == "all.sql:2:15"


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("CREATE STREAMING TABLE t;", "streaming table t has no query and no flow feeds it"),
        (
            "CREATE FLOW f AS INSERT INTO t BY NAME SELECT 1 AS a;",
            "flow f feeds 't', which is not declared",
        ),
        (
            (
                "CREATE TEMPORARY VIEW v AS SELECT 1 AS k;"
                "CREATE MATERIALIZED VIEW t (CONSTRAINT r EXPECT (k) REFERENCES v (k))"
                " AS SELECT 1 AS k;"
            ),
            "expectation r refers to temporary view v, which has no table",
        ),
    ],
)
def test_flows_that_do_not_fit_are_reported(declare: Declare, sql: str, message: str) -> None:
    _, problems = build_graph(declare(sql))
    assert [(type(p), p.message) for p in problems] == [(FlowError, message)]


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        (["top"], ["top"]),
        (["TOP"], ["top"]),
        (["*_"], ["left_", "right_"]),
        (["+left_"], ["top", "left_"]),
        (["left_+"], ["left_", "bottom"]),
        (["+left_+"], ["top", "left_", "bottom"]),
        (["bottom", "top"], ["top", "bottom"]),
        ([], []),
    ],
)
def test_selection(declare: Declare, patterns: list[str], chosen: list[str]) -> None:
    pipeline = declare(DIAMOND)
    graph, _ = build_graph(pipeline)
    assert select(graph, pipeline, patterns) == tuple(chosen)


@pytest.mark.parametrize("pattern", ["buttom", "+buttom+", "x*", "", "+"])
def test_a_pattern_that_matches_nothing(declare: Declare, pattern: str) -> None:
    pipeline = declare(DIAMOND)
    graph, _ = build_graph(pipeline)
    with pytest.raises(SelectionError) as caught:
        select(graph, pipeline, [pattern])
    assert caught.value.nearest == ("bottom" if "buttom" in pattern else None)
    assert caught.value.wanted == "bottom, left_, right_, top"
