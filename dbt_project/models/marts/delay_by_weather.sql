{#- Each flight counts once per factor, so every factor's bands add up to all flights of an origin. -#}
with flights as (

    select
        flights.origin,
        flights.flight_key,
        flights.is_cancelled,
        flights.departure_delay_minutes,
        flights.arrival_delay_minutes,
        case
            when weather.wind_speed_mph is null then 0
            when weather.wind_speed_mph < 5 then 1
            when weather.wind_speed_mph < 15 then 2
            when weather.wind_speed_mph < 25 then 3
            else 4
        end as wind_rank,
        case
            when weather.precipitation_inches is null then 0
            when weather.precipitation_inches < 0.01 then 1
            when weather.precipitation_inches < 0.10 then 2
            when weather.precipitation_inches < 0.30 then 3
            else 4
        end as precipitation_rank,
        case
            when weather.visibility_miles is null then 0
            when weather.visibility_miles > 5 then 1
            when weather.visibility_miles >= 3 then 2
            when weather.visibility_miles >= 1 then 3
            else 4
        end as visibility_rank
    from {{ ref('stg_flights') }} as flights
    left join {{ ref('stg_weather') }} as weather
        on weather.origin = flights.origin and weather.observed_hour = flights.scheduled_hour

),

delays as (
    {% for factor in ['wind', 'precipitation', 'visibility'] %}
    select
        origin,
        '{{ factor }}' as weather_factor,
        {{ factor }}_rank as band_rank,
        {{ delay_measures() }}
    from flights
    group by origin, {{ factor }}_rank
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

bands (weather_factor, band_rank, band) as (

    values
        ('wind', 0, 'unknown'),
        ('wind', 1, 'under 5 mph'),
        ('wind', 2, '5 to 15 mph'),
        ('wind', 3, '15 to 25 mph'),
        ('wind', 4, '25 mph and over'),
        ('precipitation', 0, 'unknown'),
        ('precipitation', 1, 'none'),
        ('precipitation', 2, 'under 0.10 in/h'),
        ('precipitation', 3, '0.10 to 0.30 in/h'),
        ('precipitation', 4, '0.30 in/h and over'),
        ('visibility', 0, 'unknown'),
        ('visibility', 1, 'over 5 mi (VFR)'),
        ('visibility', 2, '3 to 5 mi (MVFR)'),
        ('visibility', 3, '1 to 3 mi (IFR)'),
        ('visibility', 4, 'under 1 mi (LIFR)')

)

select
    delays.origin,
    delays.weather_factor,
    delays.band_rank,
    bands.band,
    delays.flights,
    delays.cancelled_flights,
    delays.departed_flights,
    delays.arrived_flights,
    delays.share_departed_late,
    delays.share_arrived_late,
    delays.mean_departure_delay_minutes,
    delays.mean_arrival_delay_minutes,
    delays.median_departure_delay_minutes,
    delays.median_arrival_delay_minutes
from delays
inner join bands on bands.weather_factor = delays.weather_factor and bands.band_rank = delays.band_rank
