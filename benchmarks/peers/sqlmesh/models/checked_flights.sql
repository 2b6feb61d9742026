MODEL (
  name flights.checked_flights,
  kind INCREMENTAL_BY_TIME_RANGE (time_column day),
  depends_on (flights.airports, flights.airlines, flights.planes, flights.bronze_flights),
  audits (known_airline, known_plane, not_null_non_blocking(columns := arrival_delay))
);
SELECT
  *,
  -- The day is part of the key, so that no row of another day can be its duplicate.
  ROW_NUMBER() OVER (PARTITION BY day, carrier, flight, origin) > 1 AS is_duplicate,
  COALESCE(60 * miles / air_minutes > 600, FALSE) AS implausible_speed,
  NOT departure_delay BETWEEN -60 AND 1440 AS implausible_delay,
  NOT destination IN (SELECT airport FROM flights.airports) AS unknown_destination
FROM (
  SELECT
    date AS day,
    month::INT AS month,
    carrier,
    flight::INT AS flight,
    tailnum AS tail_number,
    origin,
    dest AS destination,
    time_hour::TIMESTAMPTZ AS hour_utc,
    dep_delay::INT AS departure_delay,
    arr_delay::INT AS arrival_delay,
    air_time::INT AS air_minutes,
    distance::INT AS miles
  FROM flights.bronze_flights
  WHERE date BETWEEN @start_ds AND @end_ds
)
WHERE departure_delay IS NOT NULL
