"""A new name is not a new thing: rows are not read again beside those that are there."""

from __future__ import annotations

from pathlib import Path

import pytest

import qanat
from qanat.errors import RereadError
from qanat.project import Project

CHAIN = """
CREATE STREAMING TABLE bronze AS SELECT * FROM STREAM read_files('data/*.csv');
CREATE STREAMING TABLE silver AS SELECT id, x FROM STREAM bronze;
CREATE MATERIALIZED VIEW total AS SELECT sum(x) AS s FROM silver;
"""
FLOWS = """
from qanat import pipelines as dp
dp.create_streaming_table("all_rows")
dp.create_sink("out", "csv", {"path": "out"})
@dp.append_flow(target="all_rows")
def NAME():
    return "SELECT * FROM STREAM read_files('data/*.csv'LIMIT)"
@dp.append_flow(target="out")
def send_NAME():
    return "SELECT * FROM STREAM all_rows"
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project that declares nothing yet, with two files."""
    (tmp_path / "qanat.yml").write_text("name: p\n")
    for folder in ("data", "transformations"):
        (tmp_path / folder).mkdir()
    (tmp_path / "data/a.csv").write_text("id,x\n1,10\n")
    (tmp_path / "data/b.csv").write_text("id,x\n2,20\n")
    return tmp_path


def declare(root: Path, text: str, file: str = "t.sql") -> None:
    """Write what the project declares."""
    (root / "transformations" / file).write_text(text)


def flows(root: Path, name: str, limit: str = "") -> None:
    """Declare a table and a sink with a flow each, of that name."""
    declare(root, FLOWS.replace("NAME", name).replace("LIMIT", limit), "f.py")


def ids(project: Project, table: str) -> list[object]:
    """What a table holds."""
    return [row[0] for row in project.query(f"SELECT id FROM {table} ORDER BY id").rows()]


def run(project: Project, **options: object) -> dict[str, str]:
    """By dataset what became of it; what a plan says is what happens."""
    planned = {d.dataset: d for d in project.plan(**options).datasets}  # type: ignore[arg-type]
    update = project.run(**options)  # type: ignore[arg-type]
    for done in update.failed:
        assert isinstance(done.error, RereadError), done.error
        assert str(planned[done.dataset].step) == "fail"
        said, _, amount = planned[done.dataset].reason.partition(" (")
        assert done.reason.startswith(said)
        assert amount.startswith("all of it") or done.reason.endswith(amount)
    failed = {d.dataset for d in update.failed}
    assert {n for n, d in planned.items() if str(d.step) == "fail"} == failed
    return {d.dataset: d.status for d in update.datasets}


def test_a_renamed_dataset_doubles_nothing(root: Path) -> None:
    declare(root, CHAIN)
    with qanat.open(root) as project:
        run(project)
        declare(root, CHAIN.replace("bronze", "raw"))
        done = run(project)
        assert done == {"raw": "updated", "silver": "failed", "total": "skipped"}
        error = project.run().failed[0].error
        assert error is not None
        assert error.location is not None
        assert "read raw from its start (2 rows), beside what it has read of bronze" in str(error)
        assert ids(project, "silver") == [1, 2]
        assert project.query("SELECT s FROM total").rows() == [(30,)]
        # Each of the ways that the error names.
        declare(root, CHAIN)
        assert set(run(project).values()) == {"unchanged"}
        declare(root, CHAIN.replace("bronze", "raw"))
        assert run(project, full_refresh="silver") == {"silver": "updated"}
        assert ids(project, "silver") == [1, 2]
        assert run(project)["silver"] == "unchanged"


def test_rows_are_read_again_when_asked(root: Path) -> None:
    declare(root, CHAIN)
    with qanat.open(root) as project:
        run(project)
        declare(root, CHAIN.replace("bronze", "raw"))
        run(project)
        assert run(project, read_again="silver")["silver"] == "updated"
        assert ids(project, "silver") == [1, 1, 2, 2]
        (root / "data/c.csv").write_text("id,x\n3,30\n")
        assert set(run(project).values()) == {"updated"}
        assert ids(project, "silver") == [1, 1, 2, 2, 3]


@pytest.mark.parametrize("limit", ["", ", max_files_per_trigger => 1"])
def test_a_renamed_flow_doubles_nothing(root: Path, limit: str) -> None:
    flows(root, "one", limit)
    with qanat.open(root) as project:
        run(project)
        (root / "data/0.csv").write_text("id,x\n0,0\n")
        flows(root, "two", limit)
        assert run(project) == {"all_rows": "failed", "out": "skipped"}
        assert run(project, select="out") == {"out": "failed"}
        assert ids(project, "all_rows") == [1, 2]
        sent = sorted((root / "out").glob("*.csv"))
        flows(root, "one", limit)
        assert run(project) == {"all_rows": "updated", "out": "updated"}
        assert ids(project, "all_rows") == [0, 1, 2]
        assert len(list((root / "out").glob("*.csv"))) == len(sent) + 1


def test_a_layer_in_between_doubles_nothing(root: Path) -> None:
    direct = "CREATE STREAMING TABLE silver AS SELECT id, x FROM STREAM read_files('data/*.csv');"
    declare(root, direct)
    with qanat.open(root) as project:
        run(project)
        declare(root, CHAIN)
        assert run(project)["silver"] == "failed"
        run(project, full_refresh="silver")
        declare(root, direct)
        assert run(project)["silver"] == "failed"
        assert ids(project, "silver") == [1, 2]


def test_the_case_of_a_name_does_not_matter_to_its_readers(root: Path) -> None:
    declare(root, CHAIN)
    with qanat.open(root) as project:
        run(project)
        declare(root, CHAIN.replace("bronze", "Bronze"))
        (root / "data/c.csv").write_text("id,x\n3,30\n")
        assert run(project)["Bronze"] == "failed"
        assert ids(project, "silver") == [1, 2]


def test_other_sources_may_come_and_go(root: Path) -> None:
    (root / "more").mkdir()
    (root / "more/c.csv").write_text("id,x\n3,30\n")
    read = "CREATE STREAMING TABLE t AS SELECT * FROM STREAM read_files('{}');"
    insert = "CREATE FLOW {0} AS INSERT INTO t BY NAME SELECT * FROM STREAM read_files('{0}');"
    empty = "CREATE STREAMING TABLE t;"
    declare(root, read.format("data/a.csv"))
    with qanat.open(root) as project:
        run(project)
        # Files are known one by one: none of them is read twice.
        declare(root, read.format("data/*.csv"))
        assert run(project) == {"t": "updated"}
        declare(root, read.format("{data,more}/*.csv"))
        assert run(project) == {"t": "updated"}
        assert ids(project, "t") == [1, 2, 3]
        run(project, full_refresh="t")
        # A flow that only comes has nothing to do with what is there.
        declare(root, empty + insert.format("data"))
        assert run(project)["t"] == "failed"
        run(project, full_refresh="t", accept_loss=True)
        declare(root, empty + insert.format("data") + insert.format("more"))
        assert run(project) == {"t": "updated"}
        # One that goes takes nothing with it; one with other files may come instead.
        declare(root, empty + insert.format("more"))
        assert run(project) == {"t": "unchanged"}
        (root / "new").mkdir()
        (root / "new/d.csv").write_text("id,x\n4,40\n")
        declare(root, empty + insert.format("more") + insert.format("new"))
        assert run(project) == {"t": "updated"}
        assert ids(project, "t") == [1, 2, 3, 4]
