"""Columns that nobody declared, in a project of Spark's dialect: from the spec to the table."""

from __future__ import annotations

from pathlib import Path

import pytest

import qanat

FIRST = "id,at,big,price,code\n1,2024-01-31 10:20:30,12345678901234567890,1.10,007\n"
LATER = "id,at,big,price,code\n3000000000,2024-01-31T10:20:30Z,1,2.25,008\n"
SQL = "CREATE STREAMING TABLE t AS SELECT * FROM STREAM read_files('in', format => 'csv');\n"
PATH = "CREATE STREAMING TABLE t AS SELECT * FROM STREAM csv.`in`;\n"
PYTHON = (
    "from qanat import pipelines as dp\n\n\n@dp.table\ndef t():\n"
    '    return "SELECT * FROM STREAM csv.`in`"\n'
)


def types(project: Path) -> list[str]:
    with qanat.open(project) as opened:
        assert opened.run().status == "succeeded"
        return [str(f.type) for f in opened.table("t").schema.fields]


@pytest.mark.parametrize(
    ("spec", "name", "text"),
    [
        ("spark-pipeline.yml", "t.sql", SQL),
        ("spark-pipeline.yml", "t.sql", PATH),
        ("spark-pipeline.yml", "t.py", PYTHON),
        ("databricks.yml", "t.sql", SQL),
    ],
)
def test_sparks_types_and_wider_ones_later(
    tmp_path: Path, spec: str, name: str, text: str
) -> None:
    specs = {
        "spark-pipeline.yml": "name: s\nlibraries:\n  - glob:\n      include: '*.*'\n",
        "databricks.yml": "bundle:\n  name: s\nresources:\n  pipelines:\n    p:\n      name: p\n"
        "      libraries:\n        - glob:\n            include: '*.sql'\n",
    }
    (tmp_path / "in").mkdir()
    (tmp_path / spec).write_text(specs[spec])
    (tmp_path / name).write_text(text)
    (tmp_path / "in/a.csv").write_text(FIRST)
    spark = ["int", "timestamp", "decimal(20,0)", "double", "string"]
    assert types(tmp_path) == spark
    (tmp_path / "in/b.csv").write_text(LATER)
    assert types(tmp_path) == ["bigint", *spark[1:]]
    with qanat.open(tmp_path) as opened:
        rows = opened.query("SELECT id, code FROM t ORDER BY id").rows
    assert [tuple(row) for row in rows] == [(1, "007"), (3000000000, "008")]


def test_other_projects_keep_few_types_with_room(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "qanat.yml").write_text("name: s\nlibraries: ['*.sql']\n")
    (tmp_path / "t.sql").write_text(SQL)
    (tmp_path / "in/a.csv").write_text(FIRST)
    assert types(tmp_path) == ["bigint", "timestamp_ntz", "decimal(38,0)", "double", "string"]
