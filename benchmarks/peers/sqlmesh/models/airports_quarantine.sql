MODEL (name flights.airports_quarantine, kind VIEW);
SELECT airport, name, latitude, longitude, altitude_feet, is_duplicate, not_in_america
FROM flights.checked_airports
WHERE is_duplicate OR not_in_america
