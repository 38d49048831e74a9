"""One moment of a server that several scans see, held open by a connection of its own."""

import threading
from contextlib import suppress
from typing import Any

from dataflow_platform.connectors.postgres.connection import PostgresConnection
from dataflow_platform.core.errors import TransientError

# The transaction is idle on purpose. It reads nothing but the snapshot, holds no lock on any table and writes nothing.
_HOLD = "-c idle_in_transaction_session_timeout=0"


class Snapshot:
    """The state of the server at the first call of ``name``, until ``release``; safe between threads."""

    def __init__(self, server: PostgresConnection) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._connection: Any = None
        self._name = ""

    def name(self) -> str:
        """What ``SET TRANSACTION SNAPSHOT`` takes. TransientError where the server has let go of it meanwhile."""
        import psycopg2

        with self._lock:
            try:
                if self._connection is None:
                    self._server.run_prepare()
                    self._connection = self._server.connect(_HOLD)
                    self._connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
                    self._name = self._asked("SELECT pg_export_snapshot()")
                else:
                    self._asked("SELECT 'there'")
                return self._name
            except psycopg2.Error as error:
                was, self._name = self._name, ""
                self._let_go()
                if not was:
                    raise self._server.explained(error) from None
                raise TransientError(
                    "postgres.snapshot_lost",
                    "the server ended the connection that kept the run's snapshot; streams that follow would see "
                    "a later state than those before",
                    where=self._server.where(),
                    fix="run it again: a new run reads all its streams as of one moment",
                ) from None

    def release(self) -> None:
        """End the transaction. Safe to call twice."""
        with self._lock:
            self._let_go()

    def _asked(self, question: str) -> str:
        with self._connection.cursor() as cursor:
            cursor.execute(question)
            return str(cursor.fetchone()[0])

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):  # a lost connection may complain once more
                connection.close()
