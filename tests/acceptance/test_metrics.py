"""The history of metrics: what updates have brought, known without another look at the rows."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import qanat
from qanat.errors import DatasetNotFoundError, ProblemsError
from qanat.model.staged import ColumnMetrics
from tests.acceptance.projects import Shop

SQL = """\
CREATE OR REFRESH STREAMING TABLE bronze (
  CONSTRAINT good EXPECT (v > 0) ON VIOLATION QUARANTINE ROW,
  CONSTRAINT known EXPECT (name IS NOT NULL)
) AS SELECT id, v, name, day FROM STREAM read_files('in/*.json', format => 'ndjson',
  schema => 'id BIGINT, v DOUBLE, name STRING, day DATE', maxFilesPerTrigger => 1);
CREATE OR REFRESH STREAMING TABLE keyed KEYS (id) AS SELECT id, v FROM STREAM bronze;
CREATE OR REFRESH MATERIALIZED VIEW total AS SELECT count(*) AS n, max(v) AS most FROM bronze;
"""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    made.sql(SQL)
    put(made, "0", [(1, 0.5, "Ada", "2026-01-01"), (2, 2.5, None, "2026-01-03")])
    put(made, "1", [(3, -1.0, "Bea", None), (4, 1.5, None, None), (5, None, "C", "2026-02-01")])
    return made


def put(shop: Shop, name: str, rows: list[tuple[object, ...]]) -> None:
    lines = (json.dumps(dict(zip(("id", "v", "name", "day"), row, strict=True))) for row in rows)
    shop.file(f"in/{name}.json", "".join(f"{line}\n" for line in lines))


def test_an_update_brings_one_entry_for_all_epochs_of_a_flow(shop: Shop) -> None:
    shop.run()
    with qanat.open(shop.folder) as project:
        (entry,) = project.metrics("BRONZE")
        assert (entry.flow, entry.epochs, entry.rows) == ("bronze", 2, 5)
        assert (entry.counts.written, entry.counts.quarantined) == (3, 2)
        assert {r.rule: r.violations for r in entry.rules} == {"good": 2, "known": 2}
        assert entry.columns == {
            "id": ColumnMetrics(3, 0, 1, 4),
            "v": ColumnMetrics(3, 0, 0.5, 2.5),
            "name": ColumnMetrics(3, 2),
            "day": ColumnMetrics(3, 1, "2026-01-01", "2026-01-03"),
        }
        (total,) = project.metrics("total")
        assert total.columns == {
            "n": ColumnMetrics(1, 0, 3, 3),
            "most": ColumnMetrics(1, 0, 2.5, 2.5),
        }


def test_an_update_that_finds_nothing_brings_no_entry(shop: Shop) -> None:
    shop.run()
    shop.run()
    put(shop, "2", [(6, 9.0, "D", None)])
    shop.run()
    with qanat.open(shop.folder) as project:
        newest, first = project.metrics("bronze")
        assert (newest.rows, first.rows) == (1, 5)
        assert newest.ended > first.ended
        assert len(project.metrics("bronze", limit=1)) == 1


def test_files_of_a_merge_tell_nothing_of_its_rows(shop: Shop) -> None:
    shop.run()
    put(shop, "2", [(1, 7.0, "Ada", None)])
    shop.run()
    with qanat.open(shop.folder) as project:
        newest, _ = project.metrics("keyed")
        assert (newest.rows, newest.counts.updated, newest.columns) == (1, 1, {})


def test_a_replay_and_maintenance_bring_no_rows(shop: Shop) -> None:
    shop.run()
    shop.sql(SQL.replace("v > 0", "v > -5"))
    with qanat.open(shop.folder) as project:
        assert [r.replayed for r in project.replay("bronze")] == [1]
        project.maintain("bronze")
        assert [m.rows for m in project.metrics("bronze")] == [5]


def test_history_ends_where_the_configuration_says(shop: Shop) -> None:
    shop.run()
    shop.file(
        "qanat.yml", "name: shop\nthreads: 1\nconfiguration:\n  qanat.metrics_retention: 1 day\n"
    )
    put(shop, "2", [(6, 9.0, "D", None)])
    shop.run()
    with closing(sqlite3.connect(shop.folder / "storage/_qanat/ledger.db")) as ledger, ledger:
        ledger.execute("UPDATE qanat_metrics SET ended = ended - 86400 WHERE facts LIKE '%2026%'")
    with qanat.open(shop.folder) as project:
        assert len(project.metrics("bronze")) == 2
    put(shop, "3", [(7, 9.0, "E", None)])
    shop.run()
    with qanat.open(shop.folder) as project:
        assert [m.rows for m in project.metrics("bronze")] == [1, 1]


def test_a_retention_that_is_none_is_told(shop: Shop) -> None:
    shop.file("qanat.yml", "name: shop\nconfiguration:\n  qanat.metrics_retention: soon\n")
    with pytest.raises(ProblemsError, match=r"'qanat\.metrics_retention' does not fit"):
        qanat.open(shop.folder)


def test_a_dataset_that_is_not_there_has_no_history(shop: Shop) -> None:
    with qanat.open(shop.folder) as project:
        assert project.metrics("bronze") == ()
        assert str(project.metrics("bronze")) == "No update has brought rows yet."
        with pytest.raises(DatasetNotFoundError):
            project.metrics("brnze")
