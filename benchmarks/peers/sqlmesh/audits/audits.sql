AUDIT (name known_airline);
SELECT * FROM @this_model
WHERE carrier NOT IN (SELECT carrier FROM flights.airlines);

AUDIT (name known_plane, blocking false);
SELECT * FROM @this_model
WHERE NOT tail_number IS NULL AND tail_number NOT IN (SELECT tail_number FROM flights.planes);
