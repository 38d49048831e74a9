"""OpenAPI 2 (Swagger) and 3: its operations, one at a time."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from dataflow_platform.connectors.rest.openapi import In, Operation, Parameter, Scheme, SchemeKind
from dataflow_platform.connectors.rest.openapi_shape import Shape, of_example

_METHODS = ("get", "post", "put", "patch", "delete")
_HOPS = 50


class OpenApi:
    """An OpenAPI document, held as it was parsed. Nothing of it is resolved before it is asked for."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        info = document.get("info") or {}
        self.title = str(info.get("title", ""))
        self.version = str(info.get("version", ""))
        self.schemes: Mapping[str, Scheme] = self._schemes()

    def keys(self) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """Method, path and servers of every operation."""
        for path, item in self._document["paths"].items():
            item = self._whole(item)
            for method in _METHODS:
                if isinstance(item.get(method), Mapping):
                    yield method.upper(), path, self._servers(item, item[method])

    def operation(self, method: str, path: str) -> Operation:
        """One operation, with its own parameters before those of its path."""
        item = self._whole(self._document["paths"][path])
        said = item[method.lower()]
        declared: dict[tuple[str, str], Parameter] = {}
        body: Shape | None = None
        for raw in (*(item.get("parameters") or ()), *(said.get("parameters") or ())):
            parameter = self._whole(raw)
            if parameter.get("in") == "body":
                body = self._shape(parameter.get("schema"))
            elif "name" in parameter:
                read = self._parameter(parameter)
                declared[read.location, read.name] = read
        if "requestBody" in said:
            body = self._content(self._whole(said["requestBody"]))[0]
        answer, by_example, examples = self._answer(said)
        schemes, scopes = self._security(said)
        return Operation(
            method=method,
            path=path,
            servers=self._servers(item, said),
            parameters=tuple(declared.values()),
            body=body,
            answer=answer,
            by_example=by_example,
            schemes=schemes,
            scopes=scopes,
            examples=examples,
            answer_headers=self._headers(said),
            deprecated=bool(said.get("deprecated")),
        )

    def _resolve(self, reference: str) -> Any:
        if not reference.startswith("#"):
            return None
        value: Any = self._document
        for part in reference.lstrip("#").strip("/").split("/"):
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(value, list) and key.isdigit() and int(key) < len(value):
                value = value[int(key)]
            else:
                value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def _whole(self, value: Any) -> Mapping[str, Any]:
        """``value`` with its reference followed; empty where it leads nowhere."""
        for _ in range(_HOPS):
            if not isinstance(value, Mapping):
                return {}
            if not isinstance(reference := value.get("$ref"), str):
                return value
            value = self._resolve(reference)
        return {}

    def _shape(self, schema: Any) -> Shape:
        return Shape([schema], self._resolve)

    def _servers(self, item: Mapping[str, Any], said: Mapping[str, Any]) -> tuple[str, ...]:
        document = self._document
        if "swagger" in document:
            host, base = document.get("host", ""), document.get("basePath", "")
            schemes = said.get("schemes") or document.get("schemes") or ["https"]
            return tuple(f"{scheme}://{host}{base}" if host else str(base) for scheme in schemes)
        servers = said.get("servers") or item.get("servers") or document.get("servers") or ()
        found: dict[str, None] = {}
        for server in servers:
            if isinstance(server, Mapping):
                found[str(server.get("url", ""))] = None
                found[_by_default(server)] = None
        return tuple(found) or ("",)

    def _parameter(self, said: Mapping[str, Any]) -> Parameter:
        places: dict[str, In] = {
            "query": "query", "path": "path", "header": "header", "formData": "body", "cookie": "cookie",
        }  # fmt: skip
        schema = said.get("schema")
        if schema is None and isinstance(content := said.get("content"), Mapping):
            schema = next((each.get("schema") for each in content.values()), None)
        return Parameter(
            name=str(said["name"]),
            location=places.get(str(said.get("in")), "query"),
            required=bool(said.get("required")),
            # Swagger 2 writes type and enum beside the name; "required" there is a flag, no list of fields.
            shape=self._shape(schema if schema is not None else {k: v for k, v in said.items() if k != "required"}),
        )

    def _content(self, said: Mapping[str, Any]) -> tuple[Shape | None, bool, tuple[Any, ...]]:
        """The JSON body, whether only an example tells it, and the examples."""
        media = said.get("content") or {}
        json = (each for kind, each in media.items() if "json" in kind)
        chosen: Mapping[str, Any] = next(json, {}) or next(iter(media.values()), {})
        schema, examples = chosen.get("schema"), _examples(chosen, self._whole)
        return self._body(schema, examples)

    def _body(self, schema: Any, examples: tuple[Any, ...]) -> tuple[Shape | None, bool, tuple[Any, ...]]:
        shape = self._shape(schema) if schema is not None else None
        examples += shape.examples if shape else ()
        if (shape is None or shape.says_nothing) and examples:
            shown = [_decoded(example) for example in examples]
            return self._shape({"anyOf": [of_example(each) for each in shown]}), True, tuple(shown)
        return shape, False, examples

    def _answer(self, said: Mapping[str, Any]) -> tuple[Shape | None, bool, tuple[Any, ...]]:
        responses = {str(status): each for status, each in (said.get("responses") or {}).items()}
        good = [status for status in responses if status.startswith("2")] or [s for s in responses if s == "default"]
        # A list may answer 202 or 204 as well: the smallest status that has a body tells.
        for status in sorted(good):
            answer = self._whole(responses[status])
            if "swagger" in self._document:
                shown = answer.get("examples")
                examples = tuple(shown.values()) if isinstance(shown, Mapping) else ()
                found = self._body(answer.get("schema"), examples)
            else:
                found = self._content(answer)
            if found[0] is not None:
                return found
        return None, False, ()

    def _headers(self, said: Mapping[str, Any]) -> frozenset[str]:
        answers = [self._whole(each) for status, each in (said.get("responses") or {}).items() if str(status)[0] == "2"]
        return frozenset(name.lower() for answer in answers for name in answer.get("headers") or ())

    def _security(self, said: Mapping[str, Any]) -> tuple[tuple[str, ...] | None, frozenset[str]]:
        asked = said.get("security", self._document.get("security"))
        if asked is None:
            return None, frozenset()
        names: dict[str, None] = {}
        scopes: set[str] = set()
        for alternative in asked:
            for name, wanted in alternative.items():
                names[name] = None
                scopes.update(wanted or ())
        return tuple(names), frozenset(scopes)

    def _schemes(self) -> dict[str, Scheme]:
        components = self._document.get("components") or {}
        declared = components.get("securitySchemes") or self._document.get("securityDefinitions") or {}
        return {name: _scheme(name, self._whole(each)) for name, each in declared.items()}


def _by_default(server: Mapping[str, Any]) -> str:
    """The address with each variable's default in place."""
    url = str(server.get("url", ""))
    for name, variable in (server.get("variables") or {}).items():
        if isinstance(variable, Mapping) and variable.get("default"):
            url = url.replace(f"{{{name}}}", str(variable["default"]))
    return url


def _scheme(name: str, said: Mapping[str, Any]) -> Scheme:
    kind, http = str(said.get("type", "")).lower(), str(said.get("scheme", "")).lower()
    flows = [said, *((said.get("flows") or {}).values())]
    scopes = frozenset(scope for flow in flows if isinstance(flow, Mapping) for scope in flow.get("scopes") or ())
    kinds: dict[str, SchemeKind] = {
        "basic": "basic",
        "apikey": "api_key",
        "oauth2": "oauth2",
        "openidconnect": "oauth2",
    }
    https: dict[str, SchemeKind] = {"bearer": "bearer", "basic": "basic", "digest": "digest"}
    found: SchemeKind = https.get(http, "other") if kind == "http" else kinds.get(kind, "other")
    token_urls = tuple(str(flow["tokenUrl"]) for flow in flows if isinstance(flow, Mapping) and flow.get("tokenUrl"))
    return Scheme(name, found, str(said.get("in", "")), str(said.get("name", "")), scopes, token_urls)


def _examples(said: Mapping[str, Any], whole: Any) -> tuple[Any, ...]:
    shown = [said["example"]] if said.get("example") is not None else []
    for each in (said.get("examples") or {}).values():
        value = whole(each).get("value") if isinstance(each, Mapping) else each
        if value is not None:
            shown.append(value)
    return tuple(shown)


def _decoded(example: Any) -> Any:
    """An example written as text is the JSON in it."""
    import orjson

    if isinstance(example, str):
        try:
            return orjson.loads(example)
        except orjson.JSONDecodeError:
            return example
    return example
