"""The column graph of a whole project: files, steps, tables, a second pipeline, dbt models; nothing is run."""

from pathlib import Path

import dagster as dg
import pytest

from dataflow_platform import definitions
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.engine.lineage import Origin, words
from dataflow_platform.governance.column_graph import ROWS, ColumnGraph, told
from dataflow_platform.governance.project_lineage import project_lineage


@pytest.fixture
def graph(lineage_project: Path) -> ColumnGraph:
    return project_lineage(definitions.load(), recorded=lambda _: None)


def sources(graph: ColumnGraph, column: str) -> dict[str, tuple[str, ...]]:
    """The columns one hop above, and in which ways they are used."""
    start = graph.find(column)
    found = graph.assets[start.table].lineage.of(start.column)
    assert found is not None
    return {told(origin): words(kinds) for origin, kinds in found.items()}


def rows(graph: ColumnGraph, asset: str) -> dict[str, tuple[str, ...]]:
    return {told(edge.origin): words(edge.kinds) for edge in graph.rows_of(asset)}


def test_steps_of_a_stream(graph: ColumnGraph) -> None:
    # The columns that steps make, a joined one, and one that only decides.
    assert sources(graph, "raw.orders.net") == {"inbox.orders_csv.amount": ("TRANSFORMATION",)}
    assert sources(graph, "raw.orders.late") == {"inbox.orders_csv.note": ("CONDITIONAL",)}
    assert sources(graph, "raw.orders.city") == {"raw.customers.city": ("IDENTITY",)}
    assert rows(graph, "raw/orders") == {
        "inbox.orders_csv.state": ("FILTER",),
        "inbox.orders_csv.customer": ("JOIN",),
        "raw.customers.id": ("JOIN",),
    }


def test_a_pipeline_that_reads_the_table_of_another(graph: ColumnGraph) -> None:
    # late_orders reads the DuckDB file that shop loads: its source is the table raw.orders.
    assert graph.assets["warehouse/raw/orders"].reads == ("raw/orders",)
    assert sources(graph, "report.late_orders.worth") == {"warehouse.raw.orders.net": ("AGGREGATION",)}
    assert rows(graph, "report/late_orders") == {
        "warehouse.raw.orders.late": ("FILTER",),
        "warehouse.raw.orders.city": ("GROUP_BY",),
    }
    up = {told(edge.origin) for edge in graph.up(graph.find("report.late_orders.worth"))}
    assert up == {"warehouse.raw.orders.net", "raw.orders.net", "inbox.orders_csv.amount"}


def test_a_query_of_ones_own_leads_to_the_tables_it_reads(graph: ColumnGraph) -> None:
    origin = graph.assets["raw/prices"].reads[0]
    assert [*graph.assets["raw/prices"].lineage.columns] == ["sku", "price"]
    assert sources(graph, f"{origin}.price") == {"shop_db.prices (table).price": ("AGGREGATION",)}
    assert rows(graph, origin) == {
        "shop_db.prices (table).valid": ("FILTER",),
        "shop_db.prices (table).sku": ("GROUP_BY",),
    }


def test_dbt_models_over_macros_ephemeral_models_and_seeds(graph: ColumnGraph) -> None:
    # Dagster shows no asset of an ephemeral model; here it is a stage on the way.
    assert sources(graph, "mart.by_city.revenue") == {"mart.open_orders.net": ("AGGREGATION",)}
    assert sources(graph, "mart.by_city.large_revenue") == {"mart.open_orders.net": ("AGGREGATION", "CONDITIONAL")}
    assert sources(graph, "mart.by_city.region") == {"mart.regions.region": ("IDENTITY",)}
    assert sources(graph, "mart.by_city.tagged") == {}
    up = {told(edge.origin) for edge in graph.up(graph.find("mart.by_city.revenue"))}
    assert up == {"mart.open_orders.net", "raw.orders.net", "inbox.orders_csv.amount"}
    assert rows(graph, "mart/open_orders") == {"raw.orders.state": ("FILTER",)}
    assert [*graph.assets["mart/customers_then"].lineage.columns][:2] == ["id", "city"]


def test_what_is_not_known_is_said(graph: ColumnGraph) -> None:
    assert "asks the database" in graph.assets["mart/asks"].unknown
    assert "no load has recorded" in graph.assets["raw/stock"].unknown
    assert "no pipeline loads it" in graph.assets["raw/nobody_loads_this"].unknown
    # A column that a model reads of a table nobody knows the columns of is followed all the same.
    assert sources(graph, "raw.stock.pieces") == {"shop_db.stock.pieces": ("IDENTITY",)}
    assert not graph.assets["raw/stock"].complete
    assert graph.assets["raw/prices"].complete


def test_what_the_last_load_recorded_is_used(lineage_project: Path) -> None:
    known = {"raw/stock": {"sku": "VARCHAR", "pieces": "BIGINT", "shelf": "VARCHAR"}}
    graph = project_lineage(definitions.load(), recorded=known.get)
    assert graph.assets["raw/stock"].complete
    assert graph.assets["raw/stock"].types["shelf"] == "VARCHAR"
    with pytest.raises(ConfigError) as caught:
        graph.find("raw.stock.shelves")
    assert "did you mean 'shelf'" in caught.value.fix


def test_a_load_records_what_its_source_had(own_lineage_project: Path) -> None:
    inbox = own_lineage_project / "inbox"
    inbox.mkdir()
    (inbox / "customers.csv").write_text("id,name,city,born\n1,Ann,Vienna,1990-01-01\n")
    loaded = definitions.load()
    defs = loaded.built.definitions()
    with dg.DagsterInstance.get() as instance:
        job = defs.resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(instance=instance, asset_selection=[dg.AssetKey(["raw", "customers"])])
    assert result.success
    customers = project_lineage(loaded, manifests=()).assets["raw/customers"]
    assert customers.complete
    assert {name: customers.types[name] for name in ("id", "born")} == {"id": "BIGINT", "born": "DATE"}


def test_a_dbt_project_that_was_not_parsed_is_left_out(own_lineage_project: Path) -> None:
    (own_lineage_project / "models_of_shop" / "target" / "manifest.json").unlink()
    graph = project_lineage(definitions.load(), recorded=lambda _: None)
    assert "mart/by_city" not in graph.assets
    assert "raw/orders" in graph.assets


def test_every_edge_starts_from_a_column_that_is_there(graph: ColumnGraph) -> None:
    for edge in graph.edges():
        asset = graph.assets.get(edge.origin.table)
        assert asset is not None, edge
        assert asset.lineage.known(edge.origin.column) is not None, edge


def test_walks_end_where_columns_lead_round_in_a_circle() -> None:
    from dataflow_platform.engine.lineage import UNTOUCHED, Relation
    from dataflow_platform.governance.column_graph import Asset, connected

    one = Asset("a", "model", Relation({"x": {Origin("x", "b"): UNTOUCHED}}), ("b",))
    two = Asset("b", "model", Relation({"x": {Origin("x", "a"): UNTOUCHED}}), ("a",))
    graph = connected([one, two])
    assert len(graph.up(Origin("x", "a"))) == 2
    assert graph.downstream(["a"]) == {"a", "b"}
    assert graph.rows_of("a") == []
    assert ROWS == ""
