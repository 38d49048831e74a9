"""Source and state -> the rows to move, as one lazy query. Nothing is read here."""

from contextlib import suppress
from dataclasses import dataclass

import duckdb

from dataflow_platform.core.base import Column, Scan, Session, Source, State, Stream, Window
from dataflow_platform.core.errors import DataError, unknown_name
from dataflow_platform.core.sql import literal, quote
from dataflow_platform.engine import reading_range
from dataflow_platform.engine.contract.types import join, parse

SOURCE_VIEW = "_dataflow_source"


@dataclass
class Extraction:
    """An open scan, the query over it (with cursor and window applied) and its columns."""

    scan: Scan
    query: str
    columns: tuple[str, ...]
    cursor_type: str | None
    types: dict[str, str]
    places: dict[str, str]
    """Columns of the query that say where a row stood (not in ``columns``), each with its word."""
    connection: duckdb.DuckDBPyConnection
    begun: bool
    """The transaction of ``connection`` is this extraction's own."""
    held_back: str | None = None
    """SQL over the source's rows: TRUE where a row waits above the upper bound; None where there is none."""

    @property
    def shape(self) -> list[Column]:
        """The columns with their types."""
        return [Column(name, self.types[name]) for name in self.columns]

    @property
    def one_shot(self) -> bool:
        """True where the rows stream past once and cannot be asked a second time."""
        return self.scan.rows_read is not None

    def finish(self) -> None:
        """Keep what was staged and close the source: all has been read."""
        if self.begun:
            self.begun = False
            self.connection.commit()
        self.scan.close()

    def close(self) -> None:
        """Close the source, whatever was read. Safe after ``finish``."""
        if self.begun:
            self.begun = False
            with suppress(duckdb.Error):
                self.connection.rollback()
        self.scan.close()


def extract(session: Session, source: Source, stream: Stream, state: State, locate: bool = False) -> Extraction:
    """Open the scan of ``stream`` on the session's connection and say which of its rows are wanted.

    ``state`` is what ``reading_range.to_read`` made of the stored one.

    ``locate``: with the columns that say where each row stood, where the source knows.

    The filter is applied here as well as in the source: a source that ignores the cursor (an API
    without a since-parameter) delivers too much, never too little.
    """
    source.run_prepare()
    connection = session.connection
    # A source that is asked twice answers twice the same only within one transaction.
    begun = not _in_transaction(connection)
    if begun:
        connection.begin()
    scan: Scan | None = None
    try:
        scan = source.scan(connection, stream, state)
        columns = tuple(scan.relation.columns)
        types = dict(zip(columns, (str(kind) for kind in scan.relation.types), strict=True))
        cursor_type = _cursor_type(stream.cursor, types, state) if stream.cursor else None
        conditions = _conditions(stream, state, types, cursor_type)
    except BaseException:
        if begun:
            with suppress(duckdb.Error):
                connection.rollback()
        if scan is not None:
            scan.close()
        raise
    located = scan.located if locate else None
    places = {} if located is None else dict(scan.places)
    # Registered: `create_view` would keep a view in the database of the destination.
    connection.register(SOURCE_VIEW, scan.relation if located is None else located)
    selected = ", ".join(quote(name) for name in (*columns, *places))
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    held = None
    if state.until is not None and stream.cursor and state.window is None:
        held = f"NOT ({reading_range.below(stream.cursor, types[stream.cursor], state)})"
    query = f"SELECT {selected} FROM {SOURCE_VIEW}{where}"
    return Extraction(scan, query, columns, cursor_type, types, places, connection, begun, held)


def _in_transaction(connection: duckdb.DuckDBPyConnection) -> bool:
    """Outside of a transaction each statement has one of its own."""
    first, second = (connection.execute("SELECT txid_current()").fetchall() for _ in range(2))
    return first == second


def _type_of(column: str, types: dict[str, str], path: str) -> str:
    if column not in types:
        raise unknown_name("column", column, types, f"the stream has: {', '.join(types)}").at_path(path)
    return types[column]


def _cursor_type(column: str, types: dict[str, str], state: State) -> str:
    """The type in which the column's values and the stored cursor are compared."""
    now, before = _type_of(column, types, "cursor"), state.cursor_type
    if state.cursor is None or before is None or before == now:
        return now
    joined = join(parse(before), parse(now), ("date_to_timestamp",))
    if joined is None and now == "VARCHAR":
        raise DataError(
            "cursor.type_change",
            f"the cursor '{column}' was {before} and is text now: texts have another order",
            where="cursor",
            fix=f"cast it in the source to {before}, or read from the beginning (dataflow state reset)",
        )
    return str(joined or now)


def _conditions(stream: Stream, state: State, types: dict[str, str], cursor_type: str | None) -> list[str]:
    if state.window:
        kind = _type_of(state.window.column, types, "partition.by")
        return [in_window(state.window, state.window.column, kind)]
    if not stream.cursor:
        return []
    reading_range.refuse_unfit_type(stream, types[stream.cursor])
    wanted = [reading_range.below(stream.cursor, types[stream.cursor], state)] if state.until is not None else []
    if state.cursor is not None:
        wanted.append(f"{quote(stream.cursor)} >= CAST({literal(state.cursor)} AS {cursor_type})")
    return wanted


def in_window(window: Window, column: str, kind: str) -> str:
    """SQL that is TRUE where ``column``, of DuckDB type ``kind``, lies in the window."""
    edges = (window.start, window.end)
    if kind != "TIMESTAMP WITH TIME ZONE":
        edges = (edges[0].replace(tzinfo=None), edges[1].replace(tzinfo=None))
    start, end = (f"CAST({literal(edge)} AS {kind})" for edge in edges)
    return f"{quote(column)} >= {start} AND {quote(column)} < {end}"


def greatest_cursor(session: Session, query: str, cursor: str) -> tuple[int, str | None]:
    """Rows and greatest cursor (as exact text) of a query that may be asked twice."""
    rows = session.in_engine(f"SELECT count(*), CAST(max({quote(cursor)}) AS VARCHAR) FROM ({query})")
    return int(rows[0][0]), rows[0][1]


def raise_source_error(extraction: Extraction, error: duckdb.Error) -> None:
    """Raise the source's own error where it failed inside the engine's query: DuckDB keeps only its text."""
    if extraction.scan.rows_read is not None:
        extraction.scan.rows_read()
