MODEL (
  name flights.silver_flights,
  kind VIEW,
  description 'One clean row per departure; delays in minutes, early is negative'
);
SELECT
  day, month, carrier, flight, tail_number, origin, destination, hour_utc, departure_delay,
  arrival_delay, air_minutes, miles
FROM flights.checked_flights
WHERE NOT (is_duplicate OR implausible_speed OR implausible_delay OR unknown_destination)
