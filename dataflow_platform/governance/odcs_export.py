"""Streams as a data contract: a new one, or an existing one in which only what the pipeline says is changed."""

import copy
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dataflow_platform.checks import family
from dataflow_platform.core.base import Column
from dataflow_platform.governance.odcs_document import VERSION, Place
from dataflow_platform.governance.odcs_import import WORDS, ImportedStream, check_of, import_contract
from dataflow_platform.governance.odcs_quality import ENGINE, item_of, said_of

_IDS = uuid.UUID("0f2d8b57-4f5e-4c5c-9d6b-8a0a2f7f3c55")  # names contracts; never change it
_LOGICAL = {word: kind for kind, word in WORDS.items()} | {
    "float": "number",
    "decimal": "number",
    "timestamp with time zone": "timestamp",
}
_OWN = frozenset({"severity", "at_most", "name", "description", "owner", "scope"})


@dataclass(frozen=True)
class ExportedStream:
    """A stream as a contract tells of it: ``entries`` are its checks as YAML holds them, ``columns`` its table's."""

    name: str
    description: str = ""
    primary_key: Sequence[str] = ()
    not_null: Sequence[str] = ()
    entries: Sequence[Mapping[str, Any]] = ()
    columns: Sequence[Column] = ()


@dataclass
class Exported:
    """The contract, and the checks that it holds as custom rules, which only this platform runs."""

    contract: dict[str, Any]
    custom: list[str] = field(default_factory=list)


def export_contract(
    pipeline: str, schema: str, streams: Sequence[ExportedStream], base: Mapping[str, Any] | None = None
) -> Exported:
    """The contract of ``streams``, which load tables of ``schema``.

    In ``base`` every rule stays as it is written as long as its check is declared, and goes when it is not; what else
    it says stays.
    """
    contract = copy.deepcopy(dict(base)) if base is not None else _new(pipeline)
    found = Exported(contract)
    known = {stream.name: stream for stream in import_contract(contract, schema).streams} if base is not None else {}
    gone: list[Place] = []
    for stream in streams:
        checks = [(entry, check_of(_full(entry))) for entry in stream.entries]
        if stream.name in known:
            imported = known[stream.name]
            described = contract["schema"][imported.position]
            said = [placed.check for placed in imported.checks]
            declared = [check for _, check in checks]
            for placed in imported.checks:
                if placed.check not in declared and not _is_still(placed.entry, stream.columns):
                    gone += placed.places
            _keep_up(described, stream, imported)
            new = [entry for entry, check in checks if check not in said]
        else:
            described = {"name": stream.name, "physicalType": "table"}
            described |= {"description": stream.description} if stream.description else {}
            contract.setdefault("schema", []).append(described)
            new = [entry for entry, _ in checks]
        writer = _Writer(described, stream, schema, found.custom)
        writer.add_columns()
        for entry in new:
            writer.add(_full(entry))
    _remove(contract, gone)
    return found


def _new(pipeline: str) -> dict[str, Any]:
    return {
        "apiVersion": VERSION,
        "kind": "DataContract",
        "id": str(uuid.uuid5(_IDS, pipeline)),
        "name": pipeline,
        "version": "1.0.0",
        "status": "draft",
        "schema": [],
    }


def _full(entry: Mapping[str, Any]) -> dict[str, Any]:
    """``{not_null: id}`` with the name of its setting."""
    from dataflow_platform.core import registry

    ((kind, settings),) = entry.items()
    shorthand = registry.check(kind).shorthand
    return {kind: dict(settings) if isinstance(settings, Mapping) else {str(shorthand): settings}}


def _is_still(entry: Mapping[str, Any], columns: Sequence[Column]) -> bool:
    """True where the contract tells the type of a column and the table's says nothing else: no check is needed."""
    told = entry.get("type")
    if told is None:
        return False
    kinds = [family(column.type) for column in columns if column.name == told["column"]]
    return not kinds or _LOGICAL.get(kinds[0]) == _LOGICAL.get(str(told.get("is")))


def _keep_up(described: dict[str, Any], stream: ExportedStream, imported: ImportedStream) -> None:
    """Description, key and nullability of an object as the stream has them now."""
    if stream.description and stream.description != imported.description:
        described["description"] = stream.description
    for each in described.get("properties") or []:
        column = imported.columns.get(str(each.get("name")))
        if column is None:
            continue
        if (column in stream.not_null) != (each.get("required") is True):
            each["required"] = column in stream.not_null
        if list(stream.primary_key) != imported.primary_key:
            _set_key(each, column, stream.primary_key)


def _set_key(described: dict[str, Any], column: str, key: Sequence[str]) -> None:
    if column in key:
        described["primaryKey"], described["primaryKeyPosition"] = True, list(key).index(column) + 1
    else:
        described.pop("primaryKey", None)
        described.pop("primaryKeyPosition", None)


class _Writer:
    """Adds columns and checks to one object of a contract."""

    def __init__(self, described: dict[str, Any], stream: ExportedStream, schema: str, custom: list[str]) -> None:
        self._described = described
        self._stream = stream
        self._schema = schema
        self._custom = custom
        properties: list[dict[str, Any]] = described.get("properties") or []
        self._by_column = {str(each.get("physicalName") or each.get("name")): each for each in properties}

    def add_columns(self) -> None:
        """The columns of the table that the contract does not know yet."""
        named = [*self._stream.primary_key, *self._stream.not_null]
        for column in self._stream.columns:
            if column.name not in self._by_column:
                told = {"name": column.name, "physicalType": column.type}
                logical = _LOGICAL.get(family(column.type))
                self._put({**told, "logicalType": logical} if logical else told)
        for name in dict.fromkeys(named):
            self._property(name)

    def _put(self, told: dict[str, Any]) -> dict[str, Any]:
        name = str(told["name"])
        if name in self._stream.not_null:
            told["required"] = True
        if name in self._stream.primary_key:
            _set_key(told, name, self._stream.primary_key)
        self._described.setdefault("properties", []).append(told)
        self._by_column[name] = told
        return told

    def _property(self, column: str) -> dict[str, Any]:
        return self._by_column.get(column) or self._put({"name": column})

    def add(self, entry: dict[str, Any]) -> None:
        """One check, in the standard's own words where it has them."""
        ((kind, settings),) = entry.items()
        named = settings.get("column", settings.get("columns"))
        columns = [named] if isinstance(named, str) else [str(each) for each in named or []] if named else []
        if not _OWN.intersection(settings) and self._plain(kind, settings):
            return
        names = [str(self._property(column)["name"]) for column in columns] if kind != "schema" else []
        item = item_of(kind, settings, names)
        if item is not None and "scope" not in settings:
            item = {**said_of(settings), **item}
        else:
            item = {"type": "custom", **said_of(settings), "engine": ENGINE, "implementation": entry}
            item = {key: item[key] for key in ("type", "engine", "implementation")}
            self._custom += [f"{self._stream.name}: {name}" for name in check_of(entry).names()]
        place = self._property(columns[0]) if len(names) == 1 and item.get("type") != "custom" else self._described
        place.setdefault("quality", []).append(item)

    def _plain(self, kind: str, settings: Mapping[str, Any]) -> bool:
        """Write what the standard says of a property itself; False where it is none of that."""
        told = dict(settings)
        column = told.pop("column", None)
        if kind == "unique" and isinstance(told.get("columns"), str):
            self._property(told["columns"])["unique"] = True
            return True
        if not isinstance(column, str):
            return False
        described = self._property(column)
        logical = described.get("logicalType")
        if kind == "type" and set(told) == {"is"} and told["is"] in WORDS.values():
            described["logicalType"] = _LOGICAL[told["is"]]
            return True
        if kind == "foreign_key":
            schema, table, other = str(told["references"]).split(".")
            if schema == self._schema:
                described.setdefault("relationships", []).append({"type": "foreignKey", "to": f"{table}.{other}"})
            return schema == self._schema
        options: dict[str, Any] = {}
        if kind == "length" and logical == "string" and "exact" not in told:
            options = {f"{key}Length": value for key, value in told.items()}
        ranged = logical in ("integer", "number") and all(isinstance(each, int | float) for each in told.values())
        if kind == "in_range" and (ranged or (logical in ("date", "timestamp") and _texts(told))):
            options = {f"{key}imum": value for key, value in told.items()} if "exclusive" not in told else {}
        if not options or set(options) & set(described.get("logicalTypeOptions") or {}):
            return False
        described.setdefault("logicalTypeOptions", {}).update(options)
        return True


def _texts(told: Mapping[str, Any]) -> bool:
    return all(isinstance(each, str) for each in told.values())


def _remove(contract: dict[str, Any], places: Sequence[Place]) -> None:
    """Take out what stands at ``places``, a rule with all that is said of it, and what has nothing left to say."""
    emptied: list[tuple[dict[str, Any], str]] = []
    for place in places:
        holder: Any = contract
        for depth, part in enumerate(place[:-1]):
            if part in ("quality", "relationships"):
                holder[part][int(place[depth + 1])] = None
                emptied.append((holder, str(part)))
                break
            if part == "logicalTypeOptions":
                emptied.append((holder, str(part)))
            holder = holder[part]
        else:
            holder.pop(place[-1], None)
    for holder, key in emptied:
        if isinstance(holder.get(key), list):
            holder[key] = [each for each in holder[key] if each is not None]
        if not holder.get(key):
            holder.pop(key, None)
