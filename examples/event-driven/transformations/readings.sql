-- Readings come as files of one plant, and as messages of another.
CREATE OR REFRESH STREAMING TABLE readings (
  CONSTRAINT plausible EXPECT (degrees BETWEEN -50 AND 500) ON VIOLATION QUARANTINE ROW
);
CREATE FLOW of_files AS INSERT INTO readings BY NAME
SELECT sensor, degrees FROM STREAM read_files('in/*.json', format => 'ndjson',
  schema => 'sensor STRING, degrees BIGINT');
CREATE FLOW of_messages AS INSERT INTO readings BY NAME
SELECT sensor, degrees FROM STREAM read_kafka(
  bootstrapServers => '${brokers}', subscribe => 'readings', format => 'json',
  schema => 'sensor STRING, degrees BIGINT');
