{{ config(materialized='view') }}
select * from {{ ref('checked_weather') }} where is_duplicate or implausible_wind
