"""Hints about streams of rows that change, and of what changes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from tests.acceptance.hinted.case import ORDERS, SILVER, SQL, Case, stream, view

KEPT = (
    "CREATE STREAMING TABLE kept;\n"
    "CREATE FLOW keep AS AUTO CDC INTO kept FROM STREAM orders KEYS (id) SEQUENCE BY amount;\n"
)
THEIRS = stream("SELECT id FROM STREAM delta_scan('theirs', read_change_feed => true)")
AS_DAYS = ORDERS.replace("id BIGINT", "id DATE").replace("*.csv", "days/*.csv")


def unfed(folder: Path) -> None:
    """Make a table of others without a feed of changes."""
    write_deltalake(folder / "theirs", pa.table({"id": pa.array([1], pa.int64())}))


def feeding(folder: Path) -> None:
    """Let it keep one from its next version on, and be read from there."""
    DeltaTable(folder / "theirs").alter.set_table_properties(
        {"delta.enableChangeDataFeed": "true"}
    )


def begun_later(folder: Path) -> None:
    """Let it keep a feed, and begin with that version."""
    feeding(folder)
    later = THEIRS.replace("=> true", "=> true, starting_version => 1")
    (folder / SQL).write_text(ORDERS + later)


def in_delta(folder: Path) -> None:
    """Begin again with Delta tables."""
    shutil.rmtree(folder / "storage")
    (folder / "qanat.yml").write_text("name: shop\n")


MORE = {"data/b.csv": "id,amount\n7,8\n"}
refreshed = "qanat run --full-refresh orders"


def without_entry(folder: Path) -> None:
    """Take the first entry of the log away, as retention does once there is a checkpoint."""
    table = folder / "storage/tables/orders"
    DeltaTable(table).create_checkpoint()
    (table / f"_delta_log/{0:020}.json").unlink()


def without_first_file(folder: Path) -> None:
    """Take the files away that a full refresh has replaced, as VACUUM does."""
    table = DeltaTable(folder / "storage/tables/orders")
    kept = {Path(uri).name for uri in table.file_uris()}
    for path in (folder / "storage/tables/orders").glob("*.parquet"):
        if path.name not in kept:
            path.unlink()


CASES: dict[str, Case] = {
    "a stream of rows becomes one of what changes": Case(
        "qanat run",
        "with what changes, too: STREAM … WITH (read_change_feed)",
        SILVER,
        before=("qanat run", "qanat run --full-refresh orders --only"),
        follow={SQL: ORDERS + SILVER.replace("orders;", "orders WITH (read_change_feed);")},
        again="qanat run --full-refresh silver",
    ),
    "changes of a column that had another type": Case(
        "qanat run",
        "begin with the version that changed it: starting_version => …; and start over:",
        stream("SELECT id FROM STREAM table_changes('orders')"),
        before=(
            "qanat run",
            {SQL: AS_DAYS},
            {"data/days/b.csv": "id,amount\n2026-01-01,1\n"},
            "qanat run --full-refresh orders --only --accept-loss",
            {SQL: AS_DAYS + stream("SELECT id FROM STREAM table_changes('orders')")},
        ),
        follow={SQL: AS_DAYS + stream("SELECT amount FROM STREAM table_changes('orders', 2)")},
        again="qanat run --full-refresh silver",
    ),
    "changes of a table with a column of changes": Case(
        "qanat run",
        "give that column another name",
        stream("SELECT *, 1 AS _commit_version FROM STREAM orders")
        + stream("SELECT id FROM STREAM table_changes('silver')", "bronze"),
        follow={
            SQL: ORDERS
            + stream("SELECT *, 1 AS version FROM STREAM orders")
            + stream("SELECT id FROM STREAM table_changes('silver')", "bronze")
        },
        again="qanat run --full-refresh silver bronze",
    ),
    "changes of a table that kept no feed": Case(
        "qanat run",
        "have the table keep one: its property delta.enableChangeDataFeed = true; and begin with a"
        " later version: starting_version => …",
        THEIRS,
        before=(unfed,),
        follow=begun_later,
    ),
    "changes of a table from before it kept a feed": Case(
        "qanat run",
        "begin with version 1: starting_version => 1",
        THEIRS,
        before=(unfed, feeding),
        follow={SQL: ORDERS + THEIRS.replace("=> true", "=> true, starting_version => 1")},
    ),
    "a view's changes become a stream's input": Case(
        "qanat validate",
        "read it without STREAM, or its changes: STREAM table_changes('gold')",
        view("SELECT id FROM orders") + stream("SELECT id FROM STREAM gold"),
        follow={
            SQL: ORDERS
            + view("SELECT id FROM orders")
            + stream("SELECT id FROM STREAM table_changes('gold')")
        },
    ),
    "changes of what is not stored": Case(
        "qanat validate",
        "say it where seen reads a table",
        "CREATE TEMPORARY VIEW seen AS SELECT * FROM STREAM orders;\n"
        + stream("SELECT id FROM STREAM table_changes('seen')"),
        follow={
            SQL: ORDERS
            + "CREATE TEMPORARY VIEW seen AS SELECT * FROM STREAM table_changes('orders');\n"
            + stream("SELECT id FROM STREAM seen")
        },
    ),
    "a stream of what is kept by changes": Case(
        "qanat validate",
        "read it without STREAM in a MATERIALIZED VIEW, or its changes: STREAM"
        " table_changes('kept'), or only rows that are new: STREAM kept WITH"
        " (skip_change_commits)",
        KEPT + stream("SELECT id FROM STREAM kept"),
        follow={
            SQL: ORDERS
            + KEPT
            + stream("SELECT id FROM STREAM table_changes('kept')")
            + stream("SELECT id FROM STREAM kept WITH (skip_change_commits)", "bronze")
            + view("SELECT id FROM kept")
        },
    ),
    "changes that the log no longer tells": Case(
        "qanat run",
        "begin with version 1: starting_version => 1; and start over: qanat run --full-refresh",
        stream("SELECT id FROM STREAM table_changes('orders', 0)"),
        before=("qanat run --select orders", MORE, "qanat run --select orders", without_entry),
        follow={SQL: ORDERS + stream("SELECT id FROM STREAM table_changes('orders', 1)")},
        again="qanat run --full-refresh silver",
    ),
    "changes whose rows are gone": Case(
        "qanat run",
        "begin with a later version: starting_version => …; and start over: qanat run"
        " --full-refresh silver",
        stream("SELECT id FROM STREAM table_changes('orders', 0)"),
        before=("qanat run --select orders", refreshed, without_first_file),
        follow={SQL: ORDERS + stream("SELECT id FROM STREAM table_changes('orders', 2)")},
        again="qanat run --full-refresh silver",
    ),
    "changes of an Iceberg table": Case(
        "qanat run",
        "keep the project's tables in Delta Lake: table_format: delta",
        stream("SELECT id FROM STREAM table_changes('orders')"),
        before=({"qanat.yml": "name: shop\ntable_format: iceberg\n"},),
        follow=in_delta,
    ),
}
