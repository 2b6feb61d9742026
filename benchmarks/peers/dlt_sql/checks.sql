fail | one_per_airline | (SELECT count(*) AS n FROM airlines GROUP BY carrier) | n = 1
fail | one_per_tail_number | (SELECT count(*) AS n FROM planes GROUP BY tail_number) | n = 1
warn | known_year | planes | built IS NOT NULL
warn | one_per_clock_hour | (SELECT count(*) AS n FROM silver_weather GROUP BY origin, day, clock_hour) | n = 1
fail | known_airline | silver_flights | carrier IN (SELECT carrier FROM airlines)
warn | known_plane | silver_flights | tail_number IS NULL OR tail_number IN (SELECT tail_number FROM planes)
warn | arrived | silver_flights | arrival_delay IS NOT NULL
fail | three_airports | silver_flights | origin IN ('EWR', 'JFK', 'LGA')
