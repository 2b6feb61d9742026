select
  faa as airport,
  name,
  cast(lat as double) as latitude,
  cast(lon as double) as longitude,
  cast(alt as integer) as altitude_feet,
  row_number() over (partition by faa) > 1 as is_duplicate,
  not (cast(lon as double) < 0 or cast(lon as double) > 170) as not_in_america
from read_csv('data/airports/*.csv', header = true, nullstr = 'NA', all_varchar = true)
