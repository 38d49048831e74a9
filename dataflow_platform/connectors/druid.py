"""Apache Druid."""

from typing import Any, ClassVar

from pydantic import Field

from dataflow_platform.connectors._sql import ServerFields, SqlFacts


class Druid(ServerFields):
    """Apache Druid, by the SQL API of its router or broker; rows arrive as they are computed."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="Apache Druid",
        family="warehouse",
        evidence="unverified",
        evidence_note="written from the documents of pydruid 0.6, whose dialect compiled its SELECTs once by hand",
        packages=("pydruid[sqlalchemy]>=0.6.6,<0.7",),
        grants="READ on the datasources and on STATE of the system tables, in Druid's basic authorizer",
        drivername="druid+https",
        # A time is a moment in UTC with milliseconds, sent as ISO text.
        kinds={"timestamp": "TIMESTAMPTZ", "float": "FLOAT", "other": None},
        system_schemas=frozenset({"information_schema", "sys", "lookup"}),
        over_http=True,
    )

    port: int = Field(default=9088, description="TCP port of the router: 9088 with TLS.")
    user: str = Field(default="", description="User to log in as; empty where the cluster asks for none.")

    def address(self) -> Any:
        """SQLAlchemy's URL; the path is that of the SQL API."""
        return super().address().set(database="druid/v2/sql/")
