"""Check ``functional_dependency``."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from dataflow_platform.checks import RowCheck, as_list, column_of, family, rule, rule_names
from dataflow_platform.core import sql
from dataflow_platform.core.base import Column, Rule
from dataflow_platform.core.rule import Dimension


class FunctionalDependency(RowCheck):
    """Columns that determine others: rows of one postal code have one city. The most frequent value is taken for right.

    It looks at the rows of one load. Where two values are equally frequent nobody knows which is right: no row is
    marked, and a rule of its own, `..._undecided`, counts the rows of such groups.
    """

    dimension: ClassVar[Dimension] = "consistency"

    columns: str | list[str] = Field(
        min_length=1,
        description="The column or columns that determine the others. A row with NULL in one of them belongs to no "
        "group.",
    )
    determines: str | list[str] = Field(
        min_length=1, description="The column or columns that have one value in each group. NULL breaks nothing."
    )

    def names(self) -> list[str]:
        """``functional_dependency_<columns>_<column>`` for each column determined, and ``..._undecided``."""
        key = "_".join(["functional_dependency", *as_list(self.columns)])
        parts = [*as_list(self.determines), "undecided"]
        return rule_names(self, [f"{key}_{part}" for part in parts], parts)

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """A row rule for each column determined, and one over all rows for groups without a most frequent value."""
        key = [column_of(name, columns).name for name in as_list(self.columns)]
        determined = [column_of(name, columns).name for name in as_list(self.determines)]
        *names, undecided = self.names()
        found = [
            rule(
                self, name, f"{column} is not what rows of the same {', '.join(key)} have", column=column,
                violation=_deviates(key, _comparable(column_of(column, columns))), shows=(*key, column),
            )
            for name, column in zip(names, determined, strict=True)
        ]  # fmt: skip
        return [*found, self._undecided(undecided, key, determined)]

    def _undecided(self, name: str, key: Sequence[str], determined: Sequence[str]) -> Rule:
        names = ", ".join(map(sql.quote, key))
        # What is left when the rows that deviate are gone: groups in which two values are equally frequent.
        several = " OR ".join(f"min({sql.quote(column)}) <> max({sql.quote(column)})" for column in determined)
        groups = f"SELECT {names}, count(*) AS n FROM staged WHERE {_known(key)} GROUP BY {names} HAVING {several}"
        words = sql.literal(f" of ({', '.join(key)}) have no most frequent value of {', '.join(determined)}")
        verdict = (
            "SELECT CAST(coalesce(sum(n), 0) AS BIGINT) AS failing, "
            f"CAST(coalesce(sum(n), 0) AS BIGINT) || ' rows in ' || count(*) || ' groups' || {words} AS sentence "
            f"FROM ({groups}) AS undecided"
        )
        message = f"rows of the same {', '.join(key)} differ, and no value is the most frequent"
        rows = f"SELECT * FROM staged WHERE ({names}) IN (SELECT ({names}) FROM ({groups}) AS undecided)"
        return rule(self, name, message, verdict=verdict, rows=rows, shows=(*key, *determined))


def _comparable(column: Column) -> str:
    """The column as an expression whose equal values count together: `mode` takes each NaN for another value."""
    name = sql.quote(column.name)
    return f"CAST({name} + 0 AS VARCHAR)" if family(column.type) == "float" else name


def _deviates(key: Sequence[str], name: str) -> str:
    group = f"PARTITION BY {', '.join(map(sql.quote, key))}"
    # Of values that are equally frequent `mode` takes the first: from both ends it is the same where there is one.
    whole = "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"
    least, greatest = (f"mode({name}) OVER ({group} ORDER BY {name} {way} {whole})" for way in ("ASC", "DESC"))
    return f"{_known(key)} AND {name} <> {least} AND {least} = {greatest}"


def _known(key: Sequence[str]) -> str:
    return " AND ".join(f"{sql.quote(column)} IS NOT NULL" for column in key)
