-- Silver: typed and checked. What the rules keep out is not gone: `qanat quarantine show TABLE`.

CREATE OR REFRESH MATERIALIZED VIEW airlines (
  CONSTRAINT one_per_airline EXPECT UNIQUE (carrier) ON VIOLATION FAIL UPDATE
)
COMMENT 'Who flies'
AS SELECT carrier, name AS airline
FROM read_files('data/airlines.csv', format => 'csv', header => true);

CREATE OR REFRESH MATERIALIZED VIEW planes (
  CONSTRAINT one_per_tail_number EXPECT UNIQUE (tail_number) ON VIOLATION FAIL UPDATE,
  -- 70 planes have no year. They may stay; the count shows whether it gets worse.
  CONSTRAINT known_year          EXPECT (built IS NOT NULL)
)
COMMENT 'The planes that the FAA knows'
AS SELECT
  tailnum AS tail_number,
  CAST(year AS INTEGER) AS built,
  manufacturer,
  model,
  CAST(engines AS INTEGER) AS engines,
  CAST(seats AS INTEGER) AS seats
FROM read_files('data/planes.csv', format => 'csv', header => true, nullValue => 'NA');

CREATE OR REFRESH MATERIALIZED VIEW airports (
  CONSTRAINT one_per_code EXPECT UNIQUE (airport) ON VIOLATION QUARANTINE ROW,
  -- Two airports lost the sign of their longitude and lie in China, one lies in the Barents Sea.
  CONSTRAINT in_america   EXPECT (longitude < 0 OR longitude > 170) ON VIOLATION QUARANTINE ROW
)
COMMENT 'Where one can land'
AS SELECT
  faa AS airport,
  name,
  CAST(lat AS DOUBLE) AS latitude,
  CAST(lon AS DOUBLE) AS longitude,
  CAST(alt AS INTEGER) AS altitude_feet
FROM read_files('data/airports/*.csv', format => 'csv', header => true, nullValue => 'NA');

CREATE OR REFRESH STREAMING TABLE silver_weather (
  CONSTRAINT one_per_hour       EXPECT UNIQUE (origin, hour_utc)    ON VIOLATION QUARANTINE ROW,
  -- When summer time ends, the clock shows 1 o'clock twice. Both hours are real, so this only
  -- warns; it is why weather and flights are joined on `hour_utc` and never on the clock.
  CONSTRAINT one_per_clock_hour EXPECT UNIQUE (origin, day, clock_hour),
  CONSTRAINT has_temperature    EXPECT (temperature_f IS NOT NULL)  ON VIOLATION DROP ROW,
  -- Newark reports 1,048 miles per hour on 12 February.
  CONSTRAINT plausible_wind     EXPECT (wind_mph IS NULL OR wind_mph BETWEEN 0 AND 150)
                                                                    ON VIOLATION QUARANTINE ROW
)
COMMENT 'One row per airport and hour'
AS SELECT
  origin,
  CAST(time_hour AS TIMESTAMP WITH TIME ZONE) AS hour_utc,
  make_date(CAST(year AS INTEGER), CAST(month AS INTEGER), CAST(day AS INTEGER)) AS day,
  CAST(hour AS INTEGER) AS clock_hour,
  CAST(temp AS DOUBLE) AS temperature_f,
  CAST(wind_speed AS DOUBLE) AS wind_mph,
  CAST(precip AS DOUBLE) AS rain_inches,
  CAST(visib AS DOUBLE) AS visibility_miles
FROM STREAM bronze_weather;

CREATE OR REFRESH STREAMING TABLE silver_flights (
  -- Cancelled flights have a table of their own, below.
  CONSTRAINT departed          EXPECT (departure_delay IS NOT NULL)   ON VIOLATION DROP ROW,
  -- Four flights would have gone at 640 miles per hour and more, which no airliner does.
  CONSTRAINT plausible_speed   EXPECT (air_minutes IS NULL OR 60 * miles / air_minutes <= 600)
                                                                      ON VIOLATION QUARANTINE ROW,
  CONSTRAINT plausible_delay   EXPECT (departure_delay IS NULL OR departure_delay BETWEEN -60 AND 1440)
                                                                      ON VIOLATION QUARANTINE ROW,
  CONSTRAINT one_per_flight    EXPECT UNIQUE (day, carrier, flight, origin)
                                                                      ON VIOLATION QUARANTINE ROW,
  -- The list of airports lacks Puerto Rico and the Virgin Islands; see the README.
  CONSTRAINT known_destination EXPECT (destination) REFERENCES airports (airport)
                                                                      ON VIOLATION QUARANTINE ROW,
  CONSTRAINT known_airline     EXPECT (carrier) REFERENCES airlines (carrier)
                                                                      ON VIOLATION FAIL UPDATE,
  -- One in seven flights has a tail number that no plane has: American and Envoy report fleet
  -- numbers instead. The flights are good, so this only counts.
  CONSTRAINT known_plane       EXPECT (tail_number) REFERENCES planes (tail_number),
  -- Diverted: left, but did not arrive where they wanted to.
  CONSTRAINT arrived           EXPECT (departure_delay IS NULL OR arrival_delay IS NOT NULL)
)
PARTITIONED BY (month)
COMMENT 'One clean row per departure; delays in minutes, early is negative'
AS SELECT
  make_date(CAST(year AS INTEGER), CAST(month AS INTEGER), CAST(day AS INTEGER)) AS day,
  CAST(month AS INTEGER) AS month,
  carrier,
  CAST(flight AS INTEGER) AS flight,
  tailnum AS tail_number,
  origin,
  dest AS destination,
  CAST(time_hour AS TIMESTAMP WITH TIME ZONE) AS hour_utc,
  CAST(dep_delay AS INTEGER) AS departure_delay,
  CAST(arr_delay AS INTEGER) AS arrival_delay,
  CAST(air_time AS INTEGER) AS air_minutes,
  CAST(distance AS INTEGER) AS miles
FROM STREAM bronze_flights;

CREATE OR REFRESH STREAMING TABLE cancelled_flights
COMMENT 'Scheduled, but never left'
AS SELECT
  make_date(CAST(year AS INTEGER), CAST(month AS INTEGER), CAST(day AS INTEGER)) AS day,
  CAST(month AS INTEGER) AS month,
  carrier,
  CAST(flight AS INTEGER) AS flight,
  origin,
  dest AS destination
FROM STREAM bronze_flights
WHERE dep_time IS NULL;
