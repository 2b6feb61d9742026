{{ config(materialized='view') }}
select * exclude (is_duplicate, implausible_speed, implausible_delay, unknown_destination)
from {{ ref('checked_flights') }}
where not (is_duplicate or implausible_speed or implausible_delay or unknown_destination)
