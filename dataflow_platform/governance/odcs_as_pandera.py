"""What was imported from a data contract as Pandera models, one a stream."""

from collections.abc import Mapping
from typing import Any, cast

from dataflow_platform.governance.column_facts import ColumnFacts
from dataflow_platform.governance.contract_as_pandera import Model, module
from dataflow_platform.governance.contract_draft import DraftedColumn, DraftedRule, RuleKind
from dataflow_platform.governance.odcs_import import Imported, ImportedStream

_TYPES = {
    "text": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "time": "TIME",
}
_SETTINGS: Mapping[str, frozenset[str]] = {
    "isin": frozenset({"values"}),
    "matches": frozenset({"pattern"}),
    "in_range": frozenset({"min", "max", "exclusive"}),
    "length": frozenset({"min", "max", "exact"}),
    "not_null": frozenset(),
    "unique": frozenset(),
}


def as_models(imported: Imported, source: str) -> tuple[str, list[str]]:
    """The module's text, and the names of checks that no model says: they belong into `checks:` beside it."""
    left_out: list[str] = []
    models = [_model(stream, left_out) for stream in imported.streams]
    told = [f"The streams of the data contract {source}."]
    if left_out:
        told.append(f"Checks that no model says, write them in YAML: {', '.join(left_out)}.")
    return module(told, models), left_out


def _model(stream: ImportedStream, left_out: list[str]) -> Model:
    rules: dict[str, list[DraftedRule]] = {column: [] for column in stream.columns.values()}
    keys: list[list[str]] = []
    for column in stream.not_null:
        rules[column].append(DraftedRule("not_null"))
    for placed in stream.checks:
        ((kind, settings),) = placed.entry.items()
        columns = settings.get("columns") if kind in ("unique", "not_null") else settings.get("column")
        if kind == "type":
            continue
        if kind == "unique" and isinstance(columns, list) and set(settings) == {"columns"} and not keys:
            keys.append(columns)
            continue
        rule = _rule(kind, settings) if isinstance(columns, str) else None
        if rule is None or rule.severity != "error":
            left_out += [f"{stream.name}.{name}" for name in placed.check.names()]
        else:
            rules[str(columns)].append(rule)
    made = [_column(name, stream, rules[name]) for name in stream.columns.values()]
    return Model(stream.name, made, keys, "as the contract says")


def _column(name: str, stream: ImportedStream, rules: list[DraftedRule]) -> DraftedColumn:
    word = stream.kinds.get(name)
    facts = ColumnFacts(name, _TYPES[word] if word else "unknown", 0)
    return DraftedColumn(facts, "as the contract says", tuple(rules))


def _rule(kind: str, settings: Mapping[str, Any]) -> DraftedRule | None:
    """The rule of a model; None for what Pandera says in no field (a tolerance, a rule over tables...)."""
    known = _SETTINGS.get(kind)
    told = {key: value for key, value in settings.items() if key not in ("column", "columns", "severity")}
    said = {key: value for key, value in told.items() if key not in ("name", "description", "owner")}
    if known is None or not known.issuperset(said):
        return None
    return DraftedRule(cast("RuleKind", kind), said, settings.get("severity", "error"))
