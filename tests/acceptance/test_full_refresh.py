"""A full refresh takes along what has to start over with it, and loses nothing unasked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import qanat
from qanat.errors import LedgerError, ResetError, RowsLostError
from qanat.ledgers.sql.ledger import SqlLedger
from qanat.model.event import DatasetStarted, Event
from qanat.model.record import Epoch
from qanat.project import Project
from tests.acceptance.projects import Shop

pytestmark = pytest.mark.anywhere

CHAIN = """
CREATE STREAMING TABLE bronze {bronze}AS SELECT * FROM STREAM read_files('data/*.csv');
CREATE TEMPORARY VIEW large (CONSTRAINT big EXPECT (x > 15) ON VIOLATION QUARANTINE ROW)
  AS SELECT * FROM STREAM bronze;
CREATE STREAMING TABLE silver {silver}AS SELECT id, x * 2 AS y FROM STREAM large;
CREATE MATERIALIZED VIEW total AS SELECT sum(y) AS s FROM silver;
CREATE STREAMING TABLE small AS SELECT id FROM STREAM large__quarantine;
CREATE STREAMING TABLE looks AS SELECT d.id FROM STREAM read_files('more/*.csv') d
  JOIN bronze USING (id);
"""
SINK = """
from qanat import pipelines as dp
dp.create_sink("out", "csv", {"path": "out"})
@dp.append_flow(target="out")
def send():
    return "SELECT * FROM STREAM silver"
"""
PROTECTED = "TBLPROPERTIES ('pipelines.reset.allowed' = 'false') "
ALONG = {"silver", "small", "out"}


class Stop:
    """Presses Ctrl-C when a dataset starts."""

    def __init__(self, dataset: str) -> None:
        self.dataset = dataset

    def on(self, event: Event) -> None:
        """Look at an event."""
        if isinstance(event, DatasetStarted) and event.dataset == self.dataset:
            raise KeyboardInterrupt


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project whose tables have been filled."""
    (tmp_path / "qanat.yml").write_text("name: p\n")
    for folder in ("data", "more", "transformations"):
        (tmp_path / folder).mkdir()
    declare(tmp_path)
    (tmp_path / "transformations/s.py").write_text(SINK)
    (tmp_path / "data/a.csv").write_text("id,x\n1,10\n2,20\n")
    (tmp_path / "data/b.csv").write_text("id,x\n3,30\n")
    (tmp_path / "more/c.csv").write_text("id\n1\n3\n")
    with qanat.open(tmp_path) as project:
        assert project.run().status == "succeeded"
    return tmp_path


def declare(root: Path, bronze: str = "", silver: str = "") -> None:
    """Declare the tables, with clauses of the two."""
    sql = CHAIN.format(bronze=bronze, silver=silver)
    (root / "transformations/t.sql").write_text(sql)


def steps(project: Project, **options: object) -> dict[str, tuple[str, str]]:
    """By dataset that an update would work on, its step and why."""
    plan = project.plan(**options)  # type: ignore[arg-type]
    return {d.dataset: (str(d.step), d.reason) for d in plan.datasets if d.step.works}


def updated(project: Project, **options: object) -> set[str]:
    """Run, and tell what was updated."""
    update = project.run(**options)  # type: ignore[arg-type]
    assert update.status == "succeeded", update
    return {d.dataset for d in update.datasets if d.status == "updated"}


def ids(project: Project, table: str) -> list[object]:
    """What a table holds."""
    return [row[0] for row in project.query(f"SELECT id FROM {table} ORDER BY id").rows()]


def test_what_has_read_it_as_a_stream_starts_over_with_it(root: Path) -> None:
    with qanat.open(root) as project:
        planned = steps(project, full_refresh="bronze")
        assert planned["bronze"] == ("full refresh", "asked for")
        because = "{} starts over, whose rows it has read as a stream"
        assert planned["silver"] == ("full refresh", because.format("bronze"))
        # The rows in the quarantine of the view came with silver.
        assert planned["small"] == planned["out"] == ("full refresh", because.format("silver"))
        # `looks` has read it as it was.
        assert planned.keys() == ALONG | {"bronze"}
        assert updated(project, full_refresh="bronze") == planned.keys()
        assert ids(project, "bronze") == [1, 2, 3]
        assert ids(project, "silver") == [2, 3]
        assert ids(project, "small") == [1]
        assert len(list((root / "out").glob("*.csv"))) == 2
        assert updated(project) == {"total"}
        assert updated(project) == set()


def test_only_leaves_the_readers_out(root: Path) -> None:
    with qanat.open(root) as project:
        assert steps(project, full_refresh="bronze", only=True).keys() == {"bronze"}
        assert updated(project, full_refresh="bronze", only=True) == {"bronze"}
        assert {d.dataset for d in project.run().failed} == {"silver"}
        assert updated(project, full_refresh=["silver", "small"]) == ALONG
        assert ids(project, "silver") == [2, 3]


@pytest.mark.parametrize("published", [True, False])
def test_a_reader_whose_first_epoch_a_crash_left_open_starts_over_with_it(
    root: Path, monkeypatch: pytest.MonkeyPatch, published: bool
) -> None:
    (root / "transformations/n.sql").write_text(
        "CREATE STREAMING TABLE new AS SELECT * FROM STREAM bronze;"
    )
    stage = "settle" if published else "prepare"
    real = getattr(SqlLedger, stage)

    def gone(*_: object) -> None:
        raise LedgerError("the ledger is gone")

    with qanat.open(root) as project:
        with monkeypatch.context() as patch:

            def lost(self: SqlLedger, epoch: Epoch, *values: Any) -> None:
                if epoch.dataset == "new":
                    patch.setattr(SqlLedger, "give_up", gone)
                    gone()
                real(self, epoch, *values)

            patch.setattr(SqlLedger, stage, lost)
            assert {d.dataset for d in project.run().failed} == {"new"}
        planned = steps(project, full_refresh="bronze")
        assert planned["new"][0] == "full refresh"
        assert (
            updated(project, full_refresh="bronze") == planned.keys() == ALONG | {"bronze", "new"}
        )
        assert ids(project, "new") == [1, 2, 3]


def test_a_reader_that_never_ran_is_not_taken_along(root: Path) -> None:
    (root / "transformations/n.sql").write_text(
        "CREATE STREAMING TABLE new AS SELECT * FROM STREAM bronze;"
    )
    with qanat.open(root) as project:
        assert "new" not in steps(project, full_refresh="bronze")
        step, _ = steps(project, full_refresh=True)["new"]
        assert step == "full refresh"


def test_nothing_is_taken_along_where_the_quarantine_of_a_view_lost_no_row(
    tmp_path: Path,
) -> None:
    (tmp_path / "qanat.yml").write_text("name: p\n")
    for folder in ("data", "transformations"):
        (tmp_path / folder).mkdir()
    declare(tmp_path)
    file = tmp_path / "transformations/t.sql"
    file.write_text(file.read_text().partition("CREATE STREAMING TABLE looks")[0])
    (tmp_path / "data/a.csv").write_text("id,x\n1,10\n")
    with qanat.open(tmp_path) as project:
        project.run()
        # All that is in the quarantine came with silver.
        assert steps(project, full_refresh="silver").keys() == {"silver", "small"}
    (tmp_path / "data/a.csv").unlink()
    (tmp_path / "data/b.csv").write_text("id,x\n1,20\n")
    with qanat.open(tmp_path) as project:
        updated(project, full_refresh=True, accept_loss=True)
        assert steps(project, full_refresh="silver").keys() == {"silver"}


def test_a_protected_table_is_not_replaced(root: Path) -> None:
    declare(root, bronze=PROTECTED.replace("pipelines.r", "Pipelines.R"))
    with qanat.open(root) as project:
        for ask in (project.plan, project.run):
            with pytest.raises(ResetError, match="bronze is protected"):
                ask(full_refresh=["bronze"])  # type: ignore[operator]
            with pytest.raises(ResetError, match="bronze is protected"):
                ask(full_refresh=["b*"])  # type: ignore[operator]
        assert project.plan("bronze").datasets[0].consequence == ""
        rule = "(CONSTRAINT known EXPECT (id > 0) ON VIOLATION DROP ROW) "
        declare(root, bronze=rule + PROTECTED.replace("pipelines.r", "Pipelines.R"))
        consequence = project.plan("bronze").datasets[0].consequence
        assert "pipelines.reset.allowed is false" in consequence
        planned = steps(project, full_refresh=True)
        assert "bronze" not in planned
        assert planned["silver"] == ("full refresh", "asked for")
        (root / "data/d.csv").write_text("id,x\n4,40\n")
        update = project.run(full_refresh=True)
        assert update.status == "succeeded"
        assert update["bronze"].counts.written == 1
        assert ids(project, "silver") == [2, 3, 4]


def test_nothing_starts_over_below_which_a_protected_table_reads_on(root: Path) -> None:
    declare(root, silver=PROTECTED.replace("false", "FALSE"))
    with qanat.open(root) as project:
        for full in ("bronze", True):
            with pytest.raises(ResetError, match="silver is protected") as caught:
                project.run(full_refresh=full)  # type: ignore[arg-type]
            assert caught.value.location is not None
            assert "leave bronze out" in str(caught.value.hint)
            # Left out, it could neither go on nor start over.
            for ask in (project.plan, project.run):
                with pytest.raises(ResetError, match="silver is protected"):
                    ask(full_refresh=full, only=True)  # type: ignore[operator]
        assert project.table("bronze").version == 0
        assert updated(project) == set()


def test_rows_whose_files_are_gone_are_not_lost_unasked(root: Path) -> None:
    (root / "data/b.csv").unlink()
    (root / "more/c.csv").unlink()
    with qanat.open(root) as project:
        for ask in (project.plan, project.run):
            with pytest.raises(RowsLostError) as caught:
                ask(full_refresh=["bronze"])  # type: ignore[operator]
            assert "1 of the 2 files that it has read" in caught.value.message
            assert "data/b.csv" in caught.value.message
            assert "up to 3 rows" in caught.value.message
            with pytest.raises(RowsLostError, match="so would looks"):
                ask(full_refresh=True)  # type: ignore[operator]
        assert ids(project, "bronze") == [1, 2, 3]
        assert updated(project) == set()
        # Its rows came out of a table that has them all.
        assert "silver" in updated(project, full_refresh="silver")
        plan = project.plan(full_refresh="bronze", accept_loss=True)
        assert "data/b.csv" in plan.datasets[0].consequence
        updated(project, full_refresh="bronze", accept_loss=True)
        assert ids(project, "bronze") == [1, 2]
        # What is lost is not lost again.
        updated(project, full_refresh="bronze")
        # All the files of a flow may be gone, and their folder.
        (root / "more").rmdir()
        with pytest.raises(RowsLostError, match="all files that it has read would not come back"):
            project.run(full_refresh="looks")


def test_files_that_were_only_looked_up_are_no_loss(tmp_path: Path) -> None:
    (tmp_path / "qanat.yml").write_text("name: p\n")
    for folder in ("data", "names", "transformations"):
        (tmp_path / folder).mkdir()
    (tmp_path / "transformations/t.sql").write_text(
        "CREATE STREAMING TABLE t AS SELECT d.id, n.name FROM STREAM read_files('data/*.csv') d"
        " LEFT JOIN read_files('names/*.csv') n USING (id);"
    )
    (tmp_path / "data/a.csv").write_text("id\n1\n2\n")
    (tmp_path / "names/a.csv").write_text("id,name\n1,one\n")
    (tmp_path / "names/b.csv").write_text("id,name\n2,two\n")
    with qanat.open(tmp_path) as project:
        updated(project)
        (tmp_path / "names/b.csv").unlink()
        assert updated(project, full_refresh="t") == {"t"}
        assert [r[1] for r in project.query("SELECT * FROM t ORDER BY id").rows()] == ["one", None]


def test_an_interrupted_full_refresh_goes_on_with_the_rest(root: Path) -> None:
    with qanat.open(root) as project:
        with pytest.raises(KeyboardInterrupt):
            project.run(full_refresh="bronze", observers=[Stop("silver")])
        newest = project.history(limit=1)[0].update
        assert (newest.status, newest.error) == ("failed", "interrupted (Ctrl-C)")
    with qanat.open(root) as project:
        planned = steps(project)
        assert "bronze" not in planned
        assert planned["silver"] == ("full refresh", "a full refresh was interrupted")
        assert planned.keys() >= ALONG
        assert updated(project) >= ALONG
        assert ids(project, "bronze") == [1, 2, 3]
        assert ids(project, "silver") == [2, 3]
        assert updated(project) == set()


LIMITED = (
    "CREATE STREAMING TABLE a (CONSTRAINT big EXPECT (id > {}) ON VIOLATION {}) {} AS"
    " SELECT * FROM STREAM read_files('data/*.csv', schema => 'id BIGINT');"
    "CREATE STREAMING TABLE b AS SELECT id FROM STREAM a;"
    "CREATE MATERIALIZED VIEW c AS SELECT count(*) AS n FROM b;"
)
LIMIT = "TBLPROPERTIES ('qanat.quarantine_limit' = '10 %')"


@pytest.mark.parametrize(
    ("action", "more", "why"),
    [
        ("QUARANTINE ROW", LIMIT, "1 row of 2 of a would go to quarantine"),
        ("FAIL UPDATE", "", "1 row of a violates big"),
    ],
)
def test_a_full_refresh_that_fails_changes_nothing(
    tmp_path: Path, action: str, more: str, why: str
) -> None:
    """Updates go on with what is new, where the one before it has stopped."""
    shop = Shop(tmp_path)
    shop.sql(LIMITED.format(0, action, more))
    shop.file("data/1.csv", "id\n1\n2\n")
    shop.run()
    shop.sql(LIMITED.format(1, action, more))
    failed = shop.update(full_refresh=("a",)).failed
    assert [(d.dataset, d.reason) for d in failed] == [("a", why)]
    with qanat.open(tmp_path) as project:
        assert steps(project) == {}
    assert {d.status for d in shop.run().values()} == {"unchanged"}
    shop.file("data/2.csv", "id\n3\n")
    assert {n: d.counts.written for n, d in shop.run().items()} == {"a": 1, "b": 1, "c": 1}
    assert shop.rows("b") == [(1,), (2,), (3,)]
    shop.sql(LIMITED.format(0, action, more))
    assert {d.status for d in shop.run(full_refresh=("a",)).values()} == {"updated"}
    assert shop.rows("b") == [(1,), (2,), (3,)]


def test_what_reads_a_table_that_did_start_over_still_has_to(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    reader = "CREATE STREAMING TABLE b (CONSTRAINT ok EXPECT (id < {}) ON VIOLATION FAIL UPDATE)"
    table, _, rest = LIMITED.format(0, "DROP ROW", "").partition("CREATE STREAMING TABLE b")
    shop.sql(table + reader.format(9) + rest)
    shop.file("data/1.csv", "id\n1\n2\n")
    shop.run()
    shop.sql(table + reader.format(2) + rest)
    assert [d.dataset for d in shop.update(full_refresh=("a",)).failed] == ["b"]
    with qanat.open(tmp_path) as project:
        assert steps(project)["b"] == ("full refresh", "a full refresh was interrupted")
    shop.sql(table + reader.format(9) + rest)
    shop.run()
    assert shop.rows("b") == [(1,), (2,)]
    assert {d.status for d in shop.run().values()} == {"unchanged"}


def test_what_an_interrupted_full_refresh_has_not_replaced_yet_can_still_be_lost(
    root: Path,
) -> None:
    """The table still has the rows of the generation before."""
    (root / "data/b.csv").rename(root / "b.csv")
    with qanat.open(root) as project:
        with pytest.raises(KeyboardInterrupt):
            project.run(full_refresh="bronze", accept_loss=True, observers=[Stop("bronze")])
        with pytest.raises(RowsLostError, match=r"data/b\.csv"):
            project.run(full_refresh="bronze")
        (failed,) = project.run().failed
        assert isinstance(failed.error, RowsLostError)
        assert ids(project, "bronze") == [1, 2, 3]
        (root / "b.csv").rename(root / "data/b.csv")
        updated(project)
        assert ids(project, "bronze") == [1, 2, 3]


@pytest.mark.parametrize("table_format", ["delta", "iceberg"])
def test_a_rule_keeps_the_same_rows_below_a_partitioned_table(
    tmp_path: Path, table_format: str
) -> None:
    shop = Shop(tmp_path)
    shop.file("qanat.yml", f"name: shop\ntable_format: {table_format}\n")
    shop.sql(
        "CREATE STREAMING TABLE bronze PARTITIONED BY (p)"
        " AS SELECT * FROM STREAM read_files('data/*.csv', schema => 'id BIGINT, p STRING');"
        "CREATE STREAMING TABLE silver"
        " (CONSTRAINT one EXPECT UNIQUE (id) ON VIOLATION DROP ROW)"
        " AS SELECT * FROM STREAM bronze;"
    )
    for number in range(3):
        # Each partition has each key, and the later files' names sort first.
        keys = [f"{n % 4},{9 - number}{p}" for n in range(8) for p in "dbeafc"]
        shop.file(f"data/{number}.csv", "id,p\n" + "\n".join(keys) + f"\n{10 + number},x\n")
        shop.run()
    before = shop.rows("silver")
    assert len(before) == 7
    shop.run(full_refresh=("silver",))
    assert shop.rows("silver") == before
