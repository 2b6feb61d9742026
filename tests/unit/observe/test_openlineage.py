"""Documents of OpenLineage keep to what its own client declares of them, and say what is so.

The classes of `openlineage-python` are made from the published JSON schemas, which no package has.
`OPENLINEAGE_SPEC=FOLDER`, where that is the folder `spec` of OpenLineage's repository, validates
with the schemas themselves.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args, get_origin
from uuid import UUID

import attr
import jsonschema
import pytest
from openlineage.client import event_v2, generated
from openlineage.client.serde import Serde

import qanat
from qanat.cli.template import contents
from qanat.model.event import EventRecord, UpdateEnded
from qanat.model.observer import Told
from qanat.model.portrait import Place, place_of
from qanat.model.record import CONTINUOUS, UpdateRecord
from qanat.observe.openlineage.documents import Documents
from qanat.observe.openlineage.names import run_id
from qanat.observe.openlineage.observer import OpenLineage
from qanat.run.portraits import Portraits
from tests.receivers import receiving

Document = dict[str, Any]


def classes() -> dict[str, type[Any]]:
    """The facets that the client knows, by the URL of their schema."""
    found = {}
    for module in pkgutil.iter_modules(generated.__path__):
        for value in vars(importlib.import_module(f"{generated.__name__}.{module.name}")).values():
            if isinstance(value, type) and attr.has(value) and hasattr(value, "_get_schema"):
                found[value._get_schema()] = value
    return found


CLASSES = classes()
OWN = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunFacet"
EVENTS = {"run": event_v2.RunEvent, "dataset": event_v2.DatasetEvent, "job": event_v2.JobEvent}


def check(cls: Any, value: Mapping[str, Any], where: str) -> None:
    """A document has what a class of the client needs, and nothing that it does not know."""
    fields = {f.name: f for f in attr.fields(attr.resolve_types(cls)) if f.init}
    needed = {n for n, f in fields.items() if f.default is attr.NOTHING}
    assert needed <= set(value), (where, needed - set(value))
    unknown = set(value) - set(fields) - {"_producer", "_schemaURL"}
    assert not unknown, (where, unknown)
    for name, each in value.items():
        if name in fields:
            matches(fields[name].type, each, f"{where}.{name}")


def matches(kind: Any, value: Any, where: str) -> None:
    """A value is of the type that a field of the client declares."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is list:
        assert isinstance(value, list), where
        for number, each in enumerate(value):
            matches(inner[0], each, f"{where}[{number}]")
    elif origin is dict:
        assert isinstance(value, dict), where
        # Of facets the client declares no more than that they are some: they are checked apart.
        for name, each in value.items() if "acets" not in where.rpartition(".")[2] else ():
            matches(inner[1], each, f"{where}.{name}")
    elif inner and value is not None:
        matches(next(k for k in inner if k is not type(None)), value, where)
    elif attr.has(kind):
        check(kind, value, where)
    elif kind in TYPES and value is not None:
        assert type(value) in TYPES[kind], where


TYPES = {str: (str,), int: (int,), bool: (bool,), float: (int, float)}


def facets(value: Any) -> Iterator[Document]:
    """All facets of a document, wherever they are."""
    if isinstance(value, dict):
        if "_schemaURL" in value:
            yield value
        for each in value.values():
            yield from facets(each)
    elif isinstance(value, list):
        for each in value:
            yield from facets(each)


def check_document(document: Document) -> None:
    """A document and all of its facets are what OpenLineage says."""
    kind = next(k for k in EVENTS if k in document)
    assert document["schemaURL"].endswith(f"#/$defs/{EVENTS[kind].__name__}")
    check(EVENTS[kind], {k: v for k, v in document.items() if k != "schemaURL"}, kind)
    for facet in facets(document):
        if facet["_schemaURL"] != OWN:
            assert facet["_schemaURL"] in CLASSES, facet["_schemaURL"]
            check(CLASSES[facet["_schemaURL"]], facet, facet["_schemaURL"].rpartition("/")[2])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[qanat.Project]:
    folder = tmp_path_factory.mktemp("shop")
    for path, text in contents("shop").items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    more = (folder / "transformations/silver.sql").read_text()
    (folder / "transformations/silver.sql").write_text(
        more + "\nCREATE TEMPORARY VIEW seen AS SELECT order_id AS id, amount * 2 AS twice"
        " FROM silver_orders;\n"
        "CREATE MATERIALIZED VIEW summed COMMENT 'What is seen' TBLPROPERTIES"
        " ('owner' = 'team:data', 'qanat.tags' = 'pii, gold')"
        " AS SELECT id, twice + 1 AS more FROM seen;\n"
        "CREATE MATERIALIZED VIEW broken AS SELECT 1 // 0 AS n;\n"
    )
    spec = folder / "qanat.yml"
    spec.write_text(
        spec.read_text() + "\nobservers:\n  lineage: {kind: openlineage, path: told.ndjson,"
        " wait: 60 seconds}\n"
    )
    with qanat.open(folder) as project:
        project.run(origin="schedule nightly, due 2026-11-30T01:00:00Z")
        yield project


@pytest.fixture(scope="module")
def told(shop: qanat.Project) -> list[Document]:
    lines = (shop.root / "told.ndjson").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def documents(shop: qanat.Project, told: list[Document]) -> list[Document]:
    """What is told meanwhile, afterwards, and of what is declared."""
    declared = json.loads(json.dumps(list(shop.export_openlineage())))
    return [*told, *json.loads(json.dumps(list(shop.export_openlineage("last")))), *declared]


def ended(told: list[Document], dataset: str) -> Document:
    job = f"shop/dev/{dataset}"
    ends = ("COMPLETE", "FAIL", "ABORT")
    (found,) = [d for d in told if d["job"]["name"] == job and d["eventType"] in ends]
    return found


def test_documents_are_what_the_client_declares(documents: list[Document]) -> None:
    assert len(documents) > 40
    for document in documents:
        check_document(document)


def test_the_check_can_fail(told: list[Document]) -> None:
    document = json.loads(json.dumps(ended(told, "silver_orders")))
    document["outputs"][0]["facets"]["schema"]["fields"][0]["typ"] = "bigint"
    with pytest.raises(AssertionError, match="typ"):
        check_document(document)


def test_the_client_reads_them(told: list[Document]) -> None:
    known = ("eventType", "eventTime", "producer")
    for document in told:
        run = event_v2.Run(document["run"]["runId"])
        job = event_v2.Job(document["job"]["namespace"], document["job"]["name"])
        made = event_v2.RunEvent(
            eventTime=document["eventTime"],
            producer=document["producer"],
            eventType=event_v2.RunState[document["eventType"]],
            run=run,
            job=job,
        )
        written = json.loads(Serde.to_json(made))
        assert {k: written[k] for k in known} == {k: document[k] for k in known}


@pytest.mark.skipif("OPENLINEAGE_SPEC" not in os.environ, reason="OPENLINEAGE_SPEC is not set")
def test_documents_keep_to_the_published_schemas(documents: list[Document]) -> None:
    referencing = importlib.import_module("referencing")
    folder = Path(os.environ["OPENLINEAGE_SPEC"])
    files = (folder / "OpenLineage.json", *(folder / "facets").glob("*.json"))
    schemas = {file.name: json.loads(file.read_text()) for file in files}
    resources = [(s["$id"], referencing.Resource.from_contents(s)) for s in schemas.values()]
    registry = referencing.Registry().with_resources(resources)
    for document in documents:
        parts = [(facet, facet["_schemaURL"]) for facet in facets(document)]
        for value, url in [(document, document["schemaURL"]), *parts]:
            # The folder may be of another day than the client: the same schema, a version older.
            base, _, definition = url.partition("#")
            known = f"{schemas[base.rpartition('/')[2]]['$id']}#{definition}"
            jsonschema.Draft202012Validator(
                {"$ref": known}, registry=registry, format_checker=jsonschema.FormatChecker()
            ).validate(value)


def test_each_run_begins_once_and_ends_once(told: list[Document]) -> None:
    runs: dict[str, list[str]] = {}
    for document in told:
        runs.setdefault(document["run"]["runId"], []).append(document["eventType"])
    for states in runs.values():
        assert states[-1] in ("COMPLETE", "FAIL"), states
        assert states[0] == "START"
        assert set(states[1:-1]) <= {"RUNNING"}, states


def test_datasets_are_parts_of_their_update(told: list[Document]) -> None:
    update = told[0]
    assert update["job"]["name"] == "shop/dev"
    assert update["run"]["facets"]["nominalTime"]["nominalStartTime"] == "2026-11-30T01:00:00Z"
    for document in told:
        if document["job"]["name"] == "shop/dev":
            assert "parent" not in document["run"]["facets"]
            continue
        parent = document["run"]["facets"]["parent"]
        assert parent["root"]["run"]["runId"] == update["run"]["runId"]


def test_what_a_dataset_is_made_of(shop: qanat.Project, told: list[Document]) -> None:
    document = ended(told, "silver_orders")
    tables = f"{shop.root}/storage/tables"
    assert {i["name"] for i in document["inputs"]} == {
        f"{tables}/bronze_orders",
        f"{tables}/customers",  # a rule refers to it
    }
    output, aside = document["outputs"]
    assert (output["namespace"], output["name"]) == ("file", f"{tables}/silver_orders")
    assert aside["name"] == f"{tables}/silver_orders__quarantine"
    assert aside["outputFacets"]["outputStatistics"]["rowCount"] == 3
    names = [f["name"] for f in output["facets"]["schema"]["fields"]]
    assert names == ["order_id", "customer_id", "ordered_on", "amount"]
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == 5
    assert output["facets"]["lifecycleStateChange"]["lifecycleStateChange"] == "CREATE"
    amount = output["facets"]["dataQualityMetrics"]["columnMetrics"]["amount"]
    assert amount == {"nullCount": 0, "count": 5, "min": 8.75, "max": 720.0}
    assert "STREAM bronze_orders" in document["job"]["facets"]["sql"]["query"]


def test_columns_are_traced_through_temporary_views(
    shop: qanat.Project, told: list[Document]
) -> None:
    (output,) = ended(told, "summed")["outputs"]
    fields = output["facets"]["columnLineage"]["fields"]
    place = {"namespace": "file", "name": f"{shop.root}/storage/tables/silver_orders"}
    (id_,) = fields["id"]["inputFields"]
    assert {k: id_[k] for k in ("namespace", "name", "field")} == place | {"field": "order_id"}
    (more,) = fields["more"]["inputFields"]
    assert more["field"] == "amount"
    described = more["transformations"][0]["description"]
    assert "* 2" in described
    assert "+ 1" in described
    assert output["facets"]["ownership"]["owners"] == [{"name": "team:data"}]
    assert output["facets"]["documentation"]["description"] == "What is seen"
    assert {t["key"] for t in output["facets"]["tags"]["tags"]} == {"pii", "gold"}


def test_what_expectations_found(told: list[Document]) -> None:
    job = "shop/dev/silver_orders/checks"
    start, end = [d for d in told if d["job"]["name"] == job]
    assert (start["eventType"], end["eventType"]) == ("START", "COMPLETE")
    (checked,) = end["inputs"]
    found = checked["inputFacets"]["dataQualityAssertions"]["assertions"]
    unique = next(a for a in found if a["name"] == "one_per_order")
    assert (unique["assertion"], unique["success"], unique["column"]) == (
        "unique",
        False,
        "order_id",
    )
    assert unique["actual"] == "1 violation"
    assert unique["params"]["action"] == "quarantine"


def test_why_a_dataset_failed(told: list[Document]) -> None:
    document = ended(told, "broken")
    assert document["eventType"] == "FAIL"
    message = document["run"]["facets"]["errorMessage"]["message"]
    assert message.startswith("Q1009: division by zero")
    assert (told[-1]["job"]["name"], told[-1]["eventType"]) == ("shop/dev", "FAIL")


def test_what_is_declared_needs_no_run(shop: qanat.Project) -> None:
    found = list(shop.export_openlineage(namespace="lake"))
    jobs = {d["job"]["name"]: d for d in found if "job" in d}
    assert "shop/dev/summed" in jobs
    assert "shop/dev/seen" not in jobs
    assert {d["job"]["namespace"] for d in jobs.values()} == {"lake"}
    assert {"job", "dataset"} == {k for d in found for k in ("job", "dataset") if k in d}


def test_runs_have_the_same_identifiers_each_time(
    shop: qanat.Project, told: list[Document]
) -> None:
    again = list(shop.export_openlineage("last"))
    assert [d["run"]["runId"] for d in again] == [d["run"]["runId"] for d in told]
    identifier = UUID(told[0]["run"]["runId"])
    assert identifier.version == 7
    (newest,) = shop.history(limit=1)
    assert identifier.int >> 80 == int(newest.update.started * 1000)


def test_runs_are_told_apart() -> None:
    one = UpdateRecord("20261130T010315-f4eed8", "dev", "run", 1796000595.25)
    ids = {run_id(job, u) for job in ("a", "b") for u in (one, replace(one, id="other"))}
    assert len(ids) == 4


def test_of_a_killed_update_no_run_is_left_open(shop: qanat.Project) -> None:
    """As the ledger has it when a process dies: what began has no end."""
    session = shop.session
    update = session.ledger.updates(1)[0]
    records = [r for r in session.ledger.events(update.id) if r.number <= 4]

    class Observed(Portraits):
        def events(self, update: str) -> list[EventRecord]:
            del update
            return records

    documents = Documents(Observed(session))
    end = EventRecord(0, 1.0, UpdateEnded(update.id, "failed", 1.0))
    told = [d for r in (*records, end) for d in documents.of(Told(update, r))]
    begun = {d["run"]["runId"] for d in told if d["eventType"] == "START"}
    closed = {d["run"]["runId"] for d in told if d["eventType"] in ("FAIL", "ABORT", "COMPLETE")}
    assert begun == closed


def test_a_continuous_update_ends_its_runs_at_its_end(shop: qanat.Project) -> None:
    session = shop.session
    update = replace(session.ledger.updates(1)[0], command=CONTINUOUS)
    documents = Documents(Portraits(session))
    records = session.ledger.events(update.id)
    told = [(r, d) for r in records for d in documents.of(Told(update, r))]
    last = records[-1].number
    ends = ("COMPLETE", "FAIL", "ABORT")
    for record, document in told:
        if document["eventType"] in ends and not document["job"]["name"].endswith("checks"):
            assert record.number == last
            assert document["job"]["facets"]["jobType"]["processingType"] == "STREAMING"


def test_they_are_posted_to_the_lineage_endpoint(shop: qanat.Project) -> None:
    session = shop.session
    update = session.ledger.updates(1)[0]
    with receiving() as receiver:
        options = {"url": receiver.url, "api_key": "hunter2", "namespace": "lake"}
        observer = OpenLineage("lineage", options, Portraits(session))
        for record in session.ledger.events(update.id):
            observer.deliver(Told(update, record))
        observer.close()
    assert {r.path for r in receiver.requests} == {"/api/v1/lineage"}
    assert {r.headers["authorization"] for r in receiver.requests} == {"Bearer hunter2"}
    for document in receiver.taken:
        check_document(document)
        assert document["job"]["namespace"] == "lake"


def test_places() -> None:
    assert place_of("gs://lake/a/b") == Place("gs://lake", "a/b")
    assert place_of("file:///data/a") == Place("file", "/data/a")
    assert Place("postgres://db:5432", "shop.public.a").url == "postgres://db:5432/shop.public.a"
