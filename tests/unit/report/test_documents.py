"""The JSON documents."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from qanat.errors import Location, ProblemsError, SourceNotFoundError, SpecError
from qanat.model.amount import Amount
from qanat.model.record import Epoch, UpdateRecord, UpdateStatus
from qanat.model.schema import Decimal as DecimalType, Field, Primitive, Schema
from qanat.model.staged import Counts, RuleCount
from qanat.report.documents import document
from qanat.report.failure import dumps, failure
from qanat.report.history import history_text
from qanat.report.keys import moment
from qanat.report.shape import Shapes
from qanat.run.decide import Decision, DefinitionStatus, Step, UpdatePlan
from qanat.run.facts import Waiting
from qanat.run.results import DatasetResult, FirstRows, HistoryEntry, UpdateResult


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (2**63, 2**63),
        (0.1, 0.1),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
        (Decimal("1.10"), "1.10"),
        (date(2013, 1, 31), "2013-01-31"),
        (datetime.fromisoformat("2013-01-31T05:00:00"), "2013-01-31T05:00:00"),
        (datetime(2013, 1, 31, 5, tzinfo=UTC), "2013-01-31T05:00:00Z"),
        (datetime(2013, 1, 31, 5, tzinfo=timezone(timedelta(hours=5))), "2013-01-31T00:00:00Z"),
        (time(5, 6), "05:06:00"),
        (b"\x00", "AA=="),
        ({1: [None, (Decimal(2),)]}, {"1": [None, ["2"]]}),
        ("\ud800 \x1b", "\ud800 \x1b"),
    ],
)
def test_every_value_survives_json(value: Any, expected: Any) -> None:
    assert Shapes().plain(value) == expected
    assert json.loads(dumps(Shapes().plain(value))) == expected


def test_documents_are_unicode_and_cannot_steer_a_terminal() -> None:
    text = dumps({"a": "数据 \x1b \x9b \u202e \ud800"})
    assert "数据" in text
    assert text.isprintable() or "\n" in text
    assert not {"\x1b", "\x9b", "\u202e", "\ud800"} & set(text)
    text.encode("utf-8")


def test_rows_are_objects() -> None:
    schema = Schema((Field("id", Primitive("long"), False), Field("x", DecimalType(10, 2))))
    view = FirstRows("t", "streaming table", "/t", 3, schema, [(1, Decimal("0.10"))], 9, 100, 1)
    found = document("table", view)
    assert found["rows"] == [{"id": 1, "x": "0.10"}]
    assert found["columns"][0] == {
        "name": "id",
        "type": "bigint",
        "nullable": False,
        "comment": None,
    }
    assert (found["version"], found["table_version"]) == (1, 3)


def test_a_failed_update_tells_why() -> None:
    error = SourceNotFoundError("no folder", location=Location("a.sql", 1))
    rules = (RuleCount("a", "r", "drop", 2),)
    result = UpdateResult(
        "u",
        "failed",
        1.0,
        (DatasetResult("a", "view", "failed", "x", Counts(), rules, 0, 0.5, error=error),),
    )
    found = document("update", result)
    (dataset,) = found["datasets"]
    assert dataset["error"] is not None
    assert dataset["error"]["code"] == "Q4002"
    (rule,) = dataset["rules"]
    found = {"dataset": "a", "rule": "r", "action": "drop", "violations": 2}
    assert found.items() <= rule.items()
    assert json.loads(dumps(found)) == found


def test_an_update_that_wrote_nothing_has_no_name() -> None:
    assert document("update", UpdateResult("", "succeeded", 0.0, ()))["update"] is None


def test_a_plan() -> None:
    plan = UpdatePlan(
        "dev",
        (
            Decision(
                "a",
                "sink",
                DefinitionStatus.NEW,
                Step.CREATE,
                "new",
                (Waiting("f", Amount(1, 10)),),
                "+ x",
            ),
        ),
    )
    found = document("plan", plan)
    assert found["datasets"][0]["waiting"] == [
        {"source": "f", "files": 1, "bytes": 10, "rows": None}
    ]
    assert json.loads(dumps(found)) == found


def test_history_of_an_update_that_still_runs() -> None:
    update = UpdateRecord("u", "dev", "run", 0.0)
    epoch = Epoch("f", "a", 1, "u", 0, False, {}, "x", 0.0)
    found = document("history", [HistoryEntry(update, (epoch,))])
    (past,) = found["updates"]
    assert (past["status"], past["seconds"]) == (UpdateStatus.RUNNING.value, None)
    assert (past["epochs"][0]["status"], past["epochs"][0]["written"]) == ("intended", 0)
    assert json.loads(dumps(found)) == found


def test_history_tells_what_started_an_update() -> None:
    person = HistoryEntry(UpdateRecord("u", "dev", "run", 0.0), ())
    task = HistoryEntry(UpdateRecord("v", "dev", "run", 0.0, origin="airflow shop/load"), ())
    found = document("history", [person, task])
    assert [u["origin"] for u in found["updates"]] == [None, "airflow shop/load"]
    assert "started by" not in history_text([person])
    assert "  started by airflow shop/load" in history_text([task]).splitlines()


def test_problems_come_all_at_once() -> None:
    one, two = SpecError("one"), SpecError("two")
    document = failure(ProblemsError([one, two]))
    assert document["error"] == one.facts()
    assert document["problems"] == [one.facts(), two.facts()]


def test_moments_are_utc() -> None:
    assert moment(1_767_225_599.5) == "2025-12-31T23:59:59.500Z"
