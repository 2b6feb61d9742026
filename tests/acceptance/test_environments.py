"""An environment that reads from another (`from: prod`), and never writes there."""

from __future__ import annotations

import os
import random
from contextlib import suppress
from pathlib import Path

import pytest

import qanat
from qanat.errors import (
    DatasetNotFoundError,
    NotAppendOnlyError,
    PlanError,
    RereadError,
    ResetError,
)
from qanat.run.decide import Decision, Step
from qanat.run.drop import consequences, dropping
from qanat.run.facts import Borrowed
from qanat.run.plan import plan
from qanat.run.rename import rename
from qanat.run.results import Selection
from qanat.run.session import Session
from qanat.run.update import update
from qanat.storage.delta.store import DeltaStore
from tests.acceptance.crashing import copy, count_steps, die_at, operate
from tests.acceptance.projects import Shop
from tests.acceptance.test_exactly_once import SEED, STEPS
from tests.forked import FORKED

SILVER = (
    "CREATE STREAMING TABLE silver"
    " (CONSTRAINT positive EXPECT (id > 0) ON VIOLATION QUARANTINE ROW)"
    " AS SELECT * FROM STREAM read_files('data/*.csv', schema => 'id BIGINT');"
)
GOLD = (
    "CREATE STREAMING TABLE gold"
    " (CONSTRAINT known EXPECT (id) REFERENCES silver (id) ON VIOLATION FAIL UPDATE)"
    " AS SELECT id FROM STREAM silver;"
    "CREATE TEMPORARY VIEW doubled AS SELECT id * 2 AS id FROM silver;"
    "CREATE MATERIALIZED VIEW total AS SELECT sum(id) AS id FROM doubled;"
)
DIED = 9


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """`silver` has the rows 1 and 2 in `prod`; `dev` reads from there, and has run nothing."""
    return made(tmp_path, "delta", "delta")


def made(folder: Path, dev: str, prod: str) -> Shop:
    shop = Shop(folder)
    shop.file(
        "qanat.yml",
        "name: shop\nthreads: 1\nenvironments:\n"
        f"  dev: {{from: prod, table_format: {dev}}}\n  prod: {{table_format: {prod}}}\n",
    )
    shop.sql(SILVER + GOLD)
    shop.file("data/1.csv", "id\n1\n2\n-3\n")
    shop.run("prod", select=("silver",))
    return shop


def planned(shop: Shop, *select: str) -> dict[str, Decision]:
    with Session.open(shop.folder) as session:
        return {d.dataset: d for d in plan(session, Selection(select)).datasets}


def contents(folder: Path) -> dict[Path, bytes]:
    return {f: f.read_bytes() if f.is_file() else b"" for f in sorted(folder.rglob("*"))}


@pytest.mark.parametrize(
    ("dev", "prod"), [("delta", "delta"), ("iceberg", "iceberg"), ("delta", "iceberg")]
)
def test_what_has_never_run_is_read_where_it_is(tmp_path: Path, dev: str, prod: str) -> None:
    shop = made(tmp_path, dev, prod)
    before = contents(tmp_path / "storage/prod")
    decided = planned(shop, "gold", "total")
    assert [d.step for d in decided.values()] == [Step.CREATE, Step.CREATE]
    assert {d.borrowed for d in decided.values()} == {(Borrowed("silver", "prod", 0),)}
    ran = shop.run(select=("gold", "total"))
    assert {n: d.counts.written for n, d in ran.items()} == {"gold": 2, "total": 1}
    assert shop.rows("total") == [(6,)]
    with qanat.open(tmp_path) as project:
        assert project.query("SELECT count(*) FROM silver").rows() == [(2,)]
        assert len(project.table("silver__quarantine")) == 1
        assert len(project.table("silver").versions()) == 1
        assert str(project.table("silver").show()).startswith(
            "silver: streaming table, version 0, from prod, 2 rows"
        )
        assert "silver (streaming table, from prod)" in str(project.lineage("gold"))
        assert [c.rows for c in project.test()] == [2, 2]
        assert project.validate().valid
        assert "silver from prod (version 0)" in project.plan("gold")._repr_html_()
    assert contents(tmp_path / "storage/prod") == before

    shop.file("data/2.csv", "id\n5\n")
    shop.run("prod", select=("silver",))
    assert planned(shop, "gold")["gold"].borrowed == (Borrowed("silver", "prod", 1),)
    assert shop.run(select=("gold", "total"))["gold"].counts.written == 1
    assert shop.rows("gold") == [(1,), (2,), (5,)]
    assert shop.rows("total") == [(16,)]


@pytest.mark.parametrize("table_format", ["delta", "iceberg"])
def test_nothing_is_made_where_nothing_is(tmp_path: Path, table_format: str) -> None:
    shop = made(tmp_path, table_format, table_format)
    (tmp_path / "storage/prod").rename(tmp_path / "gone")
    (decided,) = planned(shop, "gold").values()
    assert decided.reason == "silver has no table yet, neither in dev nor in prod"
    assert shop.run(select=("gold",))["gold"].status == "unchanged"
    assert not (tmp_path / "storage/prod").exists()


def test_what_is_selected_is_made_here(shop: Shop) -> None:
    shop.file("data/2.csv", "id\n5\n")
    assert not any(d.borrowed for d in planned(shop).values())
    assert shop.run()["gold"].counts.written == 3
    assert shop.rows("silver", "prod") == [(1,), (2,)]


def test_a_selected_dataset_is_its_own_before_it_has_a_table(shop: Shop) -> None:
    """Its quarantine and what reads it come from here, too, whatever `prod` has."""
    (shop.folder / "data/1.csv").unlink()
    assert {d.step for d in planned(shop).values()} == {Step.SKIP}
    assert {d.status for d in shop.run().values()} == {"unchanged"}
    assert {d.step for d in planned(shop, "gold").values()} == {Step.SKIP}


def test_a_stream_does_not_go_on_in_another_table(shop: Shop) -> None:
    """What it lacks nobody can tell: neither is a row doubled nor one left out in silence."""
    shop.run(select=("gold",))
    refused = planned(shop)["gold"]
    assert refused.step is Step.FAIL
    assert refused.consequence.endswith("qanat run --full-refresh gold --select silver")
    shop.run(select=("silver",))
    shop.file("data/2.csv", "id\n5\n")
    error = shop.failures(select=("silver", "gold"))["gold"]
    assert isinstance(error, RereadError)
    assert "silver was read from prod up to version 0" in error.message
    assert error.hint is not None
    assert error.hint == (
        "go on in prod: qanat drop silver -e dev; or start over with what is there now:"
        " qanat run --full-refresh gold"
    )
    assert shop.rows("gold") == [(1,), (2,)]
    shop.run(full_refresh=("gold",))
    shop.file("data/3.csv", "id\n6\n")
    assert shop.run()["gold"].counts.written == 1
    assert shop.rows("gold") == [(1,), (2,), (5,), (6,)]


def test_the_way_out_that_a_plan_names(shop: Shop) -> None:
    shop.run(select=("gold",))
    shop.run(select=("silver",), full_refresh=("gold",))
    assert shop.run()["gold"].status == "unchanged"


@pytest.mark.parametrize("table_format", ["delta", "iceberg"])
def test_a_table_of_its_own_is_given_up(tmp_path: Path, table_format: str) -> None:
    """That of `prod` is read again: a stream that was there goes on, with no row twice."""
    shop = made(tmp_path, table_format, table_format)
    shop.run(select=("gold", "total"))
    shop.file("data/2.csv", "id\n5\n-7\n")
    shop.run(select=("silver", "total"))
    assert shop.rows("total") == [(16,)]
    with qanat.open(shop.folder, "dev") as project:
        found = dropping(project.session, "Silver")
        assert consequences(found) == (
            "this removes silver with 3 rows and 2 rows in quarantine, for good; silver of prod is"
            " read from then on"
        )
        project.drop("silver")
        with pytest.raises(PlanError, match="dev has no silver of its own: it reads that of prod"):
            project.drop("silver")
    assert shop.rows("silver") == [(1,), (2,)]
    shop.run("prod", select=("silver",))
    ran = shop.run(select=("gold", "total"))
    assert (ran["gold"].counts.written, ran["total"].reason) == (1, "its inputs changed")
    assert shop.rows("gold") == [(1,), (2,), (5,)]
    assert shop.rows("total") == [(16,)]


def test_dying_while_a_table_is_given_up(tmp_path: Path) -> None:
    """Whatever comes next finishes it, and that of `prod` is read."""
    shop = made(tmp_path / "before", "delta", "delta")
    shop.run(select=("gold", "total"))
    shop.file("data/2.csv", "id\n5\n-7\n")
    shop.run(select=("silver", "total"))
    spec, command = (shop.folder / "qanat.yml").read_text(), "drop silver"
    steps = count_steps(copy(shop.folder, tmp_path / "undisturbed"), command)
    every = range(1, steps + 1)
    draw = random.Random(f"{SEED} give up")  # noqa: S311
    drawn = every if STEPS == "all" else sorted(draw.sample(every, min(int(STEPS), steps)))
    for step in drawn:
        case = Shop(copy(shop.folder, tmp_path / f"case-{step}"))
        case.file("qanat.yml", spec)
        try:
            assert die_at(case.folder, command, step)
            if step % 2:
                case.update(select=("total",))
            with suppress(PlanError):  # it has been finished
                operate(case.folder, command)
            case.run(select=("gold", "total"))
            assert case.rows("silver") == case.rows("gold") == [(1,), (2,)]
            assert case.rows("total") == [(6,)]
            case.run("prod", select=("silver",))
            case.run(select=("gold", "total"))
            assert case.rows("gold") == [(1,), (2,), (5,)]
        except BaseException as error:
            error.add_note(f"seed {SEED}: died at {step} of {steps}")
            raise


def test_a_stream_that_has_read_the_table_that_was_given_up(shop: Shop) -> None:
    """It starts over only if it is told to, whether the table is made anew or not."""
    shop.run()
    with qanat.open(shop.folder, "dev") as project:
        project.drop("silver")
    error = shop.failures(select=("gold",))["gold"]
    assert isinstance(error, RereadError)
    assert "silver was read from this environment's own table up to version 0" in error.message
    shop.file("data/2.csv", "id\n5\n")
    shop.file("data/3.csv", "id\n6\n")
    shop.run(select=("silver", "total"))
    assert isinstance(shop.failures(select=("gold",))["gold"], NotAppendOnlyError)
    assert shop.rows("total") == [(28,)]
    shop.run(full_refresh=("gold",))
    assert shop.rows("gold") == [(1,), (2,), (5,), (6,)]


def test_what_is_not_given_up(shop: Shop) -> None:
    """What no other environment has, a sink, and what its author protects."""
    protected = SILVER.replace(" AS", " TBLPROPERTIES ('pipelines.reset.allowed' = 'false') AS")
    shop.sql(protected + GOLD)
    shop.run()
    with qanat.open(shop.folder, "dev") as project:
        with pytest.raises(ResetError):
            project.drop("silver")
        with pytest.raises(PlanError, match="gold is still declared"):
            project.drop("gold")
        with pytest.raises(PlanError, match="doubled is still declared"):
            project.drop("doubled")
    with (
        qanat.open(shop.folder, "prod") as project,
        pytest.raises(PlanError, match="silver is still declared"),
    ):
        project.drop("silver")


def test_a_view_is_computed_again_from_the_own_table(shop: Shop) -> None:
    shop.run(select=("total",))
    assert shop.run(select=("total",))["total"].status == "unchanged"
    shop.file("data/2.csv", "id\n5\n")
    assert shop.run(select=("silver", "total"))["total"].reason == "its inputs changed"
    assert shop.rows("total") == [(16,)]


def test_a_table_that_was_rebuilt_there(shop: Shop) -> None:
    shop.run(select=("gold",))
    shop.run("prod", full_refresh=("silver",))
    error = shop.failures(select=("gold",))["gold"]
    assert isinstance(error, NotAppendOnlyError)
    assert shop.run(full_refresh=("gold",))["gold"].counts.written == 2


def test_a_crash_leaves_an_epoch_that_is_redone_from_there(shop: Shop) -> None:
    """Also if the environment has a table of its own by then, whose versions mean other rows."""
    child = FORKED.Process(target=_die_at_publish, args=(str(shop.folder),))
    child.start()
    child.join(60)
    assert child.exitcode == DIED
    shop.file("data/0.csv", "id\n7\n8\n9\n")
    shop.run(select=("silver",))
    assert isinstance(shop.failures(select=("gold",))["gold"], RereadError)
    assert shop.rows("gold") == [(1,), (2,)]


def _die_at_publish(folder: str) -> None:
    def publish(*_: object) -> int:
        os._exit(DIED)

    DeltaStore.publish = publish  # type: ignore[method-assign, assignment]
    with Session.open(Path(folder)) as session:
        update(session, Selection(("gold",)))


def test_where_no_environment_has_a_table(shop: Shop) -> None:
    """And where the environment between two others has none: the next one is read."""
    shop.file(
        "qanat.yml",
        "name: shop\nthreads: 1\nenvironments:\n"
        "  prod:\n  staging: {from: prod}\n  dev: {from: staging}\n",
    )
    assert planned(shop, "gold")["gold"].borrowed == (Borrowed("silver", "prod", 0),)
    shop.run("staging", select=("silver",))
    shop.file("data/2.csv", "id\n5\n")
    shop.run("prod", select=("silver",))
    assert planned(shop, "gold")["gold"].borrowed == (Borrowed("silver", "staging", 0),)
    shop.sql(SILVER.replace("silver", "iron") + GOLD.replace("silver", "iron"))
    reason = planned(shop, "gold")["gold"].reason
    assert reason == "iron has no table yet, neither in dev nor in staging nor in prod"
    with (
        qanat.open(shop.folder) as project,
        pytest.raises(qanat.errors.TableNotFoundError, match=r"iron has no table yet, neither in"),
    ):
        project.table("iron")


def test_a_renaming_of_what_is_borrowed_is_followed(shop: Shop) -> None:
    shop.run("dev", select=("gold", "total"))
    shop.sql((SILVER + GOLD).replace("silver", "clean"))
    with Session.open(shop.folder) as session:
        with pytest.raises(DatasetNotFoundError) as caught:
            rename(session, "silver", "clean")
        assert str(caught.value.hint).endswith("qanat rename silver clean -e prod")
    with Session.open(shop.folder, "prod") as session:
        rename(session, "silver", "clean")
    refused = planned(shop, "gold")["gold"]
    assert refused.step is Step.FAIL
    assert "if only a name has changed: qanat rename silver clean, or" in refused.consequence
    with Session.open(shop.folder) as session:
        rename(session, "silver", "clean")
    assert planned(shop, "gold")["gold"].step is Step.SKIP
    shop.file("data/2.csv", "id\n4\n")
    shop.run("prod", select=("clean",))
    shop.run("dev", select=("gold", "total"))
    assert shop.rows("gold") == [(1,), (2,), (4,)]
    assert shop.rows("total") == [(14,)]
