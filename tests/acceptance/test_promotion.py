"""What `dev` has computed becomes `prod`'s table in one commit (`qanat promote`)."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

import qanat
from qanat.errors import (
    ExpectationFailedError,
    NotAppendOnlyError,
    PromotionError,
    QanatError,
    RereadError,
    ResetError,
    RowsLostError,
)
from qanat.ledgers.sql.ledger import SqlLedger
from qanat.model.record import Lease
from qanat.run.plan import plan
from qanat.run.promote import Promotion, promote
from qanat.run.rename import rename
from qanat.run.results import PromotedDataset, PromotionResult, Selection
from qanat.run.session import Session
from qanat.storage.delta.store import DeltaStore
from tests.acceptance.crashing import copy, count_steps, die_at, operate
from tests.acceptance.ledgered import check
from tests.acceptance.projects import Shop
from tests.acceptance.test_exactly_once import SEED, STEPS
from tests.forked import FORKED

SPEC = (
    "name: shop\nthreads: 1\nenvironments:\n"
    "  dev: {{from: prod, table_format: {dev}}}\n  prod: {{table_format: {prod}}}\n"
    "  apart: {{}}\n"
)
SILVER = (
    "CREATE STREAMING TABLE silver"
    " (CONSTRAINT positive EXPECT (id > 0) ON VIOLATION QUARANTINE ROW)"
    " AS SELECT * FROM STREAM read_files('data/*.csv', schema => 'id BIGINT');"
)
GOLD = "CREATE STREAMING TABLE gold AS SELECT id FROM STREAM silver;"
TOTAL = "CREATE MATERIALIZED VIEW total AS SELECT sum(id) AS id FROM silver;"
DIED = 9


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """`prod` has run `silver` with the rows 1 and 2; `dev` reads from there."""
    return made(tmp_path)


def made(folder: Path, dev: str = "delta", prod: str = "delta") -> Shop:
    folder.mkdir(exist_ok=True)
    shop = Shop(folder)
    shop.file("qanat.yml", SPEC.format(dev=dev, prod=prod))
    shop.sql(SILVER + GOLD + TOTAL)
    shop.file("data/1.csv", "id\n1\n2\n-3\n")
    shop.run("prod", select=("silver",))
    return shop


def promoted(
    shop: Shop, *datasets: str, origin: str = "dev", to: str = "prod", **options: Any
) -> PromotionResult:
    dry_run = options.pop("dry_run", False)
    with Session.open(shop.folder, to) as session:
        return promote(session, Promotion(datasets, origin, **options), dry_run=dry_run)


def refused(shop: Shop, *datasets: str, **options: Any) -> QanatError:
    """Why a promotion is refused: in a dry run and in earnest, and nothing is changed."""
    before = {n: _state(shop, n) for n in ("silver", "gold", "total")}
    with pytest.raises(QanatError) as dry:
        promoted(shop, *datasets, dry_run=True, **options)
    with pytest.raises(QanatError) as caught:
        promoted(shop, *datasets, **options)
    assert type(dry.value) is type(caught.value)
    assert {n: _state(shop, n) for n in before} == before
    return caught.value


def _state(shop: Shop, dataset: str) -> tuple[Any, ...]:
    with Session.open(shop.folder, "prod") as session:
        version = session.store.version(session.table(dataset))
        return version, session.recorded.generation(dataset)


def reasons(shop: Shop, environment: str = "prod") -> dict[str, str]:
    with Session.open(shop.folder, environment) as session:
        return {d.dataset: d.reason for d in plan(session, Selection()).datasets}


@pytest.mark.parametrize(
    ("dev", "prod"),
    [("delta", "delta"), ("iceberg", "iceberg"), ("delta", "iceberg"), ("iceberg", "delta")],
)
def test_what_dev_has_computed_is_prods(tmp_path: Path, dev: str, prod: str) -> None:
    """And the next update there goes on, with no row twice and none left out."""
    shop = made(tmp_path, dev, prod)
    shop.run(select=("gold", "total"))
    result = promoted(shop, "gold", "total")
    assert [(d.dataset, d.rows, d.replaces, d.outdated) for d in result.datasets] == [
        ("gold", 2, None, False),
        ("total", 1, None, False),
    ]
    assert shop.rows("gold", "prod") == [(1,), (2,)]
    assert shop.rows("total", "prod") == [(3,)]
    assert set(reasons(shop).values()) == {"nothing new", "inputs and definition are unchanged"}
    assert {d.status for d in shop.run("prod").values()} == {"unchanged"}
    shop.file("data/2.csv", "id\n5\n")
    ran = shop.run("prod")
    assert {n: d.counts.written for n, d in ran.items()} == {"silver": 1, "gold": 1, "total": 1}
    assert shop.rows("gold", "prod") == [(1,), (2,), (5,)]


def test_no_protected_reader_is_left_where_it_can_neither_go_on_nor_start_over(
    shop: Shop,
) -> None:
    protected = "gold TBLPROPERTIES ('pipelines.reset.allowed' = 'false')"
    shop.sql(SILVER + GOLD.replace("gold", protected, 1) + TOTAL)
    shop.run("prod", select=("gold",))
    shop.run(select=("silver",))
    assert isinstance(refused(shop, "silver", only=True), ResetError)


def test_a_dry_run_writes_nothing(shop: Shop) -> None:
    shop.run(select=("gold",))
    before = _state(shop, "gold")
    shown = promoted(shop, "gold", dry_run=True)
    assert shown.dry_run
    assert shown.datasets == (PromotedDataset("gold", "streaming table", 0, 2, None),)
    assert _state(shop, "gold") == before
    assert shop.run("prod", select=("gold",))["gold"].counts.written == 2


def test_a_table_of_files_with_its_quarantine(shop: Shop) -> None:
    """`dev` has read one file more, and `prod` one that `dev` has not."""
    shop.file("data/1.csv", "id\n1\n2\n-3\n")
    shop.file("data/2.csv", "id\n5\n-6\n")
    shop.run(select=("silver",))
    shop.file("data/3.csv", "id\n7\n")
    shop.run("prod", select=("silver",))
    promoted(shop, "silver")
    assert shop.rows("silver", "prod") == [(1,), (2,), (5,)]
    with qanat.open(shop.folder, "prod") as project:
        assert len(project.quarantine("silver")) == 2
    # What is quarantined waits as ever, and what `dev` had not read is read.
    assert shop.run("prod", select=("silver",))["silver"].counts.written == 1
    shop.sql((SILVER + GOLD + TOTAL).replace("id > 0", "id > -5"))
    with qanat.open(shop.folder, "prod") as project:
        assert [(r.examined, r.replayed) for r in project.replay("silver")] == [(2, 1)]
    assert shop.rows("silver", "prod") == [(-3,), (1,), (2,), (5,), (7,)]


def test_several_at_once(shop: Shop) -> None:
    """What `dev` has made of its own table is `prod`'s once that is."""
    shop.run("apart")
    error = refused(shop, "gold", origin="apart")
    assert isinstance(error, RereadError)
    both = "promote both: qanat promote silver gold -e prod --from apart"
    assert error.hint == both
    assert isinstance(refused(shop, "total", origin="apart"), RereadError)
    result = promoted(shop, "gold", "total", "silver", origin="apart")
    assert result.datasets[0].dataset == "silver"
    assert {d.status for d in shop.run("prod").values()} == {"unchanged"}
    shop.file("data/2.csv", "id\n5\n")
    assert {d.counts.written for d in shop.run("prod").values()} == {1}
    assert shop.rows("gold", "prod") == [(1,), (2,), (5,)]
    assert shop.rows("total", "prod") == [(8,)]


def test_along_with_what_is_not_up_to_date(shop: Shop) -> None:
    shop.run("apart")
    shop.file("data/2.csv", "id\n5\n")
    shop.run("apart", select=("silver",))
    for name in ("gold", "total"):
        error = refused(shop, "silver", name, origin="apart")
        rest = f"let it read the rest first: qanat run -e apart --select {name}"
        assert error.hint == rest
    shop.run("apart")
    promoted(shop, "silver", "gold", "total", origin="apart")
    assert {d.status for d in shop.run("prod").values()} == {"unchanged"}


def test_inputs_that_have_moved_on(shop: Shop) -> None:
    shop.run(select=("gold", "total"))
    shop.file("data/2.csv", "id\n5\n")
    shop.run("prod", select=("silver",))
    result = promoted(shop, "gold", "total")
    assert [d.outdated for d in result.datasets] == [False, True]
    assert reasons(shop)["total"] == "its inputs changed"
    assert {d.counts.written for n, d in shop.run("prod").items() if n != "silver"} == {1}
    assert shop.rows("gold", "prod") == [(1,), (2,), (5,)]


def test_another_definition(shop: Shop) -> None:
    shop.run(select=("total",))
    shop.sql(SILVER + GOLD + TOTAL.replace("sum", "max"))
    error = refused(shop, "total")
    assert isinstance(error, PromotionError)
    assert error.message.endswith("by another definition than the files have now")
    assert str(error.got).startswith("(- dev has run, + the files have)\n")
    assert "MAX" in str(error.got)
    assert error.hint is not None
    assert error.hint.endswith("qanat run -e dev --select total")
    shop.run(select=("total",))
    promoted(shop, "total")
    assert shop.rows("total", "prod") == [(2,)]


def test_rows_of_an_earlier_definition(shop: Shop) -> None:
    shop.run(select=("gold",))
    shop.sql(SILVER + GOLD.replace("SELECT id", "SELECT id + 1 AS id") + TOTAL)
    shop.file("data/2.csv", "id\n5\n")
    shop.run("prod", select=("silver",))
    shop.run(select=("gold",))
    assert "earlier definition" in refused(shop, "gold").message
    shop.run(full_refresh=("gold",))
    promoted(shop, "gold")
    assert shop.rows("gold", "prod") == [(2,), (3,), (6,)]


def test_inputs_that_were_rebuilt(shop: Shop) -> None:
    shop.run(select=("gold",))
    shop.run("prod", full_refresh=("silver",))
    assert isinstance(refused(shop, "gold"), NotAppendOnlyError)


def test_rules_are_checked_against_what_is_here(shop: Shop) -> None:
    """A key that refers to a table is looked up in `prod`'s."""
    rule = "(CONSTRAINT known EXPECT (id) REFERENCES ids (id) ON VIOLATION {})"
    ids = "CREATE STREAMING TABLE ids AS SELECT id FROM STREAM read_files('{}', format => 'csv');"
    more = (
        ids.format("ids/*.csv") + "CREATE STREAMING TABLE gold {} AS SELECT id FROM STREAM silver;"
    )
    shop.sql(SILVER + TOTAL + more.format(rule.format("FAIL UPDATE")))
    shop.file("ids/1.csv", "id\n1\n")
    shop.run("prod", select=("ids",))
    shop.file("ids/2.csv", "id\n2\n")
    shop.run(select=("ids", "gold"))
    with pytest.raises(ExpectationFailedError):
        promoted(shop, "gold")
    assert _state(shop, "gold") == (None, 0)
    with qanat.open(shop.folder, "prod") as project:
        assert project.history()[0].update.error == "1 row of gold violates known"
        assert project.plan("gold").datasets[0].reason == "it has never run"
    shop.sql(SILVER + TOTAL + more.format(rule.format("QUARANTINE ROW")))
    shop.run(full_refresh=("gold",))
    (result,) = promoted(shop, "gold").datasets
    assert result.counts is not None
    assert (result.counts.written, result.counts.quarantined) == (1, 1)
    assert [(r.rule, r.violations) for r in result.rules] == [("known", 1)]
    shop.run("prod", select=("ids",))
    with qanat.open(shop.folder, "prod") as project:
        assert [r.replayed for r in project.replay("gold")] == [1]
    assert {d.status for d in shop.run("prod", select=("gold",)).values()} == {"unchanged"}


def test_what_has_read_it_as_a_stream(shop: Shop) -> None:
    shop.run("prod")
    shop.run(select=("silver",))
    error = refused(shop, "silver")
    assert isinstance(error, PromotionError)
    assert "gold has read silver as a stream in prod" in error.message
    # What dev has no table of cannot come along.
    again = "qanat run -e prod --full-refresh gold"
    assert error.hint == (
        "let gold start over: qanat promote silver -e prod --from dev --only && " + again
    )
    promoted(shop, "silver", only=True)
    assert isinstance(
        shop.failures(environment="prod", select=("gold",))["gold"], NotAppendOnlyError
    )
    shop.run("prod", full_refresh=("gold",))
    assert shop.rows("gold", "prod") == [(1,), (2,)]


def test_readers_that_come_along_and_a_sink_that_cannot(shop: Shop) -> None:
    shop.run("prod")
    shop.run(select=("silver", "gold"))
    hint = refused(shop, "silver").hint
    assert hint == "promote them together: qanat promote silver gold -e prod --from dev"
    shop.python(
        'dp.create_sink("out", format="csv", options={"path": "out"})\n'
        '@dp.append_flow(target="out")\n'
        "def send(): return 'SELECT id FROM STREAM silver'\n"
    )
    shop.file(
        "qanat.yml",
        "name: shop\nthreads: 1\nenvironments:\n  dev: {from: prod, sinks: off}\n  prod: {}\n",
    )
    shop.run("prod")
    error = refused(shop, "silver", "gold")
    assert "out has read silver as a stream in prod" in error.message
    assert error.hint == (
        "let out start over: qanat promote silver gold -e prod --from dev --only"
        " && qanat run -e prod --full-refresh out; out would send all rows once more"
    )
    promoted(shop, "silver", "gold", only=True)
    assert shop.run("prod", full_refresh=("out",))["out"].counts.written == 2
    assert {d.status for d in shop.run("prod", select=("silver", "gold", "out")).values()} == {
        "unchanged"
    }
    hint = refused(shop, "out").hint
    assert hint == "let prod send by itself what it has not sent: qanat run -e prod --select out"


def test_what_dev_lacks_is_told_before_who_has_read_it(shop: Shop) -> None:
    shop.run("prod")
    shop.run(select=("total",))
    error = refused(shop, "silver")
    assert error.message == "dev has no table of silver"
    assert error.hint == "compute it there first: qanat run -e dev --select silver"


def test_what_was_computed_from_a_table_that_is_not_promoted(shop: Shop) -> None:
    shop.run(select=("silver", "total"))
    error = refused(shop, "total")
    assert isinstance(error, RereadError)
    assert error.message.startswith("total was computed from silver of dev, whose rows may be")
    assert error.hint == "promote both: qanat promote silver total -e prod --from dev"
    promoted(shop, "silver", "total")
    assert shop.rows("total", "prod") == [(3,)]


def test_a_definition_that_differs_by_configuration(shop: Shop) -> None:
    """To compute it once more in the other environment would change nothing."""
    shop.file(
        "qanat.yml",
        "name: shop\nconfiguration: {factor: '1', out: same}\nenvironments:\n"
        "  dev: {from: prod, configuration: {factor: '7'}}\n  prod: {}\n",
    )
    shop.sql(SILVER + GOLD + TOTAL.replace("sum(id)", "sum(id * ${factor})"))
    shop.run(select=("total",))
    error = refused(shop, "total")
    assert error.message == (
        "total has another definition in dev than in prod, by configuration `factor`"
    )
    assert error.hint == "compute it in prod instead: qanat run -e prod --refresh total"
    assert str(error.got).startswith("(- dev, + prod)\n")
    assert "- " in str(error.got)
    assert shop.run("prod", refresh=("total",))["total"].status == "updated"


def test_again_and_again(shop: Shop) -> None:
    for number in range(3):
        shop.run(select=("gold", "total"))
        promoted(shop, "gold", "total")
        shop.file(f"data/more{number}.csv", f"id\n{number}0\n")
        shop.run("prod", select=("silver",))
        if number == 1:
            shop.run("prod")
    shop.run("prod")
    assert shop.rows("gold", "prod") == [(1,), (10,), (2,), (20,)]


def test_what_is_protected(shop: Shop) -> None:
    shop.sql(
        SILVER
        + TOTAL
        + GOLD.replace("gold AS", "gold TBLPROPERTIES ('pipelines.reset.allowed' = 'false') AS")
    )
    shop.run(select=("gold",))
    assert isinstance(refused(shop, "gold"), ResetError)


def test_rows_whose_files_are_gone(shop: Shop) -> None:
    (shop.folder / "data/1.csv").unlink()
    shop.file("data/2.csv", "id\n5\n")
    shop.run(select=("silver",))
    error = refused(shop, "silver")
    assert isinstance(error, RowsLostError)
    promoted(shop, "silver", accept_loss=True)
    assert shop.rows("silver", "prod") == [(5,)]


def test_what_cannot_be_promoted(shop: Shop) -> None:
    shop.sql(
        SILVER + GOLD + TOTAL + "CREATE TEMPORARY VIEW v AS SELECT 1 AS id;"
        "CREATE FLOW more AS INSERT INTO gold BY NAME SELECT id + 100 AS id FROM STREAM silver;"
    )
    shop.run(select=("gold",))
    view = refused(shop, "v")
    assert "v is a temporary view" in view.message
    assert view.hint == "promote what reads it; prod computes the view itself"
    assert "fed by 2 flows" in refused(shop, "gold").message
    assert "dev has no table of total" in refused(shop, "total").message
    assert "cannot be promoted to itself" in refused(shop, "total", origin="prod").message


def test_versions_without_rows_need_not_have_been_read(shop: Shop) -> None:
    """What went to quarantine as a whole leaves a version that no reader takes."""
    shop.run(select=("silver", "gold"))
    shop.file("data/2.csv", "id\n-9\n")
    shop.run(select=("silver", "gold"))
    promoted(shop, "silver", "gold")
    assert shop.rows("gold", "prod") == [(1,), (2,)]
    shop.file("data/3.csv", "id\n7\n")
    assert shop.run("prod", select=("silver", "gold"))["gold"].counts.written == 1


def test_both_ways_leases_are_taken_in_one_order(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two who each hold what the other waits for would wait for ever."""
    taken: list[str] = []
    acquire = SqlLedger.acquire

    def note(ledger: SqlLedger, *given: Any) -> Lease:
        lease = acquire(ledger, *given)
        taken.append(lease.scope)
        return lease

    shop.run(select=("silver",))
    with monkeypatch.context() as patched:
        patched.setattr(SqlLedger, "acquire", note)
        promoted(shop, "silver", origin="dev", to="prod")
        promoted(shop, "silver", origin="prod", to="dev")
    assert taken == ["shop/dev", "shop/prod"] * 2


def test_a_crash_leaves_all_or_nothing(shop: Shop) -> None:
    shop.run(select=("gold", "total"))
    for dies, rows in (("publish", None), ("settle", [(1,), (2,)])):
        child = FORKED.Process(target=_die, args=(str(shop.folder), dies))
        child.start()
        child.join(60)
        assert child.exitcode == DIED
        if rows is None:
            assert _state(shop, "gold")[0] is None
        else:
            # A plan sees what the next update will find.
            assert reasons(shop)["gold"] == "nothing new"
        shop.run("prod", select=("total",))
    assert shop.rows("gold", "prod") == [(1,), (2,)]
    shop.file("data/2.csv", "id\n5\n")
    ran = shop.run("prod")
    assert ran["gold"].counts.written == 1
    assert shop.rows("gold", "prod") == [(1,), (2,), (5,)]


def test_dying_at_any_step(tmp_path: Path) -> None:
    """Whatever comes next: no row is doubled or lost, in tables or in quarantine."""
    shop = made(tmp_path / "before")
    spec = "name: shop\nthreads: 1\nenvironments: {trial: {}}\n"
    shop.file("qanat.yml", spec)
    shop.run()
    shop.file("data/2.csv", "id\n5\n-6\n")
    shop.run("trial")
    command = "promote trial silver gold total"
    steps = count_steps(copy(shop.folder, tmp_path / "undisturbed"), command)
    every = range(1, steps + 1)
    draw = random.Random(f"{SEED} promote")  # noqa: S311
    drawn = every if STEPS == "all" else sorted(draw.sample(every, int(STEPS) * 2))
    for step in drawn:
        case = Shop(copy(shop.folder, tmp_path / f"case-{step}"))
        case.file("qanat.yml", spec)
        try:
            assert die_at(case.folder, command, step)
            if step % 2:
                case.update()
            operate(case.folder, command)
            check(case.folder)
            assert {d.status for d in case.run().values()} == {"unchanged"}
            case.file("data/3.csv", "id\n7\n-8\n")
            case.run()
            check(case.folder)
            assert case.rows("silver") == case.rows("gold") == [(1,), (2,), (5,), (7,)]
            assert case.rows("total") == [(15,)]
            assert [q[0] for q in case.quarantined("silver")] == [-3, -6, -8]
        except BaseException as error:
            error.add_note(f"seed {SEED}: died at {step} of {steps}")
            raise


def _die(folder: str, at: str) -> None:
    publish = DeltaStore.publish

    def dying(*args: Any) -> int:
        if at == "settle":
            publish(*args)
        os._exit(DIED)

    DeltaStore.publish = dying  # type: ignore[method-assign, assignment]
    with Session.open(Path(folder), "prod") as session:
        promote(session, Promotion(("gold",), "dev"))


def test_a_renaming_that_only_one_environment_has_followed(shop: Shop) -> None:
    shop.file("qanat.yml", "name: shop\nthreads: 1\nenvironments:\n  dev: {}\n  prod: {}\n")
    tables = ("silver", "gold", "total")
    shop.run("dev", select=tables)
    shop.file("data/2.csv", "id\n4\n")
    shop.run("dev", select=tables)
    shop.run("prod", select=tables)
    shop.sql((SILVER + GOLD + TOTAL).replace("silver", "clean"))

    def renamed(environment: str) -> None:
        with Session.open(shop.folder, environment) as session:
            rename(session, "silver", "clean")

    renamed("prod")
    with pytest.raises(PromotionError) as caught:
        promoted(shop, "gold")
    assert "if only a name has changed: qanat rename silver clean -e dev; else" in str(
        caught.value.hint
    )
    renamed("dev")
    # The rows that a stream has brought under the old name are those of the new one. A view that
    # reads the table is computed again.
    shop.run("dev", select=("total",))
    tables = ("clean", "gold", "total")
    assert {d.dataset for d in promoted(shop, *tables).datasets} == {*tables}
    shop.file("data/3.csv", "id\n5\n")
    shop.run("prod", select=tables)
    assert shop.rows("gold", "prod") == [(1,), (2,), (4,), (5,)]
    assert shop.rows("total", "prod") == [(12,)]
