"""The product as its users run it: a folder with pipeline YAML, and `dataflow run`."""

import os
import sys
from pathlib import Path
from typing import Any

import yaml

RULES: list[dict[str, object]] = [
    {"not_null": "l_orderkey"},
    {"in_range": {"column": "l_quantity", "min": 1, "max": 50}},
    {"isin": {"column": "l_returnflag", "values": ["A", "N", "R"]}},
    {"matches": {"column": "l_shipmode", "pattern": "[A-Z ]+"}},
    {"not_null": {"columns": "l_comment", "severity": "warn"}},
]
"""Five row rules that every row of lineitem keeps."""


def project(folder: Path, source: dict[str, Any], warehouse: dict[str, Any], *streams: dict[str, Any]) -> None:
    """Write a project of one pipeline; its name is `bench`."""
    (folder / "defs").mkdir(parents=True)
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    connections = {"type": "dataflow_platform.Connections"}
    pipeline = {"type": "dataflow_platform.Pipeline"}
    declared = [
        {**connections, "attributes": {"connections": {"origin": source, "warehouse": warehouse}}},
        {**pipeline, "attributes": {"name": "bench", "source": "origin", "streams": list(streams)}},
    ]
    (folder / "defs" / "defs.yaml").write_text(yaml.safe_dump_all(declared))


def command() -> list[str]:
    """`dataflow run bench`."""
    return [str(Path(sys.executable).with_name("dataflow")), "run", "bench"]


def environment(folder: Path) -> dict[str, str]:
    """The environment of a command in the project ``folder``."""
    own = {"DATAFLOW_HOME": str(folder), "DATAFLOW_DEFS": "defs", "DAGSTER_HOME": str(folder), "NO_COLOR": "1"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DAGSTER_", "DATAFLOW_"))}
    # Compiled modules are kept, as they are wherever a command is run twice.
    return {**kept, **own, "PYTHONDONTWRITEBYTECODE": ""}
