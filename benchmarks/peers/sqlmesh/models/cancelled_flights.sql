MODEL (name flights.cancelled_flights, kind VIEW, description 'Scheduled, but never left');
SELECT date AS day, month::INT AS month, carrier, flight::INT AS flight, origin, dest AS destination
FROM flights.bronze_flights
WHERE dep_time IS NULL
