"""Ibis: an expression that every engine can run, put together and checked by Python."""

import ibis

from qanat import pipelines as dp

READINGS = {"station": "string", "measured_at": "timestamp", "celsius": "float64"}


@dp.materialized_view(comment="The range of each day")
@dp.expect_or_fail("ordered", "low <= high")
def days() -> ibis.Table:
    readings = ibis.table(READINGS, name="readings")
    by_day = readings.group_by("station", day=readings.measured_at.date())
    range_ = by_day.agg(low=readings.celsius.min(), high=readings.celsius.max())
    return range_.order_by("station", "day")
