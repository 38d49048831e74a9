{{ config(meta={'dagster': {'ref': {'name': 'delay_by_weather'}}}) }}
{#- A join that repeats or drops flights would change a mart's total: each must add up to all flights. -#}
with totals as (

    select 'delay_by_carrier_month' as counted_in, sum(flights) as flights from {{ ref('delay_by_carrier_month') }}
    union all
    select 'delay_by_route', sum(flights) from {{ ref('delay_by_route') }}
    union all
    select weather_factor, sum(flights) from {{ ref('delay_by_weather') }} group by weather_factor

)

select counted_in, flights
from totals
where flights <> (select count(*) from {{ ref('stg_flights') }})
