"""Values counted by class: taken of a relation as JSON, and counted again in the classes that were taken before."""

from dataclasses import dataclass

from dataflow_platform.checks import family
from dataflow_platform.core.base import Column
from dataflow_platform.core.sql import quote

_MOST = 50
"""Values with a class of their own; all others share one."""


@dataclass(frozen=True)
class Quantiles:
    """Numbers and times in ``bins`` classes that quantiles part."""

    column: Column
    bins: int

    def _number(self, value: str) -> str:
        return f"CAST({value} AS DOUBLE)" if family(self.column.type) in _NUMBERS else f"epoch({value})"

    def _known(self, relation: str, value: str) -> str:
        number = self._number(value)
        return f"(SELECT {number} AS v FROM {relation} WHERE {value} IS NOT NULL AND NOT isnan({number})) AS known"

    def taken(self, relation: str, value: str) -> str:
        """A SELECT of ``value`` (how many) and ``detail``, the classes as JSON; no row where there is no value."""
        places = ", ".join(str(place / self.bins) for place in range(1, self.bins))
        edges = f"(SELECT list_sort(list_distinct(quantile_disc(v, [{places}]))) FROM {self._known(relation, value)})"
        return (
            f"SELECT CAST(count(*) AS DOUBLE) AS value, CAST(to_json({{'edges': any_value(edges), 'counts': "
            f"{_COUNTS}}}) AS VARCHAR) AS detail FROM (SELECT *, {edges} AS edges FROM {self._known(relation, value)}) "
            "AS with_edges HAVING count(*) > 0"
        )

    def compared(self, base: str) -> str:
        """A SELECT of ``place``, ``b`` and ``c``: the classes of the ``detail`` of ``base``, and the staged values."""
        known = (
            "SELECT CAST(json_extract(detail, '$.edges') AS DOUBLE[]) AS edges, "
            f"CAST(json_extract(detail, '$.counts') AS BIGINT[]) AS counts FROM ({base}) AS base"
        )
        now = self._known("staged", quote(self.column.name))
        counted = f"SELECT any_value(counts) AS b, {_COUNTS} AS c FROM {now}, ({known}) AS base"
        return f"SELECT unnest(range(len(b))) AS place, unnest(b) AS b, unnest(c) AS c FROM ({counted}) AS counted"


_NUMBERS = ("integer", "float", "decimal")
# DuckDB counts what is above the last edge under infinity, and leaves that out where there is nothing.
_COUNTS = (
    "list_transform(list_append(any_value(edges), CAST('inf' AS DOUBLE)), "
    "lambda edge: coalesce(map_extract(histogram(v, edges), edge)[1], 0))"
)


@dataclass(frozen=True)
class Values:
    """Texts and booleans: the most frequent ones, and all others together."""

    column: Column

    def taken(self, relation: str, value: str) -> str:
        """A SELECT of ``value`` (how many) and ``detail``, the classes as JSON; no row where there is no value."""
        known = f"{relation} WHERE {value} IS NOT NULL"
        counted = f"SELECT CAST({value} AS VARCHAR) AS k, count(*) AS n FROM {known} GROUP BY ALL"
        return (
            "SELECT CAST(sum(n) AS DOUBLE) AS value, CAST(to_json({'values': list(k ORDER BY place) FILTER "
            f"(place <= {_MOST}), 'counts': list(n ORDER BY place) FILTER (place <= {_MOST}), 'rest': "
            f"coalesce(CAST(sum(n) FILTER (place > {_MOST}) AS BIGINT), 0)}}) AS VARCHAR) AS detail FROM "
            f"(SELECT *, row_number() OVER (ORDER BY n DESC, k) AS place FROM ({counted}) AS counted) AS placed "
            "HAVING count(*) > 0"
        )

    def compared(self, base: str) -> str:
        """A SELECT of ``place``, ``b`` and ``c``: the classes of the ``detail`` of ``base``, and the staged values."""
        value = quote(self.column.name)
        known = (
            "SELECT unnest(CAST(json_extract(detail, '$.values') AS VARCHAR[])) AS k, "
            f"unnest(CAST(json_extract(detail, '$.counts') AS BIGINT[])) AS b FROM ({base}) AS base"
        )
        now = f"SELECT CAST({value} AS VARCHAR) AS k, count(*) AS c FROM staged WHERE {value} IS NOT NULL GROUP BY ALL"
        rest = f"SELECT CAST(json_extract(detail, '$.rest') AS BIGINT) AS b FROM ({base}) AS base"
        return (
            f"SELECT 0 AS place, b, coalesce(c, 0) AS c FROM ({known}) AS known LEFT JOIN ({now}) AS now USING (k) "
            f"UNION ALL SELECT 1, b, coalesce((SELECT sum(c) FROM ({now}) AS now WHERE k NOT IN "
            f"(SELECT k FROM ({known}) AS known)), 0) FROM ({rest}) AS rest"
        )
