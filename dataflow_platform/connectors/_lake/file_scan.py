"""A SELECT over chosen files of a table: columns named and typed as the log says, whatever a file holds."""

from collections.abc import Callable, Mapping, Sequence

import duckdb

from dataflow_platform.connectors._lake.log import DataFile
from dataflow_platform.core.base import Column
from dataflow_platform.core.load_plan import listed
from dataflow_platform.core.session import PLACE
from dataflow_platform.core.sql import literal, quote

FILE, ROW = map(quote, PLACE)
"""Where a row lies: the file's number and the row's number in it."""


def file_scan(
    engine: duckdb.DuckDBPyConnection,
    columns: Sequence[Column],
    files: Mapping[int, DataFile],
    url: Callable[[DataFile], str],
    partition_by: Sequence[str] = (),
    origins: Mapping[str, str] | None = None,
) -> str:
    """The rows of ``files`` (by number) with ``FILE`` and ``ROW``.

    ``origins``: what a column is called in the files, where all are not called as they are now; a column
    without an origin, or one that a file lacks, is NULL. Looks into the files' footers.
    """
    if not files:
        nothing = ", ".join(f"NULL::{column.type} AS {quote(column.name)}" for column in columns)
        return f"SELECT {nothing}, NULL::UBIGINT AS {FILE}, NULL::BIGINT AS {ROW} WHERE FALSE"
    urls = ", ".join(literal(url(file)) for file in files.values())
    scan = f"read_parquet([{urls}], union_by_name=true, hive_partitioning=false)"
    there = {str(name).lower(): str(kind) for name, kind, *_ in engine.execute(f"DESCRIBE FROM {scan}").fetchall()}
    parts = {name.lower() for name in partition_by}
    selected = []
    for column in columns:
        origin = column.name if origins is None else origins.get(column.name, "")
        selected.append(f"{_value(column, origin, there, parts)} AS {quote(column.name)}")
    # DuckDB numbers the files of one scan from 0: their numbers here may be others.
    plain = list(files) == list(range(len(files))) and not parts
    place = "" if plain else f" JOIN {_places(files, partition_by)} AS place ON base.file_index = place.at"
    number = "base.file_index" if plain else "place.number"
    return (
        f"SELECT {', '.join(selected)}, {number}::UBIGINT AS {FILE}, base.file_row_number AS {ROW} "
        f"FROM (SELECT *, file_index, file_row_number FROM {scan}) AS base{place}"
    )


def _value(column: Column, origin: str, there: Mapping[str, str], parts: set[str]) -> str:
    if origin.lower() in parts:
        return f"CAST(place.{quote(origin)} AS {column.type})"
    held = there.get(origin.lower()) if origin else None
    if held is None:
        return f"NULL::{column.type}"
    value = f"base.{quote(origin)}"
    return value if held == column.type else f"CAST({value} AS {column.type})"


def _places(files: Mapping[int, DataFile], partition_by: Sequence[str]) -> str:
    rows = []
    for at, (number, file) in enumerate(files.items()):
        values = [literal(value) for value in file.partition] if partition_by else []
        rows.append(f"({', '.join([str(at), str(number), *values])})")
    return f"(SELECT * FROM (VALUES {', '.join(rows)}) AS v({listed(['at', 'number', *partition_by])}))"
