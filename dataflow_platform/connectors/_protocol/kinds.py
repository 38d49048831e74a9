"""JSON schemas as column types.

========================================  =====================================================
schema                                    column
========================================  =====================================================
integer                                   BIGINT; DECIMAL(38,0) where its bounds go beyond
number                                    DOUBLE; DECIMAL(38,s) where `multipleOf` says the scale
boolean                                   BOOLEAN
string                                    VARCHAR; format date-time: TIMESTAMPTZ, date: DATE
object, array, no type, several types     the value's JSON text, in a VARCHAR column
========================================  =====================================================
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from dataflow_platform.connectors._protocol import faults
from dataflow_platform.core.errors import ConfigError

KINDS = ("VARCHAR", "BOOLEAN", "BIGINT", "DOUBLE", "DECIMAL(p,s)", "DATE", "TIMESTAMP", "TIMESTAMPTZ", "BLOB", "JSON")
"""The types a column may be declared with. JSON is any value's JSON text, in a VARCHAR column."""
DECIMAL = re.compile(r"DECIMAL\((\d{1,2}),(\d{1,2})\)")
_TEXTS = frozenset({"VARCHAR", "DATE", "TIMESTAMP", "TIMESTAMPTZ"})
_DEEPEST_SCALE = 30
DECLARED = f"Types of columns where the schema's own do not do: {', '.join(KINDS)}. JSON is the value's JSON text."


@dataclass(frozen=True)
class Field:
    """A column: its name and its kind, one of ``KINDS``."""

    name: str
    kind: str


def parse_kind(name: str, text: str) -> str:
    """The kind a person wrote for column ``name``; ConfigError where there is none."""
    kind = "".join(text.upper().split())
    decimal = DECIMAL.fullmatch(kind)
    if kind in KINDS or (decimal and 1 <= int(decimal[1]) <= 38 and int(decimal[2]) <= int(decimal[1])):
        return kind
    raise ConfigError(
        "bridge.column_type", f"column '{name}': there is no type '{text}'", where="columns",
        fix=f"use one of: {', '.join(KINDS)}",
    )  # fmt: skip


def fields_of(bridge: str, stream: str, schema: Mapping[str, Any], declared: Mapping[str, str]) -> tuple[Field, ...]:
    """The columns of a stream's JSON schema; what is ``declared`` wins, and comes last where the schema lacks it."""
    properties = schema.get("properties")
    named = properties if isinstance(properties, Mapping) else {}
    kinds = {name: declared.get(name) or kind_of(of, schema) for name, of in named.items()}
    return settled(bridge, stream, kinds | dict(declared))


def settled(bridge: str, stream: str, kinds: Mapping[str, str]) -> tuple[Field, ...]:
    """The columns by name; DataError where there is none, or a database would take two for one."""
    folded: dict[str, str] = {}
    for name in kinds:
        if (other := folded.setdefault(name.casefold(), name)) != name:
            raise faults.same_name(bridge, (other, name), stream)
    if not kinds:
        raise faults.no_columns(bridge, stream)
    return tuple(Field(name, kind) for name, kind in kinds.items())


def kind_of(schema: Any, root: Mapping[str, Any]) -> str:
    """The kind of column that keeps every value ``schema`` allows exactly; ``root`` holds what a `$ref` names."""
    schema = _followed(schema, root)
    if not isinstance(schema, Mapping):
        return "JSON"
    for word in ("anyOf", "oneOf"):
        if isinstance(schema.get(word), Sequence):
            offered = [each for each in schema[word] if not (isinstance(each, Mapping) and _is_null(each))]
            outer = {name: value for name, value in schema.items() if name not in (word, "type")}
            return _joined(kind_of({**outer, **each} if isinstance(each, Mapping) else each, root) for each in offered)
    types = schema.get("type")
    named = [types] if isinstance(types, str) else [name for name in types or () if name != "null"]
    if types in ("null", ["null"]):
        return "VARCHAR"
    return _joined(_of_type(name, schema) for name in named)


def _is_null(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") in ("null", ["null"])


def _followed(schema: Any, root: Mapping[str, Any], depth: int = 0) -> Any:
    reference = schema.get("$ref") if isinstance(schema, Mapping) else None
    if not isinstance(reference, str) or not reference.startswith("#/") or depth > 20:
        return schema if reference is None else None
    found: Any = root
    for part in reference[2:].split("/"):
        found = found.get(part) if isinstance(found, Mapping) else None
    return _followed(found, root, depth + 1)


def _joined(kinds: Iterable[str]) -> str:
    found = set(kinds)
    if len(found) == 1:
        return found.pop()
    if found == {"BIGINT", "DOUBLE"}:  # an integer that a double cannot hold is refused when it comes
        return "DOUBLE"
    if found and found <= _TEXTS:
        return "VARCHAR"
    if found - {"BIGINT"} and all(DECIMAL.fullmatch(kind) for kind in found - {"BIGINT"}):
        return max(found - {"BIGINT"}, key=lambda kind: int(DECIMAL.fullmatch(kind)[2]))  # type: ignore[index]
    return "JSON"


def _of_type(name: str, schema: Mapping[str, Any]) -> str:
    if name == "string":
        stamp = "TIMESTAMP" if schema.get("airbyte_type") == "timestamp_without_timezone" else "TIMESTAMPTZ"
        return {"date-time": stamp, "date": "DATE"}.get(str(schema.get("format")), "VARCHAR")
    if name == "boolean":
        return "BOOLEAN"
    if name == "integer" or (name == "number" and schema.get("airbyte_type") == "integer"):
        edges = [schema.get(edge) for edge in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")]
        beyond = any(isinstance(edge, int | float | Decimal) and not -(2**63) <= edge < 2**63 for edge in edges)
        return "DECIMAL(38,0)" if beyond or schema.get("airbyte_type") == "big_integer" else "BIGINT"
    if name == "number":
        scale = _scale(schema.get("multipleOf"))
        return "DOUBLE" if scale is None else f"DECIMAL(38,{scale})"
    return "JSON"


def _scale(step: Any) -> int | None:
    """How many digits behind the point the multiples of ``step`` have; None where that cannot be told."""
    if not isinstance(step, int | float | Decimal) or isinstance(step, bool):
        return None
    try:
        exponent = Decimal(str(step)).normalize().as_tuple().exponent
    except InvalidOperation:
        return None
    return max(0, -exponent) if isinstance(exponent, int) and -exponent <= _DEEPEST_SCALE else None
