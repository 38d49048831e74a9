"""What vendors show as examples goes through the extraction of records: rows come out, keys and cursors are there."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dataflow_platform.connectors.rest import shaping, template, value_path
from dataflow_platform.connectors.rest.openapi import Description
from dataflow_platform.connectors.rest.openapi_place import joined, locate
from dataflow_platform.connectors.rest.spec import ConnectorStream
from tests.fixtures.api_descriptions import NAMES, description_of, spec_of

HOME = Path.home() / ".cache" / "dataflow-vendor-data"
CONTRACTS = [name for name in NAMES if spec_of(name).source.label == "contract"]
POOR = {
    ("github", "stargazers", "id"): "the second example is of another media type, which is asked for by a header",
    ("datadog", "monitors", "modified"): "the example is shortened: it has 7 of the 19 fields of its schema",
    ("datadog", "slos", "modified_at"): "the example is shortened: it has 5 of the 17 fields of its schema",
}
"""Examples that lack a column, and why that is no fault of the connector."""


def examples_of(name: str) -> Iterator[tuple[str, ConnectorStream, Any]]:
    """Stream and example of every good answer that the description shows."""
    spec, description = spec_of(name), description_of(name)
    if not isinstance(description, Description):
        return
    for stream, said in spec.streams.items():
        if said.graphql or (said.source and said.source.label == "unverified"):
            continue
        variables = {**spec.variables, **said.variables}
        defaults = {each: template.as_text(v.default) for each, v in variables.items() if v.default is not None}
        found = locate(description, said.verb, joined(spec.base_url, said.path), defaults).operation
        for example in found.examples if found else ():
            with contextlib.suppress(json.JSONDecodeError):  # examples written by hand are not always JSON
                body = json.loads(example) if isinstance(example, str) else example
                if isinstance(body, dict | list):
                    yield stream, said, body


def lacking(stream: ConnectorStream, body: Any, parents: dict[str, Any]) -> tuple[int, list[str]]:
    """Rows of an answer, and the key and cursor columns that are missing in one of them."""
    rows = shaping.rows_of(body, stream, parents, "example")
    columns = [*stream.primary_key, *([stream.cursor.field] if stream.cursor and stream.cursor.field else [])]
    return len(rows), sorted({column for row in rows for column in columns if row.get(column) is None})


@pytest.mark.parametrize("name", CONTRACTS)
def test_examples_of_the_description_have_rows_with_keys_and_cursors(name: str) -> None:
    shown, poor = 0, []
    for stream, said, body in examples_of(name):
        first = said.records.paths[0]
        if value_path.find(body, first.partition("[]")[0]) is None:
            continue  # the example shows another answer than a list: an error, or a single record
        parents = dict.fromkeys(said.parent.columns, "parent") if said.parent else {}
        rows, missing = lacking(said, body, parents)
        shown += rows
        poor += [(stream, column) for column in missing]
    if not shown:
        pytest.skip("the description shows no example of an answer")
    assert [each for each in dict.fromkeys(poor) if (name, *each) not in POOR] == []


def vendor_data(*parts: str) -> Path:
    folder = Path(os.environ.get("DATAFLOW_VENDOR_DATA", HOME)).joinpath(*parts)
    if not folder.exists():
        pytest.skip("the vendors' sample data is not here: set DATAFLOW_VENDOR_DATA")
    return folder


def test_fixtures_of_stripe() -> None:
    resources = json.loads((vendor_data("stripe") / "fixtures3.json").read_text())["resources"]
    checked = 0
    for name, stream in spec_of("stripe").streams.items():
        singular = name.removesuffix("s").replace("invoice_item", "invoiceitem")
        if singular not in resources:
            continue
        # As the API answers lists.
        body = {"object": "list", "has_more": False, "data": [resources[singular]]}
        assert lacking(stream, body, {}) == (1, []), name
        checked += 1
    assert checked >= 10, "the fixtures have an object for nearly every stream"


@pytest.mark.parametrize(
    ("event", "inside", "stream"),
    [
        ("issues", "issue", "issues"),
        ("issue_comment", "comment", "issue_comments"),
        ("pull_request", "pull_request", "pull_requests"),
        ("release", "release", "releases"),
        ("label", "label", "labels"),
        ("milestone", "milestone", "milestones"),
        ("workflow_run", "workflow_run", "workflow_runs"),
    ],
)
def test_objects_of_github_webhooks(event: str, inside: str, stream: str) -> None:
    said = spec_of("github").streams[stream]
    files = sorted(vendor_data("github_webhooks", event).glob("*.json"))
    objects = [json.loads(file.read_text())[inside] for file in files]
    body = objects if said.records.paths == ("$",) else {said.records.paths[0]: objects}
    assert lacking(said, body, {}) == (len(files), [])
    assert files
