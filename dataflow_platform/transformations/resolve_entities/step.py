"""The step: which records are compared, how, and from which likeness on they are one."""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field, model_validator

from dataflow_platform.core.base import Column, Rows, RowsFunction, Spec, Tables, Transformation
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.expression import columns_used, expression
from dataflow_platform.core.extra import require
from dataflow_platform.core.projection import found, names_of, refuse_known
from dataflow_platform.core.sql import quote
from dataflow_platform.transformations.resolve_entities.linkage import CLUSTER, REVIEW, WEIGHT, Compared, Linkage

_AT: Mapping[str, tuple[float, ...]] = {
    "exact": (), "levenshtein": (1, 2), "damerau_levenshtein": (1, 2), "jaro_winkler": (0.9, 0.7),
    "jaccard": (0.9, 0.7), "days": (1, 30, 365),
}  # fmt: skip


class Comparison(Spec):
    """How a column of two records is compared."""

    shorthand = "by"

    by: Literal["exact", "levenshtein", "damerau_levenshtein", "jaro_winkler", "jaccard", "days"] = Field(
        description="Equal or not; letters to change; likeness of texts from 0 to 1; days between two dates."
    )
    at: list[float] = Field(
        default_factory=list,
        description="Thresholds between levels of likeness, the strictest first; `[1, 2]` letters, `[0.9, 0.7]`, and "
        "`[1, 30, 365]` days if absent.",
    )
    rare_values_weigh_more: bool = Field(
        default=False, description="That both are called Smith says less than that both are called Zwicky."
    )

    @model_validator(mode="after")
    def _check(self) -> "Comparison":
        if self.by == "exact" and self.at:
            raise ConfigError(
                "resolve_entities.at", "exact has no thresholds", where="at", fix="leave it out, or compare otherwise"
            )
        return self


class ResolveEntities(Spec, Transformation):
    """Finds the rows that mean one person or thing, by Splink (Fellegi and Sunter's model, trained on the rows).

    All rows stay. They get `cluster_id` (the least key of those that are one), `match_weight` (that of the row's best
    pair, the logarithm of the odds to base 2) and `review_with` (the key of the likeliest row of another cluster that
    is in the review band). It needs all rows: the stream has no cursor.
    """

    key: str = Field(description="Column that is different in each row, never NULL.")
    blocking: list[list[str]] = Field(
        min_length=1,
        description="Which rows are compared at all: those that agree in all expressions of one of these lists, such "
        "as `[[postcode], [last_name, 'year(born)']]`. The model learns by them as well: a column is learnt "
        "from the lists that it is not in.",
    )
    comparisons: dict[str, Comparison] = Field(
        min_length=2, description="Column to how it is compared, such as `{last_name: jaro_winkler, born: days}`."
    )
    certain: list[list[str]] = Field(
        min_length=1, description="Rows that agree in all expressions of one of these lists are one, almost surely."
    )
    recall: float = Field(
        default=0.8, gt=0, le=1, description="Which share of all true pairs `certain` finds, as you estimate it."
    )
    match: float = Field(default=0.95, gt=0, lt=1, description="From this probability on two rows are one.")
    review: float = Field(
        default=0.5, gt=0, lt=1, description="From this probability on, up to `match`, two rows are to be looked at."
    )
    sampled_pairs: int = Field(
        default=1_000_000, ge=1000, description="Pairs of rows by which chance agreement is estimated."
    )
    memory_limit: str = Field(default="1GB", description="Memory of the engine that compares; it spills to disk.")
    threads: int = Field(default=1, ge=1, le=64, description="Threads of that engine.")

    @model_validator(mode="after")
    def _check(self) -> "ResolveEntities":
        if self.review >= self.match:
            raise ConfigError(
                "resolve_entities.review", "the review band ends where matches begin", where="review",
                fix="let review be less than match",
            )  # fmt: skip
        for rule in self._rules:
            if not rule:
                raise ConfigError(
                    "resolve_entities.rule", "a rule without expressions would compare all rows with all",
                    where="blocking", fix="name at least one column",
                )  # fmt: skip
        require("splink", "entities", "resolve_entities")
        return self

    @property
    def _rules(self) -> list[list[str]]:
        return [*self.blocking, *self.certain]

    @property
    def rows(self) -> Rows:
        """Each as it came, but by a function over all of them."""
        return "anew"

    def rows_function(self, columns: Sequence[Column]) -> RowsFunction:
        """The linkage over all rows."""
        refuse_known((CLUSTER, WEIGHT, REVIEW), columns, "resolve_entities")
        key = found(self.key, columns)
        compared = tuple(
            Compared(
                found(name, columns).name, each.by, tuple(each.at) or _AT[each.by], each.rare_values_weigh_more
            )
            for name, each in self.comparisons.items()
        )  # fmt: skip
        names = names_of(columns)
        blocking, certain = (
            tuple(tuple(expression(each, columns=names, scope="row") for each in rule) for rule in rules)
            for rules in (self.blocking, self.certain)
        )
        linkage = Linkage(
            key.name, tuple(self._used(columns)), compared, blocking, certain, self.recall, self.match, self.review,
            self.sampled_pairs, self.memory_limit, self.threads,
        )  # fmt: skip
        added = (Column(CLUSTER, key.type), Column(WEIGHT, "DOUBLE"), Column(REVIEW, key.type))
        return RowsFunction((*columns, *added), linkage.linked)

    def _used(self, columns: Sequence[Column]) -> list[str]:
        """The columns that decide: key, comparisons, rules."""
        in_rules = sorted({name for rule in self._rules for text in rule for name in columns_used(text)})
        return list(dict.fromkeys(found(each, columns).name for each in (self.key, *self.comparisons, *in_rules)))

    def computed_from(self, columns: Sequence[Column]) -> Mapping[str, Sequence[str]]:
        """Each column from itself, what is found from all that decides."""
        used = self._used(columns)
        return {name: [name] for name in names_of(columns)} | dict.fromkeys((CLUSTER, WEIGHT, REVIEW), used)

    def apply(self, columns: Sequence[Column], tables: Tables) -> str:
        """What the function gives."""
        given = self.rows_function(columns).gives
        return f"SELECT {', '.join(quote(column.name) for column in given)} FROM input"
