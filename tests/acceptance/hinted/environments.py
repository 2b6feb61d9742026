"""Hints about other environments, what they have read, and what is rebuilt below a stream."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.acceptance.hinted.case import FAILING, ORDERS, SILVER, SQL, Case, stream

SPEC = "name: shop\nenvironments: {{prod: {{}}, dev: {}, apart: {{}}}}\n"
HOOKED = "name: shop\nobservers: {{hook: {{kind: webhook, url: 'https://a.example', {}}}}}\n"
CHECKPOINTED = ORDERS.replace(
    "orders AS", "orders TBLPROPERTIES ('delta.checkpointInterval' = '1') AS"
)
LOG = "storage/tables/orders/_delta_log"
FOLDERS = stream(
    "SELECT * FROM STREAM read_files('in/*/*.csv', hive_partitioning => true,"
    " schema => 'id BIGINT, n {}')"
)


def tear(folder: Path) -> None:
    newest = max((folder / LOG).glob("*.checkpoint.parquet"))
    newest.write_bytes(b"torn")


def mend(folder: Path) -> None:
    max((folder / LOG).glob("*.checkpoint.parquet")).unlink()
    (folder / LOG / "_last_checkpoint").unlink()


NUL = stream("SELECT {} FROM STREAM read_files('in/*.parquet')")


def odd(columns: dict[str, list[Any]]) -> Callable[[Path], None]:
    """Write a file whose names no SQL can spell."""

    def write(folder: Path) -> None:
        (folder / "in").mkdir()
        pq.write_table(pa.table(columns), folder / "in/a.parquet")

    return write


def scheduled(hint: str, wrong: str, right: str) -> Case:
    """Schedules that the hint says how to write."""
    spec = "name: shop\nschedules: {}\n"
    wrongly, rightly = {"qanat.yml": spec.format(wrong)}, {"qanat.yml": spec.format(right)}
    return Case("qanat validate", hint, before=(wrongly,), follow=rightly)


CASES = {
    # -- observers -------------------------------------------------------------------------------
    "certificates are verified": Case(
        "qanat validate",
        "certificates are always verified; `ca_file` names those to trust",
        before=({"qanat.yml": HOOKED.format("verify: false")},),
        follow={"qanat.yml": HOOKED.format("ca_file: ca.pem")},
    ),
    "an event is posted until it is taken": Case(
        "qanat validate",
        "an event is posted until it is taken: see `keep`",
        before=({"qanat.yml": HOOKED.format("retries: 5")},),
        follow={"qanat.yml": HOOKED.format("keep: 2 days")},
    ),
    # -- schedules -------------------------------------------------------------------------------
    "schedules in a circle": scheduled(
        "give one of them a cron or an interval",
        "{a: {after: b}, b: {after: a}}",
        "{a: {after: b}, b: {every: 1 hour}}",
    ),
    "schedules of one name": scheduled(
        "names differ by more than their case",
        "{a: {every: 1 hour}, A: {every: 1 hour}}",
        "{a: {every: 1 hour}, b: {every: 1 hour}}",
    ),
    # -- promotions ------------------------------------------------------------------------------
    "promote what is behind": Case(
        "qanat promote orders silver -e prod --from dev",
        "let it read the rest first: qanat run -e dev --select silver",
        SILVER,
        before=(
            {"qanat.yml": "name: shop\nenvironments: {prod: {}, dev: {}}\n"},
            "qanat run -e dev",
            {"data/b.csv": "id,amount\n7,8\n"},
            "qanat run -e dev --select orders",
        ),
    ),
    "promote what another environment has read": Case(
        "qanat promote silver -e prod --from dev",
        "compute it here instead: qanat run -e prod --select silver",
        SILVER,
        before=(
            {"qanat.yml": SPEC.format("{from: apart}")},
            "qanat run -e apart --select orders",
            "qanat run -e dev --select silver",
            "qanat run -e prod --select orders",
        ),
        again="qanat plan -e prod",
    ),
    # -- what was read and is there no more -----------------------------------------------------
    "rebuilt below a stream": Case(
        "qanat plan --full-refresh orders --only --select silver",
        "start over as well: qanat run --full-refresh orders silver",
        SILVER,
        before=("qanat run",),
        again="qanat run",
    ),
    "a torn checkpoint": Case(
        "qanat run",
        "remove it and _last_checkpoint beside it if all JSON entries of the log are there",
        orders=CHECKPOINTED,
        before=(
            "qanat run",
            {"data/b.csv": "id,amount\n7,8\n"},
            "qanat run",
            {"data/c.csv": "id,amount\n9,8\n"},
            tear,
        ),
        follow=mend,
    ),
    # -- values and columns ----------------------------------------------------------------------
    "a folder's name that is no number": Case(
        "qanat run",
        "declare the column as string in schema",
        FOLDERS.format("BIGINT"),
        before=({"in/n=x/a.csv": "id\n1\n"},),
        follow={SQL: ORDERS + FOLDERS.format("STRING")},
    ),
    "a division by zero": Case(
        "qanat run",
        "TRY(…) around it gives NULL instead",
        f"CREATE MATERIALIZED VIEW gold {FAILING} AS SELECT 1 // (id - 1) AS n FROM orders;\n",
        follow={
            SQL: ORDERS + f"CREATE MATERIALIZED VIEW gold {FAILING} AS"
            " SELECT TRY(1 // (id - 1)) AS n FROM orders;\n"
        },
    ),
    "a name with a NUL character": Case(
        "qanat validate",
        "name it otherwise: COLUMNS('^a.b$') AS …",
        NUL.format("*"),
        before=(odd({"id": [1], "a\0b": [2]}),),
        follow={SQL: ORDERS + NUL.format("id, COLUMNS('^a.b$') AS a_b")},
    ),
    "a NUL character deep in a column": Case(
        "qanat validate",
        "leave it out of the query",
        NUL.format("*"),
        before=(odd({"id": [1], "s": [{"a\0b": 2}]}),),
        follow={SQL: ORDERS + NUL.format("id")},
    ),
}
