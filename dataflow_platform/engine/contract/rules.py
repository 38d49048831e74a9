"""The contract's quarantine as row rules, judged in the one pass with all others."""

from dataflow_platform.core.base import Rule
from dataflow_platform.core.sql import quote
from dataflow_platform.engine.contract.plan import SchemaPlan
from dataflow_platform.engine.contract.policy import Contract, Dimension

_FLOATS = ("FLOAT", "DOUBLE")


def rule_names(contract: Contract) -> dict[str, str]:
    """The checks the contract brings, known without any data: name and description."""
    described: dict[Dimension, str] = {
        "new_columns": "No row has a value in a column the table lacks.",
        "missing_columns": "Every column of the table comes with the rows.",
        "type_changes": "Every value is exactly one of its column's type.",
        "nullability": "No value is missing where the table needs one.",
        "key_changes": "The primary key is that of the last load.",
    }
    return {_name(dimension): described[dimension] for dimension in contract.quarantines()}


def row_rules(contract: Contract, plan: SchemaPlan) -> list[Rule]:
    """One rule a dimension that quarantines, also where this load has nothing to judge by it."""
    rules = []
    for dimension in contract.quarantines():
        found = [condition for condition in plan.conditions if condition.dimension == dimension]
        columns = {condition.column for condition in found}
        rules.append(
            Rule(
                _name(dimension),
                "; ".join(condition.message for condition in found) or "nothing differs",
                "warn",
                column=columns.pop() if len(columns) == 1 else None,
                violation=" OR ".join(f"({condition.violation})" for condition in found) or "FALSE",
            )
        )
    return rules


def _name(dimension: Dimension) -> str:
    return f"contract_{dimension}"


def misfit(name: str, given: str, wanted: str) -> str:
    """SQL: a value of ``name``, of type ``given``, is not exactly one of ``wanted``: cast there and back it differs."""
    value = quote(name)
    there = f"TRY_CAST({value} AS {wanted})"
    back = f"TRY_CAST({there} AS {given})"
    # 0.0 and -0.0 are equal and not the same.
    differs = f" OR {back}::VARCHAR <> {value}::VARCHAR" if given in _FLOATS else ""
    return f"{value} IS NOT NULL AND ({there} IS NULL OR {back} IS DISTINCT FROM {value}{differs})"
