"""InfluxDB 3."""

from typing import ClassVar

from pydantic import Field

from dataflow_platform.connectors._adbc import flight_sql
from dataflow_platform.connectors._sql import SqlFacts
from dataflow_platform.connectors._sql.facts import FILTERED


class InfluxDb(flight_sql.FlightSqlFields):
    """InfluxDB 3 (Core, Enterprise, Cloud), by Arrow Flight SQL. A measurement is a table of the schema `iox`."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="InfluxDB 3",
        family="database",
        evidence="contract",
        evidence_note="from its documents; its SELECTs are compiled under test, and the protocol is tested with "
        "the connector `flightsql`; no InfluxDB was reached",
        packages=flight_sql.PACKAGES,
        grants='a token that may read the database: influxdb3 create token --permission "db:sensors:read"',
        filtered=FILTERED | {"TIMESTAMP_NS"},
        list_tables="SELECT table_schema, table_name FROM information_schema.tables",
        system_schemas=frozenset({"information_schema", "system"}),
    )

    port: int = Field(default=8181, description="TCP port of the server; 443 in its cloud.")
    database: str = Field(description="Database to read.")

    def headers(self) -> dict[str, str]:
        """The database is named in a header."""
        return {"database": self.database}
