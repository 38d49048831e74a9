"""The check: one rule for each thing that the schema asks."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from pydantic import Field, model_validator

from dataflow_platform.checks import rule, rule_names
from dataflow_platform.checks.pandera import columns as of_columns
from dataflow_platform.checks.pandera import frame
from dataflow_platform.checks.pandera.declared import Declared, declared
from dataflow_platform.checks.pandera.parts import Part, Test, rows_that_break
from dataflow_platform.core.base import Check, Column, Rule, Severity
from dataflow_platform.core.errors import did_you_mean, unknown_name


class Pandera(Check):
    """A Pandera schema, run in the engine; checks that are no SQL run in Pandera itself, in the same pass."""

    shorthand: ClassVar[str | None] = "schema"

    schema_path: str = Field(
        alias="schema",
        description="`package.module:name` of a pandera DataFrameSchema or DataFrameModel, pandas or polars flavour, "
        "or a YAML file below the project's root (`contracts/flights.yaml`) as `schema.to_yaml()` writes it. "
        "A check with `raise_warning=True` has severity `warn`, all others the severity set here.",
    )
    whole: list[str] = Field(
        default_factory=list,
        description="Names of checks whose functions compare rows with one another (duplicates, ranks, sums): they are "
        "given all values of their columns at once, and these must fit into memory. A function that answers with "
        "one value, or with `groupby`, is known to need that and need not be named.",
    )

    @model_validator(mode="after")
    def _check(self) -> "Pandera":
        self.names()
        return self

    def names(self) -> list[str]:
        """``<schema>_<column>_<check>`` for each thing the schema asks."""
        found = declared(self.schema_path)
        return self._names(found, self._parts(found))

    def _names(self, found: Declared, parts: Sequence[Part]) -> list[str]:
        labels = [f"{part.column}_{part.label}" if part.column else part.label for part in parts]
        return rule_names(self, [f"{found.title}_{label}" for label in labels], labels)

    def rules(self, columns: Sequence[Column]) -> list[Rule]:
        """Row rules for values, set rules for types, uniqueness and the set of columns."""
        found = declared(self.schema_path)
        parts = self._parts(found)
        named = zip(self._names(found, parts), parts, strict=True)
        return [self._rule(name, part, part.make(columns), found) for name, part in named]

    def _rule(self, name: str, part: Part, test: Test, found: Declared) -> Rule:
        # What Pandera would drop and go on without goes to quarantine: that is what `warn` does with rows.
        drops: Severity | None = "warn" if found.schema.drop_invalid_rows and test.violation else None
        made = rule(
            self, name, test.message, column=test.column, violation=test.violation, verdict=test.verdict,
            severity=part.severity or drops, tolerated=test.tolerated, dimension=test.dimension,
        )  # fmt: skip
        return replace(made, rows=rows_that_break(test), code=test.code, may_raise=False)

    def _parts(self, found: Declared) -> list[Part]:
        whole = frozenset(self.whole)
        parts = [*frame.shape_parts(found)]
        for asked in found.asked():
            parts.extend(of_columns.parts(found, asked, whole))
        parts.extend(frame.check_parts(found, whole))
        known = {str(check.name) for check in found.schema.checks}
        known |= {str(check.name) for asked in found.asked() for check in asked.schema.checks}
        for name in self.whole:
            if name not in known:
                raise unknown_name("check", name, known, did_you_mean(name, known, "name a check of the schema"))
        return parts
