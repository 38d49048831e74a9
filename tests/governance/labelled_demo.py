"""The column edges of the demo's dbt models, labelled by hand from their SQL; notation as in labelled_tpch."""

_MEASURES = """
    flights: A staging.stg_flights.flight_key
    cancelled_flights: A staging.stg_flights.flight_key, C staging.stg_flights.is_cancelled
    departed_flights: A staging.stg_flights.departure_delay_minutes
    arrived_flights: A staging.stg_flights.arrival_delay_minutes
    share_departed_late: AC staging.stg_flights.departure_delay_minutes
    share_arrived_late: AC staging.stg_flights.arrival_delay_minutes
    mean_departure_delay_minutes: A staging.stg_flights.departure_delay_minutes
    mean_arrival_delay_minutes: A staging.stg_flights.arrival_delay_minutes
    median_departure_delay_minutes: A staging.stg_flights.departure_delay_minutes
    median_arrival_delay_minutes: A staging.stg_flights.arrival_delay_minutes"""

EDGES = {
    "stg_airlines": """carrier: I raw.airlines.carrier
    carrier_name: I raw.airlines.name""",
    "stg_airports": """airport: I raw.airports.faa
    airport_name: I raw.airports.name
    latitude: I raw.airports.lat
    longitude: I raw.airports.lon
    altitude_feet: I raw.airports.alt
    utc_offset_hours: I raw.airports.tz
    daylight_saving: I raw.airports.dst
    time_zone: I raw.airports.tzone""",
    "stg_planes": """tail_number: I raw.planes.tailnum
    year_built: I raw.planes.year
    aircraft_type: I raw.planes.type
    manufacturer: I raw.planes.manufacturer
    model: I raw.planes.model
    engines: I raw.planes.engines
    seats: I raw.planes.seats
    cruising_speed_mph: I raw.planes.speed
    engine_type: I raw.planes.engine""",
    "stg_weather": """origin: I raw.weather.origin
    observed_hour: I raw.weather.time_hour
    temperature_f: I raw.weather.temp
    dew_point_f: I raw.weather.dewp
    relative_humidity_percent: I raw.weather.humid
    wind_direction_degrees: I raw.weather.wind_dir
    wind_speed_mph: TC raw.weather.wind_speed
    wind_gust_mph: TC raw.weather.wind_gust
    precipitation_inches: I raw.weather.precip
    pressure_millibars: I raw.weather.pressure
    visibility_miles: I raw.weather.visib""",
    "stg_flights": """flight_key: T raw.flights.year, T raw.flights.month, T raw.flights.day, T raw.flights.hour,
     T raw.flights.carrier, T raw.flights.flight
    flight_date: T raw.flights.year, T raw.flights.month, T raw.flights.day
    scheduled_hour: I raw.flights.time_hour
    carrier: I raw.flights.carrier
    flight_number: I raw.flights.flight
    tail_number: I raw.flights.tailnum
    origin: I raw.flights.origin
    destination: I raw.flights.dest
    scheduled_departure_hhmm: I raw.flights.sched_dep_time
    departure_hhmm: I raw.flights.dep_time
    departure_delay_minutes: I raw.flights.dep_delay
    scheduled_arrival_hhmm: I raw.flights.sched_arr_time
    arrival_hhmm: I raw.flights.arr_time
    arrival_delay_minutes: I raw.flights.arr_delay
    air_time_minutes: I raw.flights.air_time
    distance_miles: I raw.flights.distance
    is_cancelled: T raw.flights.dep_time""",
    "delay_by_carrier_month": """carrier: I staging.stg_flights.carrier
    carrier_name: I staging.stg_airlines.carrier_name
    flight_month: T staging.stg_flights.flight_date"""
    + _MEASURES
    + """
    *: JG staging.stg_flights.carrier, J staging.stg_airlines.carrier, G staging.stg_flights.flight_date""",
    "delay_by_route": """route: T staging.stg_flights.origin, T staging.stg_flights.destination
    origin: I staging.stg_flights.origin
    origin_name: I staging.stg_airports.airport_name
    destination: I staging.stg_flights.destination
    destination_name: I staging.stg_airports.airport_name
    distance_miles: A staging.stg_flights.distance_miles
    mean_air_time_minutes: A staging.stg_flights.air_time_minutes
    carriers: A staging.stg_flights.carrier"""
    + _MEASURES
    + """
    *: JG staging.stg_flights.origin, JG staging.stg_flights.destination, J staging.stg_airports.airport""",
    "delay_by_weather": """origin: I staging.stg_flights.origin
    band_rank: C staging.stg_weather.wind_speed_mph, C staging.stg_weather.precipitation_inches,
     C staging.stg_weather.visibility_miles"""
    + _MEASURES
    + """
    *: JG staging.stg_flights.origin, J staging.stg_weather.origin, J staging.stg_weather.observed_hour,
     J staging.stg_flights.scheduled_hour, JG staging.stg_weather.wind_speed_mph,
     JG staging.stg_weather.precipitation_inches, JG staging.stg_weather.visibility_miles""",
}
