{{ config(materialized='incremental', incremental_strategy='append') }}
select
  *,
  row_number() over (partition by origin, hour_utc) > 1
  {%- if is_incremental() %}
    or (origin, hour_utc) in (select (origin, hour_utc) from {{ this }})
  {%- endif %} as is_duplicate,
  coalesce(wind_mph not between 0 and 150, false) as implausible_wind
from (
  select
    origin,
    cast(time_hour as timestamptz) as hour_utc,
    make_date(cast(year as integer), cast(month as integer), cast(day as integer)) as day,
    cast(hour as integer) as clock_hour,
    cast(temp as double) as temperature_f,
    cast(wind_speed as double) as wind_mph,
    cast(precip as double) as rain_inches,
    cast(visib as double) as visibility_miles,
    source_file
  from {{ ref('bronze_weather') }}
  {{ where_new() }}
)
where temperature_f is not null
