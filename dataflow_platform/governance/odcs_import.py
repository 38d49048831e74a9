"""A data contract's objects as streams: columns, keys and checks, each with the place of the contract it stands at."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from dataflow_platform.core import registry
from dataflow_platform.core.base import Check
from dataflow_platform.core.errors import DataflowError
from dataflow_platform.governance import odcs_quality
from dataflow_platform.governance.odcs_document import Place, rest, told

WORDS: Mapping[str, str] = {
    "string": "text",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp",
    "time": "time",
}
"""Logical types of the standard, and the word of the check `type`."""
_FORMATS = {"email": "email", "uri": "url", "uuid": "uuid", "ipv4": "ipv4", "ipv6": "ipv6"}
_BOUNDS = {"minimum": "min", "maximum": "max", "exclusiveMinimum": "min", "exclusiveMaximum": "max"}
_ORDERED = ("integer", "number", "date", "timestamp", "time")


@dataclass(frozen=True)
class PlacedCheck:
    """A check as `checks:` writes it, and the places of the contract that say the same."""

    entry: dict[str, Any]
    check: Check
    places: tuple[Place, ...]


@dataclass
class ImportedStream:
    """One object of a contract. ``columns``: property -> column; ``structural``: places that say what is above."""

    name: str
    position: int
    description: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    primary_key: list[str] = field(default_factory=list)
    not_null: list[str] = field(default_factory=list)
    checks: list[PlacedCheck] = field(default_factory=list)
    structural: list[Place] = field(default_factory=list)


@dataclass(frozen=True)
class Imported:
    """A contract's streams, and the names of what only the contract says."""

    streams: tuple[ImportedStream, ...]
    kept: tuple[str, ...]


def import_contract(contract: Mapping[str, Any], schema: str) -> Imported:
    """The streams of ``contract``; foreign keys lead to tables of ``schema``."""
    objects = contract.get("schema") or []
    names = {str(each["name"]): (stream_name(each), _columns(each)) for each in objects}
    streams = [_stream(each, position, names, schema) for position, each in enumerate(objects)]
    said: list[Place] = [("kind",), ("apiVersion",)]  # they were read before this
    said += [place for stream in streams for place in stream.structural]
    said += [place for stream in streams for check in stream.checks for place in check.places]
    return Imported(tuple(streams), tuple(told(contract, place) for place in rest(contract, said)))


def check_of(entry: Mapping[str, Any]) -> Check:
    """The check an entry of `checks:` stands for."""
    ((kind, settings),) = entry.items()
    cls: Any = registry.check(kind)
    made: Check = cls.model_validate(settings)
    return made


def stream_name(described: Mapping[str, Any]) -> str:
    """The stream of an object: its physical name where that can name a table, else its name."""
    physical = str(described.get("physicalName") or "")
    chosen = physical if re.fullmatch(r"[A-Za-z0-9_-]+", physical) else str(described["name"])
    return re.sub(r"[^A-Za-z0-9_-]", "_", chosen)


def _columns(described: Mapping[str, Any]) -> dict[str, str]:
    found = described.get("properties") or []
    return {str(each["name"]): str(each.get("physicalName") or each["name"]) for each in found if "name" in each}


def _stream(
    described: Mapping[str, Any], position: int, names: Mapping[str, tuple[str, dict[str, str]]], schema: str
) -> ImportedStream:
    here: Place = ("schema", position)
    stream = ImportedStream(stream_name(described), position, str(described.get("description") or ""))
    stream.columns = _columns(described)
    stream.structural += [(*here, key) for key in ("name", "physicalName", "description") if key in described]
    keys: list[tuple[int, int, str]] = []
    for number, each in enumerate(described.get("properties") or []):
        if "name" in each:
            _add_property(stream, each, (*here, "properties", number), keys, number)
            _add_relations(
                stream, each.get("relationships"), (*here, "properties", number), str(each["name"]), names, schema
            )
    stream.primary_key = [column for _, _, column in sorted(keys)]
    _add_relations(stream, described.get("relationships"), here, None, names, schema)
    for number, item in enumerate(described.get("quality") or []):
        entry = odcs_quality.check_of(item, None, stream.columns)
        _add(stream, entry, [(*here, "quality", number, *place) for place in odcs_quality.expressed(item)])
    return stream


def _add_property(
    stream: ImportedStream, described: Mapping[str, Any], here: Place, keys: list[tuple[int, int, str]], number: int
) -> None:
    column, kind = stream.columns[str(described["name"])], str(described.get("logicalType"))
    stream.structural += [(*here, key) for key in ("name", "physicalName") if key in described]
    # False, and a position of -1, say what is so without them.
    stream.structural += [(*here, key) for key in ("required", "primaryKey", "primaryKeyPosition") if key in described]
    if described.get("required") is True:
        stream.not_null.append(column)
    if described.get("primaryKey") is True:
        keys.append((int(described.get("primaryKeyPosition") or 0), number, column))
    if kind in WORDS:
        stream.kinds[column] = WORDS[kind]
        _add(stream, {"type": {"column": column, "is": WORDS[kind]}}, [(*here, "logicalType")])
    if described.get("unique") is True:
        _add(stream, {"unique": {"columns": column}}, [(*here, "unique")])
    elif "unique" in described:
        stream.structural.append((*here, "unique"))
    options = described.get("logicalTypeOptions") or {}
    for entry, used in _of_options(options, kind, column):
        _add(stream, entry, [(*here, "logicalTypeOptions", key) for key in used])
    for position, item in enumerate(described.get("quality") or []):
        places = [(*here, "quality", position, *place) for place in odcs_quality.expressed(item)]
        _add(stream, odcs_quality.check_of(item, column, stream.columns), places)


def _of_options(options: Mapping[str, Any], kind: str, column: str) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """The checks that the options of a logical type stand for, each with the options it takes in."""
    if kind == "string":
        lengths = [key for key in ("minLength", "maxLength") if key in options]
        if lengths:
            yield {"length": {"column": column, **{key[:3]: options[key] for key in lengths}}}, lengths
        if "pattern" in options:
            yield {"matches": {"column": column, "pattern": odcs_quality.whole(str(options["pattern"]))}}, ["pattern"]
        if options.get("format") in _FORMATS:
            yield {"format": {"column": column, "as": _FORMATS[options["format"]]}}, ["format"]
    if kind in _ORDERED:
        for exclusive in (False, True):
            given = [key for key in _BOUNDS if key in options and key.startswith("exclusive") is exclusive]
            # Booleans are how 3.0 said that the bounds are exclusive: which, is not the same thing any more.
            given = [key for key in given if not isinstance(options[key], bool)]
            if given and not any(isinstance(options.get(key), bool) for key in _BOUNDS):
                bounds = {_BOUNDS[key]: options[key] for key in given}
                extra = {"exclusive": True, "name": f"exclusive_range_{_word(column)}"} if exclusive else {}
                yield {"in_range": {"column": column, **bounds, **extra}}, given
    if kind in ("integer", "number") and "multipleOf" in options and isinstance(options["multipleOf"], int | float):
        name = '"' + column.replace('"', '""') + '"'
        sql = f"{name} % {options['multipleOf']} = 0"
        yield {"expression": {"sql": sql, "name": f"multiple_{_word(column)}"}}, ["multipleOf"]


def _add_relations(
    stream: ImportedStream, relations: Any, here: Place, own: str | None,
    names: Mapping[str, tuple[str, dict[str, str]]], schema: str,
) -> None:  # fmt: skip
    for number, each in enumerate(relations or []):
        origin = own if own is not None else str(each.get("from")).partition(".")[2]
        target = each.get("to")
        if not isinstance(target, str) or target.count(".") != 1 or isinstance(each.get("from"), list):
            continue  # of several columns, or into a structure
        described, _, name = target.partition(".")
        table, columns = names.get(described, (described, {}))
        column = stream.columns.get(origin)
        if column is not None and each.get("type", "foreignKey") == "foreignKey":
            entry = {"foreign_key": {"column": column, "references": f"{schema}.{table}.{columns.get(name, name)}"}}
            places = [(*here, "relationships", number, key) for key in ("type", "from", "to") if key in each]
            _add(stream, entry, places)


def _add(stream: ImportedStream, entry: dict[str, Any] | None, places: list[Place]) -> None:
    """Take a check over where it is one; what cannot be one stays the contract's."""
    if entry is None:
        return
    try:
        made = check_of(entry)
    except (DataflowError, ValidationError):
        return
    for number, known in enumerate(stream.checks):
        if known.check == made:
            stream.checks[number] = replace(known, places=(*known.places, *places))
            return
    taken = {name for known in stream.checks for name in known.check.names()}
    ((kind, settings),) = entry.items()
    base, number = _word(str(settings.get("name") or made.names()[0])), 1
    while taken.intersection(made.names()):
        number += 1
        entry = {kind: {**settings, "name": f"{base}_{number}"}}
        made = check_of(entry)
    stream.checks.append(PlacedCheck(entry, made, tuple(places)))


def _word(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", text)
