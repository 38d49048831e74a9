select
    origin,
    time_hour as observed_hour,
    temp as temperature_f,
    dewp as dew_point_f,
    humid as relative_humidity_percent,
    wind_dir as wind_direction_degrees,
    case when wind_speed <= {{ var('wind_speed_limit_mph') }} then wind_speed end as wind_speed_mph,
    case when wind_gust <= {{ var('wind_speed_limit_mph') }} then wind_gust end as wind_gust_mph,
    precip as precipitation_inches,
    pressure as pressure_millibars,
    visib as visibility_miles
from {{ source('raw', 'weather') }}
