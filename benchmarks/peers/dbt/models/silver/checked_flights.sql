{{ config(materialized='incremental', incremental_strategy='append') }}
select
  *,
  row_number() over (partition by day, carrier, flight, origin) > 1
  {%- if is_incremental() %}
    or (day, carrier, flight, origin) in (select (day, carrier, flight, origin) from {{ this }})
  {%- endif %} as is_duplicate,
  coalesce(60 * miles / air_minutes > 600, false) as implausible_speed,
  departure_delay not between -60 and 1440 as implausible_delay,
  destination not in (select airport from {{ ref('airports') }}) as unknown_destination
from (
  select
    make_date(cast(year as integer), cast(month as integer), cast(day as integer)) as day,
    cast(month as integer) as month,
    carrier,
    cast(flight as integer) as flight,
    tailnum as tail_number,
    origin,
    dest as destination,
    cast(time_hour as timestamptz) as hour_utc,
    cast(dep_delay as integer) as departure_delay,
    cast(arr_delay as integer) as arrival_delay,
    cast(air_time as integer) as air_minutes,
    cast(distance as integer) as miles,
    source_file
  from {{ ref('bronze_flights') }}
  {{ where_new() }}
)
where departure_delay is not null
