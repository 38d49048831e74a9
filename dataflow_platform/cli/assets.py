"""Finds the table behind the name of an asset, for commands that read one."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dataflow_platform.core.base import Destination, Table
from dataflow_platform.core.errors import ConfigError, unknown_name
from dataflow_platform.core.sql import qualified

if TYPE_CHECKING:
    import duckdb

    from dataflow_platform.pipeline.loader import Loaded


@dataclass(frozen=True)
class LoadedAsset:
    """The table of a stream and the destination it is in."""

    pipeline: str
    stream: str
    table: Table
    destination: Destination


def loaded_asset(loaded: "Loaded", name: str) -> LoadedAsset:
    """The asset called ``schema.table`` (or ``schema/table``); ConfigError ``asset.unknown``."""
    known = {f"{each.asset.table.schema}.{each.asset.table.name}": each for each in loaded.built.streams}
    wanted = name.replace("/", ".").lower()
    for told, stream in known.items():
        if told.lower() == wanted:
            destination = stream.target.destination()
            return LoadedAsset(stream.asset.pipeline.name, stream.asset.spec.name, stream.asset.table, destination)
    raise unknown_name("asset", name, known, "write schema.table, such as raw.flights")


@contextmanager
def opened(found: LoadedAsset) -> "Iterator[duckdb.DuckDBPyConnection]":
    """A connection that reads the asset's table; ConfigError ``table.missing`` where it was never loaded."""
    import duckdb

    name = f"{found.table.schema}.{found.table.name}"
    with found.destination.reader() as connection:
        # The engine's own bar would stand among what is printed.
        connection.execute("SET enable_progress_bar = false")
        try:
            connection.execute(f"DESCRIBE FROM {qualified(found.table.schema, found.table.name)}").fetchall()
        except duckdb.CatalogException as error:
            raise ConfigError(
                "table.missing", f"there is no table {name} yet", where=name,
                fix=f"load it first: dataflow run {found.pipeline}",
            ) from error  # fmt: skip
        yield connection
