{#- The files of a pattern that the model has not read yet. -#}
{% macro new_files(pattern) %}
  {%- set query -%}
    select file from glob('{{ pattern }}')
    {%- if is_incremental() %} where file not in (select source_file from {{ this }}){% endif %}
  {%- endset -%}
  {{ return(run_query(query).columns[0].values() | list if execute else []) }}
{% endmacro %}

{% macro read_new_files(pattern) %}
{%- set files = new_files(pattern) -%}
{% if files %}
select * from read_csv({{ files }}, header = true, nullstr = 'NA', all_varchar = true, filename = 'source_file')
{% else %}
select * from {{ this }} limit 0
{% endif %}
{% endmacro %}

{#- Only the rows of files that the model has not seen yet. -#}
{% macro where_new() %}
{%- if is_incremental() %}
where source_file not in (select distinct source_file from {{ this }})
{%- endif %}
{% endmacro %}
