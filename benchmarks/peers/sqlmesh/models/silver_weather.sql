MODEL (name flights.silver_weather, kind VIEW, description 'One row per airport and hour');
SELECT origin, hour_utc, day, clock_hour, temperature_f, wind_mph, rain_inches, visibility_miles
FROM flights.checked_weather
WHERE NOT (is_duplicate OR implausible_wind)
