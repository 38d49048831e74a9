"""CrateDB."""

from typing import ClassVar

from pydantic import Field

from dataflow_platform.connectors._sql import SqlFacts
from dataflow_platform.connectors._sql.postgres_protocol import (
    AS_TEXT,
    DESCRIBE_TABLE,
    LIST_TABLES,
    SYSTEM_SCHEMAS,
    PostgresProtocol,
)


class CrateDb(PostgresProtocol):
    """CrateDB 5.3 and newer, by its PostgreSQL port: its HTTP driver would hold a whole result in memory."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="CrateDB",
        family="database",
        evidence="contract",
        evidence_note="its SELECTs are compiled under test by SQLAlchemy's own dialect; no server was reached",
        extra="postgres",
        grants="GRANT DQL ON SCHEMA sales TO reader;",
        drivername="postgresql+psycopg2",
        # Its CHAR is a whole number of 8 bits.
        kinds={
            "char": "TINYINT",
            "byte": "TINYINT",
            "ip": "VARCHAR",
            "object": None,
            "geo_point": None,
            "geo_shape": None,
        },
        as_text=AS_TEXT,
        describe_table=DESCRIBE_TABLE,
        list_tables=LIST_TABLES,
        system_schemas=SYSTEM_SCHEMAS | {"blob", "sys"},
    )

    port: int = Field(default=5432, description="TCP port of the PostgreSQL interface.")
    database: str = Field(default="crate", description="Database to connect to.")
