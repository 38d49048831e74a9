"""Rules written as ``{type, field, condition, severity}``: another way to write the checks, not other checks."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from pydantic import ConfigDict, Field

from dataflow_platform.core import registry
from dataflow_platform.core.base import Spec
from dataflow_platform.core.errors import ConfigError, did_you_mean


class TypedRule(Spec):
    """A rule as `{type, field, condition, severity}`: another way to write a check.

    All other keys are those of the check itself, and a condition may be a map of them as well.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str = Field(description="The kind of rule: a word of the table below, or the name of any check.")
    field: str | list[str] | None = Field(default=None, description="The column or columns.")
    condition: Any = Field(default=None, description="What must hold, as the table says.")
    threshold: float | str | None = Field(default=None, description="The check's `at_most`.")


@dataclass(frozen=True)
class Reading:
    """How a kind of rule becomes a check: its name, the key its column goes to, and how its condition is read."""

    check: str
    column: str | None
    read: Callable[[Any], dict[str, Any]]
    example: str = ""
    fixed: Mapping[str, Any] = field(default_factory=dict)


def _no(condition: Any) -> ConfigError:
    return ConfigError("rule.condition", f"the condition {condition!r} cannot be read", where="condition", fix="")


def _nothing(condition: Any) -> dict[str, Any]:
    if condition is not None:
        raise _no(condition)
    return {}


def _as(key: str) -> Callable[[Any], dict[str, Any]]:
    """The condition as it is, under a key."""

    def read(condition: Any) -> dict[str, Any]:
        if condition is None:
            raise _no(condition)
        return {key: condition}

    return read


def _value(text: str) -> Any:
    """A number, a date or a time where the text is one, else the text."""
    text = text.strip().strip("'\"")
    for kind in (int, float, date.fromisoformat, datetime.fromisoformat):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _range(condition: Any, *, exclusive: bool = False) -> dict[str, Any]:
    """``0..120``, ``0..``, ``..120``, ``>= 0``, ``between 0 and 120``; ``>`` and ``<`` where bounds may be excluded."""
    text = str(condition).strip() if condition is not None else ""
    if found := re.fullmatch(r"(>=|<=|>|<)\s*(\S.*)", text):
        sign, bound = found[1], _value(found[2])
        made = {"min" if sign[0] == ">" else "max": bound}
        if sign in ("<", ">"):
            if not exclusive:
                raise ConfigError(
                    "rule.condition", f"'{sign}' is not known here", where="condition", fix=f"write {sign}="
                )
            made["exclusive"] = True
        return made
    found = re.fullmatch(r"between\s+(\S.*?)\s+and\s+(\S.*)", text, re.I) or re.fullmatch(r"(.*?)\s*\.\.\s*(.*)", text)
    if found is None or not (found[1] or found[2]):
        raise _no(condition)
    return {key: _value(bound) for key, bound in (("min", found[1]), ("max", found[2])) if bound}


def _length(condition: Any) -> dict[str, Any]:
    return {"exact": int(condition)} if re.fullmatch(r"\d+", str(condition).strip()) else _range(condition)


def _values(condition: Any) -> dict[str, Any]:
    """A list, or texts with commas between them."""
    if isinstance(condition, list):
        return {"values": condition}
    if not isinstance(condition, str) or not condition.strip():
        raise _no(condition)
    return {"values": [_value(each) for each in condition.strip().removeprefix("in ").strip("()[] ").split(",")]}


def _comparison(condition: Any) -> dict[str, Any]:
    found = re.fullmatch(r"\s*(<=|>=|<>|!=|=|<|>)\s*(\S.*?)\s*", str(condition))
    if found is None:
        raise _no(condition)
    return {"is": found[1].replace("!=", "<>"), "to": found[2]}


def _when_then(condition: Any) -> dict[str, Any]:
    found = re.fullmatch(r"\s*when\s+(.+?)\s+then\s+(.+?)\s*", str(condition), re.I | re.S)
    if found is None:
        raise _no(condition)
    return {"when": found[1], "then": found[2]}


def _type(condition: Any) -> dict[str, Any]:
    found = re.fullmatch(r"\s*(reads as\s+)?(\S.*?)\s*", str(condition or ""), re.I)
    if found is None:
        raise _no(condition)
    return {"reads_as" if found[1] else "is": found[2]}


def _order(condition: Any) -> dict[str, Any]:
    form = r"\s*(strictly\s+)?(?:(rising|falling)\s+)?by\s+(\w+)(?:\s+per\s+(\w+))?\s*"
    found = re.fullmatch(form, str(condition), re.I)
    if found is None:
        raise _no(condition)
    made: dict[str, Any] = {"by": found[3], "strictly": bool(found[1]), "falls": str(found[2]).lower() == "falling"}
    return made | ({"per": found[4]} if found[4] else {})


def _change(condition: Any) -> dict[str, Any]:
    found = re.fullmatch(r"\s*(?:-\s*([\d.]+%))?\s*\.\.\s*(?:\+?\s*([\d.]+%))?\s*", str(condition))
    if found is None or not any(found.groups()):
        raise _no(condition)
    return {key: text for key, text in (("max_decrease", found[1]), ("max_increase", found[2])) if text}


def _drift(condition: Any) -> dict[str, Any]:
    found = re.fullmatch(r"\s*(psi|ks)?\s*(?:<=|<)?\s*([\d.]+)?\s*", str(condition or ""), re.I)
    if found is None:
        raise _no(condition)
    made: dict[str, Any] = {"method": found[1].lower()} if found[1] else {}
    return made | ({"max": float(found[2])} if found[2] else {})


def _age(condition: Any) -> dict[str, Any]:
    return {"max_age": str(condition or "").strip().removeprefix("<=").removeprefix("<").strip()}


def _optional(key: str) -> Callable[[Any], dict[str, Any]]:
    return lambda condition: {} if condition is None else {key: condition}


_STATISTICS = ("sum", "mean", "median", "stddev", "quantile")
_FORMATS = ("email", "phone", "url", "uuid", "iban", "credit_card", "icd10", "npi", "country", "currency", "language",
            "json", "ip", "ipv4", "ipv6")  # fmt: skip
READINGS: dict[str, Reading] = {
    "schema": Reading("schema", None, _as("columns"), "[id, name] or {id: integer}"),
    "type": Reading("type", "column", _type, "integer, or `reads as integer`"),
    "null": Reading("not_null", "columns", _nothing, "none, or `<= 5%` for null_share"),
    "duplicate": Reading("unique", "columns", _nothing, "none"),
    "format": Reading("format", "column", _as("as"), "email"),
    **{name: Reading("format", "column", _nothing, "none", {"as": name}) for name in _FORMATS},
    "date": Reading(
        "format", "column", lambda given: {"formats": [given] if isinstance(given, str) else given or []},
        "`%d.%m.%Y`, or a list", {"as": "date"},
    ),
    "range": Reading(
        "in_range", "column", lambda given: _range(given, exclusive=True),
        "`0..120`, `>= 0`, `> 0`, `between 0 and 120`",
    ),
    "length": Reading("length", "column", _length, "`1..40`, `2`"),
    "set": Reading("isin", "column", _values, "[a, b] or `a, b`"),
    "not_in_set": Reading("notin", "column", _values, "[a, b] or `a, b`"),
    "pattern": Reading("matches", "column", _as("pattern"), "`[A-Z]{3}`"),
    "cross_column": Reading("compare", "column", _comparison, "`<= shipped_at`"),
    "conditional": Reading("conditional", None, _when_then, "`when country = 'US' then zip is not null`"),
    "monotonic": Reading("monotonic", "column", _order, "`by created_at`, `strictly falling by id per shop`"),
    **{
        name: Reading("statistic", "column", _range, "`0..120`, `>= 0`", {"of": name}) for name in _STATISTICS
    },
    "distinct": Reading("distinct_count", "columns", _range, "`1..50`"),
    "row_count": Reading("row_count", None, _range, "`1..1000000`"),
    "row_count_change": Reading("row_count", None, _change, "`-20%..50%`"),
    "freshness": Reading("freshness", "column", _age, "`24h`"),
    "reference": Reading("foreign_key", "column", _as("references"), "`raw.airports.faa`"),
    "drift": Reading("drift", "column", _drift, "`psi <= 0.2`, `ks`"),
    "anomaly": Reading("anomaly", "column", _optional("detector"), "none, or a detector: `z_score`"),
    "expression": Reading("expression", None, _as("sql"), "`price > 0`"),
    "sql": Reading("custom_sql", None, _as("rows"), "`select * from staged where price < 0`"),
    "python": Reading("custom_python", None, _as("function"), "`package.module:name`"),
}  # fmt: skip


def is_typed(entry: Mapping[str, Any]) -> bool:
    """True for a rule in this form; the check ``type`` has a map below its name."""
    return "type" in entry and not isinstance(entry["type"], Mapping)


def as_check(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The rule as the check it stands for: ``{name: fields}``. ConfigError with the key that is wrong."""
    rest = dict(entry)
    kind, column, condition = rest.pop("type"), rest.pop("field", None), rest.pop("condition", None)
    kind = "null" if kind is None else kind  # what YAML makes of the word
    if "threshold" in rest:
        rest["at_most"] = rest.pop("threshold")
    reading = _reading(kind, condition)
    made = dict(reading.fixed)
    if column is not None:
        if reading.column is None:
            raise ConfigError(
                "rule.field", f"a rule of type {kind} is of no field", where="field",
                fix="leave it out, and name the columns in the condition",
            )  # fmt: skip
        made[reading.column] = column
    elif reading.column is not None and not (reading.column in rest or reading.check == "anomaly"):
        raise ConfigError("rule.field", f"a rule of type {kind} needs a field", where="field", fix="add field: column")
    try:
        made |= condition if isinstance(condition, Mapping) and kind != "schema" else reading.read(condition)
    except (ConfigError, ValueError) as error:
        told = error if isinstance(error, ConfigError) else _no(condition)
        fix = told.fix or f"write it like {reading.example}" if reading.example else told.fix
        raise ConfigError("rule.condition", told.what, where="condition", fix=fix or "see docs/checks.md") from None
    return {reading.check: made | rest}


def _reading(kind: Any, condition: Any) -> Reading:
    if kind == "null" and condition is not None:
        return Reading("null_share", "column", _range, "<= 5%")
    if kind in READINGS:
        return READINGS[kind]
    if not isinstance(kind, str) or not registry.is_known("checks", kind):
        known = {*READINGS, *registry.names("checks")}
        raise ConfigError(
            "rule.type", f"there is no rule of type '{kind}'", where="type",
            fix=did_you_mean(str(kind), known, "see docs/checks.md"),
        )  # fmt: skip
    mine = next((each for each in READINGS.values() if each.check == kind and not each.fixed), None)
    if mine is not None:
        return mine
    fields: Any = getattr(registry.check(kind), "model_fields", {})
    column = next((name for name in ("column", "columns") if name in fields), None)
    return Reading(kind, column, _nothing, "a map of the check's own keys")
