"""Shared by all tests: the fixtures of tests/fixtures and a DAGSTER_HOME of the session's own."""

import multiprocessing.util
from collections.abc import Iterator

import pytest
from hypothesis import settings

# No test judges by the clock: a busy machine is no fault.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

pytest_plugins = [
    f"tests.fixtures.{name}"
    for name in (
        "demo_estate",
        "demo_home",
        "evidence",
        "lineage_project",
        "checked_project",
        "linguistic_postgres",
        "mariadb",
        "mariadb_shop",
        "postgres",
        "postgres_shop",
        "rest_api",
        "s3",
        "sales_databases",
        "sqlite_shop",
        "ssh_server",
        "yaml_project",
    )
]
pytest_plugins.append("pytester")  # runs sessions of their own, to test the fixture `ran_against`


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several processes run the tests, those of one file, and those of the demo, stay in one of them."""
    if config.pluginmanager.hasplugin("xdist"):
        for item in items:
            demo = "demo_estate" in getattr(item, "fixturenames", ())
            item.add_marker(pytest.mark.xdist_group("demo_estate" if demo else str(item.path)))


@pytest.fixture(scope="session", autouse=True)
def _short_socket_paths() -> None:
    """Where processes meet is settled before a test moves the temporary folder: a socket's path has 108 bytes."""
    multiprocessing.util.get_temp_dir()


@pytest.fixture(scope="session", autouse=True)
def _dagster_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test writes into the developer's own instance."""
    home = tmp_path_factory.mktemp("dagster_home")
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\nnux: {enabled: false}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(home))
        yield
