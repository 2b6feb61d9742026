-- Gold: answers to what people ask. Recomputed when a query or its inputs changed, else skipped.

CREATE OR REFRESH MATERIALIZED VIEW worst_routes
COMMENT 'The 20 routes of 100 and more flights that arrive latest'
AS SELECT
  f.origin,
  f.destination,
  a.name AS destination_name,
  count(*) AS flights,
  round(avg(f.arrival_delay), 1) AS mean_delay,
  round(100 * avg(CAST(f.arrival_delay > 30 AS INTEGER)), 1) AS late_percent
FROM silver_flights AS f
JOIN airports AS a ON a.airport = f.destination
WHERE f.arrival_delay IS NOT NULL
GROUP BY f.origin, f.destination, a.name
HAVING count(*) >= 100
ORDER BY mean_delay DESC, f.origin, f.destination
LIMIT 20;

CREATE OR REFRESH MATERIALIZED VIEW delay_by_weather
COMMENT 'How much later flights leave in wind, rain and fog'
AS SELECT
  CASE
    WHEN w.visibility_miles < 1 THEN '1 fog'
    WHEN w.rain_inches >= 0.1 THEN '2 heavy rain'
    WHEN w.rain_inches > 0 THEN '3 rain'
    WHEN w.wind_mph >= 25 THEN '4 storm'
    ELSE '5 fair'
  END AS weather,
  count(*) AS flights,
  round(avg(f.departure_delay), 1) AS mean_delay,
  median(f.departure_delay) AS median_delay
FROM silver_flights AS f
JOIN silver_weather AS w ON w.origin = f.origin AND w.hour_utc = f.hour_utc
GROUP BY weather
ORDER BY weather;

CREATE OR REFRESH MATERIALIZED VIEW carriers_by_month
COMMENT 'Each airline, month by month: flights, delays, cancellations'
AS SELECT
  l.airline,
  f.month,
  f.flights,
  f.mean_delay,
  coalesce(c.cancelled, 0) AS cancelled
FROM (
  SELECT carrier, month, count(*) AS flights, round(avg(departure_delay), 1) AS mean_delay
  FROM silver_flights
  GROUP BY carrier, month
) AS f
JOIN airlines AS l ON l.carrier = f.carrier
LEFT JOIN (
  SELECT carrier, month, count(*) AS cancelled FROM cancelled_flights GROUP BY carrier, month
) AS c ON c.carrier = f.carrier AND c.month = f.month
ORDER BY l.airline, f.month;
