MODEL (
  name flights.bronze_weather,
  kind INCREMENTAL_BY_TIME_RANGE (time_column date),
  description 'Hourly weather at the three airports, as it came'
);
SELECT
  origin::TEXT, year::TEXT, month::TEXT, day::TEXT, hour::TEXT, temp::TEXT, dewp::TEXT,
  humid::TEXT, wind_dir::TEXT, wind_speed::TEXT, wind_gust::TEXT, precip::TEXT, pressure::TEXT,
  visib::TEXT, time_hour::TEXT,
  MAKE_DATE(year::INT, month::INT, day::INT)::DATE AS date
FROM READ_CSV('data/weather.csv', header = TRUE, nullstr = 'NA', all_varchar = TRUE)
WHERE MAKE_DATE(year::INT, month::INT, day::INT) BETWEEN @start_ds AND @end_ds
