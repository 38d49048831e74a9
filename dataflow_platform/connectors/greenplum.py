"""Greenplum."""

from typing import ClassVar

from pydantic import Field

from dataflow_platform.connectors._sql import SqlFacts
from dataflow_platform.connectors._sql.facts import ZONED_FILTERED
from dataflow_platform.connectors._sql.postgres_protocol import AS_TEXT, BYTE_ORDER, SYSTEM_SCHEMAS, PostgresProtocol


class Greenplum(PostgresProtocol):
    """Greenplum 7 and newer, and Apache Cloudberry."""

    facts: ClassVar[SqlFacts] = SqlFacts(
        title="Greenplum",
        family="warehouse",
        evidence="contract",
        evidence_note="its SELECTs are compiled under test by SQLAlchemy's own dialect; no server was reached",
        extra="postgres",
        grants="GRANT USAGE ON SCHEMA sales TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA sales TO reader;",
        drivername="postgresql+psycopg2",
        wire={"[]": "CAST(to_json({0}) AS TEXT)"},
        as_text=AS_TEXT,
        text_order=BYTE_ORDER,
        filtered=ZONED_FILTERED,
        system_schemas=SYSTEM_SCHEMAS | {"gp_toolkit", "pg_aoseg", "pg_bitmapindex"},
    )

    port: int = Field(default=5432, description="TCP port of the coordinator.")
    database: str = Field(default="postgres", description="Database to connect to.")
