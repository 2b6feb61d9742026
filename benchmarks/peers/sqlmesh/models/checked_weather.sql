MODEL (
  name flights.checked_weather,
  kind INCREMENTAL_BY_TIME_RANGE (time_column day),
  audits (unique_combination_of_columns_non_blocking(columns := (origin, day, clock_hour)))
);
SELECT
  *,
  ROW_NUMBER() OVER (PARTITION BY origin, hour_utc) > 1 AS is_duplicate,
  COALESCE(NOT wind_mph BETWEEN 0 AND 150, FALSE) AS implausible_wind
FROM (
  SELECT
    origin,
    time_hour::TIMESTAMPTZ AS hour_utc,
    date AS day,
    hour::INT AS clock_hour,
    temp::DOUBLE AS temperature_f,
    wind_speed::DOUBLE AS wind_mph,
    precip::DOUBLE AS rain_inches,
    visib::DOUBLE AS visibility_miles
  FROM flights.bronze_weather
  WHERE date BETWEEN @start_ds AND @end_ds
)
WHERE temperature_f IS NOT NULL
