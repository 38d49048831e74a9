"""Google's discovery documents: methods below resources, schemas by bare name."""

from collections.abc import Iterator, Mapping
from typing import Any

from dataflow_platform.connectors.rest.openapi import In, Operation, Parameter, Scheme
from dataflow_platform.connectors.rest.openapi_shape import Shape


class Discovery:
    """A Google discovery document. Its paths begin at the root of the service (`drive/v3/files`)."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._schemas = document.get("schemas") or {}
        self._methods = dict(self._all(document))
        self.title = str(document.get("title", ""))
        self.version = f"{document.get('version', '')} {document.get('revision', '')}".strip()
        oauth = ((document.get("auth") or {}).get("oauth2") or {}).get("scopes") or {}
        schemes = {"oauth2": Scheme("oauth2", "oauth2", scopes=frozenset(oauth))}
        if "key" in (document.get("parameters") or {}):
            schemes["key"] = Scheme("key", "api_key", "query", "key")
        self.schemes: Mapping[str, Scheme] = schemes

    def _all(self, holder: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], Mapping[str, Any]]]:
        base = str(self._document.get("servicePath", "")).strip("/")
        for method in (holder.get("methods") or {}).values():
            # `flatPath` names each part of what `path` takes as one `{+parent}`; `path` names what is declared.
            for word in ("path", "flatPath"):
                if word in method:
                    path = "/".join(part for part in (base, str(method[word]).strip("/")) if part)
                    yield (str(method["httpMethod"]), f"/{path}"), method
        for inner in (holder.get("resources") or {}).values():
            yield from self._all(inner)

    def keys(self) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """Method, path and servers of every operation."""
        server = (str(self._document.get("rootUrl", "")).rstrip("/"),)
        yield from ((method, path, server) for method, path in self._methods)

    def operation(self, method: str, path: str) -> Operation:
        """One operation, with the parameters every method takes (fields, key, ...)."""
        said = self._methods[method, path]
        shared = self._document.get("parameters") or {}
        parameters = [
            self._parameter(name, each) for name, each in {**shared, **(said.get("parameters") or {})}.items()
        ]
        scopes = frozenset(said.get("scopes") or ())
        return Operation(
            method=method,
            path=path,
            servers=(str(self._document.get("rootUrl", "")).rstrip("/"),),
            parameters=tuple(parameters),
            body=self._shape(said["request"]) if "request" in said else None,
            answer=self._shape(said["response"]) if "response" in said else None,
            # A method without scopes is asked with a key alone, which every method takes.
            schemes=("oauth2", "key") if scopes else ("key",),
            scopes=scopes,
            deprecated=bool(said.get("deprecated")),
        )

    def _shape(self, schema: Any) -> Shape:
        return Shape([schema], self._schemas.get)

    def _parameter(self, name: str, said: Mapping[str, Any]) -> Parameter:
        location: In = "path" if said.get("location") == "path" else "query"
        flags = {key: value for key, value in said.items() if key != "required"}
        return Parameter(name, location, bool(said.get("required")), self._shape(flags))
