"""`rename` and `drop`: what a name has moves or goes with it, and nothing is read twice."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import qanat
from qanat.errors import DatasetNotFoundError, OptionError, PlanError, UpdateRunningError
from qanat.model.event import Event, LeaseAwaited
from qanat.model.pipeline import application
from qanat.project import Project
from qanat.run.rename import planned
from tests.acceptance.test_identity import CHAIN, declare, flows, ids, root, run

__all__ = ["root"]

pytestmark = pytest.mark.anywhere

FULL = """
CREATE STREAMING TABLE bronze (CONSTRAINT small EXPECT (x < 100) ON VIOLATION QUARANTINE ROW)
AS SELECT * FROM STREAM read_files('data/*.csv');
CREATE TEMPORARY VIEW seen (CONSTRAINT even EXPECT (id % 2 = 0) ON VIOLATION QUARANTINE ROW)
AS SELECT * FROM STREAM bronze;
CREATE STREAMING TABLE silver AS SELECT id, x FROM STREAM seen;
CREATE STREAMING TABLE bad AS SELECT id FROM STREAM bronze__quarantine;
CREATE MATERIALIZED VIEW total AS SELECT sum(x) AS s FROM bronze;
"""
"""A table and a view with quarantines, and every kind of reader."""


def without(name: str, text: str) -> str:
    """The declarations without those of a dataset, which are a line of their own."""
    return "\n".join(line for line in text.splitlines() if f"TABLE {name} " not in line)


def unchanged(project: Project) -> None:
    """Nothing is new, neither to a plan nor to an update."""
    plan = project.plan()
    assert {str(d.definition) for d in plan.datasets} == {"unchanged"}, str(plan)
    assert {str(d.step) for d in plan.datasets} == {"skip"}, str(plan)
    assert set(run(project).values()) == {"unchanged"}


def numbers(project: Project, table: str, *names: str) -> list[int]:
    """The number of the last commit of each flow in a table's log."""
    session = project.session
    return [session.store.transaction(session.table(table), application(n)) for n in names]


@pytest.mark.parametrize("format", ["delta", "iceberg"])
def test_a_dataset_moves_with_all_that_it_has(root: Path, format: str) -> None:
    (root / "qanat.yml").write_text(f"name: p\ntable_format: {format}\n")
    declare(root, CHAIN)
    with qanat.open(root) as project:
        run(project)
        (root / "data/c.csv").write_text("id,x\n3,30\n")
        run(project)
        declare(root, CHAIN.replace("bronze", "raw"))
        assert "qanat rename bronze raw" in str(project.plan())
        assert str(project.rename("bronze", "raw")).startswith("bronze is called raw now")
        assert project.query("SELECT s FROM total").rows() == [(60,)]
        unchanged(project)
        assert numbers(project, "raw", "raw", "bronze") == [2, 0]
        assert not project.session.table_named("bronze").folder.exists()
        (root / "data/d.csv").write_text("id,x\n4,40\n")
        assert set(run(project).values()) == {"updated"}
        assert ids(project, "raw") == ids(project, "silver") == [1, 2, 3, 4]
        assert project.query("SELECT s FROM total").rows() == [(100,)]
        assert project.query("SELECT count(*) AS n FROM raw VERSION AS OF 0").rows() == [(2,)]
        # The history goes along, and tells of the renaming.
        entries = project.history("raw")
        assert [len(e.epochs) for e in entries] == [1, 1, 1]
        assert project.history()[1].update.command == "rename bronze raw"
        # What was called so before may be declared again.
        declare(root, CHAIN.replace("bronze", "raw"))
        extra = "CREATE STREAMING TABLE bronze AS SELECT id FROM STREAM raw;"
        declare(root, extra, "u.sql")
        assert run(project)["bronze"] == "updated"
        assert ids(project, "bronze") == [1, 2, 3, 4]
        # A full refresh counts on from there.
        run(project, full_refresh="raw")
        assert ids(project, "silver") == [1, 2, 3, 4]


def test_quarantines_views_and_every_reader_come_along(root: Path) -> None:
    (root / "data/b.csv").write_text("id,x\n2,20\n3,300\n")
    declare(root, FULL)
    with qanat.open(root) as project:
        run(project)
        assert [len(project.quarantine(d)) for d in ("bronze", "seen")] == [1, 1]
        renamed = FULL.replace("bronze", "raw").replace("seen", "looked_at")
        declare(root, renamed)
        project.rename("seen", "looked_at")
        project.rename("bronze", "raw")
        assert [len(project.quarantine(d)) for d in ("raw", "looked_at")] == [1, 1]
        # A view that reads the table is computed again: to know that it need not costs more.
        assert {n for n, s in run(project).items() if s != "unchanged"} <= {"total"}
        unchanged(project)
        assert ids(project, "bad") == [3]
        # Rows in quarantine are still those of their flow: a replay and a refresh take them.
        declare(root, without("bad", renamed.replace("100", "500")))
        assert [r.replayed for r in project.replay("raw")] == [1]
        run(project)
        assert ids(project, "raw") == [1, 2, 3]
        run(project, full_refresh="silver")
        assert [len(project.quarantine(d)) for d in ("raw", "looked_at")] == [0, 2]
        assert ids(project, "silver") == [2]


@pytest.mark.parametrize("limit", ["", ", max_files_per_trigger => 1"])
def test_a_flow_moves_and_nothing_is_sent_again(root: Path, limit: str) -> None:
    flows(root, "one", limit)
    with qanat.open(root) as project:
        run(project)
        sent = sorted((root / "out").glob("*.csv"))
        flows(root, "two", limit)
        assert "qanat rename one two" in str(project.plan())
        project.rename("one", "two")
        assert "qanat rename send_one send_two" in str(project.plan())
        project.rename("send_one", "send_two")
        unchanged(project)
        assert sorted((root / "out").glob("*.csv")) == sent
        (root / "data/0.csv").write_text("id,x\n0,0\n")
        run(project)
        assert ids(project, "all_rows") == [0, 1, 2]
        new = set((root / "out").glob("*.csv")) - set(sent)
        assert [p.read_text() for p in new] == ["id,x\n0,0\n"]
        # The sink itself, with its flow.
        text = (root / "transformations/f.py").read_text()
        text = text.replace('"out",', '"sent",').replace('"out")', '"sent")')
        declare(root, text, "f.py")
        project.rename("out", "sent")
        unchanged(project)
        # A dropped sink that is declared again sends everything, and counts on.
        declare(
            root, re.sub(r'dp.create_sink.*|@dp.append_flow.target="sent"[^@]*', "", text), "f.py"
        )
        before = set((root / "out").glob("*.csv"))
        project.drop("sent")
        assert set((root / "out").glob("*.csv")) == before
        declare(root, text, "f.py")
        run(project)
        again = set((root / "out").glob("*.csv")) - before
        assert sum(len(p.read_text().splitlines()) - 1 for p in again) == 3
        unchanged(project)


def test_a_source_moves_with_what_was_read_of_it(root: Path) -> None:
    declare(root, CHAIN)
    with qanat.open(root) as project:
        run(project)
        (root / "data").rename(root / "incoming")
        declare(root, CHAIN.replace("data/*.csv", "incoming/*.csv"))
        with pytest.raises(PlanError, match="no flow reads 'incomin"):
            project.rename("data/*.csv", "incoming/*.CSV")
        project.rename("data/*.csv", "incoming/*.csv")
        unchanged(project)
        (root / "incoming/c.csv").write_text("id,x\n3,30\n")
        run(project)
        assert ids(project, "silver") == [1, 2, 3]
        # What was read before is known to a full refresh as well.
        (root / "incoming/a.csv").unlink()
        with pytest.raises(qanat.errors.QanatError, match=r"1 of the 3 files .*incoming/a\.csv"):
            project.run(full_refresh="bronze")


@pytest.mark.on_disk
@pytest.mark.parametrize("format", ["delta", "iceberg"])
def test_a_dropped_dataset_begins_anew(root: Path, format: str) -> None:
    (root / "qanat.yml").write_text(f"name: p\ntable_format: {format}\n")
    (root / "data/b.csv").write_text("id,x\n2,20\n3,300\n")
    rest = FULL.replace("bronze", "raw")
    declare(root, FULL)
    with qanat.open(root) as project:
        run(project)
        run(project, full_refresh="silver")
        declare(root, rest)
        removed = project.plan().datasets[-1]
        assert "qanat drop bronze" in removed.consequence
        assert str(project.drop("BRONZE")) == (
            "bronze is dropped, with its table, quarantine and positions."
        )
        places = {p.name for p in (root / "storage/tables").iterdir()}
        assert not any("bronze" in p or p.startswith(".") for p in places)
        assert "bronze" not in {d.dataset for d in project.plan().datasets}
        with pytest.raises(DatasetNotFoundError):
            project.drop("bronze")
        # Past updates still have its epochs.
        assert "bronze" in {e.dataset for h in project.history() for e in h.epochs}
        # Declared again, with other rows: it begins anew, and its reader still has the old ones.
        for file in (root / "data").iterdir():
            file.unlink()
        (root / "data/a.csv").write_text("id,x\n4,40\n5,500\n")
        declare(root, FULL)
        plan = {d.dataset: d.reason for d in project.plan().datasets}
        assert plan["bronze"] == "it has never run"
        assert plan["silver"].startswith("silver has read a table bronze that was dropped")
        done = run(project)
        assert (done["silver"], done["bad"]) == ("failed", "failed")
        assert (ids(project, "silver"), ids(project, "bad")) == ([2], [3])
        run(project, read_again=("silver", "bad"))
        assert ids(project, "bronze") == [4]
        assert ids(project, "silver") == [2, 4]
        assert ids(project, "bad") == [3, 5]
        assert project.query("SELECT s FROM total").rows() == [(40,)]
        assert len(project.history("bronze")) == 1
        unchanged(project)
        # A flow leaves no rows in the quarantines of views that it reads.
        assert len(project.quarantine("seen")) == 1
        declare(root, without("silver", FULL))
        project.drop("silver")
        assert len(project.quarantine("seen")) == 0
        declare(root, FULL)
        run(project)
        assert ids(project, "silver") == [4]
        unchanged(project)


@pytest.mark.on_disk
def test_a_table_that_takes_the_name_of_a_dropped_one_doubles_nothing(root: Path) -> None:
    rest = "CREATE MATERIALIZED VIEW total AS SELECT 1 AS s;"
    declare(root, CHAIN)
    with qanat.open(root) as project:
        run(project)
        declare(root, rest)
        project.drop("bronze")
        (root / "data/a.csv").write_text("id,x\n7,1\n")
        (root / "data/b.csv").write_text("id,x\n8,1\n")
        declare(root, CHAIN)
        assert run(project, select="bronze") == {"bronze": "updated"}
        assert run(project) == {"bronze": "unchanged", "silver": "failed", "total": "skipped"}
        error = project.run().failed[0].error
        assert error is not None
        assert error.hint == (
            "start over: qanat run --full-refresh silver; if these are other rows:"
            " qanat run --read-again silver"
        )
        assert "would read another one (2 rows) beside it" in str(error)
        run(project, full_refresh="silver")
        run(project)
        assert ids(project, "silver") == [7, 8]
        unchanged(project)
        # It is dropped once more, and nothing has been read of the next one: nothing to ask about.
        declare(root, rest)
        project.drop("bronze")
        project.drop("silver")
        declare(root, CHAIN)
        run(project)
        assert ids(project, "silver") == [7, 8]
        unchanged(project)


def test_names_that_differ_in_case_and_names_of_other_letters(root: Path) -> None:
    declare(root, CHAIN)
    with qanat.open(root) as project:
        run(project)
        for old, new in (("bronze", "Bronze"), ("Bronze", "größe 50%"), ("größe 50%", "ROH")):
            declare(root, CHAIN.replace("bronze", f'"{new}"'))
            project.rename(old, new)
            assert ids(project, f'"{new}"') == [1, 2]
        unchanged(project)


REFUSED: dict[str, tuple[str, str, type[Exception], str]] = {
    "empty": ("bronze", " ", PlanError, "a name is empty"),
    "the same": ("bronze", "bronze", PlanError, "has that name already"),
    "unknown": ("bronce", "raw", DatasetNotFoundError, "nothing that was ever run"),
    "declared": ("silver", "raw", PlanError, "silver is still declared"),
    "of another kind": ("bronze", "total", PlanError, "declared as a materialized view"),
    "taken": ("bronze", "silver", PlanError, "has a table already"),
    "not declared": ("bronze", "rwa", PlanError, "no dataset rwa is declared"),
    "no name": ("bronze", "a/b", OptionError, "cannot be a folder"),
    "a quarantine's": ("bronze", "x__quarantine", OptionError, "belongs to a quarantine"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_renamed(root: Path, case: str) -> None:
    old, new, error, text = REFUSED[case]
    declare(root, CHAIN)
    with qanat.open(root) as project:
        run(project)
        declare(
            root,
            "\n".join(CHAIN.replace("STREAM bronze", "STREAM raw").splitlines()).replace(
                "TABLE bronze", "TABLE raw"
            ),
        )
        with pytest.raises(error, match=text) as caught:
            project.rename(old, new)
        assert len(project.history()) == 1
        if case == "unknown":
            assert caught.value.nearest == "bronze"  # type: ignore[attr-defined]
        if case == "not declared":
            assert caught.value.hint == "qanat rename bronze raw"  # type: ignore[attr-defined]
        if case == "declared":
            assert caught.value.location is not None  # type: ignore[attr-defined]


def test_a_declared_dataset_is_not_dropped(root: Path) -> None:
    declare(root, CHAIN)
    with qanat.open(root) as project:
        run(project)
        with pytest.raises(PlanError, match="bronze is still declared") as caught:
            project.drop("Bronze")
        assert caught.value.location is not None
        assert caught.value.hint is not None
        assert "--full-refresh bronze" in caught.value.hint
        with pytest.raises(DatasetNotFoundError):
            project.drop("bronz")


def test_what_another_environment_has(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that is read from another environment gets its name, or goes, over there."""
    monkeypatch.delenv("QANAT__STORAGE", raising=False)  # one place for all environments
    (root / "qanat.yml").write_text("name: p\nenvironments: {prod: {}, feature: {from: prod}}\n")
    declare(root, CHAIN)
    with qanat.open(root, "prod") as project:
        run(project)
    declare(root, CHAIN.replace("bronze", "raw"))
    with qanat.open(root, "feature") as project:
        with pytest.raises(DatasetNotFoundError, match="environment feature") as caught:
            project.rename("bronze", "raw")
        assert str(caught.value.hint).endswith("qanat rename bronze raw -e prod")
        with pytest.raises(DatasetNotFoundError, match="environment feature") as caught:
            project.drop("bronze")
        assert str(caught.value.hint).endswith("qanat drop bronze -e prod")


def test_what_is_still_read_is_not_dropped(root: Path) -> None:
    declare(root, CHAIN)
    with qanat.open(root) as project:
        run(project)
        declare(root, without("bronze", CHAIN))
        with pytest.raises(PlanError, match="bronze is no longer declared, but still read") as no:
            project.drop("bronze")
        assert no.value.location is not None


def test_what_was_interrupted_is_told_and_finished(root: Path) -> None:
    declare(root, CHAIN)
    with qanat.open(root) as project:
        run(project)
        declare(root, CHAIN.replace("bronze", "raw"))
        project.validate()  # reads the files
        ledger = project.session.ledger
        lease = ledger.acquire("dies", 60)
        ledger.begin_move(planned(project.session, "dies", "bronze", "raw"), lease)
        ledger.release(lease)
        with pytest.raises(PlanError, match="`qanat rename bronze raw` was interrupted"):
            project.plan()
        assert {d.status for d in project.run().datasets} == {"unchanged"}
        assert "finished `qanat rename bronze raw`, which was interrupted" in str(project.events())
        assert ids(project, "raw") == [1, 2]
        unchanged(project)


@pytest.mark.parametrize("finished", [True, False])
def test_an_update_waits_for_another_one_that_finishes_a_renaming(
    root: Path, finished: bool
) -> None:
    other = "CREATE STREAMING TABLE other AS SELECT * FROM STREAM read_files('data/*.csv');"
    declare(root, CHAIN + other)
    with qanat.open(root) as project, qanat.open(root) as rival:
        run(project)
        declare(root, CHAIN.replace("bronze", "raw") + other)
        project.validate()  # reads the files
        ledger = rival.session.ledger
        lease = ledger.acquire("dies", 60)
        move = planned(project.session, "dies", "bronze", "raw")
        ledger.begin_move(move, lease)
        ledger.release(lease)
        lease = ledger.acquire("finishes", 60, ["silver"])
        lease = ledger.extend(lease, ["bronze", "raw"])
        with pytest.raises(UpdateRunningError):
            project.run("other")
        awaited: list[str] = []

        class End:
            """Lets the other update end once it is waited for."""

            def on(self, event: Event) -> None:
                if isinstance(event, LeaseAwaited):
                    awaited.append(event.holder)
                    if finished:
                        rival.session.look_again()
                        for name in ("bronze", "bronze__quarantine"):
                            at = [rival.session.table_named(n) for n in (name, "raw" + name[6:])]
                            rival.session.store.move(*at)
                        for table in ("raw", "silver"):
                            place = rival.session.table_named(table)
                            old, new = application("bronze"), application("raw")
                            rival.session.store.rename_application(place, old, new)
                        ledger.end_move(move, lease)
                    ledger.release(lease)

        update = project.run("other", wait=True, observers=[End()])
        assert update.status == "succeeded"
        assert awaited == ["finishes"]
        assert ledger.leases() == []
        assert ids(project, "raw") == [1, 2]
        unchanged(project)
