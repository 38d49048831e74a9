"""A drafted contract as the `checks:` of a stream."""

from collections.abc import Mapping
from typing import Any

import yaml

from dataflow_platform.checks import FAMILIES
from dataflow_platform.governance.contract_draft import Draft, DraftedRule


class _OneLine(yaml.SafeDumper):
    """Writes a text with a line break in double quotes, which is the one way that takes one line."""


_OneLine.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style='"' if len(text.splitlines()) > 1 else None
    ),
)


def as_yaml(drafted: Draft) -> str:
    """YAML to be pasted under a stream; what was seen of each column stands above its rules."""
    lines = [f"# {line}" for line in drafted.heading()]
    body = ["  - schema:", "      columns:"]
    for column in drafted.columns:
        kind = column.facts.kind if column.facts.kind in FAMILIES else "null"
        body.append(f"        {_flow(column.facts.name)}: {kind}")
    for column in drafted.columns:
        body.append(f"  # {_one_line(column.facts.name)} {column.facts.type}: {_one_line(column.evidence)}")
        body += [f"  - {flow_entry(_entry(column.facts.name, rule))}" for rule in column.rules]
    for key in drafted.facts.keys:
        body += [f"  # no two of {drafted.facts.rows:,} rows share them", f"  - {flow_entry({'unique': list(key)})}"]
    return "\n".join([*lines, "checks:", *body, ""])


def _entry(column: str, rule: DraftedRule) -> dict[str, Any]:
    if rule.kind in ("not_null", "unique"):
        return {rule.kind: column}
    return {rule.kind: {"column": column, **rule.settings, "severity": rule.severity}}


def flow_entry(entry: Mapping[str, Any]) -> str:
    """An entry of `checks:` in one line: ``not_null: id``, ``in_range: {column: id, min: 0}``."""
    ((kind, value),) = entry.items()
    return f"{kind}: {_flow(value)}"


def _flow(value: Any) -> str:
    text = yaml.dump(value, Dumper=_OneLine, default_flow_style=True, sort_keys=False, allow_unicode=True, width=2**20)
    return str(text.splitlines()[0])


def _one_line(text: str) -> str:
    return " ".join(text.split())
