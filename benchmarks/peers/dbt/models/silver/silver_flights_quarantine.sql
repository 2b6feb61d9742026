{{ config(materialized='view') }}
select *
from {{ ref('checked_flights') }}
where is_duplicate or implausible_speed or implausible_delay or unknown_destination
