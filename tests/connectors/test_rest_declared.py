"""Connectors that are YAML files: found by name, checked, and loaded through the whole line."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import ValidationError

from dataflow_platform.connectors.duckdb import DuckDB
from dataflow_platform.connectors.rest.spec import ConnectorSpec
from dataflow_platform.core import registry
from dataflow_platform.core.base import State, Stream
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.http import RetryPolicy
from dataflow_platform.pipeline.loader import load_folder
from tests.fixtures.rest_api import Seen, Stub, read_dicts, reply
from tests.fixtures.yaml_project import Write

SHOP = """\
title: Shop
docs: https://shop.example.com/docs
source: {label: unverified, checked: 2026-11-22, source: https://shop.example.com/docs}
variables:
  account: {description: Name of the account, pattern: "[a-z0-9-]+", example: my-shop}
  api_key: {description: Key of the account, secret: true}
  regions: {description: Regions to read, type: list, default: [eu, us]}
base_url: https://{account}.shop.example.com/v1
auth: {type: header, name: X-Key, key: "{api_key}"}
test_path: ping
headers: {X-Account: "{account}"}
defaults:
  records: data
  primary_key: id
  paging: {type: last_id, param: after, has_more: more}
streams:
  orders:
    path: orders
    description: What was bought.
    cursor: {field: changed, param: since}
    columns: {changed: TIMESTAMP}
  lines:
    path: orders/{order}/lines
    paging: {type: none}
    primary_key: [order_id, line]
    parent: {stream: orders, values: {order: id}, columns: {order_id: id}}
  stock: {path: "stock/{region}", paging: null, parent: {each: regions, values: {region: $}, columns: {region: $}}}
  prices: {path: "prices/{list}", paging: null, variables: {list: {description: Name of the list}}}
"""

PIPELINE = """\
type: dataflow_platform.Connections
attributes:
  connections:
    warehouse: {type: duckdb, path: w.duckdb}
    shop: {type: shop, account: my-shop, api_key: "{{ env.SHOP_KEY }}", base_url: "{{ env.SHOP_URL }}"}
---
type: dataflow_platform.Pipeline
attributes:
  name: sales
  source: shop
  streams:
    - {name: orders, load: merge}
    - {name: order_lines, from: {stream: lines}, load: merge}
    - {name: stock, load: replace}
    - {name: prices, from: {stream: prices, with: {list: b2b}}, load: replace}
"""


@pytest.fixture
def shop(yaml_project: Write, stub: Stub, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHOP_KEY", "k-0123456789")
    monkeypatch.setenv("SHOP_URL", stub.url)
    folder = yaml_project(PIPELINE)
    (folder / "connectors").mkdir()
    (folder / "connectors" / "shop.yaml").write_text(SHOP)
    return folder


ORDERS = [{"id": number, "changed": f"2024-01-0{number}T00:00:00", "total": number * 1.5} for number in range(1, 6)]


def serve(stub: Stub, orders: list[dict[str, Any]]) -> None:
    def answer(seen: Seen) -> Any:
        if seen.headers.get("X-Key") != "k-0123456789" or seen.headers["X-Account"] != "my-shop":
            return reply(401)
        since = seen.query.get("since", "").replace(" ", "T")
        found = [each for each in orders if each["changed"] >= since and each["id"] > int(seen.query.get("after", 0))]
        return {"data": found[:2], "more": len(found) > 2}

    stub.on("/orders", answer)
    for order in orders:
        stub.on(f"/orders/{order['id']}/lines", lambda seen: {"data": [{"line": 1}, {"line": 2}]})
    for region in ("eu", "us"):
        stub.on(f"/stock/{region}", lambda seen: {"data": [{"id": 1, "left": 5}]})
    stub.on("/prices/b2b", lambda seen: {"data": [{"id": 1, "price": 9.5}]})


def run(folder: Path) -> dg.ExecuteInProcessResult:
    loaded = load_folder(folder / "defs").built
    assert loaded.problems == []
    return loaded.definitions().resolve_implicit_global_asset_job_def().execute_in_process()


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with DuckDB(path=str(folder / "w.duckdb")).reader() as connection:
        return connection.execute(query).fetchall()


def test_a_file_is_a_connector(shop: Path, stub: Stub) -> None:
    serve(stub, ORDERS)
    run(shop)
    assert rows(shop, "SELECT id, total FROM sales.orders ORDER BY id") == [(n, n * 1.5) for n in range(1, 6)]
    assert rows(shop, "SELECT count(*), count(DISTINCT (order_id, line)) FROM sales.order_lines") == [(10, 10)]
    assert rows(shop, "SELECT region FROM sales.stock ORDER BY region") == [("eu",), ("us",)]
    assert rows(shop, "SELECT price FROM sales.prices") == [(9.5,)]
    asked = len(stub.seen)
    # The second run asks for what is new by the cursor that the file declares, and updates by its key.
    changed = [*ORDERS[:4], {**ORDERS[4], "changed": "2024-02-01T00:00:00", "total": 99.5}]
    serve(stub, changed)
    run(shop)
    assert rows(shop, "SELECT id, total FROM sales.orders ORDER BY id")[-1] == (5, 99.5)
    assert rows(shop, "SELECT count(*) FROM sales.orders") == [(5,)]
    again = [seen for seen in stub.seen[asked:] if seen.path == "/orders" and "since" in seen.query]
    assert [seen.query["since"] for seen in again] == ["2024-01-05 00:00:00"]


def test_a_failure_in_the_middle_leaves_nothing_and_the_next_run_all(shop: Path, stub: Stub) -> None:
    serve(stub, ORDERS)
    pages = iter(range(100))
    answer = stub._answers["/orders"]
    stub.on("/orders", lambda seen: reply(403) if next(pages) == 2 else answer(seen))
    loaded = load_folder(shop / "defs").built.definitions()
    job = loaded.resolve_implicit_global_asset_job_def()
    keys = [dg.AssetKey(["sales", "orders"])]
    assert not job.execute_in_process(asset_selection=keys, raise_on_error=False).success
    assert rows(shop, "SELECT count(*) FROM information_schema.tables WHERE table_name = 'orders'") == [(0,)]
    assert job.execute_in_process(asset_selection=keys).success
    assert rows(shop, "SELECT count(*), count(DISTINCT id) FROM sales.orders") == [(5, 5)]


def test_what_a_connection_must_set_is_told_with_its_place(shop: Path, yaml_project: Write) -> None:
    for wrong, code in (
        (PIPELINE.replace("my-shop", "my shop!"), "rest.variable"),
        (PIPELINE.replace("account: my-shop, ", ""), "value.type"),
        (PIPELINE.replace('"{{ env.SHOP_KEY }}"', "in-clear-text"), "secret.literal"),
        (PIPELINE.replace("name: stock", "name: stok"), "stream.unknown"),
        (PIPELINE.replace("list: b2b", "lists: b2b"), "variable.unknown"),
    ):
        yaml_project(wrong)
        built = load_folder(shop / "defs").built
        problems = [each.code for each in built.problems]
        if code == "variable.unknown":  # known once the stream is read
            job = built.definitions().resolve_implicit_global_asset_job_def()
            keys = [dg.AssetKey(["sales", "prices"])]
            result = job.execute_in_process(asset_selection=keys, raise_on_error=False)
            assert "variable.unknown" in str(result.all_events)
        else:
            assert problems[0] == code, built.problems


def source(folder: Path, url: str) -> Any:
    kind: Any = registry.source("shop")
    return kind(account="my-shop", api_key="k-0123456789", base_url=url)


def test_the_source_by_itself(shop: Path, stub: Stub) -> None:
    serve(stub, ORDERS)
    stub.on("/ping", lambda seen: {})
    made = source(shop, stub.url)
    assert made.test_connection() == f"Shop at {stub.url}, answered 200"
    assert made.discover() == ["lines", "orders", "prices", "stock"]
    assert "k-0123456789" not in repr(made)
    options = made.StreamOptions.model_validate("orders")
    assert made.origin(Stream("x", options)) == ("orders",)
    assert len(read_dicts(made, options, State())) == 5
    assert registry.source("shop").facts.evidence == "unverified"
    with pytest.raises(ConfigError, match=r"rest\.variable.*needs 'list'"):
        made.plan(Stream("x", made.StreamOptions.model_validate("prices")), State())


def test_the_vendors_address_is_made_of_the_variables(shop: Path) -> None:
    kind: Any = registry.source("shop")
    assert kind(account="my-shop", api_key="k").access(RetryPolicy()).base_url == "https://my-shop.shop.example.com/v1"


def test_the_first_login_that_is_whole_is_used(shop: Path) -> None:
    two = SHOP.replace(
        'auth: {type: header, name: X-Key, key: "{api_key}"}',
        'auth: [{type: basic, username: "{user}", password: "{api_key}"}, {type: bearer, token: "{token}"}]',
    ).replace(
        "  api_key: {description: Key of the account, secret: true}",
        "  api_key: {description: k, secret: true, required: false}\n  user: {description: u, required: false}\n"
        "  token: {description: t, secret: true, required: false}",
    )
    (shop / "connectors" / "two.yaml").write_text(two)
    kind: Any = registry.source("two")
    both = {"account": "a", "user": "ann", "api_key": "k", "token": "t"}
    assert kind(**both).access(RetryPolicy()).auth.type == "basic"
    assert kind(account="a", token="t").access(RetryPolicy()).auth.headers() == {"Authorization": "Bearer t"}
    with pytest.raises(ConfigError, match=r"rest\.auth") as caught:
        kind(account="a", user="ann").access(RetryPolicy())
    assert "basic: api_key" in caught.value.fix
    assert "bearer: token" in caught.value.fix


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("paging: {type: none}", "paging: {type: sideways}", "sideways"),
        ("{order}/lines", "{ordre}/lines", "{ordre} is not declared"),
        ("{account}.shop", "{acount}.shop", "{acount} is not declared"),
        ("parent: {stream: orders", "parent: {stream: order", "no other stream 'order'"),
        ("each: regions", "each: region", "no list 'region'"),
        ("records: data", "recods: data", "'recods' is nothing a stream has"),
        ("records: data", 'records: "data["', "no path of a value"),
        ("  account: {desc", "  pool: {desc", "a name of the platform's own"),
        ("columns: {changed: TIMESTAMP}", "columns: {changed: MOMENT}", "MOMENT"),
        ("param: since}", "param: since, format: yesterday}", "yesterday"),
        ("title: Shop\n", "", "title"),
        ("title: Shop", "title: [", "cannot be read"),
    ],
)
def test_a_file_that_is_wrong_is_told_with_its_name(shop: Path, old: str, new: str, said: str) -> None:
    assert old in SHOP
    (shop / "connectors" / "wrong.yaml").write_text(SHOP.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        registry.source("wrong")
    assert said in str(caught.value)
    assert "wrong.yaml" in str(caught.value)


def test_defaults_are_merged_replaced_and_taken_away() -> None:
    import yaml

    spec = ConnectorSpec.model_validate(yaml.safe_load(SHOP))
    assert spec.streams["orders"].paging.type == "last_id"
    assert spec.streams["stock"].paging.type == "none"
    assert spec.streams["lines"].primary_key == ["order_id", "line"]
    with pytest.raises(ValidationError):
        ConnectorSpec.model_validate({**yaml.safe_load(SHOP), "colour": "red"})


def test_only_the_file_that_is_named_is_read(shop: Path) -> None:
    """A hundred connectors cost nothing before they are used: those beside are not even YAML."""
    for number in range(100):
        (shop / "connectors" / f"other_{number}.yaml").write_text("][ no YAML")
    code = (
        "import sys\nfrom dataflow_platform.core import registry\n"
        "assert registry.is_known('connectors', 'other_7') and 'other_99' in registry.names('connectors')\n"
        "assert 'dataflow_platform.connectors.rest.spec' not in sys.modules\n"
        "assert registry.source('shop').spec.title == 'Shop'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, cwd=Path(__file__).parents[2])


def test_a_shipped_connector_wins_over_the_projects_and_a_module_over_both(shop: Path) -> None:
    (shop / "connectors" / "postgres.yaml").write_text(SHOP)
    assert registry.source("postgres").__module__.startswith("dataflow_platform.connectors.postgres")


def test_the_schema_takes_what_the_model_takes() -> None:
    import json

    import yaml
    from jsonschema import Draft202012Validator

    from dataflow_platform.cli.catalogue_page import connector_schema

    validator = Draft202012Validator(json.loads(connector_schema()))
    written = yaml.safe_load(SHOP.replace("paging: null", "paging: {type: none}"))
    written["source"]["checked"] = "2026-11-22"  # JSON has no dates
    assert [error.message for error in validator.iter_errors(written)] == []
    assert list(validator.iter_errors({**written, "colour": "red"}))
    assert list(validator.iter_errors({**written, "defaults": {"paging": {"type": "sideways"}}}))


def test_recorded_pages_are_replayed_and_tell_nothing(shop: Path, stub: Stub, other_host: Stub) -> None:
    import json

    from click.testing import CliRunner

    from dataflow_platform.cli.main import group

    people = [{**order, "buyer": f"Ann Example {order['id']}", "next": f"{stub.url}/orders"} for order in ORDERS]
    serve(stub, people)
    file = shop / "orders.json"
    done = CliRunner().invoke(group, ["connectors", "record", "shop", "orders", "--to", str(file), "--pages", "9"])
    assert done.exit_code == 0, done.output
    text = file.read_text()
    assert not any(word in text for word in ("k-0123456789", "Ann", "my-shop", stub.url))
    pages = json.loads(text)["pages"]
    assert [page["query"] for page in pages] == [{}, {"after": "2"}, {"after": "4"}]

    def replayed(seen: Seen) -> Any:
        return next(page["body"] for page in pages if page["query"] == seen.query)

    other_host.on("/orders", replayed)
    made = source(shop, other_host.url)
    found = read_dicts(made, made.StreamOptions.model_validate("orders"))
    assert [row["id"] for row in found] == [1, 2, 3, 4, 5]
    assert [str(row["changed"])[:10] for row in found] == [order["changed"][:10] for order in ORDERS]
    assert all(len(row["buyer"]) == len("Ann Example 1") for row in found)


def test_streams_are_chosen_by_patterns(shop: Path, stub: Stub, yaml_project: Write) -> None:
    serve(stub, ORDERS)
    head, _, _ = PIPELINE.partition("  streams:")
    yaml_project(head + "  streams: {include: ['*'], exclude: [prices], load: merge}\n")
    run(shop)
    assert rows(shop, "SELECT count(*) FROM sales.orders") == [(5,)]
    assert rows(shop, "SELECT count(*) FROM sales.lines") == [(10,)]


def test_a_connection_sets_a_rate_of_its_own(shop: Path, stub: Stub) -> None:
    kind: Any = registry.source("shop")
    fields = {"account": "a", "api_key": "k", "base_url": stub.url}
    assert kind(**fields).access(RetryPolicy()).rate.requests is None
    assert kind(**fields, rate={"requests": 5, "per_seconds": 1}).access(RetryPolicy()).rate.requests == 5
