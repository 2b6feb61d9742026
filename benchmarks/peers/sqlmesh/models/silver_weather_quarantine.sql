MODEL (name flights.silver_weather_quarantine, kind VIEW);
SELECT
  origin, hour_utc, day, clock_hour, temperature_f, wind_mph, rain_inches, visibility_miles,
  is_duplicate, implausible_wind
FROM flights.checked_weather
WHERE is_duplicate OR implausible_wind
