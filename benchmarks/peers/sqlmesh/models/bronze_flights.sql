MODEL (
  name flights.bronze_flights,
  kind INCREMENTAL_BY_TIME_RANGE (time_column date),
  description 'Departures from New York City in 2013, as they came'
);
SELECT
  year::TEXT, month::TEXT, day::TEXT, dep_time::TEXT, sched_dep_time::TEXT, dep_delay::TEXT,
  arr_time::TEXT, sched_arr_time::TEXT, arr_delay::TEXT, carrier::TEXT, flight::TEXT,
  tailnum::TEXT, origin::TEXT, dest::TEXT, air_time::TEXT, distance::TEXT, hour::TEXT,
  minute::TEXT, time_hour::TEXT,
  filename::TEXT AS source_file,
  MAKE_DATE(year::INT, month::INT, day::INT)::DATE AS date
FROM READ_CSV('data/flights/*.csv', header = TRUE, nullstr = 'NA', all_varchar = TRUE, filename = TRUE)
WHERE
  -- The name of a file says its month: the others are not opened.
  filename BETWEEN 'data/flights/flights_' || @start_ds[:7] || '.csv'
    AND 'data/flights/flights_' || @end_ds[:7] || '.csv'
  AND MAKE_DATE(year::INT, month::INT, day::INT) BETWEEN @start_ds AND @end_ds
