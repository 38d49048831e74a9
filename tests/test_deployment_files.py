"""The files of a deployment agree with each other, and Dagster accepts its own."""

import json
import re
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from sqlalchemy.engine import make_url

ROOT = Path(__file__).parent.parent
POSTGRES = ROOT / "deploy" / "dagster.postgres.yaml"


def parsed(name: str) -> dict[str, Any]:
    value = yaml.safe_load((ROOT / name).read_text())
    assert isinstance(value, dict)
    return value


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return parsed("docker-compose.yml")


@pytest.fixture(scope="module")
def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text()


def test_dagster_accepts_the_instance_file_and_keeps_everything_below_dot_dataflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text())
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert dg.materialize([probe], instance=instance).success
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled
        assert instance.run_monitoring_enabled
        # Two: dagster.yaml, run_retries.max_retries.
        assert instance.run_retries_max_retries == 2
        assert not instance.run_retries_retry_on_asset_or_op_failure
        pools = instance.get_concurrency_config().pool_config
        # One writer of a DuckDB file; `op` would block the rerun of a killed process.
        assert pools.default_pool_limit == 1
        assert pools.pool_granularity is not None
        assert pools.pool_granularity.value == "run"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".dataflow", "dagster.yaml"]


@dg.asset(pool="duckdb_warehouse")
def probe() -> None:
    """Something to run."""


def test_the_postgres_instance_file_differs_in_storage_and_paths_only() -> None:
    local, server = parsed("dagster.yaml"), parsed("deploy/dagster.postgres.yaml")
    assert local.keys() == server.keys()
    differing = {key for key in local if local[key] != server[key]}
    assert differing == {"storage", "local_artifact_storage", "compute_logs"}


def test_the_postgres_storage_names_its_driver() -> None:
    database = parsed("deploy/dagster.postgres.yaml")["storage"]["postgres"]["postgres_db"]
    assert database["scheme"] == "postgresql+psycopg2"
    # SQLAlchemy knows the driver and it is installed: get_dialect imports it.
    assert make_url(f"{database['scheme']}://host/db").get_dialect().driver == "psycopg2"


def test_dagster_accepts_the_postgres_storage_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compose: dict[str, Any]
) -> None:
    text = POSTGRES.read_text().replace("/opt/dataflow", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text(text)
    for name in re.findall(r"env: (\w+)", text):
        monkeypatch.setenv(name, "5432" if name.endswith("PORT") else "x")
    # Everything but the server is there, so the schema has passed when the connection is refused.
    monkeypatch.setenv("DAGSTER_PG_HOST", "127.0.0.1")
    monkeypatch.setenv("DAGSTER_PG_PORT", "1")
    with pytest.raises(Exception, match=r"Connection refused|too many retries"):
        dg.DagsterInstance.from_config(str(tmp_path))


def test_every_variable_of_the_instance_file_is_given_to_web_daemon_and_code(compose: dict[str, Any]) -> None:
    wanted = set(re.findall(r"env: (\w+)", POSTGRES.read_text()))
    assert wanted
    for service in ("web", "daemon", "code"):
        assert wanted <= compose["services"][service]["environment"].keys(), service


def test_the_local_workspace_names_a_module_that_exists() -> None:
    (entry,) = parsed("workspace.yaml")["load_from"]
    module = entry["python_module"]["module_name"]
    assert (ROOT / Path(*module.split(".")).with_suffix(".py")).is_file()


def test_the_container_workspace_points_at_the_code_service(compose: dict[str, Any]) -> None:
    (entry,) = parsed("deploy/workspace.yaml")["load_from"]
    server = entry["grpc_server"]
    command = compose["services"][server["host"]]["command"]
    assert command[command.index("--port") + 1] == str(server["port"])
    assert command[command.index("--location-name") + 1] == server["location_name"]
    assert command[command.index("--module-name") + 1] == "dataflow_platform.definitions"
    # Both workspaces show one location name, so links and schedules stay the same.
    assert parsed("workspace.yaml")["load_from"][0]["python_module"]["location_name"] == server["location_name"]


def test_services_are_those_the_readme_names(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"web", "daemon", "code", "postgres"}
    for name, service in compose["services"].items():
        assert set(service.get("depends_on", {})) <= set(compose["services"]), name
        assert {"test", "interval", "timeout", "retries"} <= service["healthcheck"].keys(), name


def test_ports_are_published_on_loopback_only(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    # Two: the UI on 3000 and PostgreSQL on 5432.
    assert len(ports) == 2
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_named_volumes_are_declared_and_used(compose: dict[str, Any]) -> None:
    used = {
        volume.split(":")[0]
        for service in compose["services"].values()
        for volume in service["volumes"]
        if not volume.startswith(("./", "/"))
    }
    assert used == compose["volumes"].keys()


def test_what_is_mounted_from_the_repository_exists(compose: dict[str, Any]) -> None:
    mounted = [
        volume.split(":")[0]
        for service in compose["services"].values()
        for volume in service["volumes"]
        if volume.startswith("./")
    ]
    assert mounted
    assert all((ROOT / path).is_file() for path in mounted)


def test_every_password_is_a_required_variable(compose: dict[str, Any]) -> None:
    found = [
        (name, key, value)
        for name, service in compose["services"].items()
        for key, value in service["environment"].items()
        if "PASSWORD" in key
    ]
    assert found
    for name, key, value in found:
        assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), f"{name}.{key} has to read ${{VARIABLE:?message}}"


def test_our_services_run_as_the_user_the_image_makes(compose: dict[str, Any], dockerfile: str) -> None:
    (uid,) = re.findall(r"useradd --uid (\d+)", dockerfile)
    (gid,) = re.findall(r"groupadd --gid (\d+)", dockerfile)
    assert uid != "0"
    for service in ("web", "daemon", "code"):
        assert compose["services"][service]["user"] == f"{uid}:{gid}"


def test_the_image_ends_as_an_ordinary_user(dockerfile: str) -> None:
    users = re.findall(r"^USER (.+)$", dockerfile, re.MULTILINE)
    assert users == ["dataflow"]
    assert dockerfile.index("USER dataflow") < dockerfile.index("CMD ")


def test_the_image_copies_only_what_exists_and_is_not_ignored(dockerfile: str) -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE):
        *sources, _ = [part for part in line.split() if not part.startswith("--")]
        for source in sources:
            assert (ROOT / source).exists(), source
            assert source.split("/")[0] in let_in, source


def test_the_image_prepares_dbt_and_starts_the_code_server(dockerfile: str, compose: dict[str, Any]) -> None:
    assert ".venv/bin/dataflow setup" in dockerfile
    (command,) = re.findall(r"^CMD (.+)$", dockerfile, re.MULTILINE)
    assert json.loads(command) == compose["services"]["code"]["command"]


def test_make_and_the_image_install_with_the_same_uv(dockerfile: str) -> None:
    (in_make,) = re.findall(r"^UV_VERSION := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert f"astral-sh/uv:{in_make} " in dockerfile


def test_dbt_reads_the_warehouse_variables_the_code_service_gets(compose: dict[str, Any]) -> None:
    profile = (ROOT / "dbt_project" / "profiles.yml").read_text()
    wanted = set(re.findall(r"env_var\('(DATAFLOW_(?:PG|DBT)_\w+)'", profile))
    assert wanted
    assert wanted <= compose["services"]["code"]["environment"].keys()
