"""A draft of a connector from a vendor's description: its lists, with what their names let suppose."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from dataflow_platform.connectors.rest import template
from dataflow_platform.connectors.rest.openapi import Description, Operation, Parameter, Scheme
from dataflow_platform.connectors.rest.openapi_check import verify
from dataflow_platform.connectors.rest.openapi_lists import ListEndpoint, list_endpoints
from dataflow_platform.connectors.rest.openapi_place import address, told_hosts
from dataflow_platform.connectors.rest.spec import ConnectorSpec
from dataflow_platform.core.errors import ConfigError

_NAME = re.compile(r"\{\+?([^{}]*)\}")
_RESERVED = frozenset({"cursor", "cursor_end", "auth", "prepare", "pool", "type", "base_url", "timeout_seconds",
                       "max_retries", "page_limit", "rate", "allow_hosts"})  # fmt: skip
_PAGE_SIZE = 100


def draft(description: Description, day: date) -> dict[str, Any]:
    """The connector as plain data, in the order a person reads it. ConfigError where the document has no list.

    What it says is guessed from names, so a person has to read it. A list that does not hold against the same
    document is left out: one that has pages of an unknown kind, say.
    """
    written = _written(description, day)
    spec = ConnectorSpec.model_validate(written)
    wrong = {
        finding.at.split(".")[1] for finding in verify(spec, description).findings if finding.at.startswith("streams.")
    }
    written["streams"] = {name: each for name, each in written["streams"].items() if name not in wrong}
    if not written["streams"]:
        raise _no_lists(description)
    named = set(template.names([written["base_url"], written.get("auth"), written["streams"]]))
    written["variables"] = {name: each for name, each in written["variables"].items() if name in named}
    return written


def _no_lists(description: Description) -> ConfigError:
    return ConfigError(
        "openapi.no_lists",
        f"'{description.name}' describes no operation that answers a list of objects",
        fix="write the connector by hand; `dataflow connectors verify` still holds its paths and parameters",
    )


def _written(description: Description, day: date) -> dict[str, Any]:
    writing = _Draft(description)
    for endpoint in list_endpoints(description):
        writing.add(endpoint)
    if not writing.streams:
        raise _no_lists(description)
    return {
        "title": description.title or description.name,
        "docs": writing.base_url,
        "source": {
            "label": "contract",
            "checked": day,
            "source": f"{description.title} {description.version}".strip() or description.name,
            "note": "Drafted from the description; nobody has read it yet.",
        },
        "variables": writing.variables,
        "base_url": writing.base_url,
        **({"auth": writing.auth} if writing.auth else {}),
        "streams": writing.streams,
    }


class _Draft:
    def __init__(self, description: Description) -> None:
        self.description = description
        self.variables: dict[str, Any] = {}
        self.streams: dict[str, Any] = {}
        self.server, self.base_url = self._base()
        self.auth = self._auth()

    def _base(self) -> tuple[str, str]:
        servers = [server for _, _, told in self.description.keys for server in told]
        absolute = [server for server in servers if told_hosts([server])]
        server = next(iter(absolute or servers), "")
        if not absolute:
            path = "/".join(address(server).segments)
            self._variable("host", "Host of the API; the description names none.")
            return server, f"https://{{host}}/{path}".rstrip("/")
        url = server if "://" in server else f"https:{server}" if server.startswith("//") else f"https://{server}"
        return server, self._named(url).rstrip("/")

    def _variable(self, name: str, description: str, **more: Any) -> str:
        """A declared variable's name, of small letters and free of what the platform has."""
        plain = re.sub(r"\W+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)).strip("_").lower() or "value"
        plain = plain if plain[0].isalpha() else f"v_{plain}"
        plain = f"{plain}_value" if plain in _RESERVED else plain
        self.variables.setdefault(plain, {"description": description, **more})
        return plain

    def _named(self, path: str) -> str:
        def replace(match: re.Match[str]) -> str:
            name = self._variable(match[1], f"`{match[1]}` of the path.", required=False)
            return f"{{{name}}}"

        return _NAME.sub(replace, path)

    def _auth(self) -> dict[str, Any] | None:
        lists = [each.operation for each in list_endpoints(self.description)]
        used = {name for operation in lists for name in operation.schemes or ()}
        schemes = [each for name, each in self.description.schemes.items() if name in used or not used]
        order = {"bearer": 0, "api_key": 1, "basic": 2, "oauth2": 3}
        for scheme in sorted(schemes, key=lambda each: order.get(each.kind, 9)):
            if (found := self._auth_of(scheme)) is not None:
                return found
        return None

    def _auth_of(self, scheme: Scheme) -> dict[str, Any] | None:
        if scheme.kind in ("bearer", "oauth2"):
            token = self._variable("token", "Access token.", secret=True)
            return {"type": "bearer", "token": f"{{{token}}}"}
        if scheme.kind == "basic":
            user = self._variable("username", "User name.")
            password = self._variable("password", "Password.", secret=True)
            return {"type": "basic", "username": f"{{{user}}}", "password": f"{{{password}}}"}
        if scheme.kind == "api_key" and scheme.location in ("header", "query") and scheme.param:
            key = self._variable("api_key", f"Key, sent as {scheme.param}.", secret=True)
            return {"type": scheme.location, "name": scheme.param, "key": f"{{{key}}}"}
        return None

    def _sent_by_auth(self, parameter: Parameter) -> bool:
        return bool(self.auth) and self.auth is not None and self.auth.get("name", "").lower() == parameter.name.lower()

    def add(self, endpoint: ListEndpoint) -> None:
        """One more stream; operations of another server are left out."""
        operation = endpoint.operation
        if self.server not in operation.servers:
            return
        stream: dict[str, Any] = {"path": self._named(operation.path)}
        for location, word in (("query", "params"), ("header", "headers")):
            if asked := self._required(operation, location, endpoint):
                stream[word] = asked
        if endpoint.records:
            stream["records"] = _dotted(endpoint.records)
        if endpoint.primary_key:
            stream["primary_key"] = endpoint.primary_key
        if (paging := _paging(endpoint)) is not None:
            stream["paging"] = paging
        if endpoint.cursor:
            stream["cursor"] = _cursor(endpoint)
        name = re.sub(r"[^a-z0-9_]+", "_", endpoint.name.lower()).strip("_")
        name = name if name[:1].isalpha() else f"s_{name}"
        self.streams.setdefault(name, stream)

    def _required(self, operation: Operation, location: str, endpoint: ListEndpoint) -> dict[str, Any]:
        paged = {endpoint.paging.param, endpoint.size_param}
        asked: dict[str, Any] = {}
        for parameter in operation.parameters:
            if not parameter.required or parameter.location != location or parameter.name in paged:
                continue
            if self._sent_by_auth(parameter) or parameter.name.lower() in ("authorization", "accept", "content-type"):
                continue
            enum = parameter.shape.enum
            name = self._variable(parameter.name, f"`{parameter.name}`, which the API asks for.", required=False)
            asked[parameter.name] = enum[0] if enum else f"{{{name}}}"
            if enum:
                self.variables.pop(name, None)
        return asked


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(f'"{part}"' if re.search(r'[.\[\]"]', part) else part for part in path)


def _paging(endpoint: ListEndpoint) -> dict[str, Any] | None:
    paging = endpoint.paging
    size = {"size_param": endpoint.size_param, "size": endpoint.size or _PAGE_SIZE} if _sized(endpoint) else {}
    if paging.kind in ("none", "unknown"):
        return None
    if paging.kind == "next_link":
        return {"type": "next_link", **({"body_path": _dotted(paging.path)} if paging.path else {}), **size}
    if paging.kind == "next_cursor":
        return {"type": "next_cursor", "param": paging.param, "body_path": _dotted(paging.path), **size}
    if paging.kind == "last_id":
        key = {"field": endpoint.primary_key} if endpoint.primary_key else {}
        return {"type": "last_id", "param": paging.param, **key, "has_more": _dotted(paging.path), **size}
    if paging.kind == "offset":
        limit = (
            {"limit_param": endpoint.size_param, "limit": endpoint.size or _PAGE_SIZE}
            if size
            else {"limit_param": None}
        )
        return {"type": "offset", "param": paging.param, **limit}
    return {"type": "page_number", "param": paging.param, **size}


def _sized(endpoint: ListEndpoint) -> bool:
    """Whether the size's parameter is one that takes a number of our choice."""
    if endpoint.size_param is None or endpoint.size_param == endpoint.paging.param:
        return False
    declared = endpoint.operation.parameter(endpoint.size_param, "query")
    if declared is None or declared.shape.enum:
        return False
    return not declared.shape.kinds or bool(declared.shape.kinds & {"integer", "number", "string"})


def _cursor(endpoint: ListEndpoint) -> Mapping[str, Any] | str:
    param = endpoint.cursor_param
    declared = endpoint.operation.parameter(param, "query") if param else None
    if param is None or declared is None or declared.shape.kinds - {"string", "integer", "number"}:
        return endpoint.cursor or ""
    written = "iso"
    if declared.shape.kinds & {"integer", "number"} and "string" not in declared.shape.kinds:
        written = "unix"
    elif declared.shape.format == "date":
        written = "date"
    return {"field": endpoint.cursor, "param": param, "format": written}
