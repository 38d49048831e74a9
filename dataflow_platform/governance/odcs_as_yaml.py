"""What was imported from a data contract as the `streams:` of a pipeline."""

from collections.abc import Iterator, Sequence
from typing import Any

from dataflow_platform.core import registry
from dataflow_platform.governance.contract_as_yaml import flow_entry
from dataflow_platform.governance.odcs_import import Imported, ImportedStream


def as_streams(imported: Imported, source: str) -> str:
    """YAML to be pasted into a pipeline; ``source`` names the file of the contract."""
    lines = [
        f"# From the data contract {source}. Add `from:` and `load:` to each stream.",
        "# What a pipeline has no word for is kept in that file; `dataflow contract export --into` leaves it there:",
        *(f"#   {name}" for name in imported.kept),
        "streams:" if imported.streams else "streams: []",
    ]
    for stream in imported.streams:
        lines += _stream(stream)
    return "\n".join([*lines, ""])


def _stream(stream: ImportedStream) -> Iterator[str]:
    head: dict[str, Any] = {"name": stream.name}
    if stream.description:
        head["description"] = stream.description
    if stream.primary_key:
        head["primary_key"] = stream.primary_key
    if stream.not_null:
        head["contract"] = {"not_null": stream.not_null, "nullability": "freeze"}
    for number, (key, value) in enumerate(head.items()):
        yield f"  {' ' if number else '-'} {flow_entry({key: value})}"
    if stream.checks:
        yield "    checks:"
        yield from (f"      - {flow_entry(_short(check.entry))}" for check in stream.checks)


def _short(entry: dict[str, Any]) -> dict[str, Any]:
    """``{not_null: {columns: id}}`` as ``{not_null: id}``."""
    ((kind, settings),) = entry.items()
    shorthand = registry.check(kind).shorthand
    bare: Sequence[str] = [shorthand] if shorthand else []
    return {kind: settings[bare[0]]} if bare and list(settings) == bare else entry
