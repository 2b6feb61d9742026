-- Bronze: the data as it came, as text, with the file each row came from. A file is read once;
-- add the next month and run again: only that file is read.

CREATE OR REFRESH STREAMING TABLE bronze_flights
COMMENT 'Departures from New York City in 2013, as they came'
AS SELECT *, _metadata.file_path AS source_file
FROM STREAM read_files(
  'data/flights/*.csv', format => 'csv', header => true, nullValue => 'NA', inferSchema => false
);

CREATE OR REFRESH STREAMING TABLE bronze_weather
COMMENT 'Hourly weather at the three airports, as it came'
AS SELECT *
FROM STREAM read_files(
  'data/weather.csv', format => 'csv', header => true, nullValue => 'NA', inferSchema => false
);
