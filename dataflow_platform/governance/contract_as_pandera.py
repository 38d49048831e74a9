"""A drafted contract as a Pandera model: a Python file a person reads, corrects and names in `checks:`."""

import ast
import keyword
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from dataflow_platform.governance.contract_draft import Draft, DraftedColumn, DraftedRule

_LINE = 88  # what formatters allow by default; the body of a class has four less
_WARNED = "What later rows may break without being wrong is a warning (raise_warning): correct it before use."
_TYPES = {
    "integer": "int",
    "float": "float",
    "decimal": "pl.Decimal",
    "text": "str",
    "boolean": "bool",
    "date": "pl.Date",
    "timestamp": "pl.Datetime",
    "timestamp with time zone": 'Annotated[pl.Datetime, "us", "UTC"]',
    "time": "pl.Time",
    "interval": "pl.Duration",
    "binary": "pl.Binary",
}


def as_pandera(drafted: Draft) -> str:
    """The text of a module with one polars model, and above each column what was seen of it.

    A column of a type that Pandera's schemas have no word for stands in a comment.
    """
    facts = drafted.facts
    model = Model(facts.stream, drafted.columns, facts.keys[:1], f"no two of {facts.rows:,} rows share them")
    return module([drafted.heading()[0], *drafted.left_out, _WARNED], [model])


@dataclass(frozen=True)
class Model:
    """A stream as a Pandera model: ``keys`` are columns that no two rows share, ``why`` says how that is known."""

    stream: str
    columns: Sequence[DraftedColumn]
    keys: Sequence[Sequence[str]] = ()
    why: str = ""


def module(told: Sequence[str], models: Sequence[Model]) -> str:
    """The text of a module with ``models``; its docstring has the paragraphs ``told``."""
    bodies = [_body(model) for model in models]
    code = "\n".join(line for body in bodies for line in body if not line.lstrip().startswith("#"))
    lines = ['"""' + "\n".join(_wrapped(_words(told[0])))]
    for sentence in told[1:]:
        lines += ["", *_wrapped(_words(sentence))]
    lines += ['"""', ""]
    typing = [name for name, used in (("Annotated", "Annotated["), ("ClassVar", ": ClassVar")) if used in code]
    standard = ["import datetime"] * ("datetime." in code)
    standard += [f"from typing import {', '.join(typing)}"] if typing else []
    lines += [*standard, *([""] if standard else []), "import pandera.polars as pa"]
    lines += ["import polars as pl"] * ("pl." in code)
    for model, body in zip(models, bodies, strict=True):
        lines += ["", "", f"class {class_name(model.stream)}(pa.DataFrameModel):"]
        lines += [f'    """The rows of {_words(model.stream)}."""', ""]
        lines += [f"    {line}" if line else "" for line in body]
    return "\n".join([*lines, ""])


def _body(model: Model) -> list[str]:
    attributes = _attributes([column.facts.name for column in model.columns])
    body: list[str] = []
    for column in model.columns:
        body += _wrapped(f"{column.facts.type}: {column.evidence}", "# ")
        body += _field(column, attributes[column.facts.name])
    if all(line.startswith("#") for line in body):
        body.append("pass")
    if model.keys:
        body += [
            "",
            "class Config:",
            f"    # {_words(model.why)}",
            f"    unique: ClassVar = {_listed(list(model.keys[0]))}",
        ]
    return body


def class_name(stream: str) -> str:
    """``order_items`` as ``OrderItems``."""
    words = [word for word in re.split(r"[^A-Za-z0-9]+", stream) if word]
    name = "".join(word[0].upper() + word[1:] for word in words)
    return name if name and not name[0].isdigit() else f"Stream{name}"


def _words(text: str) -> str:
    return " ".join(text.replace("\\", "/").replace('"', "'").split())


def _wrapped(text: str, lead: str = "") -> list[str]:
    return textwrap.wrap(text, _LINE - 4, initial_indent=lead, subsequent_indent=lead, break_on_hyphens=False)


def _field(column: DraftedColumn, attribute: str) -> list[str]:
    name = column.facts.name
    annotation = _TYPES.get(column.facts.kind)
    if annotation is None:
        return [f"# {_words(name)}: no rule, a Pandera schema has no word for {column.facts.kind}"]
    settings = {"alias": _text(name)} if attribute != name else {}
    if column.nullable:
        settings["nullable"] = "True"
    guessed = False
    for rule in column.rules:
        settings |= _settings(rule, column.facts.kind)
        guessed |= rule.severity == "warn"
    if guessed:
        settings["raise_warning"] = "True"
    if not settings:
        return [f"{attribute}: {annotation}"]
    arguments = [f"{key}={value}" for key, value in settings.items()]
    line = f"{attribute}: {annotation} = pa.Field({', '.join(arguments)})"
    if len(line) <= _LINE - 4:
        return [line]
    broken = [each for setting, value in settings.items() for each in _broken_up(setting, value)]
    return [f"{attribute}: {annotation} = pa.Field(", *(f"    {each}" for each in broken), ")"]


def _broken_up(setting: str, value: str) -> list[str]:
    """One argument of a call that takes several lines; a list too long for one of them gets a line for each value."""
    if len(setting) + len(value) + 10 <= _LINE or not value.startswith("["):
        return [f"{setting}={value},"]
    return [f"{setting}=[", *(f"    {_literal(each)}," for each in ast.literal_eval(value)), "],"]


def _settings(rule: DraftedRule, kind: str) -> dict[str, str]:
    given = rule.settings
    if rule.kind == "unique":
        return {"unique": "True"}
    if rule.kind == "isin":
        return {"isin": _listed(given["values"])}
    if rule.kind == "matches":
        whole = f"(?:{given['pattern']})" if "|" in given["pattern"] else given["pattern"]
        return {"str_matches": _raw(f"^{whole}$")}
    if rule.kind == "length":
        bounds = {"min": given["exact"], "max": given["exact"]} if "exact" in given else given
        told = ", ".join(f'"{bound}_value": {bounds[bound]}' for bound in ("min", "max") if bound in bounds)
        return {"str_length": f"{{{told}}}"}
    if rule.kind == "in_range":
        words = {"min": "gt", "max": "lt"} if given.get("exclusive") else {"min": "ge", "max": "le"}
        return {words[bound]: _value(given[bound], kind) for bound in ("min", "max") if bound in given}
    return {}


def _value(value: Any, kind: str) -> str:
    if isinstance(value, int):
        return f"{value:_}" if abs(value) >= 10_000 else str(value)
    if kind == "date":
        day = date.fromisoformat(str(value)[:10])
        return f"datetime.date({day.year}, {day.month}, {day.day})"
    if kind not in ("timestamp", "timestamp with time zone"):
        return repr(value)
    zone = "+00:00" if kind == "timestamp with time zone" else ""
    text = str(value) if len(str(value)) > 10 else f"{value}T00:00:00{zone}"
    return f'datetime.datetime.fromisoformat("{text}")'


def _attributes(names: Sequence[str]) -> dict[str, str]:
    """Column -> attribute: the name itself where Python and Pandera take it for a column's, else one near it."""
    import pandera.polars

    found: dict[str, str] = {}
    for name in names:
        plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) and not keyword.iskeyword(name) and name != "Config"
        taken = hasattr(pandera.polars.DataFrameModel, name) or name in ("pa", "pl", "datetime", "Annotated")
        near = "column_" + re.sub(r"[^A-Za-z0-9_]", "_", name).strip("_")
        chosen, count = (name if plain and not taken else near), 1
        while chosen in found.values() or (chosen != name and chosen in names):
            count += 1
            chosen = f"{near}_{count}"
        found[name] = chosen
    return found


def _text(text: str) -> str:
    """``text`` between double quotes, as formatters write it."""
    escaped = repr("'" + text)  # the apostrophe makes repr choose double quotes, or escape
    return '"' + escaped[2:-1] + '"' if escaped.startswith('"') else repr(text)


def _raw(pattern: str) -> str:
    return f'r"{pattern}"' if '"' not in pattern else _text(pattern)


def _listed(values: Sequence[Any]) -> str:
    return f"[{', '.join(map(_literal, values))}]"


def _literal(value: Any) -> str:
    return _text(value) if isinstance(value, str) else repr(value)
