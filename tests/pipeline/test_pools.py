"""Which Dagster pool an asset waits in: the pipeline's, the destination's, the single writer's, or the source's."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from dataflow_platform.pipeline.loader import load_folder

LAKE = {"type": "parquet_dataset", "path": "lake"}
FILE = {"type": "duckdb", "path": "w.duckdb"}


@pytest.mark.parametrize(
    ("source", "destination", "pipeline", "pool"),
    [
        ({}, LAKE, {}, None),
        ({"pool": "erp"}, LAKE, {}, "erp"),
        ({"pool": "erp"}, {**LAKE, "pool": "lake"}, {}, "lake"),
        # One process writes a DuckDB file: that must not be lost where the source has a pool of its own.
        ({"pool": "erp"}, FILE, {}, "duckdb_warehouse"),
        ({"pool": "erp"}, {**FILE, "pool": "files"}, {}, "files"),
        ({"pool": "erp"}, {**FILE, "pool": "files"}, {"pool": "mine"}, "mine"),
    ],
)
def test_pool(
    tmp_path: Path, source: dict[str, Any], destination: dict[str, Any], pipeline: dict[str, Any], pool: str | None
) -> None:
    connections = {"warehouse": destination, "inbox": {"type": "files", "root": "inbox", **source}}
    copy = {"name": "copy", "source": "inbox", "streams": [{"name": "a", "from": {"path": "a.csv"}}], **pipeline}
    documents = [
        {"type": "dataflow_platform.Connections", "attributes": {"connections": connections}},
        {"type": "dataflow_platform.Pipeline", "attributes": copy},
    ]
    (tmp_path / "defs.yaml").write_text(yaml.safe_dump_all(documents))
    built = load_folder(tmp_path).built
    assert built.problems == []
    (asset,) = [each for each in built.assets if isinstance(each, dg.AssetsDefinition)]
    assert isinstance(asset.node_def, dg.OpDefinition)
    assert asset.node_def.pool == pool
