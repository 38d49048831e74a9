"""Quality rules of a data contract as checks: what a library metric, its operator and its unit ask."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from dataflow_platform.core.sql import literal_as_written, quote

ENGINE = "dataflow-platform"
"""The engine of custom rules that are our checks, word by word."""
SEVERITIES = {"error": "error", "warn": "warn", "warning": "warn"}
_OPERATORS = (
    "mustBe", "mustNotBe", "mustBeGreaterThan", "mustBeGreaterOrEqualTo", "mustBeLessThan", "mustBeLessOrEqualTo",
    "mustBeBetween", "mustNotBeBetween",
)  # fmt: skip
_COMMON = ("type", "metric", "unit", "severity", "description", "name", "arguments", *_OPERATORS)


def check_of(item: Mapping[str, Any], column: str | None, columns: Mapping[str, str]) -> dict[str, Any] | None:
    """The check that a quality rule of ``column`` (None: of the whole object) stands for; None where there is none.

    ``columns``: the object's properties and their columns.
    """
    if item.get("type") == "custom" and item.get("engine") == ENGINE:
        own = item.get("implementation")
        return dict(own) if isinstance(own, Mapping) and len(own) == 1 else None
    if item.get("type", "library") != "library":
        return None
    arguments = item.get("arguments") or {}
    if item.get("metric") == "rowCount":
        found = _row_count(item) if column is None and not arguments else None
    else:
        found = _counted(item, column, columns, arguments)
    return None if found is None else {kind: {**settings, **_told(item)} for kind, settings in found.items()}


def expressed(item: Mapping[str, Any]) -> list[tuple[str | int, ...]]:
    """Where in ``item`` stands what the check says; the rest of it is nobody's but the contract's."""
    if item.get("type") == "custom":
        return [("type",), ("engine",), ("implementation",)]
    places: list[tuple[str | int, ...]] = [(key,) for key in _COMMON if key in item]
    if "severity" in item and item["severity"] not in SEVERITIES:
        places.remove(("severity",))
    if "name" in item and not _is_name(item["name"]):
        places.remove(("name",))
    owners = [place for place, each in enumerate(item.get("customProperties") or ()) if each.get("property") == "owner"]
    return [*places, *(("customProperties", place) for place in owners)]


def _told(item: Mapping[str, Any]) -> dict[str, Any]:
    """What a rule says of itself: name, severity, description, owner."""
    found: dict[str, Any] = {}
    if _is_name(item.get("name")):
        found["name"] = item["name"]
    if SEVERITIES.get(str(item.get("severity"))) == "warn":
        found["severity"] = "warn"
    if item.get("description"):
        found["description"] = str(item["description"])
    for each in item.get("customProperties") or ():
        if each.get("property") == "owner" and isinstance(each.get("value"), str):
            found["owner"] = each["value"]
    return found


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9_]+", name) is not None


def _counted(
    item: Mapping[str, Any], column: str | None, columns: Mapping[str, str], arguments: Mapping[str, Any]
) -> dict[str, dict[str, Any]] | None:
    """A metric that counts bad rows, with the number of them that still passes."""
    tolerated = _tolerated(item)
    if tolerated is None:
        return None
    at_most = {} if tolerated == 0 else {"at_most": tolerated}
    metric = item.get("metric")
    if metric == "duplicateValues":
        names = arguments.get("properties") if column is None else column
        if isinstance(names, list) and names and set(arguments) == {"properties"}:
            return {"unique": {"columns": [columns.get(str(name), str(name)) for name in names], **at_most}}
        return {"unique": {"columns": column, **at_most}} if column is not None and not arguments else None
    if column is None:
        return None
    if metric == "nullValues" and not arguments:
        return {"not_null": {"columns": column, **at_most}}
    if metric == "missingValues" and set(arguments) == {"missingValues"}:
        return _missing(column, arguments["missingValues"], at_most)
    if metric == "invalidValues" and set(arguments) == {"validValues"}:
        values = [value for value in arguments["validValues"] or () if value is not None]
        return {"isin": {"column": column, "values": values, **at_most}} if values else None
    if metric == "invalidValues" and set(arguments) == {"pattern"}:
        return {"matches": {"column": column, "pattern": whole(str(arguments["pattern"])), **at_most}}
    return None


def _missing(column: str, values: Any, at_most: Mapping[str, Any]) -> dict[str, dict[str, Any]] | None:
    if not isinstance(values, list) or not values:
        return None
    listed = ", ".join(literal_as_written(value) for value in values if value is not None)
    if not listed:
        return {"not_null": {"columns": column, **at_most}}
    name = quote(column)
    there = f"{name} IS NOT NULL AND " if None in values else ""
    return {"expression": {"sql": f"{there}{name} NOT IN ({listed})", **at_most}}


def _tolerated(item: Mapping[str, Any]) -> int | str | None:
    """``at_most`` of the check: so many rows, or a share; None where the operator asks for something else."""
    given = [key for key in _OPERATORS if key in item]
    unit = item.get("unit") or "rows"
    if len(given) != 1 or unit not in ("rows", "percent"):
        return None
    operator, value = given[0], item[given[0]]
    if operator == "mustBeBetween" and isinstance(value, list) and value[:1] == [0]:
        operator, value = "mustBeLessOrEqualTo", value[-1]
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        return None
    if operator == "mustBe" and value == 0:
        return 0
    if operator == "mustBeLessThan" and unit == "rows" and isinstance(value, int) and value > 0:
        return value - 1
    if operator == "mustBeLessOrEqualTo":
        return f"{value}%" if unit == "percent" and value <= 100 else value if isinstance(value, int) else None
    return None


def _row_count(item: Mapping[str, Any]) -> dict[str, dict[str, Any]] | None:
    given = [key for key in _OPERATORS if key in item]
    if len(given) != 1 or item.get("unit") not in (None, "rows"):
        return None
    operator, value = given[0], item[given[0]]
    numbers = value if isinstance(value, list) else [value]
    if not all(isinstance(each, int) and not isinstance(each, bool) and each >= 0 for each in numbers):
        return None
    bounds: Mapping[str, dict[str, int]] = {
        "mustBe": {"min": numbers[0], "max": numbers[0]},
        "mustBeGreaterThan": {"min": numbers[0] + 1},
        "mustBeGreaterOrEqualTo": {"min": numbers[0]},
        "mustBeLessThan": {"max": numbers[0] - 1},
        "mustBeLessOrEqualTo": {"max": numbers[0]},
        "mustBeBetween": {"min": numbers[0], "max": numbers[-1]},
        **({"mustNotBe": {"min": 1}} if numbers == [0] else {}),
    }
    return {"row_count": bounds[operator]} if operator in bounds else None


def whole(pattern: str) -> str:
    """A pattern that is looked for anywhere in a text, as one for the whole text."""
    own = re.fullmatch(r"\^\(\?:(.*)\)\$", pattern, re.DOTALL)
    if own and _compiles(own[1]):
        return own[1]
    if pattern.startswith("^") and re.search(r"(?<!\\)(\\\\)*\$$", pattern) and "|" not in pattern:
        return pattern[1:-1]
    return f"(?s:.*)(?:{pattern})(?s:.*)"


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def operator_of(at_most: int | float | str) -> dict[str, Any]:
    """The operator, and the unit, of a rule that lets ``at_most`` bad rows pass."""
    text = str(at_most).strip()
    if text in ("0", "0.0"):
        return {"mustBe": 0}
    number = float(text.removesuffix("%"))
    value = int(number) if number.is_integer() else number
    return {"mustBeLessOrEqualTo": value, **({"unit": "percent"} if text.endswith("%") else {})}


def item_of(kind: str, settings: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any] | None:
    """The library rule for a check, ``names`` being the properties it is about; None where the standard has none."""
    own = {"column", "columns", "at_most", "severity", "description", "name", "owner"}
    given = {key: value for key, value in settings.items() if key not in own}
    if kind == "row_count" and "at_most" not in settings:
        low, high = given.get("min", 0), given.get("max")
        bound = {"mustBeGreaterOrEqualTo": low} if high is None else {"mustBeBetween": [low, high]}
        bound = {"mustBe": low} if low == high else bound
        return {"metric": "rowCount", **bound}
    arguments: dict[str, Any] = {}
    metric = {"not_null": "nullValues", "unique": "duplicateValues"}.get(kind)
    if kind == "isin" and set(given) == {"values"}:
        metric, arguments = "invalidValues", {"validValues": list(given["values"])}
    elif kind == "matches" and set(given) == {"pattern"}:
        metric, arguments = "invalidValues", {"pattern": f"^(?:{given['pattern']})$"}
    elif given or metric is None or (kind == "not_null" and len(names) > 1):
        return None
    if kind == "unique" and len(names) > 1:
        arguments = {"properties": list(names)}
    return {
        "metric": metric,
        **({"arguments": arguments} if arguments else {}),
        **operator_of(settings.get("at_most", 0)),
    }


def said_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a check says of itself, in the standard's words."""
    found = {key: settings[key] for key in ("name", "description") if settings.get(key)}
    if settings.get("severity") == "warn":
        found["severity"] = "warning"
    if settings.get("owner"):
        found["customProperties"] = [{"property": "owner", "value": settings["owner"]}]
    return found
