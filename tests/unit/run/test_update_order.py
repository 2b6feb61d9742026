"""Which datasets an update leaves out, and what temporary views are to the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from qanat.run.session import Session
from qanat.run.update import update

PYTHON = """
import pyarrow as pa
from qanat import pipelines as dp

@dp.temporary_view
def v():
    return "SELECT 1 AS a UNION ALL SELECT 2"

@dp.materialized_view
def out(v: pa.Table) -> pa.Table:
    return v

@dp.materialized_view
def bad():
    return "SELECT CAST(x AS INT) AS x FROM (SELECT 'q' AS x)"

@dp.temporary_view
def w():
    return "SELECT * FROM bad"

@dp.materialized_view
def after():
    return "SELECT * FROM w"

@dp.materialized_view
def last():
    return "SELECT * FROM after JOIN w USING (x)"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "transformations").mkdir()
    (tmp_path / "qanat.yml").write_text("name: walk\n")
    (tmp_path / "transformations" / "all.py").write_text(PYTHON)
    return tmp_path


def test_a_failure_reaches_through_views_and_stops_nothing_else(project: Path) -> None:
    with Session.open(project) as session:
        found = {d.dataset: (d.status, d.reason) for d in update(session).datasets}
    assert found["out"] == ("updated", "it has never run"), (
        "a function may take a view by its name"
    )
    assert found["bad"][0] == "failed"
    assert found["after"] == found["last"] == ("skipped", "bad failed")


def test_what_was_read_aside_before_the_first_update_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "transformations").mkdir()
    (tmp_path / "qanat.yml").write_text("name: aside\n")
    (tmp_path / "data.csv").write_text("a\n1\n2\n")
    (tmp_path / "transformations" / "all.sql").write_text(
        "CREATE STREAMING TABLE t AS SELECT * FROM STREAM read_files('data.csv', header => true);"
    )
    with Session.open(tmp_path) as session:
        assert session.recorded.updates() == []
        assert [d.counts.written for d in update(session).datasets] == [2]
        assert [d.counts.written for d in update(session).datasets] == [0]
        assert len(session.recorded.updates()) == 1
