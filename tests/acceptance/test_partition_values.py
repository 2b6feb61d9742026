"""Values of partition columns, as other readers of the table find them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars
import pytest
from deltalake import DeltaTable

import qanat
from qanat.errors import AdapterError

SPEC = "name: p\nstorage: storage\nlibraries: ['*.sql']\n"
NOON = datetime.fromisoformat("2020-01-02T12:00:00.123456")
MIDNIGHT = datetime.fromisoformat("2020-01-02")


def ran(folder: Path, type_: str, *values: str) -> None:
    """Make a view that is partitioned by some values."""
    (folder / "qanat.yml").write_text(SPEC)
    rows = ", ".join(f"(CAST({v} AS {type_}), {n})" for n, v in enumerate(values))
    (folder / "t.sql").write_text(
        "CREATE MATERIALIZED VIEW t PARTITIONED BY (p)"
        f" AS SELECT * FROM (VALUES {rows}) AS v(p, n);"
    )
    with qanat.open(folder) as project:
        for dataset in project.run().datasets:
            if dataset.error is not None:
                raise dataset.error


@pytest.mark.parametrize(
    ("type_", "values", "found"),
    [
        ("BOOLEAN", ("true", "NULL"), [True, None]),
        ("DATE", ("'2020-01-02'", "'0001-01-01'"), [date(2020, 1, 2), date(1, 1, 1)]),
        ("DOUBLE", ("1e300", "'inf'", "-0.5"), [1e300, float("inf"), -0.5]),
        ("TIMESTAMP", ("'2020-01-02 12:00:00.123456'", "'2020-01-02'"),
         [NOON, MIDNIGHT]),
        ("TIMESTAMPTZ", ("'2020-01-02 14:00:00.123456+02'", "'2020-01-02 00:00:00Z'", "NULL"),
         [NOON.replace(tzinfo=UTC), MIDNIGHT.replace(tzinfo=UTC), None]),
        ("VARCHAR", ("'ü/% =x'", "' '", "'a+00'"), ["ü/% =x", " ", "a+00"]),
    ],
)  # fmt: skip
def test_others_read_them(
    tmp_path: Path, type_: str, values: tuple[str, ...], found: list[Any]
) -> None:
    ran(tmp_path, type_, *values)
    place = str(tmp_path / "storage/tables/t")
    arrow = DeltaTable(place).to_pyarrow_table().sort_by("n")
    assert arrow.column("p").to_pylist() == found
    assert polars.read_delta(place).sort("n")["p"].to_list() == found
    with qanat.open(tmp_path) as project:
        assert [p for p, _ in sorted(project.table("t").rows(), key=lambda r: r[1])] == found


@pytest.mark.parametrize("type_", ["DATE", "TIMESTAMP", "TIMESTAMPTZ"])
@pytest.mark.parametrize("value", ["12000-01-01", "0044-03-15 (BC)"])
def test_what_would_make_the_table_unreadable_is_refused(
    tmp_path: Path, type_: str, value: str
) -> None:
    with pytest.raises(AdapterError, match="cannot be partitioned by 'p' where it is"):
        ran(tmp_path, type_, f"'{value}'")
    assert not list((tmp_path / "storage").rglob("*.parquet"))


@pytest.mark.parametrize(
    ("rule", "kept", "aside"),
    [
        ("(site = 'a' OR site = 'b')", [1, 2, 3], [4, 5]),
        ("(site IN ('a', 'c'))", [1, 2, 4, 5], [3]),
        ("(site <> 'b' OR n > 9)", [1, 2, 4, 5], [3]),
        ("UNIQUE (site)", [1, 3, 4], [2, 5]),
        ("(site) REFERENCES known (site)", [1, 2, 3], [4, 5]),
    ],
)
def test_rules_on_partition_columns_find_their_rows(
    tmp_path: Path, rule: str, kept: list[int], aside: list[int]
) -> None:
    """DuckDB leaves out the files of other partitions, and must not number the rest anew."""
    (tmp_path / "qanat.yml").write_text(SPEC)
    (tmp_path / "t.sql").write_text(f"""
        CREATE MATERIALIZED VIEW known AS SELECT * FROM (VALUES ('a'), ('b')) AS v(site);
        CREATE STREAMING TABLE t PARTITIONED BY (site) AS SELECT n, site FROM STREAM
          read_files('*.csv');
        CREATE STREAMING TABLE checked
          (CONSTRAINT one EXPECT {rule} ON VIOLATION QUARANTINE ROW)
          AS SELECT n, site FROM STREAM t;
    """)
    (tmp_path / "t.csv").write_text("n,site\n1,a\n2,a\n3,b\n4,c\n5,c\n")
    with qanat.open(tmp_path) as project:
        assert [d.error for d in project.run().datasets] == [None] * 3
        assert sorted(n for n, _ in project.table("checked").rows()) == kept
        rows = project.table("checked__quarantine").arrow().column("n").to_pylist()
        assert sorted(rows) == aside
