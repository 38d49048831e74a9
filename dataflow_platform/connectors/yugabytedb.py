"""YugabyteDB."""

from typing import ClassVar

from pydantic import Field

from dataflow_platform.connectors._sql import SqlFacts
from dataflow_platform.connectors._sql.facts import ZONED_FILTERED
from dataflow_platform.connectors._sql.postgres_protocol import AS_TEXT, BYTE_ORDER, SYSTEM_SCHEMAS, PostgresProtocol


class YugabyteDb(PostgresProtocol):
    """YugabyteDB 2.14 and newer, by its PostgreSQL API (YSQL)."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="YugabyteDB",
        family="database",
        evidence="contract",
        evidence_note="its SELECTs are compiled under test by SQLAlchemy's own dialect; no server was reached",
        extra="postgres",
        grants="GRANT USAGE ON SCHEMA sales TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA sales TO reader;",
        drivername="postgresql+psycopg2",
        wire={"[]": "CAST(to_json({0}) AS TEXT)"},
        as_text=AS_TEXT,
        text_order=BYTE_ORDER,
        filtered=ZONED_FILTERED,
        system_schemas=SYSTEM_SCHEMAS,
    )

    port: int = Field(default=5433, description="TCP port of the YSQL server.")
    database: str = Field(default="yugabyte", description="Database to connect to.")
