with delays as (

    select
        origin,
        destination,
        -- A route's distance is a constant, but for two routes to EGE that were remeasured by a mile.
        {{ mean('distance_miles') }} as distance_miles,
        {{ mean('air_time_minutes') }} as mean_air_time_minutes,
        count(distinct carrier) as carriers,
        {{ delay_measures() }}
    from {{ ref('stg_flights') }}
    group by origin, destination

)

select
    delays.origin || '-' || delays.destination as route,
    delays.origin,
    origins.airport_name as origin_name,
    delays.destination,
    destinations.airport_name as destination_name,
    delays.distance_miles,
    delays.mean_air_time_minutes,
    delays.carriers,
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
-- Left joins: the airport list covers the 50 states, and San Juan is a busy destination all the same.
left join {{ ref('stg_airports') }} as origins on origins.airport = delays.origin
left join {{ ref('stg_airports') }} as destinations on destinations.airport = delays.destination
