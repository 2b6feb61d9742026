"""Columns that come and go are told, and kept in the history."""

from __future__ import annotations

from pathlib import Path

import qanat
from qanat.model.event import Warned
from qanat.report.documents import document
from qanat.report.update import update_text
from tests.acceptance.projects import Shop


def test_new_and_vanished_columns_are_told_and_kept(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.file("data/1.csv", "id,amount\n1,10\n")
    shop.sql(
        "CREATE STREAMING TABLE orders AS SELECT * FROM STREAM read_files('data/*.csv');"
        "CREATE MATERIALIZED VIEW gold AS SELECT * FROM orders;"
    )
    shop.run()
    assert told(shop) == []
    shop.file("data/2.csv", "id,amount,note\n2,20,late\n")
    shop.run()
    new = "new column 'note' (string)"
    assert told(shop) == [("orders", new), ("gold", new)]
    shop.sql(
        "CREATE STREAMING TABLE orders AS SELECT * FROM STREAM read_files('data/*.csv');"
        "CREATE MATERIALIZED VIEW gold AS SELECT id, note FROM orders;"
    )
    shop.run()
    assert told(shop) == [("gold", "column 'amount' is gone")]


def test_columns_without_values_are_told_once(tmp_path: Path) -> None:
    """One that vanishes from the files, and one that is NULL in all; also in the result.

    Not one that often is NULL anyway.
    """
    shop = Shop(tmp_path)
    shop.sql("CREATE STREAMING TABLE orders AS SELECT * FROM STREAM read_files('data/*.csv');")
    shop.file("data/1.csv", "id,amount,note,never,often\n1,10,early,,\n2,20,late,,1\n")
    shop.run()
    shop.file("data/2.csv", "id,amount,never,often\n3,,,\n4,,,\n")
    notes = (
        "column 'amount' is NULL in all 2 new rows",
        "column 'note' is in none of the new files",
    )
    result = shop.update()
    assert [d.notes for d in result.datasets] == [notes]
    assert document("update", result)["datasets"][0]["notes"] == list(notes)
    assert "\norders: column 'note' is in none of the new files\n" in update_text(result)
    assert told(shop) == [("orders", note) for note in notes]
    shop.file("data/3.csv", "id,amount,never,often\n5,,,\n")
    shop.run()
    assert told(shop) == []
    shop.file("data/4.csv", "id,amount,note,never,often\n6,60,back,,\n")
    shop.run()
    assert told(shop) == []


def told(shop: Shop) -> list[tuple[str | None, str]]:
    """The warnings of the last update, as the ledger has kept them."""
    with qanat.open(shop.folder) as project:
        events = project.events().events
    return [(e.event.dataset, e.event.message) for e in events if isinstance(e.event, Warned)]
