"""The declared contracts of the example's flights, as Pandera schemas."""

import pandera.pandas as pa


class Flights(pa.DataFrameModel):
    """What every scheduled departure must have; one that has not stops the load."""

    carrier: str = pa.Field(str_matches=r"^[A-Z0-9]{2}$")
    origin: str = pa.Field(isin=["EWR", "JFK", "LGA"])
    distance: int = pa.Field(in_range={"min_value": 1, "max_value": 6000})


class Flown(pa.DataFrameModel):
    """What a flight that took off has. Cancelled ones lack it: they are kept apart with their reason,
    so that delay figures count only flights that flew."""

    tailnum: str
    dep_time: int = pa.Field(in_range={"min_value": 1, "max_value": 2400})
