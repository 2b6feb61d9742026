MODEL (name flights.silver_flights_quarantine, kind VIEW);
SELECT
  day, month, carrier, flight, tail_number, origin, destination, hour_utc, departure_delay,
  arrival_delay, air_minutes, miles,
  is_duplicate, implausible_speed, implausible_delay, unknown_destination
FROM flights.checked_flights
WHERE is_duplicate OR implausible_speed OR implausible_delay OR unknown_destination
