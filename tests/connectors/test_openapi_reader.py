"""Descriptions of APIs are read whatever their format; schemas that hold themselves end."""

import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from dataflow_platform.connectors.rest import openapi
from dataflow_platform.connectors.rest.openapi_graphql import GraphqlDescription
from dataflow_platform.connectors.rest.openapi_lists import list_endpoints
from dataflow_platform.connectors.rest.openapi_place import locate, same_host, told_hosts
from dataflow_platform.connectors.rest.openapi_shape import Shape, of_example
from dataflow_platform.core.errors import ConfigError

USER = {
    "allOf": [{"$ref": "#/components/schemas/Base"}, {"properties": {"boss": {"$ref": "#/components/schemas/User"}}}]
}
OPENAPI: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Shop", "version": "7"},
    "servers": [{"url": "https://{site}.shop.io/api"}],
    "components": {
        "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        "schemas": {"Base": {"properties": {"id": {"type": ["integer", "null"]}}}, "User": USER},
        "parameters": {"Limit": {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 50}}},
    },
    "security": [{"token": []}],
    "paths": {
        "/users": {
            "parameters": [{"$ref": "#/components/parameters/Limit"}],
            "get": {
                "responses": {
                    "200": {
                        "headers": {"Link": {}},
                        "content": {
                            "application/json": {
                                "schema": {"properties": {"data": {"items": {"$ref": "#/components/schemas/User"}}}}
                            }
                        },
                    }
                }
            },
        },
        "/users/{id}": {"get": {"responses": {}}, "delete": {"responses": {}}},
        "/users/me": {"get": {"responses": {}}},
    },
}
SWAGGER: dict[str, Any] = {
    "swagger": "2.0",
    "info": {"title": "Old", "version": "1"},
    "host": "old.io",
    "basePath": "/v1",
    "securityDefinitions": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}},
    "definitions": {"Row": {"type": "object", "properties": {"sid": {"type": "string"}}}},
    "paths": {
        "/rows": {
            "get": {
                "parameters": [{"name": "kind", "in": "query", "required": True, "type": "string", "enum": ["a", "b"]}],
                "responses": {"200": {"schema": {"type": "array", "items": {"$ref": "#/definitions/Row"}}}},
            }
        }
    },
}
DISCOVERY: dict[str, Any] = {
    "kind": "discovery#restDescription",
    "title": "Files",
    "version": "v3",
    "revision": "20260101",
    "rootUrl": "https://www.googleapis.com/",
    "servicePath": "files/v3/",
    "auth": {"oauth2": {"scopes": {"read": {}, "write": {}}}},
    "parameters": {"fields": {"type": "string", "location": "query"}},
    "schemas": {
        "List": {"properties": {"files": {"type": "array", "items": {"$ref": "File"}}}},
        "File": {"properties": {"id": {"type": "string"}}},
    },
    "resources": {
        "files": {
            "methods": {
                "list": {
                    "httpMethod": "GET",
                    "path": "files",
                    "scopes": ["read"],
                    "parameters": {"pageSize": {"type": "integer", "maximum": "1000", "location": "query"}},
                    "response": {"$ref": "List"},
                }
            }
        }
    },
}
SDL = """
type Query { issues(first: Int, after: String, filter: Filter): Page! }
input Filter { since: String }
type Page { nodes: [Issue!]! pageInfo: PageInfo! }
type PageInfo { hasNextPage: Boolean! endCursor: String }
type Issue { id: ID! points: Float parent: Issue }
"""


def written(folder: Path, document: dict[str, Any], name: str = "api.json") -> Path:
    file = folder / name
    file.write_text(json.dumps(document))
    return file


def opened(file: Path) -> openapi.Description:
    found = openapi.read(file)
    assert isinstance(found, openapi.Description)
    return found


def test_openapi_3_is_followed_through_references_and_a_schema_that_holds_itself(tmp_path: Path) -> None:
    description = opened(written(tmp_path, OPENAPI))
    operation = description.operation("GET", "/users")
    assert operation.answer is not None
    users = operation.answer.field("data")
    assert users is not None
    assert users.items is not None
    boss = users.items
    for _ in range(100):  # deeper than any stack that would follow it eagerly
        assert boss.names == {"id", "boss"}
        boss = boss.field("boss") or pytest.fail("no boss")
    identity = boss.field("id")
    assert identity is not None
    assert identity.kinds == {"integer"}
    limit = operation.parameter("limit", "query")
    assert limit is not None
    assert limit.shape.maximum == 50
    assert operation.schemes == ("token",)
    assert description.schemes["token"].kind == "bearer"
    assert operation.answer_headers == {"link"}


def test_swagger_2_has_its_types_beside_the_names(tmp_path: Path) -> None:
    description = opened(written(tmp_path, SWAGGER))
    assert description.keys == (("GET", "/rows", ("https://old.io/v1",)),)
    operation = description.operation("GET", "/rows")
    kind = operation.parameter("kind")
    assert kind is not None
    assert kind.required
    assert kind.shape.enum == ("a", "b")
    assert operation.answer is not None
    assert operation.answer.items is not None
    assert operation.answer.items.names == {"sid"}
    assert description.schemes["key"].param == "X-Key"


def test_a_discovery_document_names_its_schemas_bare(tmp_path: Path) -> None:
    description = opened(written(tmp_path, DISCOVERY))
    operation = description.operation("GET", "/files/v3/files")
    assert operation.scopes == {"read"}
    assert description.version == "v3 20260101"
    assert operation.names("query") == ["fields", "pageSize"]
    files = operation.answer and operation.answer.field("files")
    assert files is not None
    assert files.items is not None
    assert files.items.names == {"id"}


def test_a_graphql_query_answers_what_it_selects(tmp_path: Path) -> None:
    file = tmp_path / "api.graphql"
    file.write_text(SDL)
    schema = openapi.read(file)
    assert isinstance(schema, GraphqlDescription)
    query = """query($after: String) {
               all: issues(first: 5, after: $after) { nodes { ...Part } pageInfo { endCursor } } }
               fragment Part on Issue { id points parent { id } }"""
    assert schema.complaints(query) == []
    answer = schema.answer(query).field("data")
    nodes = answer and answer.field("all") and answer.field("all").field("nodes")  # type: ignore[union-attr]
    assert nodes
    assert nodes.items
    assert nodes.items.names == {"id", "points", "parent"}
    assert schema.variables(query) == {"after": "String"}
    assert schema.input_fields("Filter") == {"since"}
    [complaint] = schema.complaints("{ issues { nodes { idd } } }")
    assert "idd" in complaint
    assert "'id'" in complaint


@pytest.mark.parametrize("suffix", ["gz", "xz"])
def test_a_compressed_document_is_read(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"api.json.{suffix}"
    pack = gzip.compress if suffix == "gz" else lzma.compress
    file.write_bytes(pack(json.dumps(SWAGGER).encode()))
    assert opened(file).title == "Old"


def test_a_small_file_that_unpacks_to_a_great_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bomb.json.xz"
    file.write_bytes(lzma.compress(b" " * (openapi.LIMIT_BYTES + 2), preset=0))
    assert file.stat().st_size < 100_000
    with pytest.raises(ConfigError) as refused:
        openapi.read(file)
    assert refused.value.code == "openapi.long"


@pytest.mark.parametrize("text", ['{"a": 1}', "a: [", "[]", ""])
def test_what_is_no_description_is_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "api.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        openapi.read(file)
    assert refused.value.code == "openapi.unreadable"


def test_references_in_a_ring_end() -> None:
    ring = {"#/a": {"$ref": "#/b"}, "#/b": {"$ref": "#/a", "properties": {"x": {}}}}
    assert Shape([{"$ref": "#/a"}], ring.get).names == {"x"}


def test_an_address_finds_its_operation(tmp_path: Path) -> None:
    description = opened(written(tmp_path, OPENAPI))

    def found(method: str, url: str) -> str | None:
        operation = locate(description, method, url, {}).operation
        return operation.path if operation else None

    assert found("GET", "https://acme.shop.io/api/users/{user}") == "/users/{id}"
    # Written out in the document, it is not the one with a name.
    assert found("GET", "https://acme.shop.io/api/users/me") == "/users/me"
    assert found("GET", "https://acme.shop.io/users") is None
    assert locate(description, "POST", "https://acme.shop.io/api/users", {}).methods == ("GET",)
    assert locate(description, "GET", "https://acme.shop.io/api/user", {}).nearest == "/users"
    assert locate(description, "GET", "https://acme.shop.io/api/users/7", {}).free == ("7",)


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ("api.shop.io", "api.shop.io", True),
        ("api.shop.io", "api.shop.com", False),
        ("{store}.shop.io", "{site}.shop.io", True),
        ("{store}.shop.io", "example.shop.io", True),
        ("api.{region}", "{subdomain}.{site}", True),
        ("{a}.other.io", "{b}.shop.io", False),
    ],
)
def test_hosts_are_compared_with_their_names_open(ours: str, theirs: str, same: bool) -> None:
    assert same_host(ours, theirs, {}) is same


def test_hosts_that_nobody_reaches_are_not_told() -> None:
    servers = ["https://{site}.io/v1", "http://mastodon.local", "https://{subdomain}.{site}", "/api", "//api.shop.io"]
    assert told_hosts(servers) == ["{site}.io", "api.shop.io"]


def test_lists_are_found_with_what_their_names_let_suppose(tmp_path: Path) -> None:
    [users] = list_endpoints(opened(written(tmp_path, OPENAPI)))
    assert (users.name, users.records, users.primary_key, users.size_param, users.size) == (
        "users", ("data",), "id", "limit", 50,
    )  # fmt: skip
    assert users.paging.kind == "next_link"


def test_an_example_tells_fields_and_kinds() -> None:
    shape = Shape([of_example([{"id": 1}, {"id": None, "at": "x", "on": True}])], lambda reference: None)
    assert shape.items is not None
    assert shape.items.names == {"id", "at", "on"}
    on = shape.items.field("on")
    assert on is not None
    assert on.kinds == {"boolean"}
