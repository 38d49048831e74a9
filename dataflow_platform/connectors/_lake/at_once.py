"""Statements of several connections of the engine, run at the same time."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import duckdb

Answer = list[tuple[Any, ...]]


def at_once(engines: Sequence[duckdb.DuckDBPyConnection], statements: Sequence[str], most: int) -> list[Answer]:
    """The answers in order, of at most ``most`` statements at a time; the first error ends the others."""
    if len(engines) == 1:
        return [engines[0].execute(statements[0]).fetchall()]
    with ThreadPoolExecutor(min(len(engines), most)) as threads:
        running = [
            threads.submit(lambda engine=engine, text=text: engine.execute(text).fetchall())  # type: ignore[misc]
            for engine, text in zip(engines, statements, strict=True)
        ]
        try:
            for done in as_completed(running):
                done.result()
        except BaseException:  # a person who interrupts waits here
            for waiting in running:
                waiting.cancel()
            for engine in engines:
                engine.interrupt()
            raise
        return [each.result() for each in running]
