MODEL (name flights.checked_airports, kind FULL);
SELECT
  faa::TEXT AS airport,
  name::TEXT,
  lat::DOUBLE AS latitude,
  lon::DOUBLE AS longitude,
  alt::INT AS altitude_feet,
  ROW_NUMBER() OVER (PARTITION BY faa) > 1 AS is_duplicate,
  NOT (lon::DOUBLE < 0 OR lon::DOUBLE > 170) AS not_in_america
FROM READ_CSV('data/airports/*.csv', header = TRUE, nullstr = 'NA', all_varchar = TRUE)
