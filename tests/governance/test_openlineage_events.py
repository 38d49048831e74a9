"""OpenLineage events of real loads, through the official client: into a file, and to a server over HTTP."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dataflow_platform.governance import openlineage_events
from dataflow_platform.pipeline.loader import load_folder
from tests.fixtures.yaml_project import INBOX, Write

pytest.importorskip("openlineage.client", reason="needs the openlineage extra")

DECLARED = (
    INBOX
    + """\
type: dataflow_platform.Pipeline
attributes:
  name: shop
  source: inbox
  destination: {schema: raw}
  streams:
    - name: customers
      from: {path: customers.csv}
      load: replace
    - name: orders
      from: {path: orders.csv}
      load: replace
      transform:
        - filter: state <> 'void'
        - derive: {net: amount / 2, email: md5(email), grade: "case when amount > 5 then 'a' else 'b' end"}
        - join: {table: raw.customers, by: {customer: id}, columns: {city: city}}
      checks:
        - not_null: id
        - in_range: {column: amount, min: 0, max: 8, severity: warn}
"""
)
ORDERS = "id,customer,amount,state,email\n1,1,4,open,a@x.org\n2,1,9,open,b@x.org\n3,1,2,void,c@x.org\n"


@pytest.fixture(autouse=True)
def _unconfigured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import os

    before = {name for name in os.environ if name.startswith("OPENLINEAGE")}
    yield
    for name in [each for each in os.environ if each.startswith("OPENLINEAGE") and each not in before]:
        del os.environ[name]  # the client writes some of its own


@pytest.fixture
def project(tmp_path: Path, yaml_project: Write) -> Path:
    yaml_project(DECLARED)
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "customers.csv").write_text("id,city\n1,Vienna\n")
    (tmp_path / "inbox" / "orders.csv").write_text(ORDERS)
    return tmp_path


def run(project: Path, *keys: str) -> dg.ExecuteInProcessResult:
    defs = load_folder(project / "defs").built.definitions()
    selected = [dg.AssetKey(["raw", key]) for key in keys]
    return defs.resolve_implicit_global_asset_job_def().execute_in_process(
        asset_selection=selected, raise_on_error=False
    )


@pytest.fixture
def events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file the client writes to."""
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "file")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__LOG_FILE_PATH", str(tmp_path / "events.json"))
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__APPEND", "true")
    return tmp_path / "events.json"


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_load_tells_start_and_completion_with_lineage_and_checks(project: Path, events: Path) -> None:
    assert run(project, "customers", "orders").success
    start, complete = (each for each in read(events) if each["job"]["name"] == "shop.orders")
    assert [start["eventType"], complete["eventType"]] == ["START", "COMPLETE"]
    assert start["run"]["runId"] == complete["run"]["runId"]
    assert complete["run"]["facets"]["parent"]["job"]["name"]
    source, customers = complete["inputs"]
    assert (source["namespace"], customers["name"]) == ("file", "raw.customers")
    (output,) = complete["outputs"]
    assert output["name"] == "raw.orders"
    assert {each["name"]: each["type"] for each in output["facets"]["schema"]["fields"]}["net"] == "DOUBLE"
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == 1  # one is void, one is above 8
    lineage = output["facets"]["columnLineage"]
    told = {
        name: {
            (each["field"], way["type"], way["subtype"], way["masking"])
            for each in fields["inputFields"]
            for way in each["transformations"]
        }
        for name, fields in lineage["fields"].items()
    }
    assert told["id"] == {("id", "DIRECT", "IDENTITY", False)}
    assert told["net"] == {("amount", "DIRECT", "TRANSFORMATION", False)}
    assert told["email"] == {("email", "DIRECT", "TRANSFORMATION", True)}
    assert told["grade"] == {("amount", "INDIRECT", "CONDITIONAL", False)}
    assert told["city"] == {("city", "DIRECT", "IDENTITY", False)}
    everywhere = {(each["name"], each["field"], each["transformations"][0]["subtype"]) for each in lineage["dataset"]}
    assert (source["name"], "state", "FILTER") in everywhere
    assert ("raw.customers", "id", "JOIN") in everywhere
    checks = source["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert [(each["assertion"], each["success"], each["severity"]) for each in checks] == [
        ("not_null_id", True, "error"),
        ("in_range_amount", False, "warn"),
    ]


def test_dagster_shows_the_same_edges(project: Path) -> None:
    result = run(project, "customers", "orders")
    (event,) = (each for each in result.get_asset_materialization_events() if each.asset_key.path[-1] == "orders")
    shown = event.materialization.metadata
    native = shown["dagster/column_lineage"].value
    assert isinstance(native, dg.TableColumnLineage)
    told = {name: [each.column_name for each in deps] for name, deps in native.deps_by_column.items()}
    assert (told["net"], told["grade"], told["city"]) == (["amount"], ["amount"], ["city"])
    assert shown["rows depend on"].value == {
        "inbox/orders_csv.state": ["FILTER"],
        "inbox/orders_csv.customer": ["JOIN"],
        "raw/customers.id": ["JOIN"],
    }
    columns = shown["source columns"].value
    assert isinstance(columns, dg.TableSchema)
    assert [column.name for column in columns.columns] == ["id", "customer", "amount", "state", "email"]


def test_a_load_that_fails_says_so_without_a_value(project: Path, events: Path) -> None:
    (project / "inbox" / "orders.csv").write_text(ORDERS.replace("1,1,4,open", ",1,4,open"))
    assert not run(project, "customers", "orders").success
    last = read(events)[-1]
    assert (last["job"]["name"], last["eventType"]) == ("shop.orders", "FAIL")
    assert "a@x.org" not in json.dumps(last)
    assert "not_null_id" in json.dumps(last["inputs"])  # which check it was


@contextmanager
def listening(status: int) -> Iterator[tuple[str, list[tuple[str, str, dict[str, Any]]]]]:
    """A server that keeps what is posted to it: path, authorization, event."""
    kept: list[tuple[str, str, dict[str, Any]]] = []

    class Keeping(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") != "gzip":
                kept.append((self.path, self.headers.get("Authorization", ""), json.loads(body)))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Keeping)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_events_go_to_a_server(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(200) as (url, kept):
        monkeypatch.setenv("OPENLINEAGE_URL", url)
        monkeypatch.setenv("OPENLINEAGE_API_KEY", "key-of-the-test")
        monkeypatch.setenv("OPENLINEAGE_NAMESPACE", "shops")
        assert run(project, "customers").success
    assert [(path, event["eventType"]) for path, _, event in kept] == [
        ("/api/v1/lineage", "START"),
        ("/api/v1/lineage", "COMPLETE"),
    ]
    assert {authorization for _, authorization, _ in kept} == {"Bearer key-of-the-test"}
    assert {event["job"]["namespace"] for _, _, event in kept} == {"shops"}


def test_a_server_that_refuses_does_not_fail_the_load(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(400) as (url, kept):
        monkeypatch.setenv("OPENLINEAGE_URL", url)
        assert run(project, "customers").success
    assert len(kept) >= 2


def test_nothing_is_sent_unless_somebody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not openlineage_events.configured()
    monkeypatch.setenv("OPENLINEAGE_URL", "http://127.0.0.1:1")
    assert openlineage_events.configured()
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "true")
    assert not openlineage_events.configured()
