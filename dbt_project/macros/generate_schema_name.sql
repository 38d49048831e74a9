{#- Schemas are exactly `raw`, `staging` and `mart`: no target name in front of them. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
