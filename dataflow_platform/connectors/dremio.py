"""Dremio."""

from typing import Any, ClassVar

from pydantic import Field

from dataflow_platform.connectors._adbc import flight_sql
from dataflow_platform.connectors._sql import SqlFacts


class Dremio(flight_sql.FlightSqlFields):
    """Dremio, by Arrow Flight SQL: a dot in a schema (`"lake.eu".orders`) stands before a folder."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="Dremio",
        family="warehouse",
        evidence="contract",
        evidence_note="from its documents; its SELECTs are compiled under test, and the protocol is tested with "
        "the connector `flightsql`; no Dremio was reached",
        packages=flight_sql.PACKAGES,
        grants='GRANT SELECT ON FOLDER lake.sales TO USER "reader";',
        # Its times end at milliseconds.
        clock_slack=0.001,
        list_tables='SELECT TABLE_SCHEMA, TABLE_NAME FROM INFORMATION_SCHEMA."TABLES"',
        system_schemas=frozenset({"information_schema", "sys", "sys.cache"}),
    )

    port: int = Field(default=32010, description="TCP port of Flight SQL; 443 in Dremio's cloud.")

    def dialect(self) -> Any:
        """Names in double quotes, each folder of a schema by itself."""
        made = super().dialect()
        preparer = made.identifier_preparer
        preparer.quote_schema = lambda schema: ".".join(preparer.quote(part) for part in schema.split("."))
        return made
