"""Trino."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from dataflow_platform.connectors._sql import ServerFields, SqlFacts


class Trino(ServerFields):
    """A catalog of Trino (or of Starburst), over HTTPS."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="Trino",
        family="warehouse",
        evidence="unverified",
        evidence_note="written from the documents of trino 0.340, whose dialect compiled its SELECTs once by hand",
        packages=("trino[sqlalchemy]>=0.330",),
        grants="SELECT on the tables in the catalog's access rules; SHOW on the schemas",
        drivername="trino",
        kinds={"row": "JSON", "array": "JSON", "map": "JSON", "time with time zone": None, "tinyint": "TINYINT"},
        # The driver rounds to microseconds; as text further digits are seen, and refused where they are not 0.
        wire={
            "TIMESTAMP": "CAST({0} AS VARCHAR)",
            "TIMESTAMPTZ": "REPLACE(CAST({0} AT TIME ZONE 'UTC' AS VARCHAR), ' UTC', 'Z')",
            "TIME": "CAST({0} AS VARCHAR)",
            "JSON": "json_format(CAST({0} AS JSON))",
        },
        text_order="CAST({0} AS VARCHAR)",
        system_schemas=frozenset({"information_schema"}),
        over_http=True,
    )

    port: int = Field(default=443, description="TCP port of the coordinator.")
    database: str = Field(description="Catalog to read, or `catalog/schema`.")
    scheme: Literal["https", "http"] = Field(
        default="https", description="`https` verifies the server's certificate; `http` sends no password."
    )

    def connect_args(self) -> dict[str, Any]:
        """What the driver is given besides the URL."""
        return {"http_scheme": self.scheme, "source": "dataflow", "request_timeout": 60, "max_attempts": 3}
