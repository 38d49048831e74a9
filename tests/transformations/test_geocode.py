"""Places found offline, by name and by coordinates. What is expected is GeoNames' data as of its package 3.0.2."""

from typing import Any

import numpy as np
import pytest

from dataflow_platform.core.base import Column
from dataflow_platform.transformations.geocode.gazetteer import gazetteer
from tests.transformations.stepping import over, refusal, step

PLACES = """SELECT * FROM (VALUES (1, 'Leipzig', 'DE'), (2, ' münchen', 'DE'), (3, 'Atlantis', 'DE'), (4, NULL, 'DE'))
    AS t(id, city, land)"""


def found(rows: str, value: dict[str, Any]) -> dict[Any, tuple[Any, ...]]:
    return {row[0]: row[3:] for row in over(rows, step("geocode", value))[1]}


def test_places_by_name_in_any_language() -> None:
    value = {"place": "city", "country": "land", "columns": {"name": "n", "country": "c", "latitude": "lat"}}
    given = found(PLACES, {**value, "misfit": "null"})
    assert given[1] == ("Leipzig", "DE", pytest.approx(51.34, abs=0.01))
    assert given[2] == ("Munich", "DE", pytest.approx(48.14, abs=0.01))
    assert given[3] == given[4] == (None, None, None)


@pytest.mark.parametrize(("ambiguous", "country"), [("misfit", None), ("largest", "GB")])
def test_a_name_that_several_places_have_is_not_guessed(ambiguous: str, country: str | None) -> None:
    # There are a Birmingham in England (a million inhabitants) and one in Alabama (200,000), and more.
    value = {"place": "city", "columns": ["country"], "ambiguous": ambiguous, "misfit": "null"}
    _, rows = over("SELECT 'Birmingham' AS city", step("geocode", value))
    assert rows == [("Birmingham", country)]


def test_the_place_nearest_to_coordinates() -> None:
    rows = """SELECT * FROM (VALUES (1, 51.34, 12.37), (2, 0.0, -30.0), (3, -16.8, 179.99), (4, 91, 0), (5, NULL, 1))
        AS t(id, lat, lon)"""
    value = {"latitude": "lat", "longitude": "lon", "within_km": 100, "columns": {"name": "n", "country": "c"}}
    given = found(rows, {**value, "misfit": "null"})
    assert given[1] == ("Leipzig", "DE")
    # The Atlantic; on the other side of the date line lies Labasa of Fiji (16.4 S 179.4 E); no such latitude; unknown.
    assert [given[row] for row in (2, 3, 4, 5)] == [(None, None), ("Labasa", "FJ"), (None, None), (None, None)]


def test_the_nearest_is_that_of_a_look_at_every_place() -> None:
    known = gazetteer(15000)
    places = [place for place, _ in known._places]

    def directions(latitudes: Any, longitudes: Any) -> Any:
        north, east = np.radians(latitudes), np.radians(longitudes)
        return np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)])

    every = directions([place["latitude"] for place in places], [place["longitude"] for place in places])
    chance = np.random.default_rng(7)
    for latitude, longitude in zip(chance.uniform(-60, 70, 300), chance.uniform(-180, 180, 300), strict=True):
        # The nearest on a sphere is the one with the least angle between.
        cosines = directions(latitude, longitude) @ every
        best = int(np.argmax(cosines))
        expected = places[best]["geoname_id"] if 6371.0088 * np.arccos(cosines[best]) <= 500 else None
        near = known.nearest(latitude, longitude, 500)
        assert (near["geoname_id"] if near else None) == expected


def test_a_place_that_is_not_found_fails_or_is_set_aside() -> None:
    value = {"place": "city", "country": "land", "columns": {"name": "n"}}
    with pytest.raises(Exception, match="city is no place that is known") as raised:
        over(PLACES, step("geocode", value))
    assert "Atlantis" not in str(raised.value)
    judged = step("geocode", {**value, "misfit": "quarantine"})
    assert judged.rules() == {"geocode_n": "city is no place that is known"}
    assert sorted((row[0], row[-1]) for row in over(PLACES, judged)[1]) == [
        (1, False), (2, False), (3, True), (4, False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"columns": ["name"]}, "geocode.by"),
        ({"place": "city", "latitude": "lat", "longitude": "lat", "columns": ["name"]}, "geocode.by"),
        ({"latitude": "lat", "columns": ["name"]}, "geocode.by"),
        ({"place": "city", "columns": ["zip"]}, "geocode.columns"),
        ({"place": "lat", "columns": ["name"]}, "column.type"),
        ({"place": "city", "columns": {"name": "city"}}, "column.duplicate"),
    ],
)
def test_a_mistake_is_found_before_a_row_is_read(value: dict[str, Any], code: str) -> None:
    assert refusal("geocode", value, [Column("city", "VARCHAR"), Column("lat", "DOUBLE")]).code == code
