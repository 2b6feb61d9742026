"""Updates that failed are in the history, also those that failed before any epoch was begun."""

from __future__ import annotations

from pathlib import Path

import pytest

import qanat
from qanat.errors import OptionError, PlanError, SourceNotFoundError
from qanat.run.look import history
from qanat.run.session import Session
from tests.acceptance.projects import Shop

TABLE = "CREATE STREAMING TABLE t AS SELECT * FROM STREAM read_files('data/*.csv');"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    shop.sql(TABLE)
    return shop


def told(shop: Shop) -> list[tuple[str, str, str | None]]:
    """Of each update, the newest first: command, status, error."""
    with Session.open(shop.folder) as session:
        found = [entry.update for entry in history(session)]
    return [(u.command, str(u.status), u.error) for u in found]


def test_an_update_that_fails_before_any_epoch_is_in_the_history(shop: Shop) -> None:
    result = shop.update()
    ((_, status, error),) = told(shop)
    assert status == "failed"
    assert str(error).startswith("t: ")
    with Session.open(shop.folder) as session:
        events = [type(e.event).__name__ for e in session.ledger.events(result.id)]
        (failed,) = [
            e.event.failure
            for e in session.ledger.events(result.id)
            if type(e.event).__name__ == "DatasetEnded"
        ]
    assert events == ["UpdateStarted", "DatasetStarted", "DatasetEnded", "UpdateEnded"]
    assert failed.code == SourceNotFoundError.code
    shop.file("data/1.csv", "id\n1\n")
    assert shop.run()["t"].status == "updated"
    assert shop.run()["t"].status == "unchanged"
    assert [status for _, status, _ in told(shop)] == ["succeeded", "failed"]


def test_what_is_refused_is_not(shop: Shop) -> None:
    shop.file("data/1.csv", "id\n1\n")
    shop.run()
    with qanat.open(shop.folder) as project:
        with pytest.raises(PlanError):
            project.drop("t")
        with pytest.raises(OptionError):
            project.quarantine("t").discard("no_rule")
    assert [status for _, status, _ in told(shop)] == ["succeeded"]
