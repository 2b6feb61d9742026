"""Gold in Python: a function that takes tables and returns one, or that returns SQL."""

import pyarrow as pa
import pyarrow.compute as pc

from qanat import pipelines as dp


@dp.materialized_view(comment="The three airports, the most punctual first")
@dp.expect_or_fail("three_airports", "origin IN ('EWR', 'JFK', 'LGA')")
def airport_ranking(silver_flights: pa.Table) -> pa.Table:
    on_time = pc.less_equal(silver_flights["departure_delay"], 15)
    flights = silver_flights.select(["origin", "departure_delay"]).append_column(
        "on_time", on_time.cast(pa.int64())
    )
    ranking = flights.group_by("origin").aggregate(
        [("on_time", "count"), ("on_time", "mean"), ("departure_delay", "mean")]
    )
    ranking = ranking.rename_columns(["origin", "flights", "on_time_share", "mean_delay"])
    ranking = ranking.sort_by([("on_time_share", "descending")])
    return ranking.append_column("place", pa.array(range(1, len(ranking) + 1), pa.int32()))


@dp.materialized_view(comment="Does an old plane leave later?")
def delay_by_age() -> str:
    return """
        SELECT
          (2013 - p.built) // 5 * 5 AS age_from,
          count(*) AS flights,
          round(avg(f.departure_delay), 1) AS mean_delay
        FROM silver_flights AS f
        JOIN planes AS p ON p.tail_number = f.tail_number
        WHERE p.built IS NOT NULL
        GROUP BY age_from
        ORDER BY age_from
    """
