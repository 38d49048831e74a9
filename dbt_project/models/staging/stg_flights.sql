select
    cast(cast(year as bigint) * 1000000 + month * 10000 + day * 100 + hour as varchar)
        || '-' || carrier || '-' || cast(flight as varchar) as flight_key,
    make_date(year, month, day) as flight_date,
    time_hour as scheduled_hour,
    carrier,
    flight as flight_number,
    tailnum as tail_number,
    origin,
    dest as destination,
    sched_dep_time as scheduled_departure_hhmm,
    dep_time as departure_hhmm,
    dep_delay as departure_delay_minutes,
    sched_arr_time as scheduled_arrival_hhmm,
    arr_time as arrival_hhmm,
    arr_delay as arrival_delay_minutes,
    air_time as air_time_minutes,
    distance as distance_miles,
    dep_time is null as is_cancelled
from {{ source('raw', 'flights') }}
