-- One declaration, for what comes and for what has been.
CREATE OR REFRESH STREAMING TABLE sales (
  CONSTRAINT sold EXPECT (net > 0) ON VIOLATION QUARANTINE ROW
) AS SELECT id, city, net, net * (100 + ${vat}) // 100 AS gross
FROM STREAM read_kafka(
  bootstrapServers => '${brokers}', subscribe => 'sales', format => 'json',
  schema => 'id BIGINT, city STRING, net BIGINT');

CREATE OR REFRESH MATERIALIZED VIEW revenue
AS SELECT city, count(*) AS sales, sum(gross) AS gross FROM sales GROUP BY city ORDER BY city;
