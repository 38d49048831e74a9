"""Which Delta tables can be read and written safely, and what the tables made here ask of others.

Sections "Protocol Evolution", "Table Features" and "Valid Feature Names" of the Delta protocol.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dataflow_platform.connectors._lake.store import Store
from dataflow_platform.connectors.delta.types import holds
from dataflow_platform.core.errors import ConfigError, DataflowError, TransientError

_NTZ = "timestampNtz"
_UNUSED = frozenset({"appendOnly", "invariants", "checkConstraints", "changeDataFeed", "generatedColumns", _NTZ})
"""Features that ask nothing of a writer while the table's properties and fields do not use them."""
_FIELD_RULES = ("delta.invariants", "delta.generationExpression", "delta.identity.start", "delta.columnMapping.id")


def refuse_unknown(protocol: Any, configuration: Mapping[str, str], fields: Sequence[Any], folder: str) -> None:
    """Raise a ConfigError for a table that asks for something the platform does not do."""
    reader = set(protocol.reader_features or ()) - {_NTZ}
    writer = set(protocol.writer_features or ()) - _UNUSED
    legacy = protocol.min_writer_version
    asked = sorted(reader | writer)
    if protocol.min_reader_version not in (1, 3) or (legacy > 4 and legacy != 7):
        asked = asked or [f"reader version {protocol.min_reader_version}, writer version {legacy}"]
    asked += [key for key, value in configuration.items() if _is_rule(key, value)]
    asked += [
        f"{rule} of column {field['name']}" for field in fields for rule in _FIELD_RULES if rule in field["metadata"]
    ]
    if asked:
        raise ConfigError(
            "delta.unsupported",
            f"the Delta table uses what the platform does not support: {', '.join(asked)}",
            where=folder,
            fix="load into another table, or take the feature off this one with the tool that added it",
        )


def _is_rule(key: str, value: str) -> bool:
    on = str(value).lower() == "true"
    return (
        key.startswith("delta.constraints.")
        or (key in ("delta.appendOnly", "delta.enableChangeDataFeed", "delta.enableDeletionVectors") and on)
        or (key == "delta.columnMapping.mode" and value != "none")
    )


def versions(table: Any) -> dict[str, Any]:
    """The protocol action in force; an empty one for a table that does not exist yet."""
    if table is None:
        return {}
    found = table.protocol()
    said: dict[str, Any] = {
        "minReaderVersion": found.min_reader_version,
        "minWriterVersion": found.min_writer_version,
    }
    if found.min_reader_version >= 3:
        said["readerFeatures"] = sorted(found.reader_features or ())
    if found.min_writer_version >= 7:
        said["writerFeatures"] = sorted(found.writer_features or ())
    return said


def needed(fields: Sequence[Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The protocol action the fields need: the oldest, unless a timestamp has no zone; never less than ``before``."""
    plain = dict(before) or {"minReaderVersion": 1, "minWriterVersion": 2}
    if not any(holds(field["type"], "timestamp_ntz") for field in fields):
        return plain
    if _NTZ in plain.get("writerFeatures", ()):
        return plain
    # What an older version implied has to be named once features are.
    implied = {2: ["appendOnly", "invariants"], 3: ["appendOnly", "invariants", "checkConstraints"]}
    implied[4] = [*implied[3], "changeDataFeed", "generatedColumns"]
    features = plain.get("writerFeatures", implied.get(plain["minWriterVersion"], []) if before else [])
    return {
        "minReaderVersion": 3,
        "minWriterVersion": 7,
        "readerFeatures": sorted({*plain.get("readerFeatures", ()), _NTZ}),
        "writerFeatures": sorted({*features, _NTZ}),
    }


def unreadable(error: BaseException, store: Store, folder: str) -> DataflowError:
    """What deltalake's error means."""
    known = store.explained(error)
    if known is not None:
        return known
    text = str(error).splitlines()[0][:300]
    if "protocol" in text.lower() or "feature" in text.lower():
        return ConfigError("delta.unsupported", text, where=folder, fix="load into another table")
    return TransientError(
        "delta.log",
        f"the Delta log cannot be read: {text}",
        where=f"{store.described()}/{folder}",
        fix="run it again; if it stays so, look into the table's _delta_log",
    )
