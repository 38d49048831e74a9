"""WarehouseIOManager: publishes staged loads into a destination and hands its tables to Python assets."""

from typing import Any

import dagster as dg

from dataflow_platform.core import injection
from dataflow_platform.core.base import Destination, Table
from dataflow_platform.core.errors import ConfigError
from dataflow_platform.core.sql import qualified
from dataflow_platform.engine import load, metadata, query_errors
from dataflow_platform.engine.failures import boundary
from dataflow_platform.engine.stream_load import StagedLoad


class WarehouseIOManager(dg.ConfigurableIOManager):
    """The only IO manager: an asset's value is a staged load going in, a lazy DuckDB relation coming out.

    A hand-written asset may also return anything Arrow can read (a pyarrow, polars or pandas table,
    a record batch reader): it replaces the table named by the last two parts of the asset's key.
    """

    destination: dg.ResourceDependency[Destination]

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Publish in one transaction; runs in the step's own process, after the checks."""
        with boundary(retries=0, delay_seconds=0, attempt=0):
            if isinstance(obj, StagedLoad):
                record = load.publish(obj)
                context.add_output_metadata(metadata.of_record(obj, record))
                injection.reach("returning")
            else:
                self._replace(table_of(context.asset_key), obj)

    def _replace(self, table: Table, value: Any) -> None:
        if not hasattr(value, "__arrow_c_stream__"):
            raise ConfigError(
                "io_manager.value",
                f"a {type(value).__name__} cannot become a table",
                where=f"{table.schema}.{table.name}",
                fix="return a pyarrow, polars or pandas table, or a reader",
            )
        session = self.destination.session()
        try:
            with query_errors.told(f"{table.schema}.{table.name}"):
                session.connection.register("_dataflow_value", session.connection.from_arrow(value))
                session.publish_as_new(session.stage("SELECT * FROM _dataflow_value", table), table)
                session.commit()
        finally:
            session.close()

    def load_input(self, context: dg.InputContext) -> Any:
        """The upstream asset's table as a lazy DuckDB relation: take ``.arrow()``, ``.pl()`` or ``.df()`` from it."""
        table = table_of(context.asset_key)
        with boundary(retries=0, delay_seconds=0, attempt=0):
            # The relation keeps its connection alive, and with it the file, until the asset lets go of it.
            session = self.destination.session()
            if session.columns(table) is None:
                session.close()
                raise ConfigError(
                    "table.unknown",
                    f"there is no table {table.schema}.{table.name}",
                    where=context.asset_key.to_user_string(),
                    fix="materialize the upstream asset first",
                )
            session.expose(table)
            return session.connection.sql(f"SELECT * FROM {qualified(table.schema, table.name)}")


def table_of(key: dg.AssetKey) -> Table:
    """The table an asset key names: its last part, in the schema of the part before (``main`` if none)."""
    return Table(key.path[-2] if len(key.path) > 1 else "main", key.path[-1])
