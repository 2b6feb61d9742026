"""What the commands print keeps to the JSON schemas, and these to what was promised."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import qanat
from qanat.cli.template import contents
from qanat.errors import Location, ProblemsError, QanatError, SpecError
from qanat.model.anomaly import Anomaly
from qanat.model.schedule import DueRun, RunState, Schedule
from qanat.model.trigger import Cron
from qanat.model.unit_test import WrittenTest
from qanat.project import Anomalies, DueRuns, Schedules, doctor
from qanat.report.documents import DOCUMENTS, FACTS, document, schema
from qanat.report.failure import dumps, failure
from qanat.run.results import ExportResult
from qanat.run.scheduled import Scheduled


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("shop")
    for path, text in contents("shop").items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    with qanat.open(folder) as project:
        yield project


def renamed(project: qanat.Project) -> Any:
    """A dataset that comes, is run, and gets another name."""
    file = project.root / "transformations/more.sql"
    file.write_text("CREATE MATERIALIZED VIEW one AS SELECT 1 AS n;")
    project.run("one")
    file.write_text("CREATE MATERIALIZED VIEW two AS SELECT 1 AS n;")
    return project.rename("one", "two")


def dropped(project: qanat.Project) -> Any:
    """The same, which goes."""
    (project.root / "transformations/more.sql").unlink()
    return project.drop("two")


def promoted(project: qanat.Project) -> Any:
    """What another environment has computed, after a look at that."""
    with qanat.open(project.root, "prod") as prod:
        prod.run()
    project.promote("+revenue_by_city", origin="prod", dry_run=True)._repr_html_()
    return project.promote("+revenue_by_city", origin="prod")


def kept(project: qanat.Project) -> Any:
    """What a flow keeps that comes, is run, and goes."""
    file = project.root / "transformations/kept.sql"
    file.write_text(
        "CREATE STREAMING TABLE kept AS SELECT count(*) AS n FROM STREAM silver_orders;"
    )
    project.run("kept")
    found = project.state("kept")
    found._repr_html_()
    file.unlink()
    project.drop("kept")
    return found


def unit_tested(project: qanat.Project) -> Any:
    """Unit tests that fail, by their rows and by an error."""
    given = "given: [{input: customers, rows: []}, {input: silver_orders, rows: []}]"
    expect = "expect: {rows: [{city: Oslo, revenue: 1.5}]}"
    tests = project.root / "tests"
    tests.mkdir(exist_ok=True)
    (tests / "some.yml").write_text(
        f"unit_tests:\n- {{name: rows, model: revenue_by_city, {given}, {expect}}}\n"
        f"- {{name: error, model: revenue, {given}, {expect}}}\n"
    )
    found = project.test()
    assert [bool(unit.error) for unit in found.units] == [False, True]
    assert not found.passed
    found._repr_html_()
    return found


def suggested(project: qanat.Project) -> Any:
    """Suggestions by enough rows, of which some do not hold."""
    file = project.root / "transformations/many.sql"
    file.write_text(
        "CREATE MATERIALIZED VIEW many AS SELECT n AS id, CASE WHEN n < 90 THEN n % 3"
        " ELSE n END AS kind FROM range(100) AS t (n);"
    )
    project.run("many")
    found = project.suggest("many")
    assert found[0].offered
    assert found[0].refused
    found._repr_html_()
    return found


def kept_profiles(project: qanat.Project) -> Any:
    """The profiles that an update has kept."""
    spec = project.root / "qanat.yml"
    text = spec.read_text()
    spec.write_text(f"{text}\nconfiguration: {{qanat.profile: 'true'}}\n")
    project.run(full_refresh="silver_orders")
    spec.write_text(text)
    found = project.profiles("silver_orders")
    assert len(found) == 1
    found._repr_html_()
    return found


RUN = DueRun("nightly", 60.0, RunState.FAILED, 2, 3, 61.0, 62.0, 63.5, "it rained", "u")
SCHEDULED = Scheduled(Schedule("nightly", Cron("0 1 * * *"), ("a+",)), None, RUN, 1.0, "a move")
ANOMALY = Anomaly("silver", "silver", "nulls(id)", "u", 1.0, 0.5, 0.01, 0.0, 0.02)

RESULTS: dict[str, tuple[Callable[[qanat.Project], Any], ...]] = {
    "init": (lambda _: ("shop", ["qanat.yml"]),),
    "plan": (lambda p: p.plan(), lambda p: p.plan(full_refresh=True)),
    "update": (lambda p: p.run(), lambda p: p.run(full_refresh=True), lambda p: p.run()),
    "pauses": (lambda p: p.pause("ranking", reason="to look"), lambda p: p.pause()),
    "resumed": (lambda p: p.resume(), lambda p: p.resume()),
    "schedules": (lambda p: p.schedules(), lambda _: Schedules([SCHEDULED])),
    "due_runs": (lambda p: p.due_runs(), lambda _: DueRuns([RUN, replace(RUN, ended=None)])),
    "validation": (lambda p: p.validate(),),
    "test": (lambda p: p.test(), unit_tested),
    "backtest": (lambda p: p.backtest(), lambda p: p.backtest(updates=1)),
    "suggest": (lambda p: p.suggest(), suggested),
    "recorded_test": (lambda _: WrittenTest("t", "a", "/t.yml", {"b": 2}, 1, 0),),
    "datasets": (lambda p: p.overview(),),
    "table": (
        lambda p: p.table("silver_orders").show(),
        lambda p: p.quarantine("silver_orders").rows(),
    ),
    "query": (
        lambda p: p.query("SELECT 1 AS a, NULL AS b, {'x': [1.5]} AS c").head(),
        lambda p: p.query("FROM range(3)").head(2),
    ),
    "state": (kept,),
    "manifest": (lambda p: p.manifest(), lambda p: p.manifest("+silver_orders")),
    "lineage": (lambda p: p.lineage(), lambda p: p.lineage("revenue_by_city.revenue")),
    "diff": (
        lambda p: p.diff("silver_orders", "silver_orders@0"),
        lambda p: p.diff("silver_orders", "bronze_orders", keys=["order_id"]),
        lambda p: p.diff("customers", "SELECT customer_id, 1.5 AS name FROM customers"),
    ),
    "profile": (
        lambda p: p.profile("silver_orders"),
        lambda p: p.profile("SELECT [1] AS l, DATE '2026-01-02' AS d, 'NaN'::DOUBLE AS n"),
        lambda p: p.profile("silver_orders", where="false"),
    ),
    "profiles": (lambda p: p.profiles("silver_orders"), kept_profiles),
    "report": (lambda p: p.report(), lambda p: p.report(values=True)),
    "history": (lambda p: p.history(), lambda p: p.history("silver_orders")),
    "events": (lambda p: p.events(), lambda p: p.events(dataset="silver_orders")),
    "metrics": (lambda p: p.metrics("silver_orders"),),
    "anomalies": (lambda p: p.anomalies(), lambda _: Anomalies((ANOMALY,), 12)),
    "quarantine": (lambda p: p.quarantines(),),
    "replay": (lambda p: p.replay(),),
    "discard": (lambda p: p.quarantine("silver_orders").discard(where="amount = 0"),),
    "export": (lambda p: ExportResult("silver_orders", str(p.root / "rows.csv"), 3),),
    "maintenance": (lambda p: p.maintain(dry_run=True), lambda p: p.maintain()),
    "move": (renamed, dropped),
    "promotion": (promoted,),
    "doctor": (lambda p: doctor(p.root),),
}


@pytest.mark.parametrize("name", [*RESULTS, "error"])
def test_whole_documents_are_called_so_and_parts_are_not(name: str) -> None:
    assert DOCUMENTS[name].name.endswith("Document")
    assert not [part for part in schema(name).get("$defs", ()) if part.endswith("Document")]


@pytest.mark.parametrize("name", RESULTS)
def test_documents_keep_to_their_schemas(shop: qanat.Project, name: str) -> None:
    shop.run()
    validator = jsonschema.Draft202012Validator(schema(name))
    for result in RESULTS[name]:
        text = dumps(document(name, result(shop)))
        validator.validate(json.loads(text))


def test_every_document_is_tried() -> None:
    assert RESULTS.keys() | {"error"} == DOCUMENTS.keys()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_schemas_are_schemas(name: str) -> None:
    found = schema(name)
    jsonschema.Draft202012Validator.check_schema(found)
    assert found["properties"]["version"] == {"enum": [1]}
    assert schema(name) == found, "the same each time"


@pytest.mark.parametrize(
    "error",
    [
        SpecError("wrong"),
        SpecError("wrong", location=Location("a.sql", 1, 2), wanted="x", hint="y"),
        ProblemsError([SpecError("one"), SpecError("two", location=Location("a.sql"))]),
    ],
)
def test_errors_keep_to_their_schema(error: QanatError) -> None:
    jsonschema.validate(failure(error), schema("error"))


def test_the_facts_of_an_error_are_those_of_the_schema() -> None:
    assert [k.name for k in FACTS.columns] == list(QanatError("x").facts())


def test_a_failed_dataset_keeps_to_the_schema(tmp_path: Path) -> None:
    (tmp_path / "qanat.yml").write_text("name: t\nlibraries: ['*.sql']\n")
    (tmp_path / "a.sql").write_text(
        "CREATE STREAMING TABLE a AS SELECT * FROM STREAM read_files('nowhere/*.csv');"
    )
    with qanat.open(tmp_path) as project:
        update = project.run()
    assert update.status == "failed"
    found = document("update", update)
    jsonschema.validate(found, schema("update"))
    assert found["datasets"][0]["error"]["error"] == type(update.failed[0].error).__name__


def test_a_wrong_document_is_noticed() -> None:
    found = document("init", ("shop", ["qanat.yml"])) | {"files": "qanat.yml"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(found, schema("init"))


def test_an_unknown_document() -> None:
    with pytest.raises(KeyError, match="update"):
        schema("updat")
