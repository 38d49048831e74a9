"""``dataflow connectors verify`` and ``draft``: what they say, and that a draft holds and loads."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from dataflow_platform.cli.connectors import connectors
from dataflow_platform.connectors.rest.declared import connector
from dataflow_platform.core.errors import ConfigError, DataflowError
from tests.fixtures.rest_api import Seen, Stub, read_dicts

TICKET = {"type": "object", "properties": {"id": {"type": "integer"}, "changed": {"type": "string"},
                                           "updated_at": {"type": "string", "format": "date-time"}}}  # fmt: skip
DOCUMENT: dict[str, Any] = {
    "openapi": "3.0.0",
    "info": {"title": "Desk", "version": "2"},
    "servers": [{"url": "https://{account}.desk.io/api"}],
    "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Desk-Key"}}},
    "security": [{"key": []}],
    "paths": {
        "/tickets": {
            "get": {
                "parameters": [
                    {"name": "cursor", "in": "query", "schema": {"type": "string"}},
                    {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 50}},
                    {"name": "updated_since", "in": "query", "schema": {"type": "string", "format": "date-time"}},
                    {"name": "view", "in": "query", "required": True, "schema": {"enum": ["all", "mine"]}},
                ],
                "responses": {
                    "200": {
                        "content": {
                            "application/json": {
                                "schema": {
                                    "properties": {
                                        "tickets": {"type": "array", "items": TICKET},
                                        "meta": {"properties": {"next_cursor": {"type": "string"}}},
                                    }
                                }
                            }
                        }
                    }
                },
            }
        }
    },
}
SPEC: dict[str, Any] = {
    "title": "Desk",
    "docs": "https://desk.io/docs",
    "source": {"label": "unverified", "checked": "2026-11-22", "source": "https://desk.io/docs"},
    "variables": {"account": {"description": "Account"}, "key": {"description": "Key", "secret": True}},
    "base_url": "https://{account}.desk.io/api",
    "auth": {"type": "header", "name": "X-Desk-Key", "key": "{key}"},
    "streams": {
        "tickets": {
            "path": "tickets",
            "params": {"view": "all"},
            "records": "tickets",
            "primary_key": "id",
            "cursor": {"field": "updated_at", "param": "updated_since", "format": "iso"},
            "paging": {"type": "next_cursor", "param": "cursor", "body_path": "meta.next_cursor", "size_param": "limit",
                       "size": 50},
        }
    },
}  # fmt: skip


@pytest.fixture
def document(tmp_path: Path) -> Path:
    file = tmp_path / "desk.json"
    file.write_text(json.dumps(DOCUMENT))
    return file


def verified(folder: Path, document: Path, **changes: Any) -> Result:
    file = folder / "desk.yaml"
    stream = {**SPEC["streams"]["tickets"], **changes}
    file.write_text(yaml.safe_dump({**SPEC, "streams": {"tickets": stream}}))
    return CliRunner().invoke(connectors, ["verify", str(file), "--openapi", str(document), "--unsaid"])


def test_a_connector_that_says_what_its_vendor_says(tmp_path: Path, document: Path) -> None:
    result = verified(tmp_path, document)
    assert result.exit_code == 0, result.output
    # Path, host and auth; `view` and its value; cursor.param; paging.param, size_param, size and body_path; records,
    # key and cursor.
    assert result.output == "13 facts hold, 0 are wrong, 0 are not described\n"


@pytest.mark.parametrize(
    ("changes", "code", "fix"),
    [
        ({"path": "ticket"}, "verify.path", "did you mean '/tickets'?"),
        ({"method": "PUT"}, "verify.method", "set method: GET"),
        ({"records": "ticket"}, "verify.records", "did you mean 'tickets'?"),
        ({"primary_key": "idd"}, "verify.primary_key", "did you mean 'id'?"),
        ({"params": {"view": "al"}}, "verify.value", "did you mean 'all'?"),
        ({"params": {}}, "verify.required", "send it: params: {view: ...}"),
        ({"params": {"view": "all", "vieww": "all"}}, "verify.parameter", "did you mean 'view'?"),
        ({"cursor": {"field": "updated_att"}}, "verify.cursor", "did you mean 'updated_at'?"),
        ({"cursor": {"field": "updated_at", "param": "updated_sinc", "format": "iso"}}, "verify.cursor_param",
         "did you mean 'updated_since'?"),
        ({"cursor": {"field": "updated_at", "param": "updated_since", "format": "unix"}}, "verify.cursor_format",
         "set cursor.format to iso"),
        ({"paging": {"type": "none"}}, "verify.paging", "what is behind the first page is never read"),
        ({"paging": {**SPEC["streams"]["tickets"]["paging"], "size": 100}}, "verify.paging_size", "set it to 50"),
        ({"paging": {**SPEC["streams"]["tickets"]["paging"], "body_path": "meta.next_curser"}}, "verify.paging_path",
         "did you mean 'next_cursor'?"),
        ({"paging": {**SPEC["streams"]["tickets"]["paging"], "param": "curser"}}, "verify.paging_param",
         "did you mean 'cursor'?"),
    ],
)  # fmt: skip
def test_each_wrong_fact_is_told_with_what_is_right(
    tmp_path: Path, document: Path, changes: dict[str, Any], code: str, fix: str
) -> None:
    result = verified(tmp_path, document, **changes)
    assert result.exit_code == 1
    first = result.stderr.split("[verify.")[1]
    assert f"[verify.{first}".startswith(f"[{code}]"), result.stderr
    assert "\n  at streams.tickets" in first
    assert fix in first


def test_a_draft_holds_against_its_document_and_reads(tmp_path: Path, document: Path, stub: Stub) -> None:
    file = tmp_path / "drafted.yaml"
    result = CliRunner().invoke(connectors, ["draft", "--openapi", str(document), "--output", str(file)])
    assert result.exit_code == 0, result.output
    held = CliRunner().invoke(connectors, ["verify", str(file), "--openapi", str(document)])
    assert held.exit_code == 0, held.output

    def answer(seen: Seen) -> Any:
        assert (seen.query["view"], seen.query["limit"], seen.headers["X-Desk-Key"]) == ("all", "50", "secret-key")
        rows = [{"id": 1, "updated_at": "2026-01-01T00:00:00Z"}, {"id": 2, "updated_at": "2026-01-02T00:00:00Z"}]
        more = "cursor" not in seen.query
        return {"tickets": rows[:1] if more else rows[1:], "meta": {"next_cursor": "c" if more else ""}}

    stub.on("/tickets", answer)
    made: Any = connector("drafted", file)
    source = made(base_url=stub.url, account="acme", api_key="secret-key")
    rows = read_dicts(source, made.StreamOptions(stream="tickets"))
    assert [row["id"] for row in rows] == [1, 2]


def test_a_draft_overwrites_nothing(tmp_path: Path, document: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("mine")
    result = CliRunner().invoke(connectors, ["draft", "--openapi", str(document), "--output", str(file)])
    assert isinstance(result.exception, DataflowError)
    assert result.exception.code == "connector.exists"
    assert file.read_text() == "mine"


def test_a_document_without_lists_is_told(tmp_path: Path) -> None:
    file = tmp_path / "empty.json"
    file.write_text(json.dumps({**DOCUMENT, "paths": {}}))
    result = CliRunner().invoke(connectors, ["draft", "--openapi", str(file)])
    assert isinstance(result.exception, ConfigError)
    assert result.exception.code == "openapi.no_lists"


def test_an_unknown_connector_is_told_with_the_nearest(document: Path) -> None:
    result = CliRunner().invoke(connectors, ["verify", "strype", "--openapi", str(document)])
    assert isinstance(result.exception, ConfigError)
    assert "did you mean 'stripe'?" in result.exception.fix
