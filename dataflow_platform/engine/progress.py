"""Watches a query while it runs: rows, bytes and share done, for whoever listens."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import duckdb

from dataflow_platform.core.base import Scan
from dataflow_platform.core.progress import Progress, report, watched

_PAUSE_SECONDS = 0.2


@dataclass
class Followed:
    """What is known once the query has run. ``size``: bytes of the values it produced, in the engine's memory form."""

    size: int | None = None
    rows: int | None = None


@contextmanager
def following(stream: str, scan: Scan, connections: Sequence[duckdb.DuckDBPyConnection]) -> Iterator[Followed]:
    """Report the progress of the query inside the block, and measure what it produced on all ``connections``."""
    followed = Followed()
    stop = threading.Event()
    watcher = threading.Thread(target=_watch, args=(connections, stream, scan, stop), daemon=True)
    for connection in connections:
        connection.execute("PRAGMA enable_profiling='no_output'")
        # Where multiprocessing started Python, DuckDB takes it for a terminal and would draw bars into the log.
        connection.execute("SET enable_progress_bar_print = false")
        if watched():
            connection.execute("SET enable_progress_bar = true")
    if watched():
        watcher.start()
    try:
        yield followed
        for connection in connections:
            _measure(connection, followed)
    finally:
        stop.set()
        if watcher.ident is not None:
            watcher.join()
        for connection in connections:
            # A query that failed may have ended the transaction: its own error is what counts.
            with suppress(duckdb.Error):
                connection.execute("PRAGMA disable_profiling")
    if scan.bytes_read is not None:
        followed.size = scan.bytes_read()
    report(Progress(stream, "staged", rows=followed.rows, size=followed.size, fraction=1.0))


def _watch(connections: Sequence[duckdb.DuckDBPyConnection], stream: str, scan: Scan, stop: threading.Event) -> None:
    while not stop.wait(_PAUSE_SECONDS):
        percent = sum(connection.query_progress() for connection in connections) / len(connections)
        size = scan.bytes_read() if scan.bytes_read else None
        fraction = percent / 100 if percent > 0 else None
        report(Progress(stream, "reading", size=size, fraction=fraction))


def _measure(connection: duckdb.DuckDBPyConnection, followed: Followed) -> None:
    profile = json.loads(connection.get_profiling_information("json"))
    created = next((node for node in _nodes(profile) if node.get("operator_type") in _WRITERS), None)
    for producer in (created or {}).get("children", []):
        followed.size = (followed.size or 0) + int(producer.get("result_set_size", 0))
        followed.rows = (followed.rows or 0) + int(producer.get("operator_cardinality", 0))


_WRITERS = {"CREATE_TABLE_AS", "BATCH_CREATE_TABLE_AS", "MERGE_INTO", "COPY_TO_FILE", "BATCH_COPY_TO_FILE"}


def _nodes(node: dict) -> Iterator[dict]:  # type: ignore[type-arg]  # DuckDB's JSON has no schema
    yield node
    for child in node.get("children", []):
        yield from _nodes(child)
