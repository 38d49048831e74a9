"""Many writers on one PostgreSQL server, and connections that break in the middle: nothing lost, nothing twice."""

import socket
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from dataflow_platform.connectors.postgres import PostgresDestination, copying
from dataflow_platform.connectors.postgres.session import PostgresSession
from dataflow_platform.core.base import Stream, Table
from dataflow_platform.core.errors import DataflowError, TransientError
from dataflow_platform.demo.postgres import PostgresServer
from dataflow_platform.engine.load import publish
from dataflow_platform.engine.stage import stage
from tests.engine.test_line import ONE, TWO, make, run, table
from tests.fixtures.rows import RowsOptions


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[str]:
    """A database of this test's own."""
    name = f"writers_{uuid.uuid4().hex[:12]}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    yield name
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def warehouse(postgres_server: PostgresServer, database: str) -> PostgresDestination:
    return PostgresDestination(
        host="127.0.0.1", port=postgres_server.port, database=database, user="postgres",
        password=postgres_server.password, wait_seconds=0.3,
    )  # fmt: skip


def changed(warehouse: PostgresDestination, **values: Any) -> PostgresDestination:
    return PostgresDestination(**{**warehouse.model_dump(), **values})


def test_a_second_load_of_the_same_table_says_who_is_first(warehouse: PostgresDestination) -> None:
    first = stage(make(changed(warehouse, application_name="the first"), "append", ONE))
    try:
        with pytest.raises(TransientError) as caught:
            stage(make(warehouse, "append", ONE, "2"))
    finally:
        first.close()
    assert caught.value.code == "postgres.locked"
    assert "of the server (the first) is loading raw.t; waited 0.3 s" in caught.value.what
    assert "pg_terminate_backend(" in caught.value.fix


def test_a_second_load_waits_and_then_starts_where_the_first_ended(
    warehouse: PostgresDestination, postgres_server: PostgresServer
) -> None:
    waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    patient = changed(warehouse, wait_seconds=60)
    run(warehouse, "append", ONE[:1], "0", cursor="at")
    first = stage(make(patient, "append", [*ONE, *TWO], "1", cursor="at"))
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(run, patient, "append", [*ONE, *TWO], "2", cursor="at")
        while not postgres_server.execute(waiting):
            assert not second.done()
            time.sleep(0.02)
        publish(first)
        record = second.result()
    # 5 rows were read by each; the second knows the greatest cursor, 30, and its row.
    assert (record.cursor_before, record.rows_loaded) == ("30", 0)
    assert len(table(warehouse)) == 5


def test_loads_of_two_tables_of_a_new_schema_do_not_wait(warehouse: PostgresDestination) -> None:
    first = stage(make(warehouse, "append", ONE))
    other = replace(make(warehouse, "append", ONE, "2"), target=Table("raw", "u"), stream=Stream("u", RowsOptions()))
    assert publish(stage(other)).rows_loaded == 2
    assert publish(first).rows_loaded == 2
    assert table(warehouse, "SELECT count(*) FROM raw._dataflow_loads") == [(2,)]


def test_four_loads_of_one_table_at_once_never_interleave(warehouse: PostgresDestination) -> None:
    patient = changed(warehouse, wait_seconds=60)
    with ThreadPoolExecutor(4) as pool:
        loads = [pool.submit(run, patient, "merge", [*ONE, *TWO], str(n), cursor="at") for n in range(4)]
        records = [load.result() for load in loads]
    # One of them moves the three keys; the others find the cursor where that one left it.
    assert sorted(record.rows_loaded for record in records) == [0, 0, 0, 3]
    assert table(warehouse) == [(1, 30, "A"), (2, 20, "b"), (3, 20, "c")]


@pytest.mark.parametrize("how", ["append", "merge", "replace"])
def test_the_server_ends_the_connection_in_the_middle_of_copy(
    warehouse: PostgresDestination, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    run(warehouse, how, ONE)
    many = pa.table({"id": range(100_000), "at": range(100_000), "v": ["x" * 50] * 100_000})
    load = replace(make(warehouse, how, ONE, "2"))
    load.source.with_rows(many)  # type: ignore[attr-defined]  # the tests' own source
    read, blocks = copying.Feed.read, []

    def breaking(feed: copying.Feed, size: int) -> bytes:
        blocks.append(read(feed, size))
        if len(blocks) == 3:
            postgres_server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                f"WHERE datname = '{warehouse.database}' AND query LIKE 'COPY%'"
            )
        return blocks[-1]

    with monkeypatch.context() as patch:
        patch.setattr(copying.Feed, "read", breaking)
        with pytest.raises(TransientError, match=r"\[postgres.lost\]"):
            publish(stage(load))
    assert 3 <= len(blocks) < 40  # about 8 MB in blocks of at most 256 KB: broken long before the end
    assert len(table(warehouse)) == 2
    assert publish(stage(load)).rows_loaded == 100_000
    counts = {"append": 100_002, "merge": 100_000, "replace": 100_000}
    assert table(warehouse, "SELECT count(*) FROM raw.t") == [(counts[how],)]


class EndedAtCommit:
    """The driver's connection, which the server ends when the client is about to say COMMIT."""

    def __init__(self, connection: Any, server: PostgresServer) -> None:
        self._connection, self._server = connection, server

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def commit(self) -> None:
        end(self._server, self._connection.info.backend_pid)
        self._connection.commit()


def end(server: PostgresServer, pid: int) -> None:
    server.execute(f"SELECT pg_terminate_backend({pid}, 5000)")


@pytest.mark.parametrize(
    ("when", "told"),
    [
        # Declared keys are looked at before COMMIT: a connection lost there has committed nothing, for certain.
        ("before", r"\[postgres.lost\]"),
        ("at", r"\[postgres.commit_unknown\](.|\n)*_dataflow_loads"),
    ],
)
def test_the_server_ends_the_connection_at_commit(
    warehouse: PostgresDestination,
    postgres_server: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
    told: str,
) -> None:
    run(warehouse, "append", ONE)
    commit = PostgresSession.commit

    def breaking(session: PostgresSession) -> None:
        if when == "before":
            end(postgres_server, session._postgres.info.backend_pid)
        else:
            session._postgres = EndedAtCommit(session._postgres, postgres_server)
        commit(session)

    with monkeypatch.context() as patch:
        patch.setattr(PostgresSession, "commit", breaking)
        with pytest.raises(TransientError, match=told):
            run(warehouse, "append", TWO, "2")
    assert table(warehouse, "SELECT load_id FROM raw._dataflow_loads") == [("1",)]  # it was not committed
    assert run(warehouse, "append", TWO, "2").rows_loaded == 3
    assert len(table(warehouse)) == 5


class CuttingProxy:
    """Passes bytes to a server and back until the client says COMMIT; the server hears it, its answer is lost."""

    def __init__(self, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._server_port, self._cut = port, threading.Event()
        self.armed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server_port))
                threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, origin: socket.socket, to: socket.socket, asks: bool) -> None:
        with suppress(OSError):
            while block := origin.recv(65536):
                if asks and self.armed and block == b"Q\0\0\0\x0bCOMMIT\0":
                    self._cut.set()
                if not asks and self._cut.is_set():
                    break
                to.sendall(block)
        for end in (origin, to):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        self._listener.close()


def test_the_answer_to_commit_is_lost_and_the_rerun_moves_nothing(warehouse: PostgresDestination) -> None:
    proxy = CuttingProxy(warehouse.port)
    try:
        run(warehouse, "append", ONE)  # the tables are there, so the next COMMIT is the load's own
        proxy.armed = True
        with pytest.raises(TransientError, match=r"\[postgres.commit_unknown\]"):
            run(changed(warehouse, port=proxy.port), "append", TWO, "2")
    finally:
        proxy.close()
    assert len(table(warehouse)) == 5  # the server had committed
    record = run(warehouse, "append", TWO, "2")
    assert (record.load_id, record.rows_loaded) == ("2", 3)  # the record of the first time
    assert len(table(warehouse)) == 5


def test_a_value_that_fails_in_the_middle_of_copy_publishes_nothing(warehouse: PostgresDestination) -> None:
    run(warehouse, "append", ONE)
    texts = ["x"] * 50_000 + ["nul \0 inside"]
    load = make(warehouse, "append", ONE, "2")
    load.source.with_rows(pa.table({"id": range(50_001), "at": range(50_001), "v": texts}))  # type: ignore[attr-defined]
    with pytest.raises(DataflowError, match=r"\[postgres.value\] PostgreSQL holds no text with a NUL character"):
        publish(stage(load))
    assert table(warehouse) == [(1, 10, "a"), (2, 20, "b")]


def test_nothing_of_a_session_is_left(warehouse: PostgresDestination, postgres_server: PostgresServer) -> None:
    run(warehouse, "merge", ONE)
    run(warehouse, "merge", TWO, "2")
    stage(make(warehouse, "append", TWO, "3")).close()
    asked = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{warehouse.database}'"
    assert postgres_server.execute(asked) == [(0,)]
    threads = [thread.name for thread in threading.enumerate() if "_write" in thread.name]
    assert threads == []
