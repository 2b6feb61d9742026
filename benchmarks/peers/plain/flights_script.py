"""The flights demo as one script: DuckDB, CSV files in, Parquet files out, nothing else.

    python flights_script.py

It does what examples/flights does: reads a month once, keeps what the rules refuse beside the
table, stops where a rule says so, and answers the same five questions. Each Parquet file appears
whole or not at all, and that of `silver_flights` last: it says that the month is done.
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

OUT = Path("warehouse")
con = duckdb.connect()


def write(target: str, query: str) -> None:
    """Write a Parquet file whole or not at all."""
    path = OUT / f"{target}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    con.execute(f"COPY ({query}) TO '{partial}' (FORMAT parquet)")
    partial.replace(path)


def view(name: str) -> None:
    """Make the files of a table readable by its name."""
    con.execute(f"CREATE OR REPLACE VIEW {name} AS FROM read_parquet('{OUT}/{name}/*.parquet')")


def check(action: str, name: str, table: str, condition: str) -> None:
    """Count the rows that break a rule; end the program if it is a rule of action `fail`."""
    [(bad,)] = con.execute(f"SELECT count(*) FROM {table} WHERE NOT ({condition})").fetchall()
    if bad:
        print(f"{action}: {name}: {bad} rows of {table}")
        if action == "fail":
            sys.exit(1)


def csv(files: str | Path) -> str:
    """A CSV file as text columns."""
    return f"read_csv('{files}', header = true, nullstr = 'NA', all_varchar = true)"


write("airlines/all", f"SELECT carrier, name AS airline FROM {csv('data/airlines.csv')}")
view("airlines")
check("fail", "one_per_airline", "(SELECT count(*) AS n FROM airlines GROUP BY carrier)", "n = 1")

write(
    "planes/all",
    f"""
    SELECT
      tailnum AS tail_number,
      CAST(year AS INTEGER) AS built,
      manufacturer,
      model,
      CAST(engines AS INTEGER) AS engines,
      CAST(seats AS INTEGER) AS seats
    FROM {csv("data/planes.csv")}
    """,
)
view("planes")
check("fail", "one_per_tail", "(SELECT count(*) AS n FROM planes GROUP BY tail_number)", "n = 1")
check("warn", "known_year", "planes", "built IS NOT NULL")

con.execute(
    f"""
    CREATE TEMP TABLE airports_checked AS
    SELECT
      faa AS airport,
      name,
      CAST(lat AS DOUBLE) AS latitude,
      CAST(lon AS DOUBLE) AS longitude,
      CAST(alt AS INTEGER) AS altitude_feet,
      row_number() OVER (PARTITION BY faa) > 1 AS is_duplicate,
      NOT (CAST(lon AS DOUBLE) < 0 OR CAST(lon AS DOUBLE) > 170) AS not_in_america
    FROM {csv("data/airports/*.csv")}
    """
)
write(
    "airports/all",
    """
    SELECT airport, name, latitude, longitude, altitude_feet
    FROM airports_checked WHERE NOT (is_duplicate OR not_in_america)
    """,
)
write("airports_quarantine/all", "FROM airports_checked WHERE is_duplicate OR not_in_america")
view("airports")

for file in sorted(Path("data").glob("weather.csv")):
    if (OUT / "silver_weather" / f"{file.stem}.parquet").exists():
        continue
    write(f"bronze_weather/{file.stem}", f"FROM {csv(file)}")
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE weather_checked AS
        SELECT
          *,
          row_number() OVER (PARTITION BY origin, hour_utc) > 1 AS is_duplicate,
          coalesce(wind_mph NOT BETWEEN 0 AND 150, false) AS implausible_wind
        FROM (
          SELECT
            origin,
            CAST(time_hour AS TIMESTAMPTZ) AS hour_utc,
            make_date(CAST(year AS INTEGER), CAST(month AS INTEGER), CAST(day AS INTEGER)) AS day,
            CAST(hour AS INTEGER) AS clock_hour,
            CAST(temp AS DOUBLE) AS temperature_f,
            CAST(wind_speed AS DOUBLE) AS wind_mph,
            CAST(precip AS DOUBLE) AS rain_inches,
            CAST(visib AS DOUBLE) AS visibility_miles
          FROM '{OUT}/bronze_weather/{file.stem}.parquet'
        )
        WHERE temperature_f IS NOT NULL
        """
    )
    clock_hours = "(SELECT count(*) AS n FROM weather_checked GROUP BY origin, day, clock_hour)"
    check("warn", "one_per_clock_hour", clock_hours, "n = 1")
    bad = "(is_duplicate OR implausible_wind)"
    write(f"silver_weather_quarantine/{file.stem}", f"FROM weather_checked WHERE {bad}")
    write(
        f"silver_weather/{file.stem}",
        f"SELECT * EXCLUDE (is_duplicate, implausible_wind) FROM weather_checked WHERE NOT {bad}",
    )
view("silver_weather")

for file in sorted(Path("data/flights").glob("*.csv")):
    if (OUT / "silver_flights" / f"{file.stem}.parquet").exists():
        continue
    write(f"bronze_flights/{file.stem}", f"SELECT *, '{file}' AS source_file FROM {csv(file)}")
    duplicate = "row_number() OVER (PARTITION BY day, carrier, flight, origin) > 1"
    if any(OUT.glob("silver_flights/*.parquet")):
        duplicate += f""" OR (day, carrier, flight, origin) IN (
            SELECT (day, carrier, flight, origin) FROM '{OUT}/silver_flights/*.parquet')"""
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE flights_checked AS
        SELECT
          *,
          {duplicate} AS is_duplicate,
          coalesce(60 * miles / air_minutes > 600, false) AS implausible_speed,
          departure_delay NOT BETWEEN -60 AND 1440 AS implausible_delay,
          destination NOT IN (SELECT airport FROM airports) AS unknown_destination
        FROM (
          SELECT
            make_date(CAST(year AS INTEGER), CAST(month AS INTEGER), CAST(day AS INTEGER)) AS day,
            CAST(month AS INTEGER) AS month,
            carrier,
            CAST(flight AS INTEGER) AS flight,
            tailnum AS tail_number,
            origin,
            dest AS destination,
            CAST(time_hour AS TIMESTAMPTZ) AS hour_utc,
            CAST(dep_delay AS INTEGER) AS departure_delay,
            CAST(arr_delay AS INTEGER) AS arrival_delay,
            CAST(air_time AS INTEGER) AS air_minutes,
            CAST(distance AS INTEGER) AS miles
          FROM '{OUT}/bronze_flights/{file.stem}.parquet'
        )
        WHERE departure_delay IS NOT NULL
        """
    )
    check("fail", "known_airline", "flights_checked", "carrier IN (SELECT carrier FROM airlines)")
    known_plane = "tail_number IS NULL OR tail_number IN (SELECT tail_number FROM planes)"
    check("warn", "known_plane", "flights_checked", known_plane)
    check("warn", "arrived", "flights_checked", "arrival_delay IS NOT NULL")
    bad = "(is_duplicate OR implausible_speed OR implausible_delay OR unknown_destination)"
    write(f"silver_flights_quarantine/{file.stem}", f"FROM flights_checked WHERE {bad}")
    write(
        f"cancelled_flights/{file.stem}",
        f"""
        SELECT
          make_date(CAST(year AS INTEGER), CAST(month AS INTEGER), CAST(day AS INTEGER)) AS day,
          CAST(month AS INTEGER) AS month,
          carrier,
          CAST(flight AS INTEGER) AS flight,
          origin,
          dest AS destination
        FROM '{OUT}/bronze_flights/{file.stem}.parquet'
        WHERE dep_time IS NULL
        """,
    )
    flags = "is_duplicate, implausible_speed, implausible_delay, unknown_destination"
    write(
        f"silver_flights/{file.stem}",
        f"SELECT * EXCLUDE ({flags}) FROM flights_checked WHERE NOT {bad}",
    )
view("silver_flights")
view("cancelled_flights")
check("fail", "three_airports", "silver_flights", "origin IN ('EWR', 'JFK', 'LGA')")

write(
    "worst_routes/all",
    """
    SELECT
      f.origin,
      f.destination,
      a.name AS destination_name,
      count(*) AS flights,
      round(avg(f.arrival_delay), 1) AS mean_delay,
      round(100 * avg(CAST(f.arrival_delay > 30 AS INTEGER)), 1) AS late_percent
    FROM silver_flights AS f
    JOIN airports AS a ON a.airport = f.destination
    WHERE f.arrival_delay IS NOT NULL
    GROUP BY f.origin, f.destination, a.name
    HAVING count(*) >= 100
    ORDER BY mean_delay DESC, f.origin, f.destination
    LIMIT 20
    """,
)
write(
    "delay_by_weather/all",
    """
    SELECT
      CASE
        WHEN w.visibility_miles < 1 THEN '1 fog'
        WHEN w.rain_inches >= 0.1 THEN '2 heavy rain'
        WHEN w.rain_inches > 0 THEN '3 rain'
        WHEN w.wind_mph >= 25 THEN '4 storm'
        ELSE '5 fair'
      END AS weather,
      count(*) AS flights,
      round(avg(f.departure_delay), 1) AS mean_delay,
      median(f.departure_delay) AS median_delay
    FROM silver_flights AS f
    JOIN silver_weather AS w ON w.origin = f.origin AND w.hour_utc = f.hour_utc
    GROUP BY weather
    ORDER BY weather
    """,
)
write(
    "carriers_by_month/all",
    """
    SELECT
      l.airline,
      f.month,
      f.flights,
      f.mean_delay,
      coalesce(c.cancelled, 0) AS cancelled
    FROM (
      SELECT carrier, month, count(*) AS flights, round(avg(departure_delay), 1) AS mean_delay
      FROM silver_flights
      GROUP BY carrier, month
    ) AS f
    JOIN airlines AS l ON l.carrier = f.carrier
    LEFT JOIN (
      SELECT carrier, month, count(*) AS cancelled FROM cancelled_flights GROUP BY carrier, month
    ) AS c ON c.carrier = f.carrier AND c.month = f.month
    ORDER BY l.airline, f.month
    """,
)
write(
    "delay_by_age/all",
    """
    SELECT
      (2013 - p.built) // 5 * 5 AS age_from,
      count(*) AS flights,
      round(avg(f.departure_delay), 1) AS mean_delay
    FROM silver_flights AS f
    JOIN planes AS p ON p.tail_number = f.tail_number
    WHERE p.built IS NOT NULL
    GROUP BY age_from
    ORDER BY age_from
    """,
)
write(
    "airport_ranking/all",
    """
    SELECT
      *,
      row_number() OVER (ORDER BY on_time_share DESC) AS place
    FROM (
      SELECT
        origin,
        count(*) AS flights,
        avg(CAST(departure_delay <= 15 AS INTEGER)) AS on_time_share,
        avg(departure_delay) AS mean_delay
      FROM silver_flights
      GROUP BY origin
    )
    ORDER BY place
    """,
)
