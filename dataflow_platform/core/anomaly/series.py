"""The series of a table: one number for each span of time."""

from typing import Literal, get_args

from dataflow_platform.core.sql import quote

Every = Literal["minute", "hour", "day", "week", "month"]
Measure = Literal["mean", "sum", "rows", "min", "max", "null_share", "distinct"]
SPANS: tuple[Every, ...] = get_args(Every)
MEASURES: tuple[Measure, ...] = get_args(Measure)


def bucketed(relation: str, column: str | None, time: str, every: Every, measure: Measure) -> str:
    """A SELECT in parentheses of ``moment`` (the start of a span, UTC) and ``value`` (the ``measure`` of its rows).

    ``column`` may be None for ``rows`` only. A span without rows has 0 rows and no other value.
    """
    value = quote(column) if column is not None else "NULL"
    number = f"CAST({value} AS DOUBLE)"
    measured = {
        "mean": f"avg({number})",
        "sum": f"sum({number})",
        "rows": "count(*)",
        "min": f"min({number})",
        "max": f"max({number})",
        "null_share": f"1 - count({value}) / count(*)",
        "distinct": f"count(DISTINCT {value})",
    }[measure]
    moment = f"date_trunc('{every}', CAST({quote(time)} AS TIMESTAMP))"
    grouped = (
        f"SELECT {moment} AS moment, CAST({measured} AS DOUBLE) AS value "
        f"FROM {relation} AS rows WHERE {quote(time)} IS NOT NULL GROUP BY ALL"
    )
    if measure != "rows":
        return f"({grouped})"
    return (
        f"(WITH counted AS ({grouped}) SELECT span.moment, coalesce(counted.value, 0) AS value FROM (SELECT "
        f"unnest(generate_series(min(moment), max(moment), INTERVAL 1 {every})) AS moment FROM counted) AS span "
        "LEFT JOIN counted USING (moment))"
    )
