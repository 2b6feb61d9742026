"""A column that both a file and the name of its folder have."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qanat.model.pipeline import Drift

FORMATS = ("csv", "ndjson", "json", "parquet")
ROWS = ((1, "1"), (2, None), (3, "01"), (4, "99"))


def write(folder: Any, format: str) -> str:
    """A file in `m=1` whose own column `m` has the values of `ROWS`."""
    place = folder / "m=1"
    place.mkdir(exist_ok=True)
    path = place / f"x.{format}"
    if format == "parquet":
        ids, values = zip(*ROWS, strict=True)
        pq.write_table(pa.table({"id": list(ids), "m": list(values)}), path)
    elif format == "csv":
        path.write_text("id,m\n" + "".join(f"{i},{m or ''}\n" for i, m in ROWS))
    else:
        lines = (json.dumps({"id": i, "m": m}) + "\n" for i, m in ROWS)
        path.write_text("".join(lines))
    return f"m=1/x.{format}"


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("drift", [Drift.EVOLVE, Drift.RESCUE])
def test_a_row_that_contradicts_its_folder_is_put_aside(
    bench: Any, format: str, drift: Drift
) -> None:
    file = bench.file(write(bench.folder, format))
    options = {"header": True} if format == "csv" else {}
    bound = bench.bind(file, format=format, hive_partitioning=True, drift=drift, **options)
    names = bound.schema.names
    assert [tuple(r[names.index(n)] for n in ("id", "m")) for r in bench.rows(bound)] == [
        (1, 1),
        (2, 1),
        (3, 1),
    ]
    assert bound.malformed is not None
    [(path, line, raw, error)] = bench.con.sql(bound.malformed).fetchall()
    assert path.endswith(f"m=1/x.{format}")
    assert line in (4, 5)
    assert "99" in raw
    assert error == "column 'm': the file says 99, its folder 1"


def test_keys_of_json_in_other_spellings_contradict_as_well(bench: Any) -> None:
    bench.put("d=1/a.json", '{"id": 1, "d": 1}\n{"id": 2, "D": 9}\n')
    bound = bench.bind(bench.file("d=1/a.json"), format="ndjson", hive_partitioning=True)
    assert [r[0] for r in bench.rows(bound)] == [1]
