select
  tailnum as tail_number,
  cast(year as integer) as built,
  manufacturer,
  model,
  cast(engines as integer) as engines,
  cast(seats as integer) as seats
from read_csv('data/planes.csv', header = true, nullstr = 'NA', all_varchar = true)
