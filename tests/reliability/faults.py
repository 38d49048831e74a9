"""What is done to a load, from inside its own process: each fault is armed before the load begins."""

import os
import resource
import signal
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from typing import Any

import duckdb

from dataflow_platform.core import injection
from dataflow_platform.core.injection import Act

KINDS = {
    "kill": "SIGKILL by the process itself at the n-th passage of a named point",
    "kill_after": "SIGKILL a random moment (0 to 30 ms) after a named point: inside COMMIT, close, COPY, ...",
    "kill_any": "SIGKILL by the parent at a random moment of the load's usual duration",
    "kill_twice": "SIGKILL at a named point of the load, and again at one of its rerun; the third run is left alone",
    "terminate": "the server ends the load's connections (pg_terminate_backend) at a named point",
    "cut": "a proxy breaks the connection after a random number of bytes, in the middle of COPY or anywhere",
    "lost_commit": "a proxy passes COMMIT on and swallows its answer: the outcome is unknown",
    "disk_full": "the file system of the warehouse has too little room (a small tmpfs)",
    "file_limit": "no file may grow beyond a limit (RLIMIT_FSIZE): writes fail with EFBIG",
    "memory": "the engine's memory limit is tiny and it may not spill: it raises OutOfMemory",
    "clock": "the load's clock is years ahead or behind, and it is killed at a named point; the rerun has the true one",
    "page_twice": "the source sends one page twice, and the load is killed at a named point; the rerun gets it too",
    "pipeline": "SIGKILL at a named point of a whole `dataflow run` of a YAML pipeline; resumed, or started again",
    "torn": "control: rows are committed before state and record, then SIGKILL; every such round must be found",
}


def kill_after(point: str, passage: int, seconds: float) -> Act:
    """SIGKILL ``seconds`` after the point, whatever the process does then."""

    def act(*reached: str | int) -> None:
        if reached == (point, passage):
            threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()

    return act


def terminate_at(point: str, passage: int, fields: dict[str, Any]) -> Act:
    """End every connection to the load's database but the one that says so."""
    import psycopg2

    def act(*reached: str | int) -> None:
        if reached != (point, passage):
            return
        names = {"host": "host", "port": "port", "database": "dbname", "user": "user", "password": "password"}
        connection = psycopg2.connect(**{driver: fields[ours] for ours, driver in names.items()})
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        connection.close()

    return act


def limit_files(size: int) -> Callable[[], None]:
    """No file of this process grows beyond ``size`` bytes; what lifts it again."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def limit_memory(kilobytes: int) -> Callable[[], None]:
    """Every DuckDB of this process from now on gets so little memory, and nothing to spill to."""
    connect = duckdb.connect

    def tight(*given: Any, **named: Any) -> duckdb.DuckDBPyConnection:
        connection = connect(*given, **named)
        connection.execute(f"SET max_temp_directory_size = '0KB'; SET memory_limit = '{kilobytes}KB'")
        return connection

    duckdb.connect = tight  # type: ignore[assignment]
    return lambda: setattr(duckdb, "connect", connect)


def move_clock(days: int) -> Callable[[], None]:
    """The engine's own clock is so many days off; DuckDB's now() is not."""
    from dataflow_platform.engine import load, stage, state

    class Moved(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(days=days)

    modules = (load, stage, state)
    for module in modules:
        module.datetime = Moved  # type: ignore[attr-defined]
    return lambda: [setattr(module, "datetime", datetime) for module in modules] and None


def tear() -> Callable[[], None]:
    """Commit what a load has written before its state is saved: the mistake the harness has to find."""
    from dataflow_platform.engine import state

    save = state.save_state

    def torn(session: Any, *given: Any) -> None:
        session.commit()
        save(session, *given)

    state.save_state = torn  # type: ignore[assignment]
    return lambda: setattr(state, "save_state", save)


def arm(fault: dict[str, Any], fields: dict[str, Any]) -> Callable[[], None]:
    """Prepare ``fault`` in this process; what undoes it."""
    point, passage = fault.get("point", ""), fault.get("passage", 1)
    kind, undo = fault["kind"], lambda: None
    if kind == "file_limit":
        undo = limit_files(fault["bytes"])
    elif kind == "memory":
        undo = limit_memory(fault["kilobytes"])
    elif kind == "clock":
        undo = move_clock(fault["days"])
    elif kind == "torn":
        undo = tear()
    if kind == "kill_after":
        injection.arm(kill_after(point, passage, fault["seconds"]))
    elif kind == "terminate":
        injection.arm(terminate_at(point, passage, fields))
    elif point:
        injection.arm(injection.kill_at(f"{point}:{passage}"))

    def disarm() -> None:
        injection.arm(None)
        undo()

    return disarm
