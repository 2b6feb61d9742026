"""Gold in Python: a function that returns SQL, with values that Python knows."""

from qanat import pipelines as dp

ON_TIME = 15  # minutes; airlines count a departure as on time up to here
YEARS = 5  # planes of so many years are one age


@dp.materialized_view(comment="The three airports, the most punctual first")
@dp.expect_or_fail("three_airports", "origin IN ('EWR', 'JFK', 'LGA')")
def airport_ranking() -> str:
    return f"""
        SELECT
          *,
          CAST(row_number() OVER (ORDER BY on_time_share DESC) AS INTEGER) AS place
        FROM (
          SELECT
            origin,
            count(*) AS flights,
            avg(CAST(departure_delay <= {ON_TIME} AS INTEGER)) AS on_time_share,
            avg(departure_delay) AS mean_delay
          FROM silver_flights
          GROUP BY origin
        )
        ORDER BY place
    """


@dp.materialized_view(comment="Does an old plane leave later?")
def delay_by_age() -> str:
    return f"""
        SELECT
          (2013 - p.built) // {YEARS} * {YEARS} AS age_from,
          count(*) AS flights,
          round(avg(f.departure_delay), 1) AS mean_delay
        FROM silver_flights AS f
        JOIN planes AS p ON p.tail_number = f.tail_number
        WHERE p.built IS NOT NULL
        GROUP BY age_from
        ORDER BY age_from
    """
