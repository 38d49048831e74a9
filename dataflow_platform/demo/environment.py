"""The demo's settings: random passwords, free loopback ports and folders, kept in ``.env`` at the project root."""

import itertools
import os
import random
import secrets
import socket
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import dotenv_values

from dataflow_platform.core.paths import project_root

HOST = "127.0.0.1"


def env_file() -> Path:
    """``.env`` at the project root."""
    return project_root() / ".env"


def demo_folder() -> Path:
    """Where the demo keeps servers' data, logs, pid files and leases."""
    return project_root() / ".dataflow" / "demo"


def write_environment() -> dict[str, str]:
    """Add what is missing to ``.env`` and return the demo's settings; existing values and foreign lines stay."""
    known = _read()
    root = project_root().absolute()
    missing = {
        "NYC_DB_HOST": HOST,
        "NYC_DB_PORT": "",
        "NYC_DB_USER": "reader",
        "NYC_DB_PASSWORD": "",
        "NYC_DB_ADMIN_PASSWORD": "",
        "NYC_API_URL": "",
        "NYC_API_KEY": "",
        "NYC_INBOX": str(root / ".dataflow" / "inbox"),
        "DATAFLOW_WAREHOUSE": str(root / ".dataflow" / "warehouse.duckdb"),
    }
    settings = {name: known.get(name) or value for name, value in missing.items()}
    if not settings["NYC_DB_PORT"] or not settings["NYC_API_URL"]:
        database, service = free_ports(2)
        settings["NYC_DB_PORT"] = settings["NYC_DB_PORT"] or str(database)
        settings["NYC_API_URL"] = settings["NYC_API_URL"] or api_url(service)
    for name in ("NYC_DB_PASSWORD", "NYC_DB_ADMIN_PASSWORD", "NYC_API_KEY"):
        settings[name] = settings[name] or secrets.token_urlsafe(24)
    change({name: value for name, value in settings.items() if known.get(name) != value})
    return settings


def load_environment() -> None:
    """Put the values of ``.env`` into ``os.environ``; what is set there already stays."""
    for name, value in _read().items():
        os.environ.setdefault(name, value)


def change(values: dict[str, str]) -> None:
    """Set ``values`` in ``.env`` (mode 600), leaving every other line as it is.

    A variable this process took from the file follows the file; one set from outside does not.
    """
    if not values:
        return
    file = env_file()
    before = _read()
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    kept = [line for line in lines if line.split("=", 1)[0].removeprefix("export ").strip() not in values]
    written = [f"{name}={_quoted(value)}" for name, value in values.items()]
    file.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp makes the file with mode 600: the passwords are never readable by others.
    handle, temporary = tempfile.mkstemp(prefix=".env.", dir=file.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write("\n".join([*kept, *written]) + "\n")
    os.replace(temporary, file)
    for name, value in values.items():
        if name in before and os.environ.get(name) == before[name]:
            os.environ[name] = value


def free_ports(count: int) -> list[int]:
    """``count`` different TCP ports of the loopback interface that are free now.

    Below the range that systems hand out for outgoing connections: a server that rests keeps its port.
    """
    candidates = random.SystemRandom().sample(range(20_000, 32_000), 200)
    return list(itertools.islice(filter(is_free, candidates), count))


def is_free(port: int) -> bool:
    """True where nobody listens on the loopback ``port``."""
    with socket.socket() as one:
        one.settimeout(1)
        return one.connect_ex((HOST, port)) != 0


def api_url(port: int) -> str:
    """The address of the demo's REST API on ``port``."""
    return f"http://{HOST}:{port}"


def api_port(url: str) -> int:
    """The port in the API's address."""
    return urlsplit(url).port or 80


def _read() -> dict[str, str]:
    file = env_file()
    if not file.exists():
        return {}
    return {name: value or "" for name, value in dotenv_values(file, interpolate=False).items()}


def _quoted(value: str) -> str:
    """``value`` as .env readers take it: in quotes where it holds more than plain characters."""
    if value and all(character.isalnum() or character in "-_./:@%+," for character in value):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
