"""Check ``drift``."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from dataflow_platform.checks import _histogram as histogram
from dataflow_platform.checks import column_of, family, rule, rule_names
from dataflow_platform.checks._history import earlier
from dataflow_platform.core import sql
from dataflow_platform.core.base import Check, Column, Dimension, Rule
from dataflow_platform.core.errors import ConfigError

_LIMITS = {"psi": 0.2, "ks": 0.1}
_BINS = {"psi": 10, "ks": 100}


class Drift(Check):
    """The values of a column are distributed as they were before.

    - `psi`: the population stability index, the sum of (p - q) ln(p / q) over classes, a share below 0.0001 counted as
      0.0001. The classes of numbers and times are the quantiles of what is compared with, those of others its 50 most
      frequent values and the rest.
    - `ks`: the greatest distance of the two cumulated distributions (Kolmogorov-Smirnov), at those quantiles: a little
      less than over all values. Of numbers and times only.

    NULL is left out: see null_share. The classes of a load are kept with it. Where there is nothing to compare with,
    as in a first load, it passes.
    """

    dimension: ClassVar[Dimension] = "consistency"
    reads_tables: ClassVar[bool] = True

    column: str = Field(description="The column.")
    method: Literal["psi", "ks"] = Field(default="psi", description="How the two are compared.")
    max: float | None = Field(
        default=None, gt=0, description="The most that passes; 0.2 of psi, 0.1 of ks where it is not said."
    )
    against: str = Field(
        default="last",
        description="What it is compared with: `last` published load of the stream, its `first` one, or a column of a "
        "table of the destination, as `schema.table.column`.",
    )
    bins: int | None = Field(
        default=None, ge=2, le=1000, description="The number of classes; 10 of psi, 100 of ks where it is not said."
    )

    @model_validator(mode="after")
    def _check(self) -> "Drift":
        parts = self.against.split(".")
        if self.against not in ("last", "first") and (len(parts) != 3 or not all(parts)):
            raise ConfigError(
                "check.against", f"'{self.against}' is nothing to compare with", where="against",
                fix="write last, first, or schema.table.column",
            )  # fmt: skip
        return self

    def names(self) -> list[str]:
        """``drift_<column>``."""
        return rule_names(self, [f"drift_{self.column}"])

    def upstream(self) -> tuple[str, ...]:
        """The table it is compared with."""
        return () if self.against in ("last", "first") else (self.against.rpartition(".")[0],)

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """One rule over the set of rows; it fails as a whole."""
        column = column_of(self.column, columns)
        kind = family(column.type)
        if kind in ("nested", "binary", "other") or (self.method == "ks" and kind in ("text", "boolean")):
            raise ConfigError(
                "check.type", f"column '{column.name}' is {column.type}, which cannot be compared by {self.method}",
                where=column.name, fix="choose a column of numbers or times; psi also takes text and booleans",
            )  # fmt: skip
        bins = self.bins or _BINS[self.method]
        classes = histogram.Values(column) if kind in ("text", "boolean") else histogram.Quantiles(column, bins)
        name = f"classes of {self.method}"
        if self.upstream():
            schema, table, other = self.against.split(".")
            base = f"SELECT detail FROM ({classes.taken(sql.qualified(schema, table), sql.quote(other))}) AS taken"
            measures, words = None, f"that of {self.against}"
        else:
            base = f"SELECT detail FROM ({earlier(name, column.name, 1, newest=self.against == 'last')}) AS known"
            taken = classes.taken("staged", sql.quote(column.name))
            measures = f"SELECT {sql.literal(name)}, {sql.literal(column.name)}, value, detail FROM ({taken}) AS taken"
            words = f"that of the {self.against} load"
        limit = self.max or _LIMITS[self.method]
        verdict = _verdict(self.method, classes.compared(base), limit, column.name, words)
        message = f"the distribution of {column.name} is not {words}"
        return [
            rule(
                self, self.names()[0], message, column=column.name, verdict=verdict, measures=measures,
                reads_history=not self.upstream(),
            )
        ]  # fmt: skip


def _verdict(method: str, classes: str, limit: float, column: str, words: str) -> str:
    """``classes``: place, b (of before) and c (of now) of each class."""
    shares = (
        "SELECT place, b / sum(b) OVER () AS q, c / sum(c) OVER () AS p, sum(b) OVER () AS before, "
        f"sum(c) OVER () AS now FROM ({classes}) AS classes"
    )
    if method == "psi":
        drift = "sum((greatest(p, 0.0001) - greatest(q, 0.0001)) * ln(greatest(p, 0.0001) / greatest(q, 0.0001)))"
    else:
        along = "OVER (ORDER BY place)"
        shares = f"SELECT *, sum(q) {along} - sum(p) {along} AS gap FROM ({shares}) AS each_class"
        drift = "max(abs(gap))"
    told = " || ".join(
        [
            sql.literal(f"{method} of {column} is "), "round(drift, 4)", sql.literal(f" against {words} ("), "before",
            "' values then, '", "now", sql.literal(f" now), allowed is {limit:g}"),
        ]
    )  # fmt: skip
    counted = "CAST(any_value(before) AS BIGINT) AS before, CAST(any_value(now) AS BIGINT) AS now"
    return (
        f"SELECT CASE WHEN drift > {sql.literal(float(limit))} THEN 1 ELSE 0 END AS failing, "
        f"coalesce({told}, {sql.literal(f'{column}: there is nothing to compare')}) AS sentence "
        f"FROM (SELECT {drift} AS drift, {counted} FROM ({shares}) AS shares WHERE before > 0 AND now > 0) AS made"
    )
