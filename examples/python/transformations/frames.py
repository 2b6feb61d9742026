"""Data frames: a parameter is the dataset of its name, its annotation says as what it comes."""

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from qanat import pipelines as dp


@dp.materialized_view(comment="How much each station swings in a day (Polars)")
def swings(days: pl.DataFrame) -> pl.DataFrame:
    swing = pl.col("high") - pl.col("low")
    return days.group_by("station").agg(swing.mean().alias("swing")).sort("station")


@dp.materialized_view(comment="How each day differs from the one before (pandas)")
def changes(days: pd.DataFrame) -> pd.DataFrame:
    ordered = days.sort_values(["station", "day"])
    change = ordered.groupby("station")["high"].diff()
    return ordered[["station", "day"]].assign(change=change).dropna()


@dp.table(comment="Warm mornings, each looked at once (Arrow)")
def warm_mornings(readings: pa.Table) -> pa.Table:
    morning = pc.less(pc.hour(readings["measured_at"]), 12)
    return readings.filter(pc.and_(morning, pc.greater(readings["celsius"], 15.0)))


dp.create_sink("published", format="csv", options={"path": "published"})


@dp.append_flow(target="published")
def publish() -> str:
    return "SELECT * FROM STREAM warm_mornings"
