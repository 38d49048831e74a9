"""Check ``freshness``."""

import re
from collections.abc import Sequence
from typing import ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, model_validator

from dataflow_platform.checks import column_of, family, rule, rule_names
from dataflow_platform.checks._history import earlier, metric
from dataflow_platform.core import sql
from dataflow_platform.core.base import Check, Column, Dimension, Rule
from dataflow_platform.core.errors import ConfigError

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class Freshness(Check):
    """The newest time of a column is not long ago, when the load is judged.

    Of a load without rows the newest time of earlier loads counts. How old an *asset* may get between two loads is
    said by the pipeline's own `freshness`.
    """

    dimension: ClassVar[Dimension] = "timeliness"

    column: str = Field(description="The column: dates (counted from their end) or times.")
    max_age: str = Field(description="How long ago the newest may be: `90s`, `15m`, `26h`, `2d`, `1w`.")
    max_ahead: str | None = Field(
        default=None, description="How far in the future the newest may be, in the same form."
    )
    zone: str = Field(default="UTC", description="The IANA zone of times that name none.")

    @model_validator(mode="after")
    def _check(self) -> "Freshness":
        for field in ("max_age", "max_ahead"):
            text = getattr(self, field)
            if text is not None and _duration(text) is None:
                raise ConfigError(
                    "check.duration", f"'{text}' is no duration", where=field, fix="write such as 90s, 15m, 26h, 2d, 1w"
                )
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ConfigError(
                "check.zone", f"there is no time zone '{self.zone}'", where="zone", fix="write it like Europe/Berlin"
            ) from None
        return self

    def names(self) -> list[str]:
        """``freshness_<column>``."""
        return rule_names(self, [f"freshness_{self.column}"])

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """One rule over the set of rows; it fails as a whole."""
        column = column_of(self.column, columns)
        newest = self._newest(column)
        known = f"SELECT max(value) FROM ({earlier('newest', column.name, 10_000)}) AS known"
        ahead = "" if self.max_ahead is None else f" OR -age > {_duration(self.max_ahead)}"
        span = "CAST(to_seconds(CAST(round(abs(age)) AS BIGINT)) AS VARCHAR)"
        age = f"{span} || CASE WHEN age < 0 THEN ' ahead' ELSE ' old' END"
        allowed = f", allowed is {self.max_age}" + (f" and {self.max_ahead} ahead" if self.max_ahead else "")
        verdict = (
            f"SELECT CASE WHEN age > {_duration(self.max_age)}{ahead} THEN 1 ELSE 0 END AS failing, "
            f"coalesce({sql.literal(f'the newest {column.name} is ')} || {age} || {sql.literal(allowed)}, "
            f"{sql.literal(f'there is no {column.name}')}) AS sentence FROM (SELECT epoch(now()) - greatest("
            f"(SELECT {newest} FROM staged), ({known})) AS age) AS made"
        )
        message = f"the newest {column.name} is older than {self.max_age}"
        measures = metric("newest", column.name, newest)
        return [
            rule(
                self, self.names()[0], message, column=column.name, verdict=verdict, measures=measures,
                reads_history=True,
            )
        ]  # fmt: skip

    def _newest(self, column: Column) -> str:
        """SQL: seconds since 1970 of the newest value."""
        value, kind = f"max({sql.quote(column.name)})", family(column.type)
        if kind == "date":
            return f"epoch(timezone({sql.literal(self.zone)}, CAST({value} AS TIMESTAMP) + INTERVAL 1 DAY))"
        if kind == "timestamp":
            return f"epoch(timezone({sql.literal(self.zone)}, CAST({value} AS TIMESTAMP)))"
        if kind == "timestamp with time zone":
            return f"epoch({value})"
        raise ConfigError(
            "check.type", f"column '{column.name}' is {column.type}, neither date nor time", where=column.name,
            fix="cast the column to timestamp first",
        )  # fmt: skip


def _duration(text: str) -> int | None:
    found = re.fullmatch(r"(\d+)([smhdw])", text.strip())
    return int(found[1]) * _SECONDS[found[2]] if found else None
