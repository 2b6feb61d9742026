"""Where a row in quarantine came from, as people read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qanat.model.schema import STRING, Field, Primitive, Schema
from qanat.report.quarantine import rows_text
from qanat.run.origins import ORIGIN, Origin
from qanat.run.results import FirstRows

ROOT = Path("/home/ada")
TABLES = ROOT / "storage/tables"
PARQUET = f"{TABLES}/bronze/k=1/epoch-1-0.parquet"


@pytest.mark.parametrize(
    ("origin", "text"),
    [
        (Origin("/home/ada/data/1.csv", 7), "data/1.csv:7"),
        (Origin("/mnt/1.csv", 7), "/mnt/1.csv:7"),
        (Origin("s3://b/1.csv", 7, ("a", "b")), "s3://b/1.csv:7, through a, b"),
        (
            Origin("/home/ada/1.csv", 7, ("a",), alike=1234),
            "1.csv:7, through a (one of 1,234 rows that are alike)",
        ),
        (
            Origin(PARQUET, 7, note="the definition of bronze has changed since"),
            "bronze, row 7 of epoch-1-0.parquet (the definition of bronze has changed since)",
        ),
        (
            Origin(PARQUET, 7, ("a",), 2, "x"),
            "bronze, row 7 of epoch-1-0.parquet, through a (one of 2 rows that are alike; x)",
        ),
        (None, "flow f, epoch 3"),
    ],
)
def test_places(origin: Origin | None, text: str) -> None:
    columns = (
        ORIGIN,
        Field("_quarantine_flow", STRING),
        Field("_quarantine_epoch", Primitive("long")),
    )
    row: tuple[Any, ...] = (None if origin is None else origin.value, "f", 3)
    first = FirstRows("t", "quarantine", "", 0, Schema(columns), [row], 1, 0, 0)
    assert rows_text(first, TABLES, ROOT).splitlines()[0] == f"1. {text}"
