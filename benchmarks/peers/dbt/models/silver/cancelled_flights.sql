{{ config(materialized='view') }}
select
  make_date(cast(year as integer), cast(month as integer), cast(day as integer)) as day,
  cast(month as integer) as month,
  carrier,
  cast(flight as integer) as flight,
  origin,
  dest as destination
from {{ ref('bronze_flights') }}
where dep_time is null
