"""Check ``anomaly``."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationError, model_validator

from dataflow_platform.checks import column_of, family, rule, rule_names
from dataflow_platform.checks._history import metric
from dataflow_platform.core import anomaly, sql
from dataflow_platform.core.anomaly.words import explained
from dataflow_platform.core.base import Check, Column, Dimension, Rule
from dataflow_platform.core.errors import ConfigError

Metric = Literal["row_count", "sum", "mean", "median", "stddev", "min", "max", "null_share", "distinct_count"]
_MEASURED: dict[str, str] = {
    "row_count": "CAST(count(*) AS DOUBLE)",
    "sum": "sum(CAST({} AS DOUBLE))",
    "mean": "avg(CAST({} AS DOUBLE))",
    "median": "CAST(median({}) AS DOUBLE)",
    "stddev": "stddev_samp(CAST({} AS DOUBLE))",
    "min": "CAST(min({}) AS DOUBLE)",
    "max": "CAST(max({}) AS DOUBLE)",
    "null_share": "CASE WHEN count(*) > 0 THEN 1 - count({}) / count(*) END",
    "distinct_count": "CAST(count(DISTINCT {}) AS DOUBLE)",
}
_OF_ANY = ("null_share", "distinct_count")


class Anomaly(Check):
    """A metric of the load is what earlier published loads of the stream let expect.

    Detectors: `robust_z` (median and MAD), `z_score` (mean and standard deviation), `ewma`, `sliding_window`,
    `seasonal` (the same hour or day of the week), `change_point`. Until enough loads are known it passes.
    """

    dimension: ClassVar[Dimension] = "consistency"

    metric: Metric = Field(default="row_count", description="What is watched; kept with every load.")
    column: str | None = Field(default=None, description="The column it is taken of; all but `row_count` need one.")
    detector: str | dict[str, dict[str, Any]] = Field(
        default="robust_z",
        description="The detector: its name, or its name with its fields, such as "
        "`{seasonal: {season: day_of_week, threshold: 4}}`. All know `threshold`, `least` (so many loads must be "
        "known), `tolerance`, `side` (above, below, both).",
    )

    @model_validator(mode="after")
    def _check(self) -> "Anomaly":
        if (self.column is None) != (self.metric == "row_count"):
            fault = "is of no column" if self.column is not None else "needs a column"
            raise ConfigError(
                "check.anomaly", f"{self.metric} {fault}", where="column", fix="write metric: mean, column: price"
            )
        self._made()
        return self

    def _made(self) -> anomaly.Detector:
        written = {self.detector: {}} if isinstance(self.detector, str) else self.detector
        if len(written) != 1:
            raise ConfigError("check.anomaly", "there is one detector", where="detector", fix="name one")
        ((name, fields),) = written.items()
        try:
            return anomaly.detector(name, **fields)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(map(str, first["loc"]))
            raise ConfigError(
                "check.anomaly", f"'{field}' of {name}: {first['msg']}", where="detector", fix="see docs/checks.md"
            ) from None

    def names(self) -> list[str]:
        """``anomaly_<metric>`` and the column."""
        return rule_names(self, ["_".join(filter(None, ["anomaly", self.metric, self.column]))])

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """One rule over the set of rows; it fails as a whole."""
        column = column_of(self.column, columns) if self.column is not None else None
        if column is not None and self.metric not in _OF_ANY and family(column.type) not in _NUMBERS:
            raise ConfigError(
                "check.type", f"column '{column.name}' is {column.type}, of which there is no {self.metric}",
                where=column.name, fix="choose a column of numbers",
            )  # fmt: skip
        name = None if column is None else column.name
        value = _MEASURED[self.metric].format("" if name is None else sql.quote(name))
        same = "column_name IS NULL" if name is None else f"column_name = {sql.literal(name)}"
        now = "timezone('UTC', now())"
        series = (
            "(SELECT timezone('UTC', measured_at) AS moment, any_value(value) AS value FROM history "
            f"WHERE kind = 'metric' AND name = {sql.literal(self.metric)} AND {same} GROUP BY measured_at "
            f"UNION ALL SELECT {now}, {value} FROM staged)"
        )
        words = "rows" if column is None else f"{self.metric.replace('_', ' ')} of {column.name}"
        found = f"SELECT * FROM ({explained(self._made(), series, words)}) AS told WHERE moment = {now}"
        nothing = sql.literal(f"{words}: there is nothing to judge")
        verdict = (
            "SELECT CASE WHEN bool_or(is_anomaly) THEN 1 ELSE 0 END AS failing, "
            f"coalesce(any_value(sentence), {nothing}) AS sentence FROM ({found}) AS found"
        )
        measures = None if name is None else metric(self.metric, name, value)
        message = f"the {words} are not what earlier loads let expect"
        return [
            rule(
                self, self.names()[0], message, column=name, verdict=verdict, measures=measures, reads_history=True,
            )
        ]  # fmt: skip


_NUMBERS = ("integer", "float", "decimal")
