-- The batch layer: computed anew from the archive, which has whole days.
CREATE OR REFRESH MATERIALIZED VIEW batch AS
SELECT day, city, sum(amount) AS amount
FROM read_files('archive/*.json', format => 'ndjson', schema => 'day BIGINT, city STRING, amount BIGINT')
GROUP BY day, city;

-- The speed layer: each message as it comes.
CREATE OR REFRESH STREAMING TABLE orders AS
SELECT * FROM STREAM read_kafka(
  bootstrapServers => '${brokers}', subscribe => 'orders', format => 'json',
  schema => 'day BIGINT, city STRING, amount BIGINT');
CREATE OR REFRESH MATERIALIZED VIEW speed AS
SELECT day, city, sum(amount) AS amount FROM orders GROUP BY day, city;

-- What people look at: days of the archive from there, later ones as they are by now.
CREATE OR REFRESH MATERIALIZED VIEW revenue AS
SELECT * FROM batch
UNION ALL
SELECT * FROM speed WHERE day > (SELECT coalesce(max(day), -1) FROM batch)
ORDER BY day, city;

-- Both layers have counted the days of the archive, and must agree.
CREATE OR REFRESH MATERIALIZED VIEW compared (
  CONSTRAINT layers_agree EXPECT (batch = speed) ON VIOLATION FAIL UPDATE
) AS SELECT day, city, batch.amount AS batch, speed.amount AS speed
FROM batch FULL JOIN speed USING (day, city)
WHERE day <= (SELECT max(day) FROM batch);
