{# As in dbt_utils, which comes from dbt's own hub; counting rows where accepted_values of dbt
   counts different values. #}
{% test expression_is_true(model, expression, column_name=None) %}
SELECT 1 FROM {{ model }} WHERE NOT ({{ column_name or '' }} {{ expression }})
{% endtest %}

{% test allowed(model, column_name, values) %}
SELECT 1 FROM {{ model }} WHERE {{ column_name }} NOT IN ({{ values }})
{% endtest %}

{% test unique_combination(model, columns) %}
SELECT {{ columns | join(', ') }} FROM {{ model }}
GROUP BY {{ columns | join(', ') }} HAVING count(*) > 1
{% endtest %}

{% test expression_of_all(model, expression) %}
SELECT * FROM (SELECT {{ expression }} AS holds FROM {{ model }}) WHERE NOT holds
{% endtest %}
