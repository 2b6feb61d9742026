MODEL (name flights.airports, kind VIEW, description 'Where one can land');
SELECT airport, name, latitude, longitude, altitude_feet
FROM flights.checked_airports
WHERE NOT (is_duplicate OR not_in_america)
