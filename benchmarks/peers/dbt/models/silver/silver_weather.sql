{{ config(materialized='view') }}
select * exclude (is_duplicate, implausible_wind)
from {{ ref('checked_weather') }}
where not (is_duplicate or implausible_wind)
