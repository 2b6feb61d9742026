MODEL (
  name flights.planes,
  kind FULL,
  description 'The planes that the FAA knows',
  audits (unique_values(columns := tail_number), not_null_non_blocking(columns := built))
);
SELECT
  tailnum::TEXT AS tail_number,
  year::INT AS built,
  manufacturer::TEXT,
  model::TEXT,
  engines::INT,
  seats::INT
FROM READ_CSV('data/planes.csv', header = TRUE, nullstr = 'NA', all_varchar = TRUE)
