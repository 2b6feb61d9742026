{{ config(materialized='view') }}
select airport, name, latitude, longitude, altitude_feet
from {{ ref('checked_airports') }}
where not (is_duplicate or not_in_america)
