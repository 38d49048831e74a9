"""A MariaDB of a benchmark's own, with `lineitem` in it, and the CPU it has used."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql

from benchmarks import tpch
from dataflow_platform.demo.environment import free_ports
from dataflow_platform.demo.postgres import as_nobody

USER, PASSWORD = "bench", "bench"
_PATH = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"
_START_SECONDS = 60


def missing() -> str:
    """Which of its programs is not installed; '' where all are."""
    needed = ("mariadbd", "mariadb-install-db", "mariadb")
    return ", ".join(name for name in needed if shutil.which(name, path=_PATH) is None)


def _program(name: str) -> str:
    found = shutil.which(name, path=_PATH)
    assert found is not None, f"no {name}"
    return found


@dataclass(frozen=True)
class MariaDB:
    """A server that runs: ``process`` is its process id."""

    port: int
    process: int

    def cpu(self) -> float:
        """CPU seconds of the server so far."""
        fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def execute(self, sql: str, user: str = "root", password: str = "") -> list[tuple[Any, ...]]:
        """Run one statement; its rows."""
        connection = pymysql.connect(
            host="127.0.0.1", port=self.port, user=user, password=password, autocommit=True, local_infile=True
        )
        with closing(connection), connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def client(self, statement: str) -> list[str]:
        """The command line client with one statement, its rows taken one by one and thrown away."""
        words = [
            _program("mariadb"), "--no-defaults", "-h127.0.0.1", f"-P{self.port}", f"-u{USER}", f"-p{PASSWORD}",
            "--quick", "tpch", "-e", f'"{statement}"',
        ]  # fmt: skip
        return ["bash", "-c", f"{' '.join(words)} > /dev/null"]


@contextmanager
def running() -> Iterator[MariaDB]:
    """A server on a free port of 127.0.0.1 that does not wait for its disk; nothing of it is left afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="dataflow-bench-mariadb-"))
    owner = as_nobody()
    if owner:
        shutil.chown(folder, owner["user"], owner["group"])
    folder.chmod(0o755)
    port = free_ports(1)[0]
    try:
        subprocess.run(
            [_program("mariadb-install-db"), "--no-defaults", f"--datadir={folder / 'data'}", "--skip-test-db",
             "--auth-root-authentication-method=normal"],
            check=True, capture_output=True, cwd=folder, **owner,
        )  # fmt: skip
        with (folder / "server.log").open("wb") as log:
            process = subprocess.Popen(
                [_program("mariadbd"), "--no-defaults", f"--datadir={folder / 'data'}", "--bind-address=127.0.0.1",
                 f"--port={port}", f"--socket={folder / 's'}", "--skip-name-resolve", "--local-infile",
                 "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=2G", "--innodb-log-file-size=1G"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=folder, **owner,
            )  # fmt: skip
        try:
            server = MariaDB(port, process.pid)
            _await(server, process, folder / "server.log")
            yield server
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(60)
            process.kill()
            process.wait()
    finally:
        shutil.rmtree(folder)


def _await(server: MariaDB, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            server.execute("SELECT 1")
            return
        except pymysql.Error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log.read_text()) from None
        time.sleep(0.1)


def seed(server: MariaDB, file: Path) -> None:
    """The table `tpch.lineitem` of the CSV ``file``, and who may read it."""
    server.execute("CREATE DATABASE tpch")
    server.execute(f"GRANT SELECT ON tpch.* TO '{USER}'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
    key = "PRIMARY KEY (l_orderkey, l_linenumber)"
    server.execute(f"CREATE TABLE tpch.lineitem ({tpch.DECLARED}, {key}) CHARACTER SET utf8mb4")
    server.execute(
        f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE tpch.lineitem FIELDS TERMINATED BY ',' "
        "OPTIONALLY ENCLOSED BY '\"' LINES TERMINATED BY '\\n' IGNORE 1 LINES"
    )
    server.execute("ANALYZE TABLE tpch.lineitem")
