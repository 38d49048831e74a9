"""What each source's catalogue tells of its tables, and what `dataflow connections discover` prints of it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dataflow_platform.cli.main import group
from dataflow_platform.connectors.sqlite import Sqlite
from dataflow_platform.core import registry
from dataflow_platform.core.base import Source
from dataflow_platform.core.catalogue import CatalogueTable, matches
from tests.fixtures.sales_databases import PASSWORD, SalesDatabase, sqlite_file

# The types of orders' columns (id, line, sold), in the words of each system; one without guesses rows.
WORDS = {
    "postgres": (["integer", "integer", "timestamp without time zone"], 3),
    "mysql": (["int(11)", "int(11)", "timestamp"], 3),
    "sqlite": (["INT", "INT", "timestamp"], 3),
    "sql": (["integer", "integer", "timestamp"], None),
    "duckdb": (["INTEGER", "INTEGER", "TIMESTAMP"], 3),
}


def _source(database: SalesDatabase) -> Source:
    fields = {name: PASSWORD if name == "password" else value for name, value in database.fields.items()}
    return registry.source(fields.pop("type"))(**fields)


def test_tables_kinds_columns_keys_and_guessed_rows(sales_database: SalesDatabase) -> None:
    source = _source(sales_database)
    found = {table.name: table for table in source.catalogue()}
    assert sorted(found) == source.discover()
    orders = found[f"{sales_database.sales}orders"]
    words, rows = WORDS[sales_database.fields["type"]]
    assert [column.name for column in orders.columns] == ["id", "line", "sold"]
    assert [column.type for column in orders.columns] == words
    assert (orders.kind, orders.primary_key, orders.estimated_rows) == ("table", ("line", "id"), rows)
    assert found[f"{sales_database.sales}recent"].kind == "view"
    assert found[f"{sales_database.hr}people"].primary_key == ()
    schema = sales_database.sales.rstrip(".") or None
    assert (orders.schema, orders.table) == (schema, "orders")


def test_what_only_postgres_has(sales_postgres: SalesDatabase) -> None:
    found = {table.name: table for table in _source(sales_postgres).catalogue()}
    kinds = {name: found[f"sales.{name}"].kind for name in ("totals", "visits", "visits_2026")}
    assert kinds == {"totals": "materialized_view", "visits": "table", "visits_2026": "partition"}
    # Never analyzed: no guess is better than a wrong one.
    assert found["sales.customers"].estimated_rows is None


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("sales.*", ["sales.orders", "sales.Orders_tmp"]),
        ("*", ["sales.orders", "sales.Orders_tmp", "hr.orders"]),
        ("orders", ["sales.orders", "hr.orders"]),
        ("*.orders", ["sales.orders", "hr.orders"]),
        ("*_TMP", []),
        ("s*.O*", ["sales.Orders_tmp"]),
        ("sales", []),
    ],
)
def test_patterns(pattern: str, names: list[str]) -> None:
    written = (("sales", "orders"), ("sales", "Orders_tmp"), ("hr", "orders"))
    tables = [CatalogueTable(f"{schema}.{table}", schema, table) for schema, table in written]
    assert [table.name for table in tables if matches(pattern, table)] == names


def test_a_name_with_a_dot_where_there_are_no_schemas() -> None:
    assert matches("a.b*", CatalogueTable("a.b.c", None, "a.b.c"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "defs").mkdir()
    declared = f"{{shop: {{type: sqlite, path: {sqlite_file(tmp_path)}}}}}"
    (tmp_path / "defs" / "defs.yaml").write_text(
        f"type: dataflow_platform.Connections\nattributes:\n  connections: {declared}\n"
    )
    monkeypatch.setenv("DATAFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("DATAFLOW_DEFS", "defs")
    return tmp_path


def discover(*options: str) -> Result:
    return CliRunner().invoke(group, ["connections", "discover", "shop", *options])


@pytest.mark.usefixtures("project")
def test_discover_prints_one_line_a_table() -> None:
    lines = [line.split() for line in discover().output.splitlines()]
    assert lines[0] == ["name", "kind", "rows,", "about", "key", "columns"]
    assert lines[2] == ["orders", "table", "3", "line,", "id", "id", "INT,", "line", "INT,", "sold", "timestamp"]
    assert lines[5][:2] == ["recent", "view"]


def test_discover_as_json_says_what_the_catalogue_says(project: Path) -> None:
    told = json.loads(discover("--json").stdout)
    found = Sqlite(path=str(project / "sales.db")).catalogue()
    assert [each["name"] for each in told] == [table.name for table in found]
    assert told[1]["primary_key"] == ["line", "id"]
    assert told[1]["columns"][0] == {"name": "id", "type": "INT"}
    assert told[1]["estimated_rows"] == 3
