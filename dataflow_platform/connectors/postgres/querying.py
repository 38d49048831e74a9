"""A query as a stream: the server itself says whether it is one SELECT, and of which types its columns are."""

from contextlib import closing
from typing import Any

from dataflow_platform.connectors.postgres.columns import RESULT_COLUMNS
from dataflow_platform.connectors.postgres.connection import PostgresConnection
from dataflow_platform.core.errors import DataflowError
from dataflow_platform.core.sql import literal
from dataflow_platform.core.table_or_query import as_table, not_one_select, not_understood, refuse_repeated

_NUMERIC = 1700
# "cannot open DELETE query as cursor" or "multi-query plan"; "cannot execute ... in a read-only transaction".
_NO_SELECT = ("42P11", "25006")
# What is right alone and wrong as a subselect: a syntax error, or a WITH that changes data.
_NO_SUBSELECT = ("42601", "0A000")


def result_columns(server: PostgresConnection, query: str) -> list[tuple[Any, ...]]:
    """The columns of ``query`` as rows of ``COLUMNS``; nothing of its result is fetched.

    ConfigError ``query.refused`` for anything but one SELECT, ``query.failed`` for what the server does not
    understand, ``query.columns`` for two columns of one name.
    """
    import psycopg2

    server.run_prepare()
    alone = False
    try:
        with closing(server.connect()) as connection, connection.cursor() as cursor:
            connection.set_session(readonly=True)
            # Alone at first: what is one statement alone cannot end the subselect and go on behind it.
            _open(cursor, query)
            alone = True
            cursor.execute("CLOSE asked")
            _open(cursor, f"SELECT * FROM {as_table(query)}")
            cursor.execute("FETCH 0 FROM asked")
            told = cursor.description or ()
            refuse_repeated([column.name for column in told], server.where())
            cursor.execute(
                RESULT_COLUMNS,
                (
                    [column.name for column in told],
                    [column.type_code for column in told],
                    [_modifier(column) for column in told],
                    [column.table_oid or 0 for column in told],
                    [column.table_column or 0 for column in told],
                ),
            )
            return list(cursor.fetchall())
    except psycopg2.Error as error:
        raise _explained(server, error, query, alone) from None


def _open(cursor: Any, query: str) -> None:
    """Open the cursor ``asked``. A dynamic cursor takes one statement that returns rows, where ``execute`` of the
    driver would run as many as there are."""
    body = f"DECLARE asked refcursor := 'asked'; BEGIN OPEN asked FOR EXECUTE {literal(query)}; END"
    cursor.execute(f"DO {literal(body)}")


def _modifier(column: Any) -> int:
    """What the driver made precision and scale of; of the other types no modifier matters."""
    if column.type_code != _NUMERIC or column.precision is None or column.precision > 1000:
        return -1
    return (int(column.precision) << 16 | int(column.scale or 0) & 0x7FF) + 4


def _explained(server: PostgresConnection, error: Any, query: str, alone: bool) -> DataflowError:
    state, told = error.pgcode or "", error.diag
    line = server.scrubbed(told.message_primary or str(error)).strip()[:300]
    if state in _NO_SELECT or (alone and state in _NO_SUBSELECT):
        return not_one_select(line, server.where())
    if state == "42501" or not state.startswith(("42", "22", "0A")):
        return server.explained(error)
    place = _place(query, told.internal_position or told.statement_position)
    hint = f" ({told.message_hint})" if told.message_hint else ""
    return not_understood(f"{line}{place}{hint}", server.where())


def _place(query: str, position: str | None) -> str:
    before = query[: int(position) - 1] if position and int(position) <= len(query) + 1 else None
    if before is None:
        return ""
    return f", line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"
