{{ config(severity='warn') }}
select origin, day, clock_hour
from {{ ref('silver_weather') }}
group by all
having count(*) > 1
