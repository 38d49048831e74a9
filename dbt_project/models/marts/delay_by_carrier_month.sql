with flights as (

    select
        carrier,
        cast(date_trunc('month', flight_date) as date) as flight_month,
        flight_key,
        is_cancelled,
        departure_delay_minutes,
        arrival_delay_minutes
    from {{ ref('stg_flights') }}

),

delays as (

    select
        carrier,
        flight_month,
        {{ delay_measures() }}
    from flights
    group by carrier, flight_month

)

select
    delays.carrier,
    airlines.carrier_name,
    delays.flight_month,
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
left join {{ ref('stg_airlines') }} as airlines on airlines.carrier = delays.carrier
