"""A drafted contract as the `checks:` of a stream."""

from collections.abc import Iterator
from typing import Any

import yaml

from dataflow_platform.checks import word
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
    body: list[str] = []
    for column in drafted.columns:
        body.append(f"  # {_one_line(column.facts.name)} {column.facts.type}: {_one_line(column.evidence)}")
        body += [f"  - {_flow(entry)}" for entry in map(_entry, [column.facts.name] * len(column.rules), column.rules)]
    for key in drafted.facts.keys:
        body += [f"  # no two of {drafted.facts.rows:,} rows share them", f"  - {_flow({'unique': list(key)})}"]
    has_rules = any(not line.lstrip().startswith("#") for line in body)
    return "\n".join([*lines, "checks:" if has_rules else "checks: []", *body, ""])


def entries(drafted: Draft) -> Iterator[dict[str, Any]]:
    """The rules as `checks:` holds them once read."""
    for column in drafted.columns:
        yield from (_entry(column.facts.name, rule) for rule in column.rules)
    yield from ({"unique": list(key)} for key in drafted.facts.keys)


def _entry(column: str, rule: DraftedRule) -> dict[str, Any]:
    if rule.kind in ("not_null", "unique"):
        return {rule.kind: column}
    if rule.kind == "length":
        quoted = '"' + column.replace('"', '""') + '"'
        sql = f"length({quoted}) = {rule.settings['length']}"
        return {"expression": {"sql": sql, "name": word(f"length_{column}"), "severity": rule.severity}}
    return {rule.kind: {"column": column, **rule.settings, "severity": rule.severity}}


def _flow(entry: dict[str, Any]) -> str:
    """``not_null: id`` or ``in_range: {column: id, min: 0}``, in one line."""
    ((kind, value),) = entry.items()
    text = yaml.dump(value, Dumper=_OneLine, default_flow_style=True, sort_keys=False, allow_unicode=True, width=2**20)
    return f"{kind}: {text.splitlines()[0]}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
