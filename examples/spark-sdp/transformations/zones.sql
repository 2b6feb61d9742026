CREATE MATERIALIZED VIEW fares_by_zone
COMMENT 'What was earned in each zone, day by day'
AS SELECT
  date_format(pickup, 'yyyy-MM-dd') AS day,
  zone,
  count(*) AS trips,
  sum(fare) AS earned,
  max(size(extras)) AS most_extras
FROM trips
GROUP BY date_format(pickup, 'yyyy-MM-dd'), zone;

CREATE MATERIALIZED VIEW night_trips
AS SELECT zone, collect_list(trip) AS trips FROM nights GROUP BY zone;
