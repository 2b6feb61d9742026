CREATE MATERIALIZED VIEW trips
COMMENT 'Trips that were paid for'
AS SELECT
  trip,
  to_timestamp(pickup) AS pickup,
  zone,
  CAST(fare AS DECIMAL(8, 2)) AS fare,
  extras
FROM json.`data/trips.json`
WHERE fare > 0;

CREATE TEMPORARY VIEW nights
AS SELECT * FROM trips WHERE array_contains(extras, 'night');
