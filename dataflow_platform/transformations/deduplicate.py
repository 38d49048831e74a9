"""Transformation ``deduplicate``."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from dataflow_platform.core import sql
from dataflow_platform.core.base import Column, Rows, Spec, Tables, Transformation
from dataflow_platform.core.expression import ordering
from dataflow_platform.core.projection import found, names_of
from dataflow_platform.core.transformation import EVERYWHERE, Dialect

_PLACE = "_dataflow_place"


class Similar(Spec):
    """When two texts are taken for the same."""

    columns: list[str] = Field(min_length=1, description="Columns of text; all of them have to be alike.")
    at_least: float = Field(default=0.9, gt=0, le=1, description="How alike, from 0 to 1 (equal).")
    method: Literal["jaro_winkler", "levenshtein", "jaccard"] = Field(
        default="jaro_winkler",
        description="`jaro_winkler`: names with typing errors; `levenshtein`: the share of letters that stay; "
        "`jaccard`: the share of letters both have.",
    )

    def alike(self, columns: Sequence[Column]) -> str:
        """SQL that is TRUE where ``input`` and ``other`` are."""
        pairs = [
            (f"input.{name}", f"other.{name}") for name in (sql.quote(found(n, columns).name) for n in self.columns)
        ]
        return " AND ".join(
            f"({one} IS NOT DISTINCT FROM {two} OR {self._measure(one, two)} >= {self.at_least})" for one, two in pairs
        )

    def _measure(self, one: str, two: str) -> str:
        if self.method == "jaro_winkler":
            return f"jaro_winkler_similarity({one}, {two})"
        if self.method == "levenshtein":
            return f"1 - levenshtein({one}, {two}) / greatest(length({one}), length({two}), 1)"
        return f"CASE WHEN {one} <> '' AND {two} <> '' THEN jaccard({one}, {two}) END"


class Deduplicate(Spec, Transformation):
    """Keeps one row for each key, or of those that are alike: the first by an order."""

    holds: ClassVar[tuple[Dialect, ...]] = EVERYWHERE
    shorthand: ClassVar[str | None] = "by"

    by: list[str] | str = Field(
        min_length=1,
        description="The column or columns of the key. Rows whose key is NULL count as one key, as in PARTITION BY.",
    )
    order: str | None = Field(
        default=None,
        description="Which row of a key is kept: the first by this order, such as `updated_at desc`. NULLs come last. "
        "Rows that tie are ordered by all their columns, so the same rows always give the same result.",
    )

    similar: Similar | None = Field(
        default=None,
        description="Leave a row out only if a row before it, with the same key, is alike: "
        "`similar: {columns: [name], at_least: 0.92}`. Rows of one key are compared with each other: choose a key that "
        "few share, such as a postcode.",
    )

    @model_validator(mode="after")
    def _check(self) -> "Deduplicate":
        if self.order is not None:
            ordering(self.order)
        return self

    @property
    def rows(self) -> Rows:
        """Some are left out."""
        return "fewer"

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """A SELECT of all ``columns`` for the first row of each key."""
        wanted, names = [self.by] if isinstance(self.by, str) else self.by, names_of(columns)
        key = [sql.find_column(name, names) for name in wanted]
        rest = [sql.quote(name) for name in names if name not in key]
        # Ties by name, so that the choice does not hang on the order the source gave its columns in.
        order = [ordering(self.order, columns=names)] if self.order is not None else []
        order += sorted(rest)
        if self.similar is not None:
            return self._first_of_similar(self.similar, key, [*order, *map(sql.quote, sorted(key))], columns)
        kept = ", ".join(sql.quote(name) for name in names)
        partition = ", ".join(sql.quote(column) for column in key)
        ordered = f" ORDER BY {', '.join(order)}" if order else ""
        return f"SELECT {kept} FROM input QUALIFY row_number() OVER (PARTITION BY {partition}{ordered}) = 1"

    def _first_of_similar(self, similar: Similar, key: list[str], order: list[str], columns: Sequence[Column]) -> str:
        # Equal rows tie, whichever number they get: the two lists number alike but for them.
        kept = ", ".join(f"input.{sql.quote(name)} AS {sql.quote(name)}" for name in names_of(columns))
        numbered = f"(SELECT input.*, row_number() OVER (ORDER BY {', '.join(order)}) AS {_PLACE} FROM input)"
        same = " AND ".join(f"other.{sql.quote(name)} IS NOT DISTINCT FROM input.{sql.quote(name)}" for name in key)
        return (
            f"SELECT {kept} FROM {numbered} AS input WHERE NOT EXISTS (SELECT 1 FROM {numbered} AS other WHERE {same} "
            f"AND other.{_PLACE} < input.{_PLACE} AND {similar.alike(columns)})"
        )
