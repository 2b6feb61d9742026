CREATE OR REPLACE TABLE airlines AS
SELECT carrier, name AS airline FROM raw_airlines;

CREATE OR REPLACE TABLE planes AS
SELECT
  tailnum AS tail_number,
  CAST(year AS INTEGER) AS built,
  manufacturer,
  model,
  CAST(engines AS INTEGER) AS engines,
  CAST(seats AS INTEGER) AS seats
FROM raw_planes;

CREATE OR REPLACE TABLE checked_airports AS
SELECT
  faa AS airport,
  name,
  CAST(lat AS DOUBLE) AS latitude,
  CAST(lon AS DOUBLE) AS longitude,
  CAST(alt AS INTEGER) AS altitude_feet,
  row_number() OVER (PARTITION BY faa) > 1 AS is_duplicate,
  NOT (CAST(lon AS DOUBLE) < 0 OR CAST(lon AS DOUBLE) > 170) AS not_in_america
FROM raw_airports;

CREATE OR REPLACE VIEW airports AS
SELECT airport, name, latitude, longitude, altitude_feet
FROM checked_airports WHERE NOT (is_duplicate OR not_in_america);

CREATE OR REPLACE VIEW airports_quarantine AS
FROM checked_airports WHERE is_duplicate OR not_in_america;

CREATE TABLE IF NOT EXISTS checked_weather (
  origin VARCHAR, hour_utc TIMESTAMPTZ, day DATE, clock_hour INTEGER, temperature_f DOUBLE,
  wind_mph DOUBLE, rain_inches DOUBLE, visibility_miles DOUBLE, load_id VARCHAR,
  is_duplicate BOOLEAN, implausible_wind BOOLEAN
);

INSERT INTO checked_weather
SELECT
  *,
  row_number() OVER (PARTITION BY origin, hour_utc) > 1
    OR (origin, hour_utc) IN (SELECT (origin, hour_utc) FROM checked_weather) AS is_duplicate,
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
    CAST(visib AS DOUBLE) AS visibility_miles,
    _dlt_load_id AS load_id
  FROM bronze_weather
  WHERE _dlt_load_id NOT IN (SELECT DISTINCT load_id FROM checked_weather)
)
WHERE temperature_f IS NOT NULL;

CREATE OR REPLACE VIEW silver_weather AS
SELECT * EXCLUDE (is_duplicate, implausible_wind, load_id)
FROM checked_weather WHERE NOT (is_duplicate OR implausible_wind);

CREATE OR REPLACE VIEW silver_weather_quarantine AS
FROM checked_weather WHERE is_duplicate OR implausible_wind;

CREATE TABLE IF NOT EXISTS checked_flights (
  day DATE, month INTEGER, carrier VARCHAR, flight INTEGER, tail_number VARCHAR, origin VARCHAR,
  destination VARCHAR, hour_utc TIMESTAMPTZ, departure_delay INTEGER, arrival_delay INTEGER,
  air_minutes INTEGER, miles INTEGER, load_id VARCHAR, is_duplicate BOOLEAN,
  implausible_speed BOOLEAN, implausible_delay BOOLEAN, unknown_destination BOOLEAN
);

INSERT INTO checked_flights
SELECT
  *,
  row_number() OVER (PARTITION BY day, carrier, flight, origin) > 1
    OR (day, carrier, flight, origin)
      IN (SELECT (day, carrier, flight, origin) FROM checked_flights) AS is_duplicate,
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
    CAST(distance AS INTEGER) AS miles,
    _dlt_load_id AS load_id
  FROM bronze_flights
  WHERE _dlt_load_id NOT IN (SELECT DISTINCT load_id FROM checked_flights)
)
WHERE departure_delay IS NOT NULL;

CREATE OR REPLACE VIEW silver_flights AS
SELECT
  * EXCLUDE (is_duplicate, implausible_speed, implausible_delay, unknown_destination, load_id)
FROM checked_flights
WHERE NOT (is_duplicate OR implausible_speed OR implausible_delay OR unknown_destination);

CREATE OR REPLACE VIEW silver_flights_quarantine AS
FROM checked_flights
WHERE is_duplicate OR implausible_speed OR implausible_delay OR unknown_destination;

CREATE OR REPLACE VIEW cancelled_flights AS
SELECT
  make_date(CAST(year AS INTEGER), CAST(month AS INTEGER), CAST(day AS INTEGER)) AS day,
  CAST(month AS INTEGER) AS month,
  carrier,
  CAST(flight AS INTEGER) AS flight,
  origin,
  dest AS destination
FROM bronze_flights
WHERE dep_time IS NULL;
