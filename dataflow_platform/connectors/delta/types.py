"""DuckDB's types in Delta's words and back: exact, widened as declared here, or refused.

The primitive types and the JSON of a schema are those of the Delta protocol, sections "Primitive Types" and
"Schema Serialization Format" (https://github.com/delta-io/delta/blob/master/PROTOCOL.md).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.sql import quote

_EXACT = {
    "boolean": "boolean", "tinyint": "byte", "smallint": "short", "integer": "integer", "bigint": "long",
    "float": "float", "double": "double", "varchar": "string", "blob": "binary", "date": "date",
    "timestamp with time zone": "timestamp", "timestamp": "timestamp_ntz",
}  # fmt: skip
WIDENED = {
    "utinyint": "SMALLINT", "usmallint": "INTEGER", "uinteger": "BIGINT", "ubigint": "DECIMAL(20,0)",
    "hugeint": "DECIMAL(38,0)", "uhugeint": "DECIMAL(38,0)",
    "timestamp_s": "TIMESTAMP", "timestamp_ms": "TIMESTAMP",
    "uuid": "VARCHAR", "enum": "VARCHAR", "json": "VARCHAR", "bit": "VARCHAR", "time": "VARCHAR",
    "time with time zone": "VARCHAR", "interval": "VARCHAR", "bignum": "VARCHAR",
    "null": "INTEGER",
}  # fmt: skip
"""What Delta has no type for, and the type whose values say the same. A HUGEINT of 39 digits fails the load."""
_WORDS = {word: kind.upper() for kind, word in _EXACT.items()}
PARTITIONS = frozenset({"string", "byte", "short", "integer", "long", "date", "boolean"})
"""Types of columns a table may be partitioned by: their text in the log is the same for every writer."""

Field = dict[str, Any]


def stored(name: str, kind: str) -> str:
    """The type a column of DuckDB type ``kind`` has in a Delta table; ConfigError where there is none."""
    return _duckdb(delta_type(name, kind))


def delta_type(name: str, kind: str) -> Any:
    """A DuckDB type as the schema's JSON has it: a word, or an object for array, struct and map."""
    return _delta(duckdb.sqltype(kind), name, kind)


def _delta(kind: Any, name: str, whole: str) -> Any:
    family = str(kind.id)
    children = dict(kind.children) if family in ("list", "array", "struct", "map", "decimal") else {}
    if family == "decimal":
        return f"decimal({children['precision']},{children['scale']})"
    if family in ("list", "array"):
        return {"type": "array", "elementType": _delta(children["child"], name, whole), "containsNull": True}
    if family == "map":
        return {
            "type": "map",
            "keyType": _delta(children["key"], name, whole),
            "valueType": _delta(children["value"], name, whole),
            "valueContainsNull": True,
        }
    if family == "struct":
        return {"type": "struct", "fields": [_field(each, _delta(kid, name, whole)) for each, kid in children.items()]}
    if str(kind) == "JSON":
        return "string"
    if family in _EXACT:
        return _EXACT[family]
    wider = WIDENED.get(family)
    if wider is None:
        raise ConfigError(
            "delta.type",
            f"column '{name}' is {whole}: Delta keeps no {str(kind).lower()} exactly",
            where=f"columns.{name}",
            fix=f"cast it in the pipeline (transform: - cast: {{{name}: ...}}), to TIMESTAMP or VARCHAR for example",
        )
    return _delta(duckdb.sqltype(wider), name, whole)


def _field(name: str, kind: Any) -> Field:
    return {"name": name, "type": kind, "nullable": True, "metadata": {}}


def _duckdb(kind: Any) -> str:
    """A Delta type in DuckDB's words; KeyError for one that is unknown."""
    if isinstance(kind, str):
        return kind.upper() if kind.startswith("decimal(") else _WORDS[kind]
    if kind["type"] == "array":
        return f"{_duckdb(kind['elementType'])}[]"
    if kind["type"] == "map":
        return f"MAP({_duckdb(kind['keyType'])}, {_duckdb(kind['valueType'])})"
    fields = ", ".join(f"{quote(field['name'])} {_duckdb(field['type'])}" for field in kind["fields"])
    return f"STRUCT({fields})"


def duckdb_type(field: Field) -> str:
    """The DuckDB type of a field of the schema; ConfigError where the platform does not know the field's type."""
    try:
        return str(duckdb.sqltype(_duckdb(field["type"])))
    except KeyError as error:
        raise ConfigError(
            "delta.unknown_type",
            f"column '{field['name']}' of the Delta table has a type unknown here: {error.args[0]}",
            fix="load into another table",
        ) from None


def fields_of(columns: Sequence[tuple[str, str]], before: Mapping[str, Field]) -> list[Field]:
    """The schema's fields for ``columns`` (name and DuckDB type); a field that stays as it was keeps its metadata."""
    fields = []
    for name, kind in columns:
        old = before.get(name)
        same = old is not None and duckdb_type(old) == kind
        fields.append(dict(old) if old is not None and same else _field(name, delta_type(name, kind)))
    return fields


def holds(kind: Any, word: str) -> bool:
    """True where the type is ``word`` or has it inside."""
    if isinstance(kind, str):
        return kind == word
    inner = [kind.get(key) for key in ("elementType", "keyType", "valueType") if kind.get(key) is not None]
    return any(holds(each, word) for each in [*inner, *(field["type"] for field in kind.get("fields", []))])
