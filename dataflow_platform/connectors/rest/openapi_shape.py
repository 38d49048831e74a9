"""What a vendor's schema says of a value: its kinds, fields, items and limits. References are followed when asked."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

Schema = Mapping[str, Any]
Resolve = Callable[[str], Any]
"""From the text of a ``$ref`` to the schema it names; None where there is none."""

_PARTS = 400
_NESTED = ("allOf", "anyOf", "oneOf")


class Shape:
    """A JSON schema, seen as the union of all that its references and combinations bring together.

    Nothing is resolved before it is asked for, so that a schema may hold itself. At most 400 schemas are
    looked at for one value.
    """

    def __init__(self, schemas: Sequence[Any], resolve: Resolve) -> None:
        self._schemas = schemas
        self._resolve = resolve

    @cached_property
    def _parts(self) -> list[Schema]:
        found: list[Schema] = []
        seen: set[int] = set()
        waiting = list(self._schemas)
        while waiting and len(found) < _PARTS:
            schema = waiting.pop(0)
            if isinstance(schema, list):  # some documents write alternatives as a bare list
                waiting.extend(schema)
            if not isinstance(schema, Mapping) or id(schema) in seen:
                continue
            seen.add(id(schema))
            found.append(schema)
            if isinstance(reference := schema.get("$ref"), str):
                waiting.append(self._resolve(reference))
            if _alternatives(schema):
                waiting.extend(schema["items"])
            for word in _NESTED:
                waiting.extend(part for part in schema.get(word) or () if isinstance(part, Mapping))
        return found

    def _of(self, word: str) -> Iterator[Any]:
        return (part[word] for part in self._parts if part.get(word) is not None)

    @cached_property
    def names(self) -> frozenset[str]:
        """The fields the document names."""
        return frozenset(name for properties in self._maps("properties") for name in properties)

    def _maps(self, word: str) -> Iterator[Mapping[str, Any]]:
        return (value for value in self._of(word) if isinstance(value, Mapping))

    def field(self, name: str) -> "Shape | None":
        """The field ``name``; None where the document names others only. A map's every key has the map's values."""
        found = [properties[name] for properties in self._maps("properties") if name in properties]
        if not found and not self.names:
            found = list(self._maps("additionalProperties"))
        return Shape(found, self._resolve) if found else None

    @cached_property
    def items(self) -> "Shape | None":
        """What an array holds; None where the value is no array, or of unknown items."""
        found = [item for item in self._of("items") if isinstance(item, Mapping)]
        lists = (part.get("items") for part in self._parts if not _alternatives(part))
        found += [item for items in lists if isinstance(items, list) for item in items]
        found += [item for items in self._of("prefixItems") if isinstance(items, list) for item in items]
        return Shape(found, self._resolve) if found else None

    def element(self, position: int) -> "Shape | None":
        """The element at ``position`` of an array whose elements differ; else what the array holds."""
        for word in ("prefixItems", "items"):
            for items in self._of(word):
                if isinstance(items, list) and position < len(items):
                    return Shape([items[position]], self._resolve)
        return self.items

    @cached_property
    def kinds(self) -> frozenset[str]:
        """JSON types the value may have, ``null`` left out; empty where the document does not say."""
        told: set[str] = set()
        for kind in self._of("type"):
            told.update([kind] if isinstance(kind, str) else kind)
        if self.names:
            told.add("object")
        if self.items is not None:
            told.add("array")
        return frozenset(told - {"null", "any"})

    @property
    def says_nothing(self) -> bool:
        """Whether anything might be in the value: neither fields nor items nor a scalar type is told."""
        return not self.names and self.items is None and not self.kinds - {"object", "array"}

    @cached_property
    def enum(self) -> tuple[Any, ...]:
        """The values allowed, or none where any is."""
        return tuple(value for values in self._of("enum") if isinstance(values, list) for value in values)

    @cached_property
    def maximum(self) -> float | None:
        """The greatest number allowed."""
        return _number(next(self._of("maximum"), None))

    @cached_property
    def minimum(self) -> float | None:
        """The smallest number allowed."""
        return _number(next(self._of("minimum"), None))

    @cached_property
    def format(self) -> str:
        """``date-time``, ``int64`` and the like; empty where none is told."""
        return str(next(self._of("format"), ""))

    @cached_property
    def required(self) -> frozenset[str]:
        """The fields that are always there."""
        return frozenset(name for names in self._of("required") if isinstance(names, list) for name in names)

    @cached_property
    def examples(self) -> tuple[Any, ...]:
        """The values the document shows."""
        shown = list(self._of("example"))
        for several in self._of("examples"):
            shown.extend(several if isinstance(several, list) else several.values())
        return tuple(shown)


def _alternatives(schema: Schema) -> bool:
    """Slack writes the forms a value may have as ``items``, without a word of an array."""
    return isinstance(schema.get("items"), list) and "type" not in schema


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def of_example(value: Any, depth: int = 0) -> Schema:
    """The schema that a shown value tells: fields and kinds, nothing of what is optional."""
    if depth > 12 or value is None:
        return {}
    if isinstance(value, Mapping):
        return {"type": "object", "properties": {name: of_example(inner, depth + 1) for name, inner in value.items()}}
    if isinstance(value, list):
        return {"type": "array", "items": {"anyOf": [of_example(inner, depth + 1) for inner in value[:20]]}}
    kinds = {bool: "boolean", int: "integer", float: "number"}
    return {"type": kinds.get(type(value), "string")}
