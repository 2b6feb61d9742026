-- Bronze: every message as it came.
CREATE OR REFRESH STREAMING TABLE bronze AS
SELECT value, _metadata.offset AS place FROM STREAM read_kafka(
  bootstrapServers => '${brokers}', subscribe => 'trips', format => 'text');

-- Silver: typed rows that keep the rules; the others wait in quarantine.
CREATE OR REFRESH STREAMING TABLE silver (
  CONSTRAINT readable EXPECT (id IS NOT NULL) ON VIOLATION QUARANTINE ROW,
  CONSTRAINT forward EXPECT (km > 0) ON VIOLATION QUARANTINE ROW,
  CONSTRAINT short EXPECT (km < 500)
) AS SELECT
  TRY_CAST(value ->> 'id' AS BIGINT) AS id, value ->> 'city' AS city,
  TRY_CAST(value ->> 'km' AS BIGINT) AS km, place
FROM (SELECT CASE WHEN json_valid(value) THEN value END AS value, place FROM STREAM bronze);

-- Gold: what people ask for.
CREATE OR REFRESH MATERIALIZED VIEW gold AS
SELECT city, count(*) AS trips, sum(km) AS km FROM silver GROUP BY city ORDER BY city;
