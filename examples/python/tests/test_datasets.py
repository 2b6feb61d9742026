"""Datasets are plain functions: import them, call them, look at what they return."""

import datetime

import pandas as pd
import polars as pl
import pyarrow as pa
from transformations.frames import changes, swings, warm_mornings


def test_swings_are_the_mean_of_the_days() -> None:
    days = pl.DataFrame({"station": ["A", "A", "B"], "low": [1.0, 3, 0], "high": [5.0, 5, 9]})
    assert swings(days).rows() == [("A", 3.0), ("B", 9.0)]


def test_the_first_day_has_no_change() -> None:
    day = [datetime.date(2026, 5, 1), datetime.date(2026, 5, 2)]
    days = pd.DataFrame({"station": ["A", "A"], "day": day, "low": [0.0, 1], "high": [7.0, 9]})
    assert changes(days)["change"].tolist() == [2.0]


def test_only_warm_mornings_stay() -> None:
    at = [datetime.datetime(2026, 5, 1, hour) for hour in (6, 6, 14)]
    readings = pa.table({"measured_at": at, "celsius": [14.9, 15.1, 30.0]})
    assert warm_mornings(readings)["celsius"].to_pylist() == [15.1]
