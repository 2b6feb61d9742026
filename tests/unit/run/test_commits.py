"""Quarantines that were restored from before they were emptied, and those that never were."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from qanat.errors import HistoryMismatchError
from qanat.run.doctor import examine
from qanat.run.results import Selection, UpdateResult
from qanat.run.session import Session
from qanat.run.update import update

SPEC = 'name: unit\nstorage: storage\nthreads: 1\nlibraries:\n  - glob:\n      include: "*.sql"\n'
RULE = "(CONSTRAINT small EXPECT (id < {limit}) ON VIOLATION QUARANTINE ROW)"
READ = "read_files('{folder}/*.csv', format => 'csv', header => true, schema => 'id BIGINT')"
IN, MORE = READ.format(folder="in"), READ.format(folder="more")

OWN = f"CREATE STREAMING TABLE t {RULE} AS SELECT id FROM STREAM {IN};"
SEVERAL = f"{OWN} CREATE FLOW more AS INSERT INTO t BY NAME SELECT id FROM STREAM {MORE};"
OF_A_VIEW = (
    f"CREATE TEMPORARY VIEW v {RULE} AS SELECT id FROM STREAM {IN};"
    " CREATE STREAMING TABLE t AS SELECT id FROM STREAM v;"
)
MATERIALIZED = f"CREATE MATERIALIZED VIEW t {RULE} AS SELECT id FROM {IN};"


class Project:
    def __init__(self, root: Path, sql: str, inputs: str) -> None:
        self.root, self.sql = root, sql
        for folder in ("in", "more"):
            (root / folder).mkdir()
        self.put(f"{inputs}/1.csv", 1, 200, 300)
        (root / "qanat.yml").write_text(SPEC)

    def put(self, path: str, *ids: int) -> None:
        (self.root / path).write_text("\n".join(["id", *map(str, ids), ""]))

    def run(self, limit: int, full_refresh: bool = False) -> UpdateResult:
        (self.root / "t.sql").write_text(self.sql.format(limit=limit))
        with Session.open(self.root) as session:
            return update(session, Selection(full_refresh_all=full_refresh))

    def well(self, limit: int) -> None:
        assert self.run(limit).status == "succeeded"
        with Session.open(self.root) as session:
            assert all(f.level != "error" for f in examine(session, self.root))


@pytest.mark.parametrize(
    ("sql", "inputs", "quarantine"),
    [
        (OWN, "in", "t__quarantine"),
        (SEVERAL, "more", "t__quarantine"),
        (OF_A_VIEW, "in", "v__quarantine"),
        (MATERIALIZED, "in", "t__quarantine"),
    ],
    ids=["own", "another flow's", "a view's", "a materialized view's"],
)
def test_a_quarantine_from_before_it_was_emptied(
    tmp_path: Path, sql: str, inputs: str, quarantine: str
) -> None:
    """Its rows are in the table now: they would be in two places, and a replay double them."""
    project = Project(tmp_path, sql, inputs)
    place, aside = tmp_path / "storage/tables" / quarantine, tmp_path / "aside"
    project.well(100)
    shutil.copytree(place, aside)
    assert project.run(500, full_refresh=True).status == "succeeded"
    project.well(500)
    shutil.rmtree(place)
    shutil.copytree(aside, place)
    (failed,) = project.run(500).failed
    assert isinstance(failed.error, HistoryMismatchError)
    assert "which emptied it" in str(failed.error)
    assert project.run(500, full_refresh=True).status == "succeeded"
    project.well(500)


def test_a_quarantine_that_is_made_only_after_the_table_was_replaced(tmp_path: Path) -> None:
    project = Project(tmp_path, SEVERAL, "in")
    project.well(500)
    assert project.run(500, full_refresh=True).status == "succeeded"
    assert not (tmp_path / "storage/tables/t__quarantine").exists()
    project.put("more/1.csv", 2, 600)
    project.well(500)
    # The flow that replaced the table has had no row in its quarantine.
    project.put("more/2.csv", 3)
    project.well(500)


def test_a_quarantine_that_was_lost_when_nothing_was_in_it(tmp_path: Path) -> None:
    project = Project(tmp_path, OWN, "in")
    project.well(100)
    assert project.run(500, full_refresh=True).status == "succeeded"
    shutil.rmtree(tmp_path / "storage/tables/t__quarantine")
    project.put("in/2.csv", 4)
    project.well(500)
