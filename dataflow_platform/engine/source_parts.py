"""Connections of the engine that each see a part of a source's rows, so that a statement can be run on all at once."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import duckdb

from dataflow_platform.core.sql import literal, quote
from dataflow_platform.engine.extract import SOURCE_VIEW, Extraction


@contextmanager
def readers(extraction: Extraction, wanted: bool) -> Iterator[list[duckdb.DuckDBPyConnection]]:
    """A connection for each part; none where the source has no parts or they are not ``wanted``.

    Each is in a transaction of its own, which ends with the block.
    """
    opened: list[duckdb.DuckDBPyConnection] = []
    try:
        for part in extraction.scan.parts if wanted else ():
            reader = extraction.connection.cursor()
            opened.append(reader)
            zone = extraction.connection.execute("SELECT current_setting('TimeZone')").fetchall()[0][0]
            reader.execute(f"SET TimeZone = {literal(zone)}")
            reader.begin()
            part.begin(reader)
            reader.execute(f"CREATE TEMP VIEW {quote(SOURCE_VIEW)} AS {part.query}")
        yield opened
    finally:
        for reader in opened:
            with suppress(duckdb.Error):
                reader.rollback()
            reader.close()
