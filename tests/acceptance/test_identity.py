"""A new name is not a new thing: rows are not read again beside those that are there."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import qanat
from qanat.connectors.files.sink import FilesSink
from qanat.errors import AdapterError, LedgerError, RereadError
from qanat.ledgers.sql.ledger import SqlLedger
from qanat.model.record import Epoch
from qanat.project import Project

pytestmark = pytest.mark.anywhere

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
        assert run(project) == {"raw": "failed", "silver": "skipped", "total": "skipped"}
        done = run(project, read_again="raw")
        assert done == {"raw": "updated", "silver": "failed", "total": "skipped"}
        error = project.run().failed[0].error
        assert error is not None
        assert error.location is not None
        assert "read raw from its start (2 rows), beside what it has read of bronze" in str(error)
        assert error.hint is not None
        assert error.hint.startswith("if only a name has changed: qanat rename bronze raw, or")
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
        run(project, read_again="raw")
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


def test_a_folder_that_was_moved_is_not_read_again(root: Path) -> None:
    declare(root, CHAIN)
    with qanat.open(root) as project:
        run(project)
        (root / "data").rename(root / "incoming")
        (root / "incoming/new.csv").write_text("id,x\n3,30\n")
        declare(root, CHAIN.replace("data/", "incoming/"))
        assert run(project)["bronze"] == "failed"
        way = "qanat rename 'data/*.csv' 'incoming/*.csv'"
        assert way in str(project.plan("bronze"))
        project.rename("data/*.csv", "incoming/*.csv")
        assert run(project)["bronze"] == "updated"
        assert ids(project, "bronze") == [1, 2, 3]


def test_another_folder_with_files_of_the_same_names_is_read(root: Path) -> None:
    declare(root, CHAIN)
    with qanat.open(root) as project:
        run(project)
        shutil.copytree(root / "data", root / "next")
        declare(root, CHAIN.replace("data/", "next/"))
        assert run(project)["bronze"] == "updated"
        assert ids(project, "bronze") == [1, 1, 2, 2]


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


@pytest.mark.on_disk
def test_a_new_dataset_reads_nothing_again_that_a_vanished_one_has(root: Path) -> None:
    one = "CREATE STREAMING TABLE one AS SELECT * FROM STREAM read_files('data/*.csv');"
    two = one.replace("one", "two").replace("data/*", "d*/*")
    declare(root, one)
    with qanat.open(root) as project:
        run(project)
        # Beside it, it is another table.
        declare(root, one + two)
        assert run(project) == {"one": "unchanged", "two": "updated"}
        declare(root, one.replace("one", "three"))
        assert run(project) == {"three": "failed"}
        error = project.run().failed[0].error
        assert error is not None
        assert error.message == (
            "three would read data/*.csv from its start (2 files, 20 B), as one has, which is no"
            " longer declared"
        )
        assert error.hint == (
            "if only the name has changed: qanat rename one three, or take the old one; if it is"
            " another streaming table: qanat run --read-again three"
        )
        assert run(project, read_again="three") == {"three": "updated"}
        assert ids(project, "three") == [1, 2]
        assert run(project) == {"three": "unchanged"}
        # To start over is to want them from the start.
        declare(root, one.replace("one", "four"))
        assert run(project, full_refresh="four") == {"four": "updated"}
        # Other files are other rows, and what is deleted is not doubled.
        (root / "new").mkdir()
        (root / "new/c.csv").write_text("id,x\n3,30\n")
        declare(root, one.replace("one", "five").replace("data", "new"))
        assert run(project) == {"five": "updated"}
        for name in ("one", "two", "three", "four"):
            shutil.rmtree(root / "storage/tables" / name)
        declare(root, one.replace("one", "six"))
        assert run(project) == {"six": "updated"}


def test_a_renamed_sink_sends_nothing_again(root: Path) -> None:
    flows(root, "one")
    text = (root / "transformations/f.py").read_text()
    renamed = text.replace('sink("out"', 'sink("to"').replace('target="out"', 'target="to"')
    with qanat.open(root) as project:
        run(project)
        sent = sorted((root / "out").glob("*.csv"))
        # Its flow has the old name, and yet another target.
        declare(root, renamed, "f.py")
        assert run(project) == {"all_rows": "unchanged", "to": "failed"}
        assert "qanat rename out to" in str(project.plan())
        project.rename("out", "to")
        (root / "data/c.csv").write_text("id,x\n3,30\n")
        assert run(project) == {"all_rows": "updated", "to": "updated"}
        assert len(list((root / "out").glob("*.csv"))) == len(sent) + 1
        declare(root, text.replace("send_one", "send"), "f.py")
        assert run(project) == {"all_rows": "unchanged", "out": "failed"}
        assert len(list((root / "out").glob("*.csv"))) == len(sent) + 1
        # To another place it is all sent, as to any new one.
        declare(root, text.replace("send_one", "send").replace('"out"', '"x"'), "f.py")
        assert run(project) == {"all_rows": "unchanged", "x": "updated"}
        assert len(list((root / "x").glob("*.csv"))) == 1


def unsettled(project: Project, dataset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run, with the ledger lost just before it is told that an epoch of a dataset is done."""
    settle = SqlLedger.settle

    def lost(self: SqlLedger, epoch: Epoch, *values: Any) -> None:
        if epoch.dataset == dataset:
            raise LedgerError("the ledger is gone")
        settle(self, epoch, *values)

    with monkeypatch.context() as patch:
        patch.setattr(SqlLedger, "settle", lost)
        assert dataset in {d.dataset for d in project.run().failed}


@pytest.mark.parametrize("before", [False, True], ids=["first epoch", "second epoch"])
@pytest.mark.parametrize("through", ["all_rows", "read_files('data/*.csv')"])
def test_a_sink_that_is_renamed_before_its_epoch_is_settled_sends_nothing_again(
    root: Path, monkeypatch: pytest.MonkeyPatch, before: bool, through: str
) -> None:
    flows(root, "one")
    text = (
        (root / "transformations/f.py").read_text().replace("STREAM all_rows", f"STREAM {through}")
    )
    declare(root, text, "f.py")
    with qanat.open(root) as project:
        if before:
            run(project)
            (root / "data/c.csv").write_text("id,x\n3,30\n")
        unsettled(project, "out", monkeypatch)
        sent = sorted((root / "out").glob("*.csv"))
        assert len(sent) == 1 + before
        renamed = text.replace('sink("out"', 'sink("to"').replace('target="out"', 'target="to"')
        declare(root, renamed, "f.py")
        for _ in range(2):
            assert run(project)["to"] == "failed"
            assert "qanat rename out to" in str(project.plan())
        project.rename("out", "to")
        assert run(project)["to"] == "unchanged"
        assert sorted((root / "out").glob("*.csv")) == sent
        (root / "data/d.csv").write_text("id,x\n4,40\n")
        assert run(project)["to"] == "updated"
        assert len(list((root / "out").glob("*.csv"))) == len(sent) + 1


def test_a_renamed_sink_that_cannot_be_asked_sends_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flows(root, "one")
    text = (root / "transformations/f.py").read_text()
    with qanat.open(root) as project:
        unsettled(project, "out", monkeypatch)
        renamed = text.replace('sink("out"', 'sink("to"').replace('target="out"', 'target="to"')
        declare(root, renamed, "f.py")

        def gone(*_: Any) -> bool:
            raise AdapterError("the folder is not mounted")

        with monkeypatch.context() as patch:
            patch.setattr(FilesSink, "carries", gone)
            (failed,) = project.run().failed
        assert failed.dataset == "to"
        assert failed.reason == "the folder is not mounted"
        assert len(list((root / "out").glob("*.csv"))) == 1
        assert run(project)["to"] == "failed"


def test_a_sink_that_is_renamed_and_sent_elsewhere_before_it_is_settled_is_another(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flows(root, "one")
    text = (root / "transformations/f.py").read_text()
    with qanat.open(root) as project:
        unsettled(project, "out", monkeypatch)
        declare(root, text.replace('"out"', '"to"'), "f.py")
        assert run(project)["to"] == "updated"
        assert len(list((root / "to").glob("*.csv"))) == 1


def test_a_table_that_is_renamed_before_its_first_epoch_is_settled_doubles_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = "CREATE STREAMING TABLE {0} AS SELECT * FROM STREAM read_files('data/*.csv');"
    declare(root, table.format("bronze"))
    with qanat.open(root) as project:
        unsettled(project, "bronze", monkeypatch)
        declare(root, table.format("raw"))
        for _ in range(2):
            assert run(project) == {"raw": "failed"}
            assert "qanat rename bronze raw" in str(project.plan())
        project.rename("bronze", "raw")
        assert run(project) == {"raw": "unchanged"}
        assert ids(project, "raw") == [1, 2]


def test_a_flow_that_was_to_run_once_goes_without_a_question(root: Path) -> None:
    base = "CREATE STREAMING TABLE {0} AS SELECT * FROM STREAM read_files('data/{0}.csv');"
    once = "CREATE FLOW {0} AS INSERT INTO ONCE t BY NAME SELECT * FROM STREAM {1};"
    every = once.replace(" ONCE", "")
    (root / "c").mkdir()
    (root / "c/c.csv").write_text("id,x\n3,30\n")
    tables = base.format("a") + base.format("b") + "CREATE STREAMING TABLE t;"
    tables += "CREATE FLOW c AS INSERT INTO t BY NAME SELECT * FROM STREAM read_files('c/*.csv');"
    declare(root, tables + once.format("backfill", "a"))
    with qanat.open(root) as project:
        run(project)
        assert ids(project, "t") == [1, 3]
        declare(root, tables)
        run(project)
        # Not what it has read: that would be there twice.
        declare(root, tables + every.format("daily", "a"))
        assert run(project)["t"] == "failed"
        declare(root, tables + every.format("daily", "b"))
        assert run(project)["t"] == "updated"
        assert ids(project, "t") == [1, 2, 3]
    # One that runs once, too, may be the same under another name.
    declare(root, tables + every.format("daily", "b") + once.format("fill", "b"))
    with qanat.open(root) as project:
        assert run(project)["t"] == "failed"
