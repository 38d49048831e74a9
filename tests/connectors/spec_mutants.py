"""A connector broken on purpose, one fact at a time."""

import copy
import re
from collections.abc import Iterator
from typing import Any

from dataflow_platform.connectors.rest.spec import ConnectorSpec

Written = dict[str, Any]


def plain(spec: ConnectorSpec) -> Written:
    """The connector as data: every stream with what the defaults give it."""
    written = spec.model_dump(exclude_unset=True, by_alias=True)
    written.pop("defaults", None)
    return written


def _renamed(name: str) -> str:
    """Another name that no API has."""
    return f"{name[: max(1, len(name) - 1)]}qz"


def _renamed_path(path: str) -> str:
    """The last key of a path renamed."""
    keys = re.findall(r"[A-Za-z_$@][\w$@-]*", path)
    if path in ("$", "") or not keys:
        return "qz"
    head, _, tail = path.rpartition(keys[-1])
    return f"{head}{_renamed(keys[-1])}{tail}"


def _put(written: Written, keys: tuple[Any, ...], value: Any) -> Written:
    changed = copy.deepcopy(written)
    place = changed
    for key in keys[:-1]:
        place = place[key]
    if value is None:
        place.pop(keys[-1], None)
    else:
        place[keys[-1]] = value
    return changed


def of_stream(written: Written, name: str, spec: ConnectorSpec) -> Iterator[tuple[str, str, Written]]:
    """Kind and place of the break, and the connector with ``name`` broken and no stream but it and its parent."""
    stream = spec.streams[name]
    kept = {name} | ({stream.parent.stream} if stream.parent and stream.parent.stream else set())
    small = {**written, "streams": {each: written["streams"][each] for each in kept}}
    at: tuple[Any, ...] = ("streams", name)
    raw = written["streams"][name]
    for kind, keys, value in [*_places(raw), *_columns(raw)]:
        yield kind, ".".join(map(str, (*at, *keys))), _put(small, (*at, *keys), value)


def _places(raw: Written) -> Iterator[tuple[str, tuple[Any, ...], Any]]:
    """What is asked for, and where."""
    if "graphql" in raw:
        yield from _of_query(raw)
    else:
        literals = [part for part in re.split(r"[/{}]", raw["path"]) if part and f"{{{part}}}" not in raw["path"]]
        for part in dict.fromkeys(literals):
            changed = re.sub(rf"(?<![\w{{]){re.escape(part)}(?![\w}}])", _renamed(part), raw["path"])
            if changed != raw["path"]:
                yield "path", ("path",), changed
        yield "method", ("method",), "PUT"
    for param in raw.get("params") or {}:
        params = {(_renamed(key) if key == param else key): value for key, value in raw["params"].items()}
        yield "parameter", ("params",), params
    if isinstance(raw.get("body"), dict):
        for key in raw["body"]:
            yield "body", ("body",), {(_renamed(k) if k == key else k): v for k, v in raw["body"].items()}
    paging = raw.get("paging") or {}
    for word in ("param", "size_param", "limit_param"):
        if paging.get(word):
            yield "paging parameter", ("paging", word), _renamed(paging[word])
    for word in ("body_path", "has_more", "is_last", "total", "pages"):
        if paging.get(word):
            yield f"paging {word}", ("paging", word), _renamed_path(paging[word])
    if paging.get("type", "none") != "none":
        yield "no paging", ("paging",), {"type": "none"}
    if "delta" in raw:
        yield "delta parameter", ("delta", "param"), _renamed(raw["delta"]["param"])
        yield "delta path", ("delta", "body_path"), _renamed_path(raw["delta"]["body_path"])


def _of_query(raw: Written) -> Iterator[tuple[str, tuple[Any, ...], Any]]:
    query = raw["graphql"]["query"]
    for word in sorted(set(re.findall(r"(?<![$\w])[a-z]\w+(?=[\s({}])", query)) - {"query"}):
        changed = re.sub(rf"(?<![$\w]){word}(?=[\s({{}}])", _renamed(word), query)
        yield "query", ("graphql", "query"), changed


def _columns(raw: Written) -> Iterator[tuple[str, tuple[Any, ...], Any]]:
    """What is in the answer."""
    records = raw.get("records") or "$"
    paths = records if isinstance(records, str) else records.get("path", "$")
    for number, path in enumerate([paths] if isinstance(paths, str) else paths):
        broken: Any = _renamed_path(path)
        if isinstance(paths, list):
            broken = [*paths[:number], broken, *paths[number + 1 :]]
        yield "records", ("records",), broken if isinstance(records, str) else {**records, "path": broken}
    for number, column in enumerate(raw.get("primary_key") or []):
        if column not in (raw.get("fields") or {}):
            key = raw["primary_key"]
            yield "primary key", ("primary_key",), [*key[:number], _renamed(column), *key[number + 1 :]]
    for column, path in (raw.get("fields") or {}).items():
        yield "field", ("fields", column), _renamed_path(path)
    cursor = raw.get("cursor")
    if isinstance(cursor, dict):
        if cursor.get("field"):
            yield "cursor", ("cursor", "field"), _renamed(cursor["field"])
        for word in ("param", "end_param"):
            if cursor.get(word):
                yield "cursor parameter", ("cursor", word), _renamed(cursor[word])
    for word in ("values", "columns"):
        for name, path in ((raw.get("parent") or {}).get(word) or {}).items():
            yield "parent", ("parent", word, name), _renamed_path(path)


def of_connector(written: Written) -> Iterator[tuple[str, str, Written]]:
    """Kind, place and connector: breaks of what all streams share."""
    url = written["base_url"]
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    if re.search(r"[\w-]+\.\w+$", host):  # a host that is nothing but a name in braces may be any
        other = re.sub(r"([\w-]+)(\.\w+)$", r"\1qz\2", host)
        yield "host", "base_url", {**written, "base_url": f"{scheme}://{other}{slash}{path}"}
    if written.get("scopes"):
        yield "scope", "scopes", {**written, "scopes": _renamed(written["scopes"])}
    yield "base path", "base_url", {**written, "base_url": f"{url.rstrip('/')}/qz"}
    ways = written.get("auth")
    for way in [ways] if isinstance(ways, dict) else ways or []:
        others = [each for each in ([] if isinstance(ways, dict) else ways) if each is not way]
        for kind, broken in _of_auth(way):
            yield kind, "auth.token_url" if kind == "token url" else "auth", {**written, "auth": [broken, *others]}


def _of_auth(way: Written) -> Iterator[tuple[str, Written]]:
    if way.get("token_url"):
        yield "token url", {**way, "token_url": f"{way['token_url']}qz"}
    if way["type"] in ("header", "query"):
        yield "auth name", {**way, "name": _renamed(way["name"])}
    elif way["type"] == "headers":
        yield "auth name", {**way, "credentials": {_renamed(name): key for name, key in way["credentials"].items()}}
    else:
        yield "auth kind", {"type": "query", "name": "qz", "key": "qz"}
