{#-
    The columns every delay mart shares, over rows of `stg_flights`.

    Delays are averaged over the flights that have one: a cancelled flight has neither, a diverted
    flight departs but has no arrival. Early flights count with their negative delay.
-#}
{% macro delay_measures() %}
    count(flight_key) as flights,
    count(flight_key) filter (where is_cancelled) as cancelled_flights,
    count(departure_delay_minutes) as departed_flights,
    count(arrival_delay_minutes) as arrived_flights,
    {{ share_late('departure_delay_minutes') }} as share_departed_late,
    {{ share_late('arrival_delay_minutes') }} as share_arrived_late,
    {{ mean('departure_delay_minutes') }} as mean_departure_delay_minutes,
    {{ mean('arrival_delay_minutes') }} as mean_arrival_delay_minutes,
    {{ median('departure_delay_minutes') }} as median_departure_delay_minutes,
    {{ median('arrival_delay_minutes') }} as median_arrival_delay_minutes
{%- endmacro %}

{% macro share_late(delay) -%}
    cast(count({{ delay }}) filter (where {{ delay }} > {{ var('late_after_minutes') }}) as double precision)
        / nullif(count({{ delay }}), 0)
{%- endmacro %}

{#- PostgreSQL averages integers to numeric and DuckDB to double: the cast makes them one. -#}
{% macro mean(column) -%}
    avg(cast({{ column }} as double precision))
{%- endmacro %}

{% macro median(column) -%}
    percentile_cont(0.5) within group (order by cast({{ column }} as double precision))
{%- endmacro %}
