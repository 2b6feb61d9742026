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
        return [str(field.type) for field in opened.table("t").columns]


SDP = ("spark-pipeline.yml", "name: s\nlibraries:\n  - glob:\n      include: '*.*'\n")
QANAT = ("qanat.yml", "name: s\ndialect: spark\nlibraries: ['*.sql']\n")


@pytest.mark.parametrize(
    ("spec", "name", "text"),
    [(SDP, "t.sql", SQL), (SDP, "t.sql", PATH), (SDP, "t.py", PYTHON), (QANAT, "t.sql", SQL)],
)
def test_sparks_types_and_wider_ones_later(
    tmp_path: Path, spec: tuple[str, str], name: str, text: str
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / spec[0]).write_text(spec[1])
    (tmp_path / name).write_text(text)
    (tmp_path / "in/a.csv").write_text(FIRST)
    spark = ["int", "timestamp", "decimal(20,0)", "double", "string"]
    assert types(tmp_path) == spark
    (tmp_path / "in/b.csv").write_text(LATER)
    assert types(tmp_path) == ["bigint", *spark[1:]]
    with qanat.open(tmp_path) as opened:
        rows = opened.query("SELECT id, code FROM t ORDER BY id").rows()
    assert rows == [(1, "007"), (3000000000, "008")]


def test_other_projects_keep_few_types_with_room(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "qanat.yml").write_text("name: s\nlibraries: ['*.sql']\n")
    (tmp_path / "t.sql").write_text(SQL)
    (tmp_path / "in/a.csv").write_text(FIRST)
    assert types(tmp_path) == ["bigint", "timestamp_ntz", "decimal(38,0)", "double", "string"]
