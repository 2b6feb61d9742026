MODEL (
  name flights.airlines,
  kind FULL,
  description 'Who flies',
  audits (unique_values(columns := carrier))
);
SELECT carrier::TEXT, name::TEXT AS airline
FROM READ_CSV('data/airlines.csv', header = TRUE, all_varchar = TRUE)
