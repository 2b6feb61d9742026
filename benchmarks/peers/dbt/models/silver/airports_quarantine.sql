{{ config(materialized='view') }}
select * from {{ ref('checked_airports') }} where is_duplicate or not_in_america
