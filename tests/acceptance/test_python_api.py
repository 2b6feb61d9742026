"""What `qanat.open` gives: a project that is run, asked and looked into from Python."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

import qanat
from qanat.cli.template import contents
from qanat.errors import (
    DATASET,
    AdapterError,
    ConversionError,
    DatasetNotFoundError,
    PlanError,
    QanatError,
    SelectionError,
    SpecNotFoundError,
    SqlSyntaxError,
    TableNotFoundError,
    UnsupportedError,
    naming,
)
from qanat.model.event import DatasetStarted, Event
from qanat.run.results import UpdateResult

FEBRUARY = "order_id,customer_id,ordered_on,amount\n9,4,2026-02-02,10.00\n"


def write(folder: Path) -> Path:
    """Write the project of `qanat init`."""
    for path, text in contents("shop").items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "shop"


@pytest.fixture
def shop(folder: Path) -> Iterator[qanat.Project]:
    """The project before its first update."""
    with qanat.open(write(folder)) as project:
        yield project


@pytest.fixture(scope="module")
def updated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project after its first update, which tests copy or only read."""
    folder = tmp_path_factory.mktemp("updated")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        with qanat.open(write(folder / "shop")) as project:
            assert project.run().status == "succeeded"
    return folder / "shop"


@pytest.fixture
def full(folder: Path, updated: Path) -> Iterator[qanat.Project]:
    """The project after its first update."""
    shutil.copytree(updated, folder)
    with qanat.open(folder) as project:
        yield project


@pytest.fixture(scope="module")
def asked(updated: Path) -> Iterator[qanat.Project]:
    """The project for tests that change nothing."""
    with qanat.open(updated) as project:
        yield project


def test_a_file_changed_after_opening_is_read(shop: qanat.Project, folder: Path) -> None:
    (folder / "transformations/more.sql").write_text(
        "CREATE MATERIALIZED VIEW more AS SELECT 1 a;"
    )
    assert "more" in {d.dataset for d in shop.plan().datasets}


def test_a_project_outlives_its_updates(shop: qanat.Project, folder: Path) -> None:
    first = shop.run()
    assert isinstance(first, UpdateResult)
    assert first["silver_orders"].counts.written == 5
    engine = shop.session.engine
    assert {d.status for d in shop.run().datasets} == {"unchanged"}
    (folder / "data/orders/2026-02.csv").write_text(FEBRUARY)
    waiting = shop.plan()
    assert not waiting.blocked
    assert (
        next(d for d in waiting.datasets if d.dataset == "bronze_orders").waiting[0].amount.files
        == 1
    )
    assert shop.run()["silver_orders"].counts.written == 1
    assert len(shop.table("silver_orders")) == 6
    assert shop.session.engine is engine, "adapters are opened once"
    assert [len(e.epochs) > 0 for e in shop.history()] == [True, True]


def test_declarations_that_change_are_read_again(full: qanat.Project, folder: Path) -> None:
    silver = folder / "transformations/silver.sql"
    written = silver.read_text()
    silver.write_text(written.replace("amount > 0", "amount > 10"))
    assert not full.test().passed or full.test("silver_orders")[0].text
    assert any("amount > 10" in check.text for check in full.test())
    silver.write_text(written + "\nSELEC 1;")
    assert not full.validate().valid
    with pytest.raises(QanatError):
        full.run()
    silver.write_text(written)
    assert full.run().status == "succeeded"
    spec = folder / "qanat.yml"
    spec.write_text(spec.read_text() + "\nthreads: 1\n")
    assert full.run().status == "succeeded"
    assert full.session.project.threads == 1


class Interrupting:
    """Is Ctrl-C as soon as a dataset begins."""

    def on(self, event: Event) -> None:
        if isinstance(event, DatasetStarted):
            raise KeyboardInterrupt


def test_an_interrupted_update_can_be_followed_by_another(shop: qanat.Project) -> None:
    with pytest.raises(KeyboardInterrupt):
        shop.run(observers=[Interrupting()])
    assert shop.run().status == "succeeded"
    assert len(shop.table("silver_orders")) == 5


def test_a_closed_project_opens_again(full: qanat.Project) -> None:
    full.close()
    assert len(full.table("customers")) == 4


def test_tables_are_data_frames(full: qanat.Project) -> None:
    table = full.table("silver_orders")
    assert (table.name, table.kind, table.version) == ("silver_orders", "streaming table", 0)
    assert [c.name for c in table.columns] == ["order_id", "customer_id", "ordered_on", "amount"]
    arrow = table.arrow()
    assert arrow.num_rows == len(table) == 5
    assert arrow["amount"][0].as_py() == Decimal("19.90")
    assert table.polars().height == 5
    assert list(table.pandas().columns) == arrow.column_names
    assert table.rows(2) == [tuple(row.values()) for row in arrow.slice(0, 2).to_pylist()]


def test_versions_stay_readable(full: qanat.Project, folder: Path) -> None:
    (folder / "data/orders/2026-02.csv").write_text(FEBRUARY)
    before = datetime.now(UTC)
    full.run()
    old, new = full.table("silver_orders").versions()
    assert (old.version, old.written, new.version, new.written) == (0, 5, 1, 1)
    assert old.at is not None
    assert new.at is not None
    assert old.at < before < new.at
    assert len(full.table("silver_orders", version=0)) == 5
    (counts,) = full.query(
        "SELECT (SELECT count(*) FROM silver_orders VERSION AS OF 0),"
        " (SELECT count(*) FROM silver_orders AT (VERSION => 1)), count(*) FROM silver_orders"
    ).rows()
    assert counts == (5, 6, 6)
    with pytest.raises(TableNotFoundError, match="no version 2"):
        full.table("silver_orders", version=2)


def test_a_table_is_asked_as_self(full: qanat.Project, folder: Path) -> None:
    table = full.table("silver_orders")
    total = table.sql("SELECT sum(amount) AS total FROM self")
    before = total.rows()[0][0]
    (folder / "data/orders/2026-02.csv").write_text(FEBRUARY)
    full.run()
    assert total.rows()[0][0] == before + 10, "the newest version each time"
    both = "SELECT count(*) FROM self JOIN customers USING (customer_id)"
    assert full.table("silver_orders", 0).sql(both).rows() == [(5,)]


def test_rows_come_in_the_order_of_the_query(full: qanat.Project) -> None:
    many = full.query("SELECT range AS n FROM range(300_000) ORDER BY n % 7 DESC, n")
    values = [row[0] for chunk in many.chunks() for row in chunk]
    assert values == sorted(range(300_000), key=lambda n: (-(n % 7), n))
    assert many.head(3).rows == [(6,), (13,), (20,)]
    assert not many.head(3).complete
    assert many.polars()["n"].to_list() == values


def test_closing_a_project_ends_the_update_of_another_thread(tmp_path: Path) -> None:
    (tmp_path / "qanat.yml").write_text("name: t\nlibraries: ['*.sql']\n")
    view = "CREATE MATERIALIZED VIEW v AS SELECT {};"
    endless = "sum(a.range * b.range % 7) FROM range(1_000_000) a, range(1_000_000) b"
    (tmp_path / "v.sql").write_text(view.format(endless))
    project = qanat.open(tmp_path)
    started, ended = threading.Event(), list[UpdateResult]()

    class Watch:
        def on(self, event: Event) -> None:
            if isinstance(event, DatasetStarted):
                started.set()

    run = threading.Thread(target=lambda: ended.append(project.run(observers=[Watch()])))
    run.start()
    assert started.wait(60)
    project.close()
    run.join(60)
    assert [d.status for u in ended for d in u.datasets] == ["failed"]
    # It has given its lease back.
    (tmp_path / "v.sql").write_text(view.format("1 AS a"))
    with project:
        assert project.run().status == "succeeded"


def test_a_project_can_be_closed_while_rows_are_taken(folder: Path) -> None:
    with qanat.open(write(folder)) as project:
        project.run()
        begun = project.query("SELECT * FROM range(100000)").chunks()
        assert len(next(begun)) > 1
        never = project.query("SELECT 1").chunks()
    with pytest.raises(AdapterError, match="closed before all rows were read"):
        next(begun)
    with pytest.raises(StopIteration):
        next(begun)
    with qanat.open(folder) as project:
        begun = project.table("silver_orders").chunks()
        next(begun)
        del begun
        assert len(project.table("silver_orders").rows()) > 1
    never.close()


def test_a_query_writes_parquet(full: qanat.Project, tmp_path: Path) -> None:
    import pyarrow.parquet

    query = full.query("SELECT order_id, amount FROM silver_orders ORDER BY order_id")
    assert query.write_parquet(tmp_path / "out.parquet") == 5
    written = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert written.to_pylist() == query.arrow().to_pylist()
    assert query.write_parquet(tmp_path / "two.parquet", limit=2) == 2


@pytest.mark.parametrize(
    ("sql", "error", "place"),
    [
        ("SELECT *\n  FROM slver_orders", DatasetNotFoundError, "query:2:8"),
        ("SELECT * FROM ranking; SELECT 1", SqlSyntaxError, "query:1:24"),
        ("DROP TABLE ranking", SqlSyntaxError, "query:1:1"),
        ("DELETE FROM ranking", SqlSyntaxError, "query:1:1"),
        ("COPY ranking TO 'x.csv'", SqlSyntaxError, "query:1:1"),
        ("WITH d AS (DELETE FROM ranking RETURNING *) FROM d", QanatError, "query:1:1"),
        ("SELECT * FROM STREAM ranking", UnsupportedError, "query:1:15"),
        ("SELECT * FROM read_files('data/orders')", UnsupportedError, "query:1:15"),
        ("FROM ranking VERSION AS OF x", SqlSyntaxError, "query:1:28"),
        ("FROM ranking VERSION AS OF 9", TableNotFoundError, "query:1:6"),
        ("FROM ranking AT (VERSION => 0", SqlSyntaxError, "query:1:29"),
        ("FROM ranking TIMESTAMP AS OF '2026-01-01'", SqlSyntaxError, "query:1:30"),
        (" ;", SqlSyntaxError, "query:1:1"),
    ],
)
def test_mistakes_are_placed(
    asked: qanat.Project, sql: str, error: type[QanatError], place: str
) -> None:
    with pytest.raises(error) as caught:
        asked.query(sql)
    assert str(caught.value.location) == place


def test_hints_quote_names_for_a_shell(tmp_path: Path) -> None:
    name = "it's `one`"
    (tmp_path / "transformations").mkdir()
    (tmp_path / "qanat.yml").write_text("name: x\n")
    sql = f'CREATE TEMPORARY VIEW v AS SELECT 1 AS a; CREATE MATERIALIZED VIEW "{name}" AS FROM v;'
    (tmp_path / "transformations" / "a.sql").write_text(sql)
    with qanat.open(tmp_path) as project:
        for asked, command in ((f'"{name}"', ["--select", f"+{name}"]), ("v", ["show", name])):
            with pytest.raises(TableNotFoundError) as caught:
                project.query(f"FROM {asked}")
            words = shlex.split((caught.value.hint or "").rpartition(": qanat ")[2])
            assert words[-2:] == command
    with pytest.raises(QanatError) as raised, naming(name):
        raise QanatError("rows are gone", hint=f"qanat run --full-refresh {DATASET}")
    assert shlex.split(raised.value.hint or "")[-2:] == ["--full-refresh", name]


def test_a_value_that_does_not_fit_is_told_however_it_is_read(full: qanat.Project) -> None:
    bad = full.query(
        "SELECT CAST(CASE WHEN order_id = 6 THEN 'x' ELSE '1' END AS INT) AS n FROM silver_orders"
    )
    for read in (bad.arrow, bad.polars, bad.pandas, bad.rows, bad.head):
        with pytest.raises(ConversionError, match="could not convert string 'x'"):
            read()
    folder = full.root / "out"
    folder.mkdir()
    with pytest.raises(ConversionError):
        bad.write_parquet(folder / "x.parquet")
    assert list(folder.iterdir()) == []


def test_a_version_in_a_text_or_a_column_is_none(full: qanat.Project) -> None:
    sql = "SELECT 'VERSION AS OF 3' AS version, version FROM (SELECT 1 AS version) AS t"
    assert full.query(sql).rows() == [("VERSION AS OF 3", 1)]


def test_queries_are_in_the_dialect_of_the_project(tmp_path: Path) -> None:
    (tmp_path / "qanat.yml").write_text("name: s\ndialect: spark\nlibraries: ['*.sql']\n")
    (tmp_path / "a.sql").write_text(
        "CREATE MATERIALIZED VIEW ages AS SELECT col1 AS name, col2 AS age"
        " FROM VALUES ('Ada', 36), ('Bob', 5);"
    )
    with qanat.open(tmp_path) as project:
        assert project.run().status == "succeeded"
        asked = project.query(
            "SELECT `name`, size(array(age, 1)) AS n FROM ages VERSION AS OF 0 AS a WHERE age > 5"
        )
        assert asked.rows() == [("Ada", 2)]
        with pytest.raises(UnsupportedError) as caught:
            project.query("SELECT *\nFROM csv.`x.csv`")
        assert str(caught.value.location) == "query:2:6"


def test_quarantine_and_replay(full: qanat.Project, folder: Path) -> None:
    jail = full.quarantine("silver_orders")
    assert len(jail) == 3
    assert len(jail.rows(rule="positive_amount").rows) == 1
    assert jail.table.polars().height == 3
    assert {s.dataset: s.rows for s in full.quarantines()} == {"silver_orders": 3}
    silver = folder / "transformations/silver.sql"
    silver.write_text(silver.read_text().replace("amount > 0", "amount > -5"))
    (replayed,) = jail.replay()
    assert (replayed.replayed, replayed.remaining) == (1, 2)
    assert len(jail) == 2
    with pytest.raises(PlanError):
        full.replay("ranking")
    with pytest.raises(DatasetNotFoundError, match="silver_orders"):
        full.quarantine("silver_order")


def test_selections(shop: qanat.Project) -> None:
    assert [d.dataset for d in shop.run("customers").datasets] == ["customers"]
    assert {d.dataset for d in shop.run(["+silver_orders"]).datasets} >= {"bronze_orders"}
    again = shop.run(full_refresh="customers")
    assert [(d.dataset, d.status) for d in again.datasets] == [("customers", "updated")]
    assert {str(d.step) for d in shop.plan(full_refresh=True).datasets} >= {"full refresh"}
    with pytest.raises(SelectionError):
        shop.run("custmers")


def test_everything_shows_itself(full: qanat.Project, folder: Path) -> None:
    assert len(full.table("silver_orders")) == 5
    silver = folder / "transformations/silver.sql"
    silver.write_text(silver.read_text().replace("amount > 0", "amount < 1000 AND amount > 0"))
    shown = [
        full.plan(),
        full.validate(),
        full.test(),
        full.history(),
        full.lineage(),
        full.lineage("revenue_by_city.revenue"),
        full.profile("silver_orders"),
        full.table("silver_orders"),
        full.query("SELECT '<script>' AS \"<b>\", * FROM silver_orders"),
        full.quarantine("silver_orders"),
        full.quarantines(),
        full.run(),
        full.replay(),
    ]
    for each in shown:
        html = each._repr_html_()
        assert html.startswith('<div class="qanat">'), type(each)
        assert html.endswith("</div>")
        assert "<script" not in html
        assert "http" not in html.replace("http://www.w3.org/2000/svg", "")
        assert str(each).strip()
    assert "amount &lt; 1000" in shown[0]._repr_html_()


def test_there_is_no_project(tmp_path: Path) -> None:
    with pytest.raises(SpecNotFoundError):
        qanat.open(tmp_path)


def test_importing_it_is_nearly_free() -> None:
    program = "import sys, qanat; print(*sorted(m for m in sys.modules if m.startswith('qanat')))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.stdout.split() == ["qanat"]


def test_all_tables_at_a_glance(shop: qanat.Project, folder: Path) -> None:
    """Those that have never run have no version; a damaged one says so, and the others go on."""
    before = shop.overview()
    assert {(each.version, each.rows, each.updated) for each in before} == {(None, None, None)}
    shop.run()
    found = {each.dataset: each for each in shop.overview()}
    assert tuple(found) == tuple(each.dataset for each in before)
    assert all(each.version == 0 and each.rows and each.updated for each in found.values())
    for each in found.values():
        assert each.rows == shop.table(each.dataset).arrow().num_rows
    name = next(iter(found))
    log = folder / "storage/tables" / name / "_delta_log" / f"{0:020}.json"
    log.write_text("{")
    with qanat.open(folder) as again:
        damaged, *others = again.overview()
    assert "damaged" in str(damaged.problem)
    assert [each.problem for each in others] == [None] * len(others)
    assert "damaged" in str(again.overview())


def test_the_history_tells_what_started_an_update(shop: qanat.Project) -> None:
    shop.run(origin="airflow shop/load/2026-11-30")
    assert [e.update.origin for e in shop.history()] == ["airflow shop/load/2026-11-30"]
