"""A flow that reads two tables as streams: one may have new rows when the other has none."""

from __future__ import annotations

from pathlib import Path

import pytest

from qanat.run.look import show
from qanat.run.session import Session
from qanat.run.update import update

pytestmark = pytest.mark.anywhere

SPEC = 'name: two\nstorage: storage\nlibraries:\n  - glob:\n      include: "*.sql"\n'
TABLE = (
    "CREATE OR REFRESH STREAMING TABLE {0} AS SELECT id"
    " FROM STREAM read_files('{0}/*.csv', format => 'csv', header => true);\n"
)
BOTH = (
    "CREATE OR REFRESH STREAMING TABLE u AS"
    " SELECT id FROM STREAM a UNION ALL SELECT id FROM STREAM b;\n"
)


@pytest.mark.parametrize("name", ["a", "b"])
def test_only_one_has_news(tmp_path: Path, name: str) -> None:
    (tmp_path / "qanat.yml").write_text(SPEC)
    (tmp_path / "all.sql").write_text(TABLE.format("a") + TABLE.format("b") + BOTH)
    for folder, row in (("a", 1), ("b", 2)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.csv").write_text(f"id\n{row}\n")
    _run(tmp_path)
    (tmp_path / name / "2.csv").write_text("id\n3\n")
    _run(tmp_path)
    with Session.open(tmp_path) as session:
        assert sorted(show(session, "u").rows) == [(1,), (2,), (3,)]


def _run(root: Path) -> None:
    with Session.open(root) as session:
        result = update(session)
    assert {d.dataset: d.error for d in result.failed} == {}
