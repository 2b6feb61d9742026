"""The lineage of tables and columns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from qanat.errors import ColumnNotFoundError, DatasetNotFoundError, Location
from qanat.model.pipeline import Dataset, DatasetKind, Flow, Pipeline, ProjectSpec
from qanat.model.query import FunctionQuery, Read, dataset_ref
from qanat.model.schema import Field, Primitive, Schema
from qanat.planning.column_lineage import column_lineage, split_target
from qanat.planning.lineage import Lineage, LineageNode, table_lineage
from qanat.planning.order import build_graph

Declare = Callable[[str], Pipeline]

SHOP = """
CREATE STREAMING TABLE bronze AS
  SELECT *, _metadata.file_path AS file FROM STREAM read_files('sales/*.csv');
CREATE FLOW old AS INSERT INTO ONCE bronze BY NAME SELECT *, 'old' AS file FROM delta_scan('old');
CREATE MATERIALIZED VIEW shops AS
  SELECT id, name FROM read_files('shops.csv', schema => 'id INT, name STRING');
CREATE TEMPORARY VIEW typed AS SELECT shop, amount::DOUBLE AS Amount, file FROM STREAM bronze;
CREATE STREAMING TABLE silver (
  CONSTRAINT shop EXPECT (shop) REFERENCES shops (id) ON VIOLATION QUARANTINE ROW
) AS SELECT * FROM STREAM typed WHERE amount > 0;
CREATE MATERIALIZED VIEW gold AS
  WITH sums AS (SELECT shop, sum(amount) AS total FROM silver GROUP BY shop)
  SELECT s.name, x.total, x.total / 2 AS half, 1 AS one
  FROM sums AS x JOIN shops AS s ON s.id = x.shop;
CREATE MATERIALIZED VIEW kept_out AS SELECT shop, _quarantine_rules AS why FROM silver__quarantine;
"""


AMOUNT = "silver.Amount(typed.Amount(bronze.amount(amount in sales/*.csv amount in old)))"


def schema(*names: str) -> Schema:
    return Schema(tuple(Field(n, Primitive("string")) for n in names))


def of_column(pipeline: Pipeline, target: str, **schemas: Schema) -> Lineage:
    dataset, column = split_target(pipeline, target)
    assert column is not None
    return column_lineage(pipeline, build_graph(pipeline)[0], schemas, dataset, column)


def of_table(pipeline: Pipeline, target: str | None = None) -> Lineage:
    return table_lineage(pipeline, build_graph(pipeline)[0], target)


def text(node: LineageNode) -> str:
    """A lineage tree as one line: `name(upstream …)`."""
    inner = " ".join(text(u) for u in node.upstream)
    return f"{node.name}({inner})" if inner else node.name


def test_a_table_down_to_its_files(declare: Declare) -> None:
    found = of_table(declare(SHOP), "GOLD")
    (root,) = found.roots
    assert text(root) == (
        "gold(silver(typed(bronze(sales/*.csv old)) shops(shops.csv)) shops(shops.csv))"
    )
    assert found.nodes == {
        "sales/*.csv": "files",
        "old": "delta table",
        "bronze": "streaming table",
        "typed": "temporary view",
        "shops.csv": "files",
        "shops": "materialized view",
        "silver": "streaming table",
        "gold": "materialized view",
    }
    assert ("silver", "gold") in found.edges
    assert found.references == {("shops", "silver")}


def test_the_roots_are_the_datasets_that_no_other_reads(declare: Declare) -> None:
    found = of_table(declare(SHOP))
    assert [r.name for r in found.roots] == ["gold", "kept_out"]
    assert ("silver__quarantine", "kept_out") in found.edges
    assert ("silver", "silver__quarantine") in found.edges


def test_an_empty_project(declare: Declare) -> None:
    assert of_table(declare("")) == Lineage(())


def test_a_quarantine(declare: Declare) -> None:
    (root,) = of_table(declare(SHOP), "silver__quarantine").roots
    assert (root.name, root.kind) == ("silver__quarantine", "quarantine")
    assert [u.name for u in root.upstream] == ["silver"]


def test_a_dataset_that_reads_its_own_quarantine(declare: Declare) -> None:
    sql = (
        "CREATE STREAMING TABLE a AS SELECT x FROM STREAM read_files('a.csv', schema => 'x INT');"
        "CREATE FLOW mend AS INSERT INTO a BY NAME SELECT x + 1 AS x FROM STREAM a__quarantine;"
    )
    pipeline = declare(sql)
    assert text(of_table(pipeline, "a").roots[0]) == "a(a.csv a__quarantine)"
    assert text(of_column(pipeline, "a.x").roots[0]) == "a.x(x in a.csv)"


def test_a_cycle_of_datasets_ends(declare: Declare) -> None:
    pipeline = declare(
        "CREATE MATERIALIZED VIEW a AS SELECT x FROM b;"
        "CREATE MATERIALIZED VIEW b AS SELECT x FROM a;"
    )
    assert {n for r in of_table(pipeline).roots for n in (r.name,)} == {"a", "b"}
    assert of_column(pipeline, "a.x").roots[0].name == "a.x"


@pytest.mark.parametrize(
    ("target", "tree", "expression"),
    [
        ("gold.name", "gold.name(shops.name(name in shops.csv))", ""),
        (
            "gold.TOTAL",
            f"gold.total({AMOUNT})",
            "SUM(silver.amount)",
        ),
        (
            "gold.half",
            f"gold.half({AMOUNT})",
            "x.total / 2",
        ),
        ("gold.one", "gold.one", "1"),
        (
            "bronze.file",
            "bronze.file(_metadata in sales/*.csv)",
            "files._metadata.file_path; 'old'",
        ),
    ],
)
def test_a_column_down_to_its_files(
    declare: Declare, target: str, tree: str, expression: str
) -> None:
    known = {"bronze": schema("shop", "amount", "file")}
    (root,) = of_column(declare(SHOP), target, **known).roots
    assert text(root) == tree
    assert root.kind == "column"
    assert root.expression.split("; ")[-1] == expression.split("; ")[-1]


def test_columns_of_a_quarantine(declare: Declare) -> None:
    known = {"bronze": schema("shop", "amount", "file")}
    (root,) = of_column(declare(SHOP), "kept_out.shop", **known).roots
    assert text(root).startswith("kept_out.shop(silver.shop(typed.shop(bronze.shop(")


def test_columns_of_files_before_the_first_run(declare: Declare) -> None:
    (root,) = of_column(declare(SHOP), "bronze.anything").roots
    assert text(root) == "bronze.anything(anything in sales/*.csv anything in old)"
    assert [u.kind for u in root.upstream] == ["files column", "delta table column"]


def test_unknown_columns_of_two_inputs_are_not_guessed(declare: Declare) -> None:
    pipeline = declare(
        "CREATE MATERIALIZED VIEW t AS SELECT * FROM read_files('a.csv') JOIN read_files('b.csv')"
        " USING (id);"
    )
    (root,) = of_column(pipeline, "t.x").roots
    assert [(u.name, u.kind) for u in root.upstream] == [
        ("? in a.csv", "unknown"),
        ("? in b.csv", "unknown"),
    ]


@pytest.mark.parametrize(
    ("query", "column", "upstream"),
    [
        ("SELECT a FROM x UNION ALL BY NAME SELECT b, a FROM y", "a", ["x.a", "y.a"]),
        ("SELECT a, b FROM x UNION ALL SELECT b, a FROM y", "a", ["x.a", "y.b"]),
        ("SELECT * EXCLUDE (b) FROM x", "a", ["x.a"]),
        ("SELECT * REPLACE (a + b AS a) FROM x", "a", ["x.a", "x.b"]),
        ("FROM x", "b", ["x.b"]),
        ("SELECT (SELECT max(b) FROM y) AS m FROM x", "m", ["y.b"]),
        ("SELECT u.v FROM x, UNNEST(x.a) AS u(v)", "v", ["x.a"]),
        ("SELECT a.f AS g FROM x", "g", ["x.a"]),
        ("SELECT sum(a) OVER (PARTITION BY b) AS s FROM x", "s", ["x.a", "x.b"]),
        ("SELECT x.a FROM x JOIN y ON x.b = y.b WHERE y.a > 1", "a", ["x.a"]),
        ('SELECT "c d" AS e FROM z', "e", ["z.c d"]),
        ("SELECT COLUMNS('a.*') FROM x", "a", ["x.?"]),
        ("VALUES (1)", "col0", []),
    ],
)
def test_constructs(declare: Declare, query: str, column: str, upstream: list[str]) -> None:
    pipeline = declare(
        "CREATE MATERIALIZED VIEW x AS SELECT 1 AS a, 2 AS b;"
        "CREATE MATERIALIZED VIEW y AS SELECT 1 AS a, 2 AS b;"
        'CREATE MATERIALIZED VIEW z AS SELECT 1 AS "c d";'
        f"CREATE MATERIALIZED VIEW t AS {query};"
    )
    (root,) = of_column(pipeline, f"t.{column}").roots
    assert sorted(u.name for u in root.upstream) == upstream


def test_a_python_function_may_use_every_input_column() -> None:
    here = Location("t.py", 1, 1)
    read = Read("orders", dataset_ref("orders"), False, here)
    query = FunctionQuery(lambda orders: orders, "", (read,), ("arrow",), "arrow", here)
    folder = Path("/project")
    project = ProjectSpec("p", folder, folder / "qanat.yml", folder / "storage", ())
    datasets = tuple(
        Dataset(n, DatasetKind.MATERIALIZED_VIEW, here) for n in ("orders", "ranking")
    )
    pipeline = Pipeline(project, datasets, (Flow("ranking", "ranking", query, here),))
    (root,) = of_column(pipeline, "ranking.best", orders=schema("a", "b")).roots
    assert text(root) == "ranking.best(ranking()(orders.a orders.b))"
    (root,) = of_column(pipeline, "ranking.best").roots
    assert text(root) == "ranking.best(ranking()(orders.?))"
    (root,) = of_table(pipeline, "ranking").roots
    assert text(root) == "ranking(ranking()(orders))"


def test_unknown_names_are_reported_with_the_nearest(declare: Declare) -> None:
    pipeline = declare(SHOP)
    with pytest.raises(DatasetNotFoundError) as unknown:
        of_table(pipeline, "silber")
    assert unknown.value.nearest == "silver"
    with pytest.raises(DatasetNotFoundError):
        split_target(pipeline, "silber.amount")
    with pytest.raises(ColumnNotFoundError) as missing:
        of_column(pipeline, "gold.totl")
    assert missing.value.nearest == "total"
    assert missing.value.wanted == "name, total, half, one"


def test_a_dataset_with_a_dot_in_its_name(declare: Declare) -> None:
    pipeline = declare('CREATE MATERIALIZED VIEW "a.b" AS SELECT 1 AS c;')
    dataset, column = split_target(pipeline, "a.b")
    assert (dataset.name, column) == ("a.b", None)
    dataset, column = split_target(pipeline, "a.b.c")
    assert (dataset.name, column) == ("a.b", "c")


def test_a_chain_longer_than_the_recursion_limit(declare: Declare) -> None:
    steps = ["CREATE MATERIALIZED VIEW d0 AS SELECT 1 AS x;"]
    steps += [f"CREATE MATERIALIZED VIEW d{i} AS SELECT x FROM d{i - 1};" for i in range(1, 1200)]
    found = of_column(declare("\n".join(steps)), "d1199.x")
    assert len(found.nodes) == 1200
    assert ("d0.x", "d1.x") in found.edges


def test_a_join_key_of_one_name(declare: Declare) -> None:
    """`c.id` is a column of `c`, even if the columns of `c` are unknown."""
    pipeline = declare(
        "CREATE MATERIALIZED VIEW a AS SELECT 1 AS id, 2 AS amount;"
        "CREATE MATERIALIZED VIEW c AS SELECT * FROM read_files('c.csv');"
        "CREATE MATERIALIZED VIEW t AS SELECT c.city, sum(a.amount) AS total FROM a"
        " JOIN c ON c.id = a.id GROUP BY c.city ORDER BY total;"
    )
    (total,) = of_column(pipeline, "t.total").roots
    assert text(total) == "t.total(a.amount)"
    (city,) = of_column(pipeline, "t.city").roots
    assert text(city) == "t.city(c.city(city in c.csv))"
