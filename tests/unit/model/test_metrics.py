"""What statistics of staged files tell of the rows of an epoch."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from qanat.model.metrics import measured
from qanat.model.schema import NO_COLUMNS
from qanat.model.staged import (
    ColumnMetrics,
    ColumnStatistics,
    Counts,
    DataFile,
    Staged,
    StagedTable,
)


def staged(*files: DataFile, written: int, **changes: Any) -> Staged:
    table = replace(StagedTable(NO_COLUMNS, files), **changes)
    return Staged(table, Counts(out=written, written=written), ())


def file(rows: int, **columns: ColumnStatistics) -> DataFile:
    return DataFile("a.parquet", 10, rows, {}, columns)


def test_files_add_up() -> None:
    one = file(3, n=ColumnStatistics(1, 5, 9), d=ColumnStatistics(0, date(2026, 1, 2), date.max))
    two = file(2, n=ColumnStatistics(2, None, None), d=ColumnStatistics(None, date.min, date.min))
    assert measured(staged(one, two, written=5)) == {
        "n": ColumnMetrics(5, 3, 5, 9),
        "d": ColumnMetrics(5, None, "0001-01-01", "9999-12-31"),
    }


def test_bounds_are_values_of_json_and_never_texts() -> None:
    moment = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    known = measured(
        staged(
            file(
                1,
                price=ColumnStatistics(0, Decimal("1.50"), Decimal("2.25")),
                name=ColumnStatistics(0, "Ada", "Zoe"),
                at=ColumnStatistics(0, moment, moment),
                good=ColumnStatistics(0, False, True),
            ),
            written=1,
        )
    )
    assert known["price"] == ColumnMetrics(1, 0, 1.5, 2.25)
    assert known["name"] == ColumnMetrics(1, 0)
    assert known["at"] == ColumnMetrics(
        1, 0, "2026-01-02T03:04:00+00:00", "2026-01-02T03:04:00+00:00"
    )
    assert known["good"] == ColumnMetrics(1, 0)


def test_files_with_other_rows_tell_nothing_of_the_epoch() -> None:
    counted = file(3, n=ColumnStatistics(0, 1, 2))
    assert measured(staged(counted, written=2)) == {}
    assert measured(staged(counted, written=3, removed=("old.parquet",))) == {}
    assert measured(staged(counted, written=3, rewritten=(counted,))) == {}


def test_a_column_that_has_got_another_type_has_no_bounds() -> None:
    number, text = ColumnMetrics(1, 0, 1, 2), ColumnMetrics(1, 0, "2026-01-01", "2026-01-02")
    assert number + text == ColumnMetrics(2, 0)
    assert number + ColumnMetrics(1, 1) == ColumnMetrics(2, 1, 1, 2)
