"""A data contract of the Open Data Contract Standard (ODCS) version 3 as a document: read, written, walked through."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from dataflow_platform.core.errors import ConfigError, Location

Place = tuple[str | int, ...]
"""A way into a document: keys and positions."""
VERSION = "v3.1.0"


class _PlainLoader(yaml.SafeLoader):
    """Reads dates as the texts they are written as: a contract is written back as it was read."""


_PlainLoader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_contract(file: Path) -> dict[str, Any]:
    """The contract in ``file``; ConfigError ``odcs.*`` where it is none of version 3."""
    where = Location(str(file))
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=_PlainLoader)  # noqa: S506  # a safe loader
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            "odcs.unreadable", f"the data contract cannot be read: {error}", where=where, fix="name a YAML file"
        ) from error
    if not isinstance(content, dict) or content.get("kind") != "DataContract":
        raise ConfigError(
            "odcs.kind", "this is no data contract: it has no `kind: DataContract`", where=where,
            fix="name a file of the Open Data Contract Standard (*.odcs.yaml)",
        )  # fmt: skip
    if not re.match(r"v3\.", str(content.get("apiVersion"))):
        raise ConfigError(
            "odcs.version", f"version {content.get('apiVersion')} of the standard is not known", where=where,
            fix=f"bring the contract to {VERSION}",
        )  # fmt: skip
    return content


def write_contract(contract: Mapping[str, Any]) -> str:
    """The contract as YAML, in its order."""
    return yaml.safe_dump(dict(contract), sort_keys=False, allow_unicode=True, width=120)


def leaves(value: Any, place: Place = ()) -> Iterator[Place]:
    """The place of everything that is not made of other things; an empty list or mapping is one as well."""
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    empty = True
    for key, inner in items:
        empty = False
        yield from leaves(inner, (*place, key))
    if empty:
        yield place


def rest(contract: Mapping[str, Any], said: Iterable[Place]) -> list[Place]:
    """The places of ``contract`` that ``said`` leaves out: each the highest below which nothing is in ``said``."""
    known = set(said)
    above = {place[:length] for place in known for length in range(len(place) + 1)}

    def walk(value: Any, place: Place) -> Iterator[Place]:
        if place in known:
            return
        if place not in above:
            yield place
        elif isinstance(value, Mapping):
            for key, inner in value.items():
                yield from walk(inner, (*place, key))
        elif isinstance(value, list):
            for position, inner in enumerate(value):
                yield from walk(inner, (*place, position))

    return list(walk(contract, ()))


def told(contract: Mapping[str, Any], place: Place) -> str:
    """A place as people write it: things in lists by their names, `schema.orders.properties.id.classification`."""
    text, value = "", contract
    for part in place:
        value = value[part]  # type: ignore[index]  # the place is one of the document's
        name = value.get("name") if isinstance(part, int) and isinstance(value, Mapping) else None
        if isinstance(part, int):
            text += f".{name}" if isinstance(name, str) else f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text
